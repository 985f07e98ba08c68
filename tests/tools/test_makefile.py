"""What `make` offers, in a copy of the checkout whose path has a space and a quote, with nothing to install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGETS = (
    "setup",
    "env",
    "demo",
    "check",
    "test",
    "languages",
    "faults",
    "machines",
    "sweep",
    "package",
    "bench",
    "docs",
    "clean",
    "help",
)


def make(checkout, *arguments, path=None):
    """Run make there."""
    # What a `make test` around us passes on to its children is not for this one.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    env |= {"PATH": f"{path}:{os.environ['PATH']}"} if path else {}
    command = ["make", *arguments]
    return subprocess.run(command, cwd=checkout, env=env, check=False, capture_output=True, text=True, timeout=600)


@pytest.fixture
def checkout(tmp_path):
    """A checkout that is set up: its Python is this one."""
    folder = tmp_path / "it's a checkout"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (folder / ".venv" / ".installed").write_text(f"{folder}\n")
    return folder


@pytest.fixture
def pulumi(tmp_path):
    """A folder with a `pulumi` that can run Python programs."""
    folder = tmp_path / "a $pulumi"
    folder.mkdir()
    for name in ("pulumi", "pulumi-language-python"):
        (folder / name).write_text("#!/bin/sh\necho the right one\n")
        (folder / name).chmod(0o755)
    return folder


def test_help_lists_every_target():
    """`make` alone is help, each target with a word on what it does."""
    shown = make(ROOT)
    assert shown.returncode == 0
    lines = dict(line.removeprefix("make ").split(maxsplit=1) for line in shown.stdout.splitlines())
    assert set(lines) == set(TARGETS)
    assert all(lines.values())


def test_env_prints_nothing_but_what_a_shell_evaluates(checkout, pulumi):
    """`eval "$(make -s env)"` gives a working pulumi, whatever characters the folders have."""
    printed = make(checkout, "-s", "env", path=pulumi)
    assert printed.returncode == 0, printed.stderr
    assert all(line.startswith("export ") for line in printed.stdout.splitlines())
    script = 'eval "$1" && command -v pulumi && pulumi && printf "%s" "$PATH"'
    shell = subprocess.run(["sh", "-euc", script, "sh", printed.stdout], check=True, capture_output=True, text=True)
    where, said, path = shell.stdout.splitlines()
    assert where == str(pulumi / "pulumi")
    assert said == "the right one"
    assert path.endswith(os.environ["PATH"])


def test_env_without_a_pulumi_to_be_had_fails_and_prints_nothing(checkout, tmp_path):
    """What a shell evaluates then is nothing."""
    alone = tmp_path / "bin"
    alone.mkdir()
    for name in ("make", "sh", "cat"):
        (alone / name).symlink_to(str(shutil.which(name)))
    printed = subprocess.run(
        [alone / "make", "-s", "env"],
        cwd=checkout,
        env={"PATH": str(alone), "HOME": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert printed.returncode != 0
    assert printed.stdout == ""
    assert "https://www.pulumi.com/docs/install/" in printed.stderr


def test_an_old_python_is_refused_with_the_way_to_name_another(checkout, tmp_path):
    """The system's python3 may be older than what the project needs."""
    (checkout / ".venv" / ".installed").unlink()
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    refused = make(checkout, f"PYTHON={old}", "setup")
    assert refused.returncode != 0
    assert "older than 3.10" in refused.stderr
    assert "make PYTHON=" in refused.stderr


def test_a_benchmark_that_does_not_exist_is_said(checkout):
    """One clear line."""
    refused = make(checkout, "bench")
    assert refused.returncode != 0
    assert "there is no benchmarks/bench.py" in refused.stderr
