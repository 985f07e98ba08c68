"""Waiting: for machines, for an end, for a volume to be free. Never longer than the time limit, never in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from flow_resources import engine
from flow_resources.clock import Clock
from flow_resources.errors import UnavailableError

T = TypeVar("T")

DEFAULT_SECONDS = 30 * 60.0
_EAGER = 30.0  # for so many seconds polls are quick, then they are a listing each 5 s or less
_FIRST, _GROWTH, _EAGER_CAP, _CAP = 0.2, 1.6, 2.0, 6.0


@dataclass
class Deadline:
    """The time limit of a verb: `custom_timeouts`, else 30 minutes."""

    clock: Clock
    begun: float
    seconds: float
    silence: float
    """For how long a wait outlasts a service that does not answer."""

    @classmethod
    def of(cls, call: engine.Call, clock: Clock, silence: float) -> Deadline:
        """Return the limit of a call that begins now."""
        return cls(clock, clock.now(), call.timeout or DEFAULT_SECONDS, silence)

    @property
    def spent(self) -> float:
        """Seconds since the verb began."""
        return self.clock.now() - self.begun

    @property
    def passed(self) -> bool:
        """Whether the limit is reached."""
        return self.spent >= self.seconds

    def looks(self) -> Iterator[float]:
        """Yield the moment after which the next look must have begun, at once and then at growing intervals.

        An interval's worth of age is accepted, so that all waiters of a process share one listing. Ends when the
        limit is reached.
        """
        clock, pause, age = self.clock, _FIRST, 0.0
        while True:
            yield clock.now() - age
            if self.passed:
                return
            pause = min(pause * _GROWTH, _EAGER_CAP if self.spent < _EAGER else _CAP)
            slept = min(pause * clock.jitter(), max(self.seconds - self.spent, 0.01))
            clock.sleep(slept)
            age = slept / 2

    def watch(self, look: Callable[[float], T]) -> Iterator[T]:
        """Look again and again and yield what was seen; a bad answer does not end a wait, long silence does.

        Raises the last UnavailableError where silence lasted too long, or the limit came in the middle of it.
        """
        silence: UnavailableError | None = None
        heard = self.clock.now()
        for moment in self.looks():
            try:
                seen, silence, heard = look(moment), None, self.clock.now()
            except UnavailableError as error:
                silence = error
                if self.clock.now() - heard > self.silence:
                    raise
                engine.row(error.message)
                continue
            yield seen
        if silence:
            raise silence

    def minute(self) -> str:
        """Say which minute of waiting this is."""
        count = int(self.spent // 60) + 1
        ending = "th" if 10 <= count % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")  # noqa: PLR2004
        return f"{count}{ending} minute"
