"""examples/08-job/train.py as a machine runs it: given notice, killed, started again. No step is lost."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from docs.pages import EXAMPLES

TRAIN = EXAMPLES / "08-job" / "train.py"
STEPS = 20_000


def start(checkpoint: Path, steps: int = STEPS) -> subprocess.Popen[str]:
    """Start the training as its job does."""
    command = [sys.executable, "-S", str(TRAIN), str(checkpoint), str(steps)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(checkpoint: Path, steps: int = STEPS) -> str:
    """Run the training to its end; return what it printed."""
    training = start(checkpoint, steps)
    printed, _ = training.communicate(timeout=600)
    assert training.returncode == 0, printed
    return printed


def read_until(training: subprocess.Popen[str], condition: Callable[[str], bool]) -> str:
    """Read its lines up to the one that is meant."""
    assert training.stdout
    for line in training.stdout:
        if condition(line):
            return line
    pytest.fail("the training ended before")


def step_in(line: str) -> int:
    """Return the step that a line names."""
    return int(re.findall(r"step (\d+)$", line.strip())[0])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The checkpoint at the end of a run that nothing interrupted."""
    checkpoint = tmp_path_factory.mktemp("undisturbed") / "circle.json"
    run(checkpoint)
    return checkpoint.read_bytes()


def test_it_learns(tmp_path: Path) -> None:
    """Nineteen of twenty points and more; a coin would get six of ten."""
    printed = run(tmp_path / "circle.json")
    assert printed.startswith("goes on after step 0\n")
    (accuracy,) = re.findall(r"^([0-9.]+)% of 1000 other points are right after 20000 steps$", printed, re.MULTILINE)
    assert float(accuracy) > 95


def test_a_training_that_is_given_notice_and_killed_loses_no_step(tmp_path: Path, undisturbed: bytes) -> None:
    """Over a dozen lives: each goes on from where the one before saved, and the end is that of a run in one piece."""
    checkpoint, saved, chance = tmp_path / "circle.json", 0, random.Random(5)
    for _ in range(12):
        training = start(checkpoint)
        assert step_in(read_until(training, lambda _: True)) == saved
        for _ in range(chance.randrange(4)):
            read_until(training, lambda line: line.startswith("saved step"))
        training.send_signal(signal.SIGUSR1)
        read_until(training, lambda line: line.startswith("saved step"))
        training.kill()
        rest, _ = training.communicate(timeout=600)
        # The kill may come between a save and its line: what is on the volume decides.
        saved = json.loads(checkpoint.read_text())[0]
        assert saved >= max([0, *map(step_in, re.findall(r"^saved step \d+$", rest, re.MULTILINE))])
    assert 0 < saved < STEPS
    run(checkpoint)
    assert checkpoint.read_bytes() == undisturbed


def test_a_training_that_is_killed_without_notice_ends_the_same(tmp_path: Path, undisturbed: bytes) -> None:
    """It repeats what came after its last save."""
    checkpoint, chance = tmp_path / "circle.json", random.Random(6)
    for _ in range(8):
        training = start(checkpoint)
        for _ in range(1 + chance.randrange(3)):
            read_until(training, lambda line: line.startswith("saved step"))
        training.kill()
        training.communicate(timeout=600)
    run(checkpoint)
    assert checkpoint.read_bytes() == undisturbed


def test_a_training_that_has_ended_ends_again_at_once(tmp_path: Path, undisturbed: bytes) -> None:
    """A command runs at every boot."""
    checkpoint = tmp_path / "circle.json"
    checkpoint.write_bytes(undisturbed)
    assert "saved" not in run(checkpoint)
    assert checkpoint.read_bytes() == undisturbed


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The file as a module, which saves only on notice and at the end."""
    spec = importlib.util.spec_from_file_location("train_of_the_job", TRAIN)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "EVERY", 10**9)
    return module


def test_the_notice_is_answered_with_a_save_after_that_very_step(
    train: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each notice anew, and the training goes on."""
    before, example = signal.getsignal(signal.SIGUSR1), train.example

    def notice_and_example(step: int) -> object:
        if step in (123, 124, 300):
            os.kill(os.getpid(), signal.SIGUSR1)
        return example(step)

    monkeypatch.setattr(train, "example", notice_and_example)
    try:
        train.main(tmp_path / "circle.json", 400)
    finally:
        signal.signal(signal.SIGUSR1, before)
    saved = [line for line in capsys.readouterr().out.splitlines() if line.startswith("saved")]
    assert saved == [f"saved step {step}" for step in (123, 124, 300, 400)]


def test_what_a_crash_left_half_written_is_not_there(tmp_path: Path, undisturbed: bytes) -> None:
    """The draft of a checkpoint is none."""
    checkpoint = tmp_path / "circle.json"
    run(checkpoint, 700)
    checkpoint.with_suffix(".new").write_text('{"step": 1')
    assert run(checkpoint).startswith("goes on after step 700\n")
    assert checkpoint.read_bytes() == undisturbed


def test_a_save_that_is_cut_short_leaves_the_one_before(
    train: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole: the new one replaces it when it is written."""

    def cut(draft: Path, target: Path) -> None:
        raise OSError(draft, target)

    checkpoint = tmp_path / "circle.json"
    train.save(checkpoint, 1, [0.0] * 6)
    before = checkpoint.read_bytes()
    monkeypatch.setattr(Path, "replace", cut)
    with pytest.raises(OSError, match="circle"):
        train.save(checkpoint, 2, [1.0] * 6)
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize("content", ["", "[", "[5]", "null"])
def test_a_damaged_checkpoint_is_a_failure_and_stays(tmp_path: Path, content: str) -> None:
    """To begin anew would throw away what somebody may still repair."""
    checkpoint = tmp_path / "circle.json"
    checkpoint.write_text(content)
    training = start(checkpoint)
    printed, _ = training.communicate(timeout=600)
    assert training.returncode == 1, printed
    assert checkpoint.read_text() == content


def test_a_volume_that_is_not_mounted_is_a_failure(tmp_path: Path) -> None:
    """A folder is not made in its place: what is saved there would be lost with the machine."""
    training = start(tmp_path / "data" / "circle.json", 1000)
    printed, _ = training.communicate(timeout=600)
    assert training.returncode == 1, printed
    assert not (tmp_path / "data").exists()
