"""What examples/07-pytorch/train.py does of the notice and the checkpoint, with a stand-in for PyTorch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from docs.pages import EXAMPLES

TRAIN = EXAMPLES / "07-pytorch" / "train.py"
TORCH = """
import json
import sys

from torch import distributed

class cuda:
    is_available = staticmethod(lambda: False)

class device:
    def __init__(self, *_): pass

class tensor(list):
    def __init__(self, values, device=None): super().__init__(map(Number, values))

class Number(float):
    def item(self): return float(self)

def save(value, path):
    path.write_text(json.dumps(value))

def load(path):
    return json.loads(path.read_text())
"""
DISTRIBUTED = '''
import os
import signal

def init_process_group(_): pass
def destroy_process_group(): pass
def get_rank(): return int(os.environ["RANK"])
def get_world_size(): return 1

def all_reduce(total):
    """Each listed step brings an event, while the processes wait for each other."""
    event = os.environ.get(f"AT_{total[0]:.0f}")
    if event == "notice":
        os.kill(os.getpid(), signal.SIGUSR1)
    if event == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if event == "other":  # another process has the notice
        total[1] = type(total[1])(1.0)
'''


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder with the stand-in, which is imported from there."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(TORCH)
    (tmp_path / "torch" / "distributed.py").write_text(DISTRIBUTED)
    return tmp_path


def train(room: Path, *, rank: int = 0, returncode: int = 0, **events: str) -> tuple[list[str], int]:
    """Run the training; return its lines and the step of its checkpoint, 0 without one."""
    checkpoint = room / "checkpoint.pt"
    env = {**os.environ, "PYTHONPATH": str(room), "CHECKPOINT": str(checkpoint), "RANK": str(rank), **events}
    done = subprocess.run([sys.executable, str(TRAIN)], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == returncode, done.stderr
    step = json.loads(checkpoint.read_text())["step"] if checkpoint.exists() else 0
    return done.stdout.splitlines(), step


def test_the_notice_is_answered_with_a_save_and_the_next_life_goes_on_from_it(room: Path) -> None:
    """Of the step after the one in which it came; killed later, it repeats what came after that save."""
    lines, step = train(room, returncode=-9, AT_142="notice", AT_177="kill")
    assert (lines, step) == (["1 GPUs resume after step 0", "step 100", "step 143"], 143)
    lines, step = train(room)
    assert lines[:2] == ["1 GPUs resume after step 143", "step 200"]
    assert step == 1000


def test_the_notice_of_another_process_saves_too(room: Path) -> None:
    """In the same step for all."""
    lines, _ = train(room, AT_333="other")
    assert "step 333" in lines


def test_each_notice_saves_once(room: Path) -> None:
    """A second one again."""
    lines, _ = train(room, AT_10="notice", AT_20="notice")
    assert lines[:4] == ["1 GPUs resume after step 0", "step 11", "step 21", "step 100"]


def test_only_rank_0_writes(room: Path) -> None:
    """The others share its file."""
    assert train(room, rank=1, AT_10="notice") == ([], 0)
