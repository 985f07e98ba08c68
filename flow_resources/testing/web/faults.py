"""What goes wrong, as data: rules that say which request fails, how, and on which side of its effect.

This room decides which rule fires; `serving` carries it out on the wire.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from flow_resources.testing.web.journal import Request

Kind = Literal["status", "reset", "hang", "truncate", "malformed", "slow", "pass"]
When = Literal["before", "after"]


@dataclass
class FaultRule:
    """One thing that goes wrong.

    kind: `status` answers with `status`, `body` and `headers`; `reset` cuts the connection with a TCP RST; `hang` keeps
    the client waiting for `seconds` (None: until the rules are cleared or the server stops) and then cuts; `truncate`
    sends half of the body it announced; `malformed` sends a body that is not JSON; `slow` answers properly, `seconds`
    late; `pass` answers properly, for rules that only want `then`.
    when: `before` means that the service never did anything; `after` that the effect is stored and only the answer
    suffers. `slow` and `pass` always have their effect.
    """

    kind: Kind = "status"
    method: str | None = None
    path: str | None = None
    nth: int = 1
    times: int | None = 1
    when: When = "before"
    status: int | None = None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None
    then: Callable[[Request], object] | None = None
    seen: int = 0
    fired: int = 0

    def __post_init__(self) -> None:
        """Refuse what could never fire, naming the field."""
        if self.kind not in get_args(Kind):
            raise _wrong("kind", f"one of {', '.join(get_args(Kind))}", self.kind)
        if self.when not in get_args(When):
            raise _wrong("when", "before or after", self.when)
        if self.nth < 1:
            raise _wrong("nth", "at least 1 (the next matching request)", self.nth)
        if self.times is not None and self.times < 1:
            raise _wrong("times", "at least 1, or None for ever", self.times)
        if self.seconds is not None and self.seconds < 0:
            raise _wrong("seconds", "not negative", self.seconds)
        if self.status is not None and not 200 <= self.status <= 599:  # noqa: PLR2004
            raise _wrong("status", "an HTTP status from 200 to 599", self.status)
        if self.path is not None:
            re.compile(self.path)

    @property
    def acts(self) -> bool:
        """Say whether the request still has its effect."""
        return self.when == "after" or self.kind in ("slow", "pass")

    def matches(self, request: Request) -> bool:
        """Say whether the rule is about this request at all; `path` is a regular expression found anywhere in it."""
        if self.method is not None and self.method.upper() != request.method:
            return False
        return self.path is None or re.search(self.path, request.path) is not None

    def fires(self) -> bool:
        """Count one matching request and say whether it is one of those that suffer."""
        self.seen += 1
        return self.seen >= self.nth and (self.times is None or self.fired < self.times)


class Faults:
    """The rules in force, in the order they were added; the first that fires wins."""

    def __init__(self) -> None:
        """Start with nothing going wrong."""
        self._lock = threading.Lock()
        self._rules: list[FaultRule] = []
        self.on_clear: Callable[[], None] = lambda: None

    def add(
        self,
        *,
        method: str | None = None,
        path: str | None = None,
        nth: int = 1,
        times: int | None = 1,
        when: When = "before",
        kind: Kind | None = None,
        status: int | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
        then: Callable[[Request], object] | None = None,
    ) -> FaultRule:
        """Add a rule and return it; `rule.fired` says later how often it struck.

        `nth` counts matching requests from now on: 1 is the next one. Without `kind` the rule answers `status` (500),
        or, when it only has `then`, lets the request pass. `then` is called after the effect and before the answer,
        in a thread of its own, so that it may stop the server, kill a process, or ask the fake itself.
        """
        if kind is None:
            kind = "pass" if then is not None and status is None and body is None else "status"
        rule = FaultRule(kind, method, path, nth, times, when, status, body, headers or {}, seconds, then)
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Forget every rule and let go of the clients that hang."""
        with self._lock:
            self._rules.clear()
        self.on_clear()

    def strike(self, request: Request) -> FaultRule | None:
        """Return the rule that this request falls under. Every matching rule counts it, also those that come second."""
        with self._lock:
            firing = [rule for rule in self._rules if rule.matches(request) and rule.fires()]
            if not firing:
                return None
            firing[0].fired += 1
            return firing[0]


def _wrong(name: str, rule: str, got: object) -> ValueError:
    return ValueError(f"fault: {name} must be {rule}, got {got!r}")
