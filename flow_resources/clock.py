"""Time, as everything that waits uses it; tests put their own in its place."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone

_LOOKS = 8


class Clock:
    """The time of this machine."""

    is_interrupted = False
    """Whether a person has asked to end: nothing is waited for any more."""

    def interrupt(self) -> None:
        """Let nobody wait again."""
        self.is_interrupted = True

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def pause(self, seconds: float, is_over: Callable[[], bool]) -> None:
        """Let time pass, at most so many seconds; it is looked eight times whether the pause is over sooner."""
        end = self.now() + seconds
        while (left := end - self.now()) > 0 and not is_over():
            self.sleep(min(left, seconds / _LOOKS))

    def utc(self) -> datetime:
        """Return the time of day."""
        return datetime.now(timezone.utc)

    def jitter(self) -> float:
        """Return a factor around 1, so that many processes do not ask in step."""
        return random.uniform(0.85, 1.15)  # noqa: S311 - no secret is made of it


class InterruptibleClock(Clock):
    """The time of this machine, which wakes all who wait when a person asks to end."""

    def __init__(self) -> None:
        self._interruption = threading.Event()

    def interrupt(self) -> None:
        """Wake all who wait, and let nobody wait again."""
        super().interrupt()
        self._interruption.set()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._interruption.wait(seconds)

    def pause(self, seconds: float, is_over: Callable[[], bool]) -> None:
        """Let time pass, as a clock does, or until a person asks to end."""
        super().pause(seconds, lambda: self.is_interrupted or is_over())
