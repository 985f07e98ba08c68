"""The registry of verbs, and the operator that performs them.

A verb reads its arguments like the body of an API request, so errors name the argument. It acts with access to every
project.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from flow_resources.testing.service.accounts import OPERATOR
from flow_resources.testing.service.backend import Backend
from flow_resources.testing.service.body import Body
from flow_resources.testing.service.catalog import BY_FID, check_region, find_types
from flow_resources.testing.service.errors import (
    FieldError,
    InvalidError,
    MethodNotAllowedError,
    NotFoundError,
    problem,
)
from flow_resources.testing.service.market import Pool
from flow_resources.testing.service.store import Row
from flow_resources.testing.web.faults import Faults
from flow_resources.testing.web.journal import Journal

T = TypeVar("T")
Verb = Callable[["Operator", Body, float], Any]
"""Takes the operator, the arguments and the time of the cloud; returns a value that JSON can represent."""
PlainQuery = Callable[["Operator", float], Any]
QUERIES: dict[str, Verb] = {}
"""The verbs that GET allows, by name."""
MUTATIONS: dict[str, Verb] = {}
"""The verbs that need POST, by name."""


def mutation(verb: Verb) -> Verb:
    """Register a verb that changes something."""
    MUTATIONS[_name(verb)] = verb
    return verb


def query(verb: Verb) -> Verb:
    """Register a verb that only reads."""
    QUERIES[_name(verb)] = verb
    return verb


def plain_query(read: PlainQuery) -> PlainQuery:
    """Register a verb that only reads and takes no arguments."""

    def verb(operator: Operator, arguments: Body, now: float) -> Any:
        arguments.reject_others()
        return read(operator, now)

    QUERIES[_name(read)] = verb
    return read


def _name(function: Verb | PlainQuery) -> str:
    return function.__name__.replace("_", "-")


@dataclass
class Operator:
    """Performs verbs; has everything that they may read and change."""

    backend: Backend
    journal: Journal
    faults: Faults
    project: str
    """The name of the default project."""
    region: str
    """The default region."""
    set_latency: Callable[[float], None]
    after_mutation: Callable[[], None]
    """Called after each verb that changed something."""
    flow_dir: Callable[[], str]
    """Returns the folder of this cloud for the SDK's files."""

    def perform(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        """Perform one verb and return its result. Raises ApiError for invalid arguments or an impossible change."""
        function = QUERIES.get(verb) or MUTATIONS.get(verb)
        if function is None:
            msg = f"there is no {verb!r}; there are {', '.join(sorted({*QUERIES, *MUTATIONS}))}"
            raise NotFoundError(msg)
        try:
            with self.backend.session() as now:
                result = function(self, Body(dict(arguments)), now)
        except FieldError as error:
            raise InvalidError([problem(("body", error.field), str(error))]) from error
        if verb in MUTATIONS:
            self.after_mutation()
        return result

    def perform_http(self, method: str, verb: str, arguments: Mapping[str, Any]) -> Any:
        """Perform one verb for an HTTP request; GET may only read."""
        if method == "GET" and verb in MUTATIONS:
            msg = f"{verb} needs POST"
            raise MethodNotAllowedError(msg)
        return self.perform(verb, arguments)

    def bid(self, arguments: Body) -> Row:
        """Return the row of the bid with the id in `bid_id`, the last argument of a verb."""
        fid = arguments.text("bid_id")
        arguments.reject_others()
        return self.backend.bids.get(OPERATOR, fid)

    def settled_bid(self, bid: Row, now: float) -> dict[str, Any]:
        """Return a bid that was just changed, after the auction that follows, as the API shows it."""
        return self.backend.settled_bid(OPERATOR, bid["fid"], now)

    def project_id(self, arguments: Body) -> str:
        """Return the id of the project whose name or id is in `project`, or of the default project."""
        name = arguments.text("project") if arguments.has("project") else self.project
        return str(self.backend.accounts.find_project(name)["fid"]) if name else ""


def read_pools(arguments: Body) -> list[Pool]:
    """Return the capacity pools that `instance_type` and `region` name.

    Several types may share a name: those on offer in the region, or all of them if none is.
    """
    id_or_name, region = arguments.text("instance_type"), arguments.text("region")
    types = parse_with(arguments, "instance_type", find_types, id_or_name) or ()
    parse_with(arguments, "region", check_region, region)
    offered = [instance_type for instance_type in types if region in BY_FID[instance_type.fid].regions]
    return [Pool(instance_type.fid, region) for instance_type in offered or types]


def parse_with(arguments: Body, name: str, parse: Callable[[str], T], text: str) -> T | None:
    """Return the parsed text of a field; if `parse` raises ValueError, report the field as wrong and return None."""
    try:
        return parse(text)
    except ValueError as error:
        arguments.add_problem(name, str(error))
        return None


def sent_fields(arguments: Body, *names: str) -> dict[str, Any]:
    """Return the fields that were sent, without checking them."""
    return {name: value for name in names for value in [arguments.raw_value(name)] if value is not None}
