"""The service's own time, from the `Date` header of its answers.

The clock of the machine that runs `pulumi` can be hours off, and then says nothing about the age of what is in the
service. Between two answers the service's time goes on with the monotonic clock, which nobody sets.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime


class ServiceClock:
    """What the last readable `Date` said, and when it arrived. All threads of a process share one."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Know nothing yet; `now` returns monotonic seconds."""
        self._now = now
        self._lock = threading.Lock()
        self._last: tuple[datetime, float] | None = None

    def record(self, date: str | None) -> None:
        """Record the `Date` header of an answer that has just arrived; one that cannot be read changes nothing."""
        moment = _parse(date)
        if moment is not None:
            with self._lock:
                self._last = (moment, self._now())

    def now(self) -> datetime | None:
        """Return the time of the service, or None where no answer with a readable `Date` has arrived yet.

        It is late by the time that an answer travels and by up to a second, never early: an age comes out too small.
        """
        with self._lock:
            if self._last is None:
                return None
            moment, arrived = self._last
            return moment + timedelta(seconds=self._now() - arrived)


def _parse(date: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(date or "")
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)  # an HTTP-date is always UTC
