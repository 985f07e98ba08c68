"""docs/how-to/survive-preemptions.md is true: the job is declared, and the lines for Python lose nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from docs.pages import ROOT, blocks, declare_under_mocks

JOB, TRAINING = blocks(ROOT / "docs" / "how-to" / "survive-preemptions.md", "python")


def test_the_job_is_declared(tmp_path: Path) -> None:
    """Under FlowMocks."""
    declares = "{name for _, name, _ in mocks.resources} == {'training-data', 'training'}"
    declare_under_mocks(tmp_path, JOB, "it_declares_a_job_and_its_volume", declares)


def live(folder: Path, event: str = "") -> tuple[int, int]:
    """Run the lines in a folder, with an event at each step; return the exit code and the step that is saved."""
    assert TRAINING.count("  # train\n") == 1
    program = TRAINING.replace("  # train\n", f"\n    {event}\n") if event else TRAINING
    done = subprocess.run(
        [sys.executable, "-c", f"import os\n{program}"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    checkpoint = folder / "model.ckpt"
    return done.returncode, json.loads(checkpoint.read_text())["step"] if checkpoint.exists() else 0


def test_the_lines_save_on_the_signal_and_go_on_from_there(tmp_path: Path) -> None:
    """A notice at step 142, taken away at 177; the next life goes on from 142 and ends."""
    notice = f"os.kill(os.getpid(), {int(signal.SIGUSR1)}) if step == 142 else None"
    assert live(tmp_path, f"{notice}; os._exit(9) if step == 177 else None") == (9, 142)
    started = f"assert step > 142, step; {notice}"
    assert live(tmp_path, started) == (0, 1000)


def test_the_lines_save_without_a_signal_too(tmp_path: Path) -> None:
    """Every hundred steps."""
    assert live(tmp_path, "os._exit(9) if step == 377 else None") == (9, 300)


def test_a_save_that_is_cut_short_leaves_the_one_before(tmp_path: Path) -> None:
    """The draft is another file."""
    assert live(tmp_path, "os._exit(9) if step == 177 else None") == (9, 100)
    (tmp_path / "model.new").write_text('{"step": 1')
    assert live(tmp_path) == (0, 1000)
    assert [path.name for path in tmp_path.iterdir()] == ["model.ckpt"]
