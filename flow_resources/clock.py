"""Time, as everything that waits uses it; tests put their own in its place."""

from __future__ import annotations

import random
import time
from datetime import datetime, timezone


class Clock:
    """The time of this machine."""

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def utc(self) -> datetime:
        """Return the time of day."""
        return datetime.now(timezone.utc)

    def jitter(self) -> float:
        """Return a factor around 1, so that many processes do not ask in step."""
        return random.uniform(0.85, 1.15)  # noqa: S311 - no secret is made of it
