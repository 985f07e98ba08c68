"""RemoteMithril: the console of a fake cloud in another process, over its control API."""

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
from flow_resources.testing.web.journal import Request as LoggedRequest

# Requests to this machine bypass any proxy of the user.
_open = build_opener(ProxyHandler({})).open


class RemoteMithril(Console):
    """The console of a fake cloud that listens at `url`, such as one that `flow-resources fake` started.

    It has the methods of `FakeMithril`'s console, and `clock`, `faults` (without `then`), `requests` and `options`
    (read-only: use `set_options`). Methods raise OSError while no server listens at `url`.
    """

    def __init__(self, url: str, *, timeout: float = 30.0) -> None:
        """Use the server at `url`; `timeout` is in seconds per request."""
        self.url = url.rstrip("/")
        self._timeout = timeout
        self.clock = RemoteClock(self._perform)
        self.faults = RemoteFaults(self._perform)

    def _perform(self, verb: str, /, **arguments: Any) -> Any:
        # JSON has no infinity; the control API reads "manual" instead.
        values = {name: "manual" if value == MANUAL else value for name, value in arguments.items()}
        body = json.dumps(values).encode()
        request = Request(  # noqa: S310 - the user chooses the URL
            f"{self.url}{CONTROL}{verb}", data=body, headers={"Content-Type": "application/json"}, method="POST"
        )
        try:
            with _open(request, timeout=self._timeout) as response:
                return json.loads(response.read())
        except HTTPError as error:
            with error:
                raise python_error(error.code, json.loads(error.read())["detail"]) from None

    @property
    def region(self) -> str:
        """The default region."""
        return str(self._perform("about")["region"])

    @property
    def seed(self) -> int | None:
        """The seed of a moving market; None for a static one."""
        seed: int | None = self._perform("about")["seed"]
        return seed

    @property
    def options(self) -> Options:
        """The present options, read-only; `set_options` changes them."""
        options = Options(**self._perform("options"))
        options.apply_within(_refuse_change)
        return options

    @property
    def requests(self) -> list[LoggedRequest]:
        """All requests to the API, in order of arrival."""
        return [LoggedRequest(**row) for row in self._perform("requests")]

    @property
    def mutations(self) -> list[LoggedRequest]:
        """The POST, PATCH, PUT and DELETE requests, in order of arrival."""
        return [request for request in self.requests if request.method in MUTATING]


def _refuse_change() -> AbstractContextManager[None]:
    msg = "the options of a cloud in another process are changed with set_options(...)"
    raise AttributeError(msg)


class RemoteClock:
    """The clock of a cloud in another process."""

    def __init__(self, perform: Any) -> None:
        """Use the verbs of a console."""
        self._perform = perform

    def now(self) -> float:
        """Return the present time of the cloud, in seconds since 1970."""
        return float(self._perform("clock")["now"])

    @property
    def speed(self) -> float:
        """Seconds of the cloud's clock per real second; it may be set at any time."""
        return float(self._perform("clock")["speed"])

    @speed.setter
    def speed(self, speed: float) -> None:
        self._perform("set-clock", speed=speed)

    def advance(self, seconds: float = 0.0, minutes: float = 0.0, hours: float = 0.0) -> float:
        """Move the clock forward and return the new time. Raises ValueError for a negative step."""
        return float(self._perform("advance", seconds=seconds + 60.0 * minutes + 3600.0 * hours)["now"])


class RemoteFaults(FaultConsole):
    """The fault rules of a cloud in another process.

    A rule that `add` returned is not updated; `all` returns the present counts.
    """

    def __init__(self, perform: Any) -> None:
        """Use the verbs of a console."""
        self._perform = perform

    def _add(self, rule: dict[str, Any]) -> FaultRule:
        if "then" in rule:
            raise FieldError("then", "left out: a function cannot travel to another process", rule["then"])
        return _rule(self._perform("add-fault", **rule))

    def all(self) -> list[FaultRule]:
        """Return all rules that were not cleared, including those that have ended."""
        return [_rule(row) for row in self._perform("faults")]

    def clear(self) -> None:
        """Remove all rules and release the clients that hang."""
        self._perform("clear-faults")


def _rule(row: Mapping[str, Any]) -> FaultRule:
    names = {field.name for field in fields(FaultRule)}
    return FaultRule(**{name: value for name, value in row.items() if name in names})
