"""`make demo` as a new user meets it: whole, and stopped in the middle."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine

DEMO = Path(__file__).resolve().parents[2] / "tools" / "demo.py"


class Run:
    """The demo, started as a shell starts it: leader of a process group, its temporary folders under `folder`."""

    def __init__(self, folder: Path, *, terminal: bool) -> None:
        self.folder = folder
        self.screen, theirs = pty.openpty() if terminal else os.pipe()
        if terminal:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, str(DEMO)],
            stdin=theirs if terminal else subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            # A key of the user's must not matter.
            env=os.environ
            | {
                "TMPDIR": str(folder),
                "MITHRIL_API_KEY": "a-real-one",
                "PULUMI_STACK": "another",
                "TERM": "xterm-256color",
            },
            start_new_session=True,
        )
        os.close(theirs)
        self.printed = ""

    def read(self, until: str = "\0") -> str:
        """Read what it prints until a text comes, or to the end."""
        while until not in self.printed:
            try:
                data = os.read(self.screen, 4096)
            except OSError:  # a terminal whose other end is shut
                break
            if not data:
                break
            self.printed += data.decode(errors="replace")
        return self.printed

    def end(self) -> int:
        """Read on to the end and return the exit code."""
        self.read()
        os.close(self.screen)
        return self.process.wait(120)

    def leftovers(self) -> list[str]:
        """List the folders, and the processes that were started with one of them as theirs."""
        found = [str(one) for one in self.folder.iterdir()]
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment = (process / "environ").read_bytes()
            except OSError:
                continue
            if f"={self.folder}/".encode() in environment:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        return found


def test_the_demo_runs_to_its_end_and_leaves_nothing(tmp_path):
    """It rents, re-prices, loses and gets back the machines, and says what to type next."""
    run = Run(tmp_path, terminal=False)
    run.read(until="$ pulumi preview")
    address = run.printed.partition("Watch it in a browser while it runs: ")[2].split()[0]
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=60) as page:
        assert b"<title>" in page.read()
    assert run.end() == 0, run.printed
    assert "[8/8]" in run.printed
    assert "[diff: ~max_price_per_hour]" in run.printed
    assert "$ pulumi stack output status\npreempted\n" in run.printed
    assert "$ pulumi stack output status\nrunning\n" in run.printed
    assert "was preempted, now 4/4 machines running: the command runs again" in run.printed
    assert "boot 1 of the first machine: start-up script runs\n" in run.printed
    assert "boot 2 of the first machine: flow-command.service runs\n" in run.printed
    assert "Nothing is left running" in run.printed
    assert "export MITHRIL_API_KEY=" in run.printed
    assert "\033" not in run.printed
    assert run.leftovers() == []


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("$ pulumi stack init", signal.SIGINT),
        ("previewing update", signal.SIGINT),
        # What the terminal below holds in `make test`.
        pytest.param("machines running", signal.SIGINT, marks=pytest.mark.faults),
        ("machines running", signal.SIGTERM),
    ],
)
def test_a_demo_that_is_stopped_cleans_up(tmp_path, moment, number):
    """At once, whatever the engine is at: no process, no folder, the shell's exit code."""
    run = Run(tmp_path, terminal=False)
    run.read(until=moment)
    stopped = time.monotonic()
    os.killpg(run.process.pid, number)
    assert run.end() == 128 + number, run.printed
    assert time.monotonic() - stopped < 300  # one or two, where the machine has nothing else to do
    assert "[8/8]" not in run.printed
    assert "Traceback" not in run.printed
    assert run.leftovers() == []


def test_on_a_terminal_the_rows_are_live_and_ctrl_c_gives_the_cursor_back(tmp_path):
    """Pulumi draws over its own lines there; Ctrl-C stays with the demo."""
    run = Run(tmp_path, terminal=True)
    run.read(until="machines running")
    assert "\033[?25l" in run.printed  # hidden while it draws
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.end() == 130, run.printed
    assert "[8/8]" not in run.printed
    assert "Traceback" not in run.printed
    assert run.printed.rfind("\033[?25h") > run.printed.rfind("\033[?25l")
    assert run.leftovers() == []


def test_a_demo_whose_reader_goes_away_cleans_up(tmp_path):
    """`make demo | head` is no reason for a traceback."""
    run = Run(tmp_path, terminal=False)
    run.read(until="$ pulumi up")
    os.close(run.screen)
    assert run.process.wait(120) != 0
    assert run.leftovers() == []
