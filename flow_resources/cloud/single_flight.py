"""One reading that many threads share.

If three hundred resources each listed the bids, they would send three hundred requests. `SingleFlight` sends one for
all threads that asked before it began: an answer whose request began after you asked is as fresh as one of your own. A
caller that accepts an older answer says so by asking for a moment in the past.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Reading(Generic[T]):
    """A value or an error, and when its fetch began and ended (monotonic seconds)."""

    began: float
    ended: float
    version: int
    """The version of the `SingleFlight` when the fetch began."""
    number: int
    """Its number among the fetches, counted as they end."""
    value: T | None = None
    error: BaseException | None = None

    def is_fresh_for(self, asked: int, begun_after: float, ended_after: float, version: int) -> bool:
        """Whether it answers a caller that asked when so many fetches had ended.

        An error answers only callers that asked before it ended.
        """
        is_recent = self.began >= begun_after or self.ended >= ended_after
        return self.version == version and is_recent and (self.error is None or self.number > asked)


class SingleFlight(Generic[P, T]):
    """A reading shared by the threads of a process: at most one fetch runs at a time."""

    def __init__(
        self,
        fetch: Callable[P, T],
        clock: Callable[[], float] = time.monotonic,
        gather: Callable[[float], None] = lambda _asked: None,
    ) -> None:
        """Share a fetch; `gather(asked_at)` may pause before it begins, so that more callers share it."""
        self._fetch, self._clock, self._gather = fetch, clock, gather
        self._condition = threading.Condition()
        self._last: Reading[T] | None = None
        self._fetching = False
        # Counted and not timed: a clock may stand still between a fetch and the change that makes it stale.
        self._version = 0
        self.ended = 0
        """How many fetches have ended."""

    def get(self, begun_after: float, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return a value whose fetch began at or after a moment, or raise the error of such a fetch.

        The arguments are for the fetch: those of the thread that performs it count.
        """
        return self.get_ended(begun_after, math.inf, self.ended, *args, **kwargs)

    def get_ended(self, begun_after: float, ended_after: float, asked: int, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return a value whose fetch began at or after a moment, or else ended at or after another, in the same way.

        `asked`: how many fetches had ended when the caller began to ask; the error of a later one is its answer.
        """
        asked_at = self._clock()
        with self._condition:
            while True:
                if self._last is not None and self._last.is_fresh_for(asked, begun_after, ended_after, self._version):
                    return _value_of(self._last)
                if not self._fetching:
                    self._fetching, version = True, self._version
                    break
                self._condition.wait()
        began = -math.inf
        value: T | None = None
        error: BaseException | None = RuntimeError("the fetch was cut off")
        try:
            self._gather(asked_at)
            began = self._clock()  # not sooner: it answers whoever has asked during the pause, too
            value, error = self._fetch(*args, **kwargs), None
        except Exception as failure:  # noqa: BLE001 - raised below, and in every thread that waits
            error = failure
        finally:
            with self._condition:
                self.ended += 1
                reading = self._last = Reading(began, self._clock(), version, self.ended, value, error)
                self._fetching = False
                self._condition.notify_all()
        return _value_of(reading)

    def forget(self) -> None:
        """Invalidate every fetch that began before now, whatever age a caller accepts: something has just changed."""
        with self._condition:
            self._version += 1


def _value_of(reading: Reading[T]) -> T:
    if reading.error is not None:
        raise reading.error
    return reading.value  # type: ignore[return-value]  # None is a value where T allows it
