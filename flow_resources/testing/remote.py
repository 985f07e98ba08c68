"""RemoteMithril: the console of a fake cloud in another process, through its control API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import fields
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from flow_resources.testing.console import Console, python_error
from flow_resources.testing.service.errors import FieldError
from flow_resources.testing.service.options import MANUAL, Options
from flow_resources.testing.web import CONTROL
from flow_resources.testing.web.faults import FaultConsole, FaultRule
from flow_resources.testing.web.journal import MUTATING
from flow_resources.testing.web.journal import Request as Asked

# No proxy of the user's stands between this machine and itself.
_open = build_opener(ProxyHandler({})).open


class RemoteMithril(Console):
    """A cloud that listens at `url`, such as one that `flow-resources fake` started.

    Its console is that of `FakeMithril`, and so are `clock`, `faults` (but for `then`), `requests` and `options`, which
    here are only to be read. Raises OSError while nobody listens there.
    """

    def __init__(self, url: str, *, timeout: float = 30.0) -> None:
        """Talk to the server at `url`; each question waits `timeout` seconds for its answer."""
        self.url = url.rstrip("/")
        self._timeout = timeout
        self.clock = RemoteClock(self._ask)
        self.faults = RemoteFaults(self._ask)

    def _ask(self, verb: str, /, **arguments: Any) -> Any:
        # JSON has no word for a duration without an end; the control API has.
        plain = {name: "manual" if value == MANUAL else value for name, value in arguments.items()}
        body = json.dumps(plain).encode()
        request = Request(  # noqa: S310 - the scheme is the user's, and loopback has no other
            f"{self.url}{CONTROL}{verb}", data=body, headers={"Content-Type": "application/json"}, method="POST"
        )
        try:
            with _open(request, timeout=self._timeout) as answer:
                return json.loads(answer.read())
        except HTTPError as error:
            with error:
                raise python_error(error.code, json.loads(error.read())["detail"]) from None

    @property
    def region(self) -> str:
        """The region that is meant where none is named."""
        return str(self._ask("about")["region"])

    @property
    def seed(self) -> int | None:
        """The seed of the story; None where the market stands still."""
        seed: int | None = self._ask("about")["seed"]
        return seed

    @property
    def options(self) -> Options:
        """The switches as they are now; `set_options` changes them."""
        options = Options(**self._ask("options"))
        options.only_through(_elsewhere)
        return options

    @property
    def requests(self) -> list[Asked]:
        """Every request, in order of arrival."""
        return [Asked(**row) for row in self._ask("requests")]

    @property
    def mutations(self) -> list[Asked]:
        """The requests that could change something."""
        return [request for request in self.requests if request.method in MUTATING]


def _elsewhere() -> AbstractContextManager[None]:
    msg = "the options of a cloud in another process are changed with set_options(...)"
    raise AttributeError(msg)


class RemoteClock:
    """The clock of a cloud in another process."""

    def __init__(self, ask: Any) -> None:
        """Ask through the console."""
        self._ask = ask

    def now(self) -> float:
        """Return the present as seconds since 1970."""
        return float(self._ask("clock")["now"])

    @property
    def speed(self) -> float:
        """How many seconds pass there in a real one; it may be set at any time."""
        return float(self._ask("clock")["speed"])

    @speed.setter
    def speed(self, speed: float) -> None:
        self._ask("set-clock", speed=speed)

    def advance(self, seconds: float = 0.0, minutes: float = 0.0, hours: float = 0.0) -> float:
        """Move forward and return the new present."""
        return float(self._ask("advance", seconds=seconds + 60.0 * minutes + 3600.0 * hours)["now"])


class RemoteFaults(FaultConsole):
    """The faults of a cloud in another process.

    A rule that `add` returned stays as it was then; `all` shows how often each has struck by now.
    """

    def __init__(self, ask: Any) -> None:
        """Ask through the console."""
        self._ask = ask

    def _add(self, rule: dict[str, Any]) -> FaultRule:
        if "then" in rule:
            raise FieldError("then", "left out: a function cannot travel to another process", rule["then"])
        return _rule(self._ask("add-fault", **rule))

    def all(self) -> list[FaultRule]:
        """Return the rules in force, and those that are over but were not cleared."""
        return [_rule(row) for row in self._ask("faults")]

    def clear(self) -> None:
        """Forget every rule and let go of the clients that hang."""
        self._ask("clear-faults")


def _rule(row: Mapping[str, Any]) -> FaultRule:
    known = {one.name for one in fields(FaultRule)}
    return FaultRule(**{name: value for name, value in row.items() if name in known})
