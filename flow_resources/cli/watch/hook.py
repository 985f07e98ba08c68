"""`--on-event CMD`: a command of the user's for each event, which has the event as JSON on its standard input.

It runs beside the watch: one that fails or hangs is told of on standard error, and stops nothing.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable

LIMIT_SECONDS = 30.0
"""How long a command may take before it is killed, with what it has started."""
_LONGEST_QUEUE = 1000


class Hook:
    """Runs a shell command for each event, one after the other, in a thread of its own."""

    def __init__(self, command: str, complain: Callable[[str], None], limit: float = LIMIT_SECONDS) -> None:
        self._command, self._complain, self._limit = command, complain, limit
        self._queue: queue.Queue[str | None] = queue.Queue(_LONGEST_QUEUE)
        self._thread = threading.Thread(target=self._work, name="on-event", daemon=True)
        self._thread.start()

    def send(self, document: str) -> None:
        """Run the command for an event, when those before have ended."""
        try:
            self._queue.put_nowait(document)
        except queue.Full:
            self._complain(f"--on-event: {_LONGEST_QUEUE} events wait for the command, and this one was left out")

    def abandon(self) -> None:
        """Wait for no command: what runs is left alone, and what waits is not run."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()

    def close(self) -> None:
        """Wait for the commands of all events: for each at most its limit, and in all at most two of them."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=self._limit)
        self._thread.join(2 * self._limit)

    def _work(self) -> None:
        while (document := self._queue.get()) is not None:
            try:
                self._run(document)
            except OSError as error:  # noqa: PERF203 - one for each event, beside a process
                self._complain(f"--on-event: the command could not be run: {error}")

    def _run(self, document: str) -> None:
        # What it prints goes to standard error: standard output is the watch's own.
        process = subprocess.Popen(  # noqa: S602 - the user's own command line, as they wrote it
            self._command,
            shell=True,
            stdin=subprocess.PIPE,
            stdout=2,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        try:
            process.communicate(document + "\n", timeout=self._limit)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._complain(f"--on-event: the command did not end within {self._limit:g} s, and was killed")
            return
        if process.returncode:
            self._complain(f"--on-event: the command ended with exit code {process.returncode}")
