"""What is measured: a checkout of the package, a stack of it on a cloud of its own, and what one command of it took."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import programs
from support.engine import Project, peak_memory, plugin_pids

from flow_resources.testing import FakeMithril

HERE = Path(__file__).resolve().parent
QUICK_PIP = HERE.parent / "tests" / "support" / "quick_pip"
REGION, MACHINE = "us-central5-a", "8xa100"
WEIGHED_EVERY = 0.5
SAVED_ONCE = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
"""The engine saves the state when it ends, not before and after each step: N times N of it."""

OPERATIONS: dict[str, tuple[str, ...]] = {
    "preview": ("preview",),
    "up": ("up", "--yes", "--skip-preview"),
    "up again": ("up", "--yes", "--skip-preview"),
    "refresh": ("refresh", "--yes", "--skip-preview"),
    "destroy": ("destroy", "--yes", "--skip-preview"),
}
"""By name; in this order each finds what the one before it left."""
WITH_PREVIEW = ("up", "--yes")


@dataclass(frozen=True)
class Package:
    """A checkout of the package that is measured; the cloud is always the one of this checkout."""

    label: str
    root: Path

    @property
    def python_path(self) -> str:
        """Return what a program of it needs on PYTHONPATH."""
        return os.pathsep.join((str(QUICK_PIP), str(self.root)))


THIS = Package("this", HERE.parent)


@dataclass(frozen=True)
class Run:
    """What one command took."""

    seconds: float
    requests: int
    plugin_mb: int


@dataclass
class Stack:
    """A stack of one program on a cloud of its own."""

    project: Project
    cloud: FakeMithril

    def run(self, operation: str, parallel: int | None = None) -> Run:
        """Run one operation; `parallel` is the engine's `-p`, None for its default. A preview takes none."""
        at_once = ("-p", str(parallel)) if parallel and operation != "preview" else ()
        return self.command(*OPERATIONS[operation], *at_once)

    def command(self, *command: str) -> Run:
        """Run a command of pulumi."""
        self.cloud.clear_requests()
        began, peak = time.perf_counter(), 0
        with tempfile.TemporaryFile("w+") as printed:
            process = self.project.start(*command, stdout=printed)
            with ThreadPoolExecutor(1) as pool:
                ended = pool.submit(_wait, process)
                while not wait([ended], WEIGHED_EVERY).done:
                    # The kernel keeps the peak: looking now and then misses only what comes after the last look.
                    peak = max([peak, *map(peak_memory, plugin_pids(process.pid))])
            seconds = ended.result() - began
            printed.seek(0)
            assert process.returncode == 0, printed.read()
        return Run(seconds, len(self.cloud.requests), round(peak / 1e6))


def _wait(process: subprocess.Popen[str]) -> float:
    """Return when a process ends. A wait with a time limit polls, and sees it up to 50 ms late."""
    process.wait()
    return time.perf_counter()


@contextmanager
def cloud(size: int) -> Iterator[FakeMithril]:
    """Start a cloud with room for so many clusters."""
    with FakeMithril() as started:
        started.set_capacity(MACHINE, REGION, size)
        yield started


@contextmanager
def stack(
    program: str, size: int, package: Package = THIS, *, host: str = "dynamic", **environment: str
) -> Iterator[Stack]:
    """Make a stack of a program of so many resources, on a cloud with room for all of them."""
    with tempfile.TemporaryDirectory() as folder, cloud(size) as mithril:
        extra = {"PYTHONPATH": package.python_path, **environment}
        project = Project.make(Path(folder), mithril, program.format(n=size), host=host, **extra)
        # Some containers set it; without bytecode each command compiles all that it imports.
        project.env.pop("PYTHONDONTWRITEBYTECODE", None)
        (project.folder / "noop.py").write_text(programs.NOOP)
        yield Stack(project, mithril)


def python(package: Package, *arguments: str, **environment: str) -> str:
    """Return what a fresh interpreter prints."""
    env = {**os.environ, "PYTHONPATH": package.python_path, **environment}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    # With `python -c` the current folder, which can be another checkout, comes before PYTHONPATH.
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=env, cwd=os.sep, capture_output=True, text=True, check=True).stdout
