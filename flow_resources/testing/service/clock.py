"""The clock of the cloud; the only module that reads the system's clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from flow_resources.testing.service.errors import FieldError

SPEED_MAX = 86_400.0
"""One day per second, the most that a moving market can simulate in real time."""
HORIZON = 4_102_444_800.0
"""The year 2100, the latest time of a clock; ISO 8601 years have four digits."""


def steady_time() -> float:
    """Return monotonic seconds of the machine, also where a test has frozen or replaced the functions of `time`."""
    return time.clock_gettime(time.CLOCK_MONOTONIC) if hasattr(time, "clock_gettime") else _monotonic()


_monotonic = time.monotonic


class Clock:
    """The clock of one cloud, or of several that share it; it never runs backwards."""

    def __init__(self, start: float | None = None, *, speed: float = 1.0) -> None:
        """Create a clock.

        Args:
            start: its present time, in seconds since 1970; by default the time of the system.
            speed: seconds of this clock per real second: 1 is real time, 60 an hour per minute, and 0 stops the clock
                until `advance`.

        Raises:
            ValueError: the speed is below 0 or above 86,400, or the start is before 1970 or after 2100.

        """
        if start is not None and not 0 <= start <= HORIZON:
            raise FieldError("start", "seconds since 1970, up to the year 2100", start)
        self._lock = threading.Lock()
        self._at = time.time() if start is None else float(start)
        self._read_at = time.time()
        self._speed = _check_speed(speed)
        self.listeners: list[Callable[[], None]] = []
        """Called after each `advance`, for caches of what may have changed in the time that was skipped."""

    def now(self) -> float:
        """Return the present time of the clock, in seconds since 1970."""
        with self._lock:
            return self._catch_up()

    @property
    def speed(self) -> float:
        """Seconds of this clock per real second, from 0 to 86,400; it may be set at any time."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        with self._lock:
            self._catch_up()
            self._speed = _check_speed(speed)

    def advance(self, seconds: float = 0.0, minutes: float = 0.0, hours: float = 0.0) -> float:
        """Move the clock forward by the sum of the arguments, and return the new time.

        Works at any speed. Raises ValueError for a negative step, and for one beyond the year 2100.
        """
        step = seconds + 60.0 * minutes + 3600.0 * hours
        with self._lock:
            if not 0 <= step <= HORIZON - self._catch_up():
                raise FieldError(
                    "seconds", "not negative, and not beyond the year 2100: a clock only runs forward", step
                )
            self._at += step
            now = self._at
        for listener in tuple(self.listeners):
            listener()
        return now

    def not_before(self, at: float) -> None:
        """Move the clock forward to `at` unless that has passed: the clock of a state file may have been ahead."""
        with self._lock:
            self._at = max(self._catch_up(), at)

    def _catch_up(self) -> float:
        read_at = time.time()
        # The clock of the system may be set back; this one is not.
        self._at = min(HORIZON, self._at + max(0.0, read_at - self._read_at) * self._speed)
        self._read_at = read_at
        return self._at


def _check_speed(speed: float) -> float:
    if not 0 <= speed <= SPEED_MAX:
        raise FieldError("speed", f"from 0 to {SPEED_MAX:,.0f} seconds a second", speed)
    return float(speed)
