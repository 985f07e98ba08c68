"""Uploads under a mock: the machines do not exist, so the SDK's detached uploader is not started.

`flow.run` uploads the current folder unless it is told not to. What does not fit into the start-up script it leaves to
a process, `python -m flow.sdk.upload_worker`, that outlives the test, asks the cloud, and then calls the machine by
ssh, out of the guard's sight. Under a mock that process counts as over at once. The task's handle says that the upload
is pending, as it does after a real launch.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_WORKER = "flow.sdk.upload_worker"


@contextmanager
def not_started() -> Iterator[None]:
    """Start no uploader while this is open; all other processes start as ever."""
    _count(1)
    try:
        yield
    finally:
        _count(-1)


_Process: Any = subprocess.Popen
_lock = threading.Lock()
_open = 0
_start = _Process.__init__


def _count(change: int) -> None:
    global _open, _start  # noqa: PLW0603 - a process has one Popen
    with _lock:
        if _open == 0:
            _start, _Process.__init__ = _Process.__init__, _start_all_but_the_uploader
        _open += change
        if _open == 0:
            _Process.__init__ = _start


def _start_all_but_the_uploader(process: Any, args: Any, *rest: Any, **options: Any) -> None:
    if not isinstance(args, (list, tuple)) or _WORKER not in args:
        _start(process, args, *rest, **options)
        return
    process.args, process.pid, process.returncode = args, 0, 0
    process.stdin = process.stdout = process.stderr = None
