"""Waiting: for instances, for an end, for a volume to be free. Never longer than the time limit, never in silence."""

from __future__ import annotations

import contextlib
import functools
import math
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from flow_resources.clock import Clock
from flow_resources.errors import UnavailableError
from flow_resources.lifecycle.report import Report

T = TypeVar("T")

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s)")
DEFAULT_SECONDS = 30 * 60.0
_EAGER = 30.0  # for so many seconds polls are quick, then they are a listing per 5 s or less
# What takes a second is seen within a third of one, what takes ten within two.
_FIRST, _SHARE, _EAGER_CAP, _CAP = 0.25, 0.16, 1.75, 6.0  # the share is of the time that was waited
_AFTER_NEWS = 1 / 3  # of a quick pause: what began together ends together, and the next is seldom far behind
_REQUESTS = 2  # of a reading that comes at the intervals above; one that takes more comes less often


def seconds_of(duration: str | None) -> float | None:
    """Return the seconds of a time limit as a program writes it, such as "1h30m"; None for another text."""
    parts = _DURATION.findall(duration or "")
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != duration:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


class Shared(Protocol):
    """A reading that answers all who wait."""

    @property
    def began(self) -> float:
        """When it was sent, in monotonic seconds."""

    @property
    def requests(self) -> int:
        """How many requests it took."""

    @property
    def has_news(self) -> bool:
        """Whether something was ready that was not ready in the reading before."""


class Together(Protocol):
    """One who waits, beside others who wait for the same kind of thing."""

    @property
    def last(self) -> Shared | None:
        """The last reading that answered all who waited then."""

    def pausing(self) -> AbstractContextManager[None]:
        """Pause within: what is read meanwhile answers this one, too."""


class Alone:
    """One who waits for what nobody else waits for."""

    last = None

    def pausing(self) -> AbstractContextManager[None]:
        """Pause."""
        return contextlib.nullcontext()


def _has_begun_since(together: Together, moment: float) -> bool:
    last = together.last
    return last is not None and last.began >= moment


@dataclass(frozen=True)
class Deadline:
    """The time limit of a verb: `custom_timeouts`, else 30 minutes."""

    clock: Clock
    begun: float
    """Monotonic seconds."""
    seconds: float
    silence: float
    """For how many seconds a wait outlasts a service that does not answer."""
    report: Report

    @property
    def end(self) -> float:
        """The moment at which it is reached, in monotonic seconds."""
        return self.begun + self.seconds

    @property
    def spent(self) -> float:
        """Seconds since the verb began."""
        return self.clock.now() - self.begun

    @property
    def is_reached(self) -> bool:
        """Whether the limit is reached, or a person has asked to end."""
        return self.clock.is_interrupted or self.spent >= self.seconds

    def polls(self, together: Together) -> Iterator[float]:
        """Yield the moment after which the next poll must have begun, at once and then at growing intervals.

        Who waits for what others wait for too asks when it begins to pause: the first reading that anybody sends from
        then on answers it, and all pause until the next is due: at most two requests per 5 s, after half a minute,
        however many they are. Before that, the next poll comes sooner after a reading with something newly ready.

        Ends when the limit is reached.
        """
        clock, moment = self.clock, self.clock.now()
        begun = moment
        while True:
            yield moment
            if self.is_reached:
                return
            is_eager, last, now = self.spent < _EAGER, together.last, clock.now()
            # A grain later than now: what has just been read may have been sent in the same grain of the clock.
            moment = math.nextafter(now, math.inf)
            wanted = clock.jitter() * (min(_FIRST + _SHARE * (now - begun), _EAGER_CAP) if is_eager else _CAP)
            if last and is_eager:
                wanted *= _AFTER_NEWS if last.has_news else 1
            elif last:
                wanted *= max(last.requests / _REQUESTS, 1)
            # Later the pause counts from the answer: else the last request of a slow reading and those of the next are
            # three within five seconds.
            age = min(now - last.began, wanted / 2) if last and is_eager else 0.0
            pausing = min(wanted - age, max(self.seconds - self.spent, 0.01))
            with together.pausing():
                clock.pause(pausing, functools.partial(_has_begun_since, together, moment))

    def watch(self, poll: Callable[[float], T], together: Together | None = None) -> Iterator[T]:
        """Poll again and again and yield each answer; a bad answer does not end a wait, long silence does.

        Raises the last UnavailableError where silence lasted too long, or the limit was reached in the middle of it.
        """
        silence: UnavailableError | None = None
        heard = self.clock.now()
        for moment in self.polls(together or Alone()):
            try:
                answer, silence, heard = poll(moment), None, self.clock.now()
            except UnavailableError as error:
                silence = error
                if self.clock.now() - heard > self.silence:
                    raise
                self.report.progress(error.message)
                continue
            yield answer
        if silence:
            raise silence

    def minute(self) -> str:
        """Return which minute of waiting this is: "3rd minute"."""
        count = int(self.spent // 60) + 1
        ending = "th" if 10 <= count % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")  # noqa: PLR2004
        return f"{count}{ending} minute"
