"""The times that the service tells, as texts: parsed, compared, and how long ago they are.

A time that cannot be read, and a clock that is not known, make answers that are not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from flow_resources.core.answer import Answer

TIME_GRAIN = timedelta(seconds=2)  # of the service's time, which its answers tell in whole seconds
_CLOCK_TOLERANCE = -5 * 60.0


def age_of(created_at: str | None, now: datetime | None) -> timedelta | None:
    """Return the age of something, by its `created_at`; None where that cannot be read, or the time is not known."""
    moment = moment_of(created_at)
    return None if moment is None or now is None else now - moment


def is_older(created_at: str | None, other: str | None) -> Answer:
    """Whether a `created_at` is earlier than another one; not known where either cannot be read."""
    moment, other_moment = moment_of(created_at), moment_of(other)
    return Answer.of(None if moment is None or other_moment is None else moment < other_moment)


def latest(times: Iterable[str | None]) -> str | None:
    """Return the latest of several `created_at`: empty for none at all, None where one of them cannot be read."""
    known = {time: moment_of(time) for time in times}
    if any(moment is None for moment in known.values()):
        return None
    return max(known, key=lambda time: known[time], default="")  # type: ignore[arg-type,return-value]


def moment_of(created_at: str | None) -> datetime | None:
    """Parse a time of the service. As text, times do not compare: the fraction of a second is optional."""
    if not created_at:
        return None
    try:
        moment = datetime.fromisoformat(created_at.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def minutes_since(at: str | None, now: datetime | None) -> int | None:
    """Return for how many whole minutes something lasts; None where a time is not known, or is in the future."""
    age = age_of(at, now)
    if age is None or age.total_seconds() < _CLOCK_TOLERANCE:
        return None
    return max(0, int(age.total_seconds() // 60))
