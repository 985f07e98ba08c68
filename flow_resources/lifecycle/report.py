"""Where a verb tells a person what it does: a port, so that a host, a command line and a test can each print it."""

from __future__ import annotations

from typing import Protocol


class Report(Protocol):
    """Receives what a verb has to say about its resource."""

    def progress(self, message: str, *, keep: bool = False) -> None:
        """Tell what is going on; the next message takes its place, unless it is to be kept."""

    def warn(self, message: str) -> None:
        """Warn; it is kept."""
