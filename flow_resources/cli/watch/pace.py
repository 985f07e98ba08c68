"""How often the watch tries: back-off after failures, and the heals of an hour. Pure: times are passed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)
_LONGEST_SECONDS = 15 * 60.0
_MESSAGE = re.compile(r"flow-resources watch: heal ([0-9]{1,6}) ")


@dataclass
class BackOff:
    """For each of some things, when it may be tried again: after each failure in a row twice as late."""

    seconds: float
    """How long after the first failure."""
    _failures: dict[str, int] = field(default_factory=dict)
    _until: dict[str, float] = field(default_factory=dict)

    def is_due(self, key: str, now: float) -> bool:
        """Whether it may be tried."""
        return now >= self._until.get(key, now)

    def record_failure(self, key: str, now: float) -> float:
        """Record a failure, and return for how many seconds it is not tried."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(self.seconds * 2.0 ** min(count - 1, 16), max(_LONGEST_SECONDS, self.seconds))
        self._until[key] = now + delay
        return delay

    def record_success(self, key: str) -> bool:
        """Forget the failures, and return whether there were any."""
        self._until.pop(key, None)
        return self._failures.pop(key, 0) > 0


def heal_message(names: Iterable[str]) -> str:
    """Return the message of an update that heals; `heals_within` counts by it."""
    names = list(names)
    return f"flow-resources watch: heal {len(names)} cluster{'s'[: len(names) != 1]}: {', '.join(names)}"


def heals_within(history: Iterable[tuple[str, datetime | None]], now: datetime, period: timedelta = HOUR) -> int:
    """Return how many clusters were healed within a period, by the messages and start times of a stack's updates.

    Updates count whoever ran them, on whichever machine, and whether they succeeded or not. One without a time counts.
    """
    recent = (message for message, at in history if at is None or now - at < period)
    return sum(int(match[1]) for message in recent if (match := _MESSAGE.match(message)))
