"""The folder of one cloud for the Flow SDK's files (FLOW_DIR): settings, caches, and the private halves of SSH keys.

In the user's own folder the SDK would find keys that another cloud has, launch with them, and leave this cloud's keys
behind.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from weakref import finalize


class SdkFolder:
    """Made when it is first asked for. Beside a state file it stays; else it is temporary."""

    def __init__(self, state: str | Path | None) -> None:
        """Belong to the cloud that keeps its state in this file; None for one that keeps it in memory."""
        self._beside = None if state is None else Path(f"{state}.flow").absolute()
        self._lock = threading.Lock()
        self._temporary = ""
        self.remove: Callable[[], object] = lambda: None
        """Removes it if it is temporary; called at the end of the process at the latest."""

    def path(self) -> str:
        """Return its absolute path."""
        with self._lock:
            if self._beside is not None:
                self._beside.mkdir(mode=0o700, parents=True, exist_ok=True)
                return str(self._beside)
            if not self._temporary:
                self._temporary = mkdtemp(prefix="fake-mithril-")
                self.remove = finalize(self, shutil.rmtree, self._temporary, ignore_errors=True)
            return self._temporary
