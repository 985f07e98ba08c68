"""Fault rules: which request fails, how, and whether before or after its effect.

This module decides which rule applies to a request; `request_handler` applies it.
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
from flow_resources.testing.service.formats import is_number
from flow_resources.testing.web.journal import Request

Kind = Literal["status", "reset", "hang", "truncate", "malformed", "alter", "slow", "drip", "refuse", "pass"]
When = Literal["before", "after"]
_WITH_EFFECT = ("alter", "slow", "drip", "pass")


@dataclass(kw_only=True)
class FaultRule:
    """One fault: which requests it applies to, and what the client receives. `seconds` are real seconds.

    kind:

    - `status` responds with `status`, `body` and `headers`.
    - `reset` closes the connection with a TCP RST.
    - `hang` does not respond for `seconds` (None: until the rules are cleared or the server stops), then resets.
    - `truncate` sends half of the body that it announced.
    - `malformed` sends a body that is not JSON.
    - `alter` sends the normal response with the fields in `body` in place of its own: in an object, or in each row of a
      list. An error is sent as it is.
    - `slow` sends the normal response `seconds` later.
    - `drip` sends the normal response with its body in pieces over `seconds`.
    - `refuse` resets, or with `after` sends the normal response, and then refuses all connections for `seconds`
      (default 1), including those to the control API.
    - `pass` sends the normal response, for rules with only `then` or `kill`.

    when: `before` means that the request has no effect; `after` that it has its effect, and only the response fails.
    With `alter`, `slow`, `drip` and `pass` the request always has its effect.
    """

    kind: Kind = "status"
    method: str | None = None
    """The HTTP method; None for all."""
    path: str | None = None
    """A regular expression that matches anywhere in the path; None for all paths."""
    nth: int = 1
    """The first matching request that the rule applies to, counted from 1 since the rule was added."""
    times: int | None = 1
    """The number of requests that the rule applies to; None for no limit."""
    rate: float | None = None
    """The share of the matching requests that the rule applies to, from 0 to 1, drawn with the seed; None for all."""
    lasts: float | None = None
    """Seconds of the cloud's clock after which the rule ends; None for never."""
    when: When = "before"
    status: int | None = None
    """The HTTP status, from 200 to 599; by default 500 for `status`, else that of the normal response."""
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None
    kill: int | None = None
    """The id of a process to kill with SIGKILL after the effect and before the response."""
    then: Callable[[Request], object] | None = None
    """Called in a separate thread after the effect and before the response; only for a cloud in this process."""
    id: int = 0
    until: float | None = None
    """The time of the cloud's clock at which the rule ends, in seconds since 1970; computed from `lasts`."""
    seen: int = 0
    """The number of requests that matched."""
    fired: int = 0
    """The number of requests that the rule was applied to."""

    def __post_init__(self) -> None:
        """Raise FieldError for an invalid value, naming the field."""
        if self.kind not in get_args(Kind):
            raise FieldError("kind", f"one of {', '.join(get_args(Kind))}", self.kind)
        if self.when not in get_args(When):
            raise FieldError("when", "before or after", self.when)
        durations = (("lasts", self.lasts), ("seconds", self.seconds))
        for name, requirement, is_valid in (
            ("nth", "a whole number, at least 1 (the next matching request)", _is_integer(self.nth, 1)),
            ("times", "a whole number, at least 1, or None for ever", self.times is None or _is_integer(self.times, 1)),
            ("rate", "from 0 to 1", self.rate is None or (is_number(self.rate) and 0 <= self.rate <= 1)),
            ("status", "an HTTP status from 200 to 599", self.status is None or _is_integer(self.status, 200, 599)),
            ("kill", "the id of a process, above 1", self.kill is None or _is_integer(self.kill, 2, 2**31 - 1)),
            (
                "headers",
                "names and values of one line each",
                all(map(_is_line, (*self.headers, *self.headers.values()))),
            ),
            ("body", "an object of fields", self.kind != "alter" or isinstance(self.body, Mapping)),
            *((name, "not negative, in seconds", value is None or _is_duration(value)) for name, value in durations),
        ):
            if not is_valid:
                raise FieldError(name, requirement, getattr(self, name))
        try:
            re.compile(self.path or "")
        except re.error as error:
            raise FieldError("path", f"a regular expression ({error})", self.path) from error

    @property
    def has_effect(self) -> bool:
        """Whether the request still has its effect."""
        return self.when == "after" or self.kind in _WITH_EFFECT

    def matches(self, request: Request) -> bool:
        """Return whether the rule has not ended and matches the method and the path of a request."""
        if self.until is not None and request.at >= self.until:
            return False
        if self.method is not None and self.method.upper() != request.method:
            return False
        return self.path is None or re.search(self.path, request.path) is not None

    def count_match(self, draw: float) -> bool:
        """Count a matching request, and return whether the rule applies to it; `draw` is random in [0, 1)."""
        self.seen += 1
        is_due = self.seen >= self.nth and (self.times is None or self.fired < self.times)
        return is_due and (self.rate is None or draw < self.rate)

    def wire(self) -> dict[str, Any]:
        """Return the rule as JSON values, without `then`."""
        rule = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "then"}
        return {**rule, "headers": dict(self.headers), "body": None if isinstance(self.body, bytes) else self.body}


def _is_integer(value: object, minimum: int, maximum: int = 2**53) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum


def _is_duration(value: object) -> bool:
    return is_number(value) and 0 <= value <= HORIZON


def _is_line(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


class FaultConsole(ABC):
    """The interface to the fault rules of a cloud, in this process or in another."""

    @abstractmethod
    def _add(self, rule: dict[str, Any]) -> FaultRule:
        """Add a rule with these fields."""

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
        """Add a fault rule and return it; its `fired` counts the requests that it was applied to.

        The arguments are the fields of `FaultRule`. `kind` defaults to "status" (500), or to "pass" with only `then` or
        `kill`. `times` defaults to 1, or to no limit with `rate` or `lasts`. Raises ValueError, naming the field, for
        an invalid value.
        """
        if kind is None:
            is_hook = (then is not None or kill is not None) and status is None and body is None
            kind = "pass" if is_hook else "status"
        if isinstance(times, EllipsisType):
            times = 1 if rate is None and lasts is None else None
        rule = {
            "kind": kind, "method": method, "path": path, "nth": nth, "times": times, "rate": rate, "lasts": lasts,
            "when": when, "status": status, "body": body, "headers": dict(headers or {}), "seconds": seconds,
            "kill": kill,
        }  # fmt: skip
        return self._add(rule if then is None else {**rule, "then": then})

    def outage(self, minutes: float, *, kind: Kind = "status", status: int = 503) -> FaultRule:
        """Add a rule that fails all requests, without effect, for `minutes` of the cloud's clock, and return it."""
        return self.add(kind=kind, status=status if kind == "status" else None, lasts=60.0 * minutes)


class Faults(FaultConsole):
    """The fault rules of a cloud in this process, in the order in which they were added."""

    def __init__(self, now: Callable[[], float], seed: int | None = None) -> None:
        """Start without rules. `now` reads the cloud's clock; `seed` makes rates reproducible."""
        self._lock = threading.Lock()
        self._rules: list[FaultRule] = []
        self._now = now
        self._random = Random(seed)
        self._last_id = 0
        self.on_clear: Callable[[], None] = lambda: None

    def _add(self, rule: dict[str, Any]) -> FaultRule:
        fault = FaultRule(**rule)
        fault.until = None if fault.lasts is None else self._now() + fault.lasts
        with self._lock:
            self._last_id += 1
            fault.id = self._last_id
            self._rules.append(fault)
        return fault

    def restart(self, seed: int | None) -> None:
        """Remove all rules, and restart the random numbers and the ids."""
        with self._lock:
            self._random, self._last_id = Random(seed), 0
        self.clear()

    def all(self) -> list[FaultRule]:
        """Return all rules that were not cleared, including those that have ended."""
        with self._lock:
            return list(self._rules)

    def clear(self) -> None:
        """Remove all rules and release the clients that hang."""
        with self._lock:
            self._rules.clear()
        self.on_clear()

    def select(self, request: Request) -> FaultRule | None:
        """Return the first rule that applies to a request, if any. Every matching rule counts the request."""
        with self._lock:
            applicable = [rule for rule in self._rules if rule.matches(request) and rule.count_match(self._draw(rule))]
            if not applicable:
                return None
            applicable[0].fired += 1
            return applicable[0]

    def _draw(self, rule: FaultRule) -> float:
        return 0.0 if rule.rate is None else self._random.random()
