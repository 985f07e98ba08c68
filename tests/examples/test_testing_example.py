"""examples/06-testing: its tests pass, and each finds what it is there for."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from docs.pages import EXAMPLES, PYTEST
from support.engine import copy_example

EXAMPLE = EXAMPLES / "06-testing"


def outcome(folder: Path, *arguments: str, **extra: str) -> str:
    """Run pytest in a copy of the example, as its page says, and return the last line."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MITHRIL_", "PULUMI_", "PYTEST_"))}
    command = [*PYTEST, "--rootdir", str(folder), *arguments]
    done = subprocess.run(
        command, cwd=folder, env={**env, "HOME": str(folder.parent), **extra}, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.engine
def test_the_examples_tests_pass(tmp_path: Path) -> None:
    """All of them, also that through the engine: none is skipped."""
    assert re.match(r"5 passed in", outcome(copy_example(EXAMPLE, tmp_path / "copy")))


def test_without_pulumi_the_others_still_run(tmp_path: Path) -> None:
    """And that it was skipped is said."""
    folder = copy_example(EXAMPLE, tmp_path / "copy")
    assert re.match(r"4 passed, 1 skipped in", outcome(folder, PATH=str(tmp_path / "nothing")))


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("max_price_per_hour=20.0", "max_price_per_hour=26.0"),
        ("volumes=[VolumeMount(data", "volumes=[VolumeMount('vol_000009'"),
        ('"8xa100"', '"8xh100"'),
    ],
)
def test_the_unit_tests_find_a_mistake(tmp_path: Path, written: str, instead: str) -> None:
    """A bid too high, another volume, another machine: one test each."""
    folder = copy_example(EXAMPLE, tmp_path / "copy")
    source = (folder / "__main__.py").read_text()
    assert written in source
    (folder / "__main__.py").write_text(source.replace(written, instead))
    assert re.match(r"1 failed, 2 passed in", outcome(folder, "test_unit.py"))
