"""What goes wrong, as data: rules that say which request fails, how, and on which side of its effect.

This room decides which rule fires; `serving` carries it out on the wire.
"""

from __future__ import annotations

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from random import Random
from types import EllipsisType
from typing import Any, Literal, get_args

from flow_resources.testing.service.clock import HORIZON
from flow_resources.testing.service.errors import FieldError
from flow_resources.testing.service.notation import is_number
from flow_resources.testing.web.journal import Request

Kind = Literal["status", "reset", "hang", "truncate", "malformed", "slow", "drip", "refuse", "pass"]
When = Literal["before", "after"]
_HARMLESS = ("slow", "drip", "pass")


@dataclass(kw_only=True)
class FaultRule:
    """One thing that goes wrong.

    kind: `status` answers with `status`, `body` and `headers`; `reset` cuts the connection with a TCP RST; `hang` keeps
    the client waiting for `seconds` (None: until the rules are cleared or the server stops) and then cuts; `truncate`
    sends half of the body it announced; `malformed` sends a body that is not JSON; `slow` answers properly, `seconds`
    late; `drip` answers properly, with the body in pieces over `seconds`; `refuse` cuts, or with `after` answers, and
    then refuses every connection for `seconds` (real ones, 1 where none are given), also to the control API; `pass`
    answers properly, for rules that only want `then` or `kill`.
    when: `before` means that the service never did anything; `after` that the effect is stored and only the answer
    suffers. `slow`, `drip` and `pass` always have their effect.
    """

    kind: Kind = "status"
    method: str | None = None
    """The method it is about; None for all."""
    path: str | None = None
    """A regular expression found anywhere in the path; None for all."""
    nth: int = 1
    """The first matching request that suffers, counted from when the rule was added."""
    times: int | None = 1
    """How many suffer in all; None for no end."""
    rate: float | None = None
    """The share of the matching requests that suffer, from 0 to 1, drawn with the seed; None for all."""
    lasts: float | None = None
    """Seconds of the cloud's clock after which the rule is over; None for never."""
    when: When = "before"
    status: int | None = None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None
    kill: int | None = None
    """The id of a process to kill with SIGKILL, after the effect and before the answer."""
    then: Callable[[Request], object] | None = None
    """Called after the effect and before the answer, in a thread of its own; only in the fake's own process."""
    id: int = 0
    until: float | None = None
    """The moment at which it is over, by the cloud's clock; `lasts` sets it."""
    seen: int = 0
    """How many requests matched."""
    fired: int = 0
    """How many suffered."""

    def __post_init__(self) -> None:
        """Raise FieldError for what could never fire, naming the field."""
        if self.kind not in get_args(Kind):
            raise FieldError("kind", f"one of {', '.join(get_args(Kind))}", self.kind)
        if self.when not in get_args(When):
            raise FieldError("when", "before or after", self.when)
        durations = (("lasts", self.lasts), ("seconds", self.seconds))
        for name, rule, holds in (
            ("nth", "a whole number, at least 1 (the next matching request)", _is_whole(self.nth, 1)),
            ("times", "a whole number, at least 1, or None for ever", self.times is None or _is_whole(self.times, 1)),
            ("rate", "from 0 to 1", self.rate is None or (is_number(self.rate) and 0 <= self.rate <= 1)),
            ("status", "an HTTP status from 200 to 599", self.status is None or _is_whole(self.status, 200, 599)),
            ("kill", "the id of a process, above 1", self.kill is None or _is_whole(self.kill, 2, 2**31 - 1)),
            (
                "headers",
                "names and values of one line each",
                all(map(_is_line, (*self.headers, *self.headers.values()))),
            ),
            *((name, "not negative, in seconds", given is None or _is_duration(given)) for name, given in durations),
        ):
            if not holds:
                raise FieldError(name, rule, getattr(self, name))
        try:
            re.compile(self.path or "")
        except re.error as error:
            raise FieldError("path", f"a regular expression ({error})", self.path) from error

    @property
    def acts(self) -> bool:
        """Say whether the request still has its effect."""
        return self.when == "after" or self.kind in _HARMLESS

    def matches(self, request: Request) -> bool:
        """Say whether the rule is about this request at all, now."""
        if self.until is not None and request.at >= self.until:
            return False
        if self.method is not None and self.method.upper() != request.method:
            return False
        return self.path is None or re.search(self.path, request.path) is not None

    def fires(self, lot: float) -> bool:
        """Count one matching request and say whether it is one of those that suffer; `lot` is drawn from [0, 1)."""
        self.seen += 1
        due = self.seen >= self.nth and (self.times is None or self.fired < self.times)
        return due and (self.rate is None or lot < self.rate)

    def wire(self) -> dict[str, Any]:
        """Return the rule as JSON can say it."""
        rule = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "then"}
        return {**rule, "headers": dict(self.headers), "body": None if isinstance(self.body, bytes) else self.body}


def _is_whole(value: object, least: int, most: int = 2**53) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_duration(value: object) -> bool:
    return is_number(value) and 0 <= value <= HORIZON


def _is_line(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


class FaultConsole(ABC):
    """How a test adds rules, to a cloud in its own process or in another."""

    @abstractmethod
    def _add(self, rule: dict[str, Any]) -> FaultRule:
        """Put a rule with these fields into force."""

    def add(
        self,
        *,
        kind: Kind | None = None,
        method: str | None = None,
        path: str | None = None,
        nth: int = 1,
        times: int | EllipsisType | None = ...,
        rate: float | None = None,
        lasts: float | None = None,
        when: When = "before",
        status: int | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
        kill: int | None = None,
        then: Callable[[Request], object] | None = None,
    ) -> FaultRule:
        """Add a rule and return it; `rule.fired` says how often it struck. The fields are those of `FaultRule`.

        Without `kind` the rule answers `status` (500), or, when it only has `then` or `kill`, lets the request pass.
        `times` is 1, or with `rate` or `lasts` without an end, unless it is given. Raises ValueError, naming the field.
        """
        if kind is None:
            only = (then is not None or kill is not None) and status is None and body is None
            kind = "pass" if only else "status"
        if isinstance(times, EllipsisType):
            times = 1 if rate is None and lasts is None else None
        rule = {
            "kind": kind, "method": method, "path": path, "nth": nth, "times": times, "rate": rate, "lasts": lasts,
            "when": when, "status": status, "body": body, "headers": dict(headers or {}), "seconds": seconds,
            "kill": kill,
        }  # fmt: skip
        return self._add(rule if then is None else {**rule, "then": then})

    def outage(self, minutes: float, *, kind: Kind = "status", status: int = 503) -> FaultRule:
        """Take the whole service down for so many minutes of its clock: every request suffers, without effect."""
        return self.add(kind=kind, status=status if kind == "status" else None, lasts=60.0 * minutes)


class Faults(FaultConsole):
    """The rules in force, in the order they were added; the first that fires wins."""

    def __init__(self, now: Callable[[], float], seed: int | None = None) -> None:
        """Start with nothing going wrong. `now` is the cloud's clock; the seed decides what a rate strikes."""
        self._lock = threading.Lock()
        self._rules: list[FaultRule] = []
        self._now = now
        self._draw = Random(seed)
        self._last = 0
        self.on_clear: Callable[[], None] = lambda: None

    def _add(self, rule: dict[str, Any]) -> FaultRule:
        added = FaultRule(**rule)
        added.until = None if added.lasts is None else self._now() + added.lasts
        with self._lock:
            self._last += 1
            added.id = self._last
            self._rules.append(added)
        return added

    def restart(self, seed: int | None) -> None:
        """Forget every rule, and draw and count anew."""
        with self._lock:
            self._draw, self._last = Random(seed), 0
        self.clear()

    def all(self) -> list[FaultRule]:
        """Return the rules in force, and those that are over but were not cleared."""
        with self._lock:
            return list(self._rules)

    def clear(self) -> None:
        """Forget every rule and let go of the clients that hang."""
        with self._lock:
            self._rules.clear()
        self.on_clear()

    def strike(self, request: Request) -> FaultRule | None:
        """Return the rule that this request falls under. Every matching rule counts it, also those that come second."""
        with self._lock:
            firing = [rule for rule in self._rules if rule.matches(request) and rule.fires(self._lot(rule))]
            if not firing:
                return None
            firing[0].fired += 1
            return firing[0]

    def _lot(self, rule: FaultRule) -> float:
        return 0.0 if rule.rate is None else self._draw.random()
