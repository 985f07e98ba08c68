"""Uploads under a mock: the machines do not exist, so the SDK's detached upload process is not started.

`flow.run` uploads the current folder by default. What does not fit into the startup script it leaves to a process,
`python -m flow.sdk.upload_worker`, that outlives the test, calls the API and connects to the machine by ssh, which the
network guard does not cover. Under a mock this process is not started and counts as finished. The task's handle says
that the upload is pending, as it does after a real launch.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_WORKER = "flow.sdk.upload_worker"


@contextmanager
def disabled() -> Iterator[None]:
    """Do not start upload processes inside; all other processes start as usual."""
    _change_count(1)
    try:
        yield
    finally:
        _change_count(-1)


_Process: Any = subprocess.Popen
_lock = threading.Lock()
_active = 0
_start = _Process.__init__


def _change_count(change: int) -> None:
    global _active, _start  # noqa: PLW0603 - a process has one Popen
    with _lock:
        if _active == 0:
            _start, _Process.__init__ = _Process.__init__, _start_unless_worker
        _active += change
        if _active == 0:
            _Process.__init__ = _start


def _start_unless_worker(process: Any, args: Any, *rest: Any, **options: Any) -> None:
    if not isinstance(args, (list, tuple)) or _WORKER not in args:
        _start(process, args, *rest, **options)
        return
    process.args, process.pid, process.returncode = args, 0, 0
    process.stdin = process.stdout = process.stderr = None
