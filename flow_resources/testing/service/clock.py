"""Where the fake gets its time from: the only room that looks at a real clock.

Time is data: it runs as everybody else's, faster, or only when told, and it can be moved forward at any speed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from flow_resources.testing.service.errors import FieldError

SPEED_MAX = 86_400.0
"""A day a second: what a living market keeps up with."""
HORIZON = 4_102_444_800.0
"""The year 2100: no clock goes further, since nobody can write the time for ever."""


class Clock:
    """The time of one cloud, or of several that share it; it never runs backwards."""

    def __init__(self, start: float | None = None, *, speed: float = 1.0) -> None:
        """Start at `start` (seconds since 1970; by default now).

        `speed` is how many seconds pass here in a real one: 1 is real time, 60 an hour a minute, and with 0 the clock
        stands still until `advance`. Raises ValueError for a speed below 0 or above SPEED_MAX, and for a start before
        1970 or after 2100.
        """
        if start is not None and not 0 <= start <= HORIZON:
            raise FieldError("start", "seconds since 1970, up to the year 2100", start)
        self._lock = threading.Lock()
        self._at = time.time() if start is None else float(start)
        self._mark = time.time()
        self._speed = _checked(speed)
        self.listeners: list[Callable[[], None]] = []
        """Told after each `advance`: whoever holds something that the time which was skipped would have ended."""

    def now(self) -> float:
        """Return the present as seconds since 1970."""
        with self._lock:
            return self._catch_up()

    @property
    def speed(self) -> float:
        """How many seconds pass here in a real one; it may be set at any time."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        with self._lock:
            self._catch_up()
            self._speed = _checked(speed)

    def advance(self, seconds: float = 0.0, minutes: float = 0.0, hours: float = 0.0) -> float:
        """Move forward and return the new present. Raises ValueError for a negative step, or one beyond 2100."""
        step = seconds + 60.0 * minutes + 3600.0 * hours
        with self._lock:
            if not 0 <= step <= HORIZON - self._catch_up():
                raise FieldError(
                    "seconds", "not negative, and not beyond the year 2100: a clock only runs forward", step
                )
            self._at += step
            now = self._at
        for tell in tuple(self.listeners):
            tell()
        return now

    def not_before(self, moment: float) -> None:
        """Move forward to `moment` unless that is past: a state file may come from a clock that was ahead."""
        with self._lock:
            self._at = max(self._catch_up(), moment)

    def _catch_up(self) -> float:
        mark = time.time()
        # The system's clock may be set back; ours is not.
        self._at = min(HORIZON, self._at + max(0.0, mark - self._mark) * self._speed)
        self._mark = mark
        return self._at


def _checked(speed: float) -> float:
    if not 0 <= speed <= SPEED_MAX:
        raise FieldError("speed", f"from 0 to {SPEED_MAX:,.0f} seconds a second", speed)
    return float(speed)
