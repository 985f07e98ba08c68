"""Who performs the verbs: the register that each verb enters, and the operator, who finds it there and acts.

A verb reads its arguments like any request of the service does, so that a wrong one is named, and acts behind the back
of every account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from flow_resources.testing.service.accounts import OPERATOR
from flow_resources.testing.service.backend import Backend
from flow_resources.testing.service.catalog import BY_FID, check_region, find_types
from flow_resources.testing.service.errors import (
    FieldError,
    InvalidError,
    MethodNotAllowedError,
    NotFoundError,
    problem,
)
from flow_resources.testing.service.inputs import Body
from flow_resources.testing.service.market import Place
from flow_resources.testing.service.store import Row
from flow_resources.testing.web.faults import Faults
from flow_resources.testing.web.journal import Journal

T = TypeVar("T")
Verb = Callable[["Operator", Body, float], Any]
Noun = Callable[["Operator", float], Any]
READS: dict[str, Verb] = {}
"""What GET may ask for, by the name that it has on the wire."""
ACTS: dict[str, Verb] = {}
"""What needs POST."""


def acts(verb: Verb) -> Verb:
    """Register what needs POST."""
    ACTS[_name(verb)] = verb
    return verb


def reads(verb: Verb) -> Verb:
    """Register what GET may ask for."""
    READS[_name(verb)] = verb
    return verb


def noun(look: Noun) -> Noun:
    """Register what GET may ask for, where nothing but its name is said."""

    def verb(operator: Operator, ask: Body, now: float) -> Any:
        ask.nothing_else()
        return look(operator, now)

    READS[_name(look)] = verb
    return look


def _name(function: Verb | Noun) -> str:
    return function.__name__.replace("_", "-")


@dataclass
class Operator:
    """Whoever runs the fake: everything that a verb may touch."""

    backend: Backend
    journal: Journal
    faults: Faults
    project: str
    """The name of the project that is meant where none is named."""
    region: str
    """The region that is meant where none is named."""
    set_latency: Callable[[float], None]
    acted: Callable[[], None]
    """Told after each verb that changed something."""

    def perform(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        """Do one thing at one moment. Raises ApiError for what cannot be."""
        act = READS.get(verb) or ACTS.get(verb)
        if act is None:
            msg = f"there is no {verb!r}; there are {', '.join(sorted({*READS, *ACTS}))}"
            raise NotFoundError(msg)
        try:
            with self.backend.session() as now:
                result = act(self, Body(dict(arguments)), now)
        except FieldError as error:
            raise InvalidError([problem(("body", error.field), str(error))]) from error
        if verb in ACTS:
            self.acted()
        return result

    def perform_http(self, method: str, verb: str, arguments: Mapping[str, Any]) -> Any:
        """Do the same for a request: GET only reads."""
        if method == "GET" and verb in ACTS:
            msg = f"{verb} needs POST"
            raise MethodNotAllowedError(msg)
        return self.perform(verb, arguments)

    def bid(self, ask: Body) -> Row:
        """Return the row of the bid that is named."""
        fid = ask.text("bid_id")
        ask.nothing_else()
        return self.backend.bids.get(OPERATOR, fid)

    def settled(self, bid: Row, now: float) -> dict[str, Any]:
        """Return a bid to which something was just done, as the API shows it."""
        return self.backend.settled_bid(OPERATOR, bid["fid"], now)

    def project_id(self, ask: Body) -> str:
        """Return the id of the project that is named, by name or id."""
        name = ask.text("project") if ask.has("project") else self.project
        return str(self.backend.accounts.find_project(name)["fid"]) if name else ""


def places(ask: Body) -> list[Place]:
    """Read the places that `instance_type` and `region` mean: of several types of one name, those on offer there."""
    spec, region = ask.text("instance_type"), ask.text("region")
    kinds = readable(ask, "instance_type", find_types, spec) or ()
    readable(ask, "region", check_region, region)
    offered = [kind for kind in kinds if region in BY_FID[kind.fid].regions]
    return [Place(kind.fid, region) for kind in offered or kinds]


def readable(ask: Body, name: str, read: Callable[[str], T], text: str) -> T | None:
    """Return what `read` makes of a field; where it raises ValueError, the field is wrong."""
    try:
        return read(text)
    except ValueError as error:
        ask.wrong(name, str(error))
        return None


def given(ask: Body, *names: str) -> dict[str, Any]:
    """Return the fields that were sent, as they came: whoever they are for checks them."""
    return {name: value for name in names for value in [ask.anything(name)] if value is not None}
