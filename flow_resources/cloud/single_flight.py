"""One reading that many threads ask for at once.

Three hundred resources that each list the bids would send three hundred listings. `SingleFlight` sends one for all who
asked before it began: an answer that began after you asked is as fresh as one of your own. Whoever can live with an
older one says so by asking for a moment in the past.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Reading(Generic[T]):
    """A value, or what went wrong, and the moment its fetch began (monotonic seconds)."""

    began: float
    ended: float
    version: int
    """How often something had changed when it began."""
    value: T | None = None
    error: BaseException | None = None

    def is_fresh_for(self, asked: float, begun_after: float, version: int) -> bool:
        """Whether it serves somebody who asked then; a failure only those who asked while it lasted."""
        return self.version == version and self.began >= begun_after and (self.error is None or self.ended > asked)


class SingleFlight(Generic[T]):
    """A reading shared by the threads of a process: one fetch at a time, never one too many."""

    def __init__(self, fetch: Callable[[], T], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._clock = fetch, clock
        self._turn = threading.Condition()
        self._last: Reading[T] | None = None
        self._fetching = False
        # Counted, not timed: a clock may stand still between a fetch and the change that makes it stale.
        self._version = 0

    def get(self, begun_after: float) -> T:
        """Return a value whose fetch began at or after a moment; share the failure of one that failed."""
        asked = self._clock()
        with self._turn:
            while True:
                if self._last is not None and self._last.is_fresh_for(asked, begun_after, self._version):
                    return _open(self._last)
                if not self._fetching:
                    self._fetching, version = True, self._version
                    break
                self._turn.wait()
        began = self._clock()
        value: T | None = None
        error: BaseException | None = RuntimeError("the fetch was cut off")
        try:
            value, error = self._fetch(), None
        except Exception as failure:  # noqa: BLE001 - handed on to everyone who waits, and raised below
            error = failure
        finally:
            with self._turn:
                reading = self._last = Reading(began, self._clock(), version, value, error)
                self._fetching = False
                self._turn.notify_all()
        return _open(reading)

    def forget(self) -> None:
        """Let no fetch that began before now answer anyone, whatever age they accept: something has just changed."""
        with self._turn:
            self._version += 1


def _open(reading: Reading[T]) -> T:
    if reading.error is not None:
        raise reading.error
    return reading.value  # type: ignore[return-value]  # None is a value where T allows it
