"""Where the fake gets its time from: the only room that may look at a real clock."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """Anything that can say how many seconds have passed since 1970."""

    def now(self) -> float:
        """Return the present as seconds since 1970."""


class RealClock:
    """The time everybody else has."""

    def now(self) -> float:
        """Return the present as seconds since 1970."""
        return time.time()


class ManualClock:
    """A clock that only moves when told to, so that a test never sleeps."""

    def __init__(self, start: float | None = None) -> None:
        """Start at `start` (seconds since 1970), by default now."""
        self._now = time.time() if start is None else start

    def now(self) -> float:
        """Return the present as seconds since 1970."""
        return self._now

    def advance(self, seconds: float = 0.0, minutes: float = 0.0, hours: float = 0.0) -> float:
        """Move forward and return the new present."""
        step = seconds + 60.0 * minutes + 3600.0 * hours
        if step < 0:
            msg = f"a clock does not run backwards, got {step} seconds"
            raise ValueError(msg)
        self._now += step
        return self._now


def wire_time(at: float) -> str:
    """Write a moment as the service does: ISO 8601 with a zone."""
    return datetime.fromtimestamp(at, tz=timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
