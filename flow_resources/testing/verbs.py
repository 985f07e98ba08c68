"""What only a fake can do, verb by verb: `Console` says it in Python, `web/control.py` over HTTP, and both end here.

A verb reads its arguments like any request of the service does, so that a wrong one is named, and acts behind the back
of every account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, get_args

from flow_resources.testing.overview import HOURS_MAX, markets, overview
from flow_resources.testing.service.accounts import OPERATOR, project_row
from flow_resources.testing.service.backend import Backend
from flow_resources.testing.service.catalog import BY_FID, check_region, find_types
from flow_resources.testing.service.clock import HORIZON, wire_time
from flow_resources.testing.service.errors import (
    ApiError,
    BadRequestError,
    FieldError,
    InvalidError,
    MethodNotAllowedError,
    NotFoundError,
    problem,
)
from flow_resources.testing.service.inputs import Body, is_number
from flow_resources.testing.service.lifecycle import Transition
from flow_resources.testing.service.market import Place
from flow_resources.testing.service.options import Options
from flow_resources.testing.service.quotas import STORAGE
from flow_resources.testing.web.faults import Faults
from flow_resources.testing.web.journal import Journal

T = TypeVar("T")
_CENT, _DEAREST = 0.01, 1e6
Verb = Callable[["Operator", Body, float], Any]
_READS: dict[str, Verb] = {}
_ACTS: dict[str, Verb] = {}


def reads(verb: Verb) -> Verb:
    """Register what GET may ask for."""
    _READS[verb.__name__.replace("_", "-")] = verb
    return verb


def acts(verb: Verb) -> Verb:
    """Register what needs POST."""
    _ACTS[verb.__name__.replace("_", "-")] = verb
    return verb


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
        act = _READS.get(verb) or _ACTS.get(verb)
        if act is None:
            msg = f"there is no {verb!r}; there are {', '.join(sorted({*_READS, *_ACTS}))}"
            raise NotFoundError(msg)
        try:
            with self.backend.session() as now:
                result = act(self, Body(dict(arguments)), now)
        except FieldError as error:
            raise InvalidError([problem(("body", error.field), str(error))]) from error
        if verb in _ACTS:
            self.acted()
        return result

    def perform_http(self, method: str, verb: str, arguments: Mapping[str, Any]) -> Any:
        """Do the same for a request: GET only reads."""
        if method == "GET" and verb in _ACTS:
            msg = f"{verb} needs POST"
            raise MethodNotAllowedError(msg)
        return self.perform(verb, arguments)

    def bid(self, ask: Body) -> Any:
        """Return the row of the bid that is named."""
        fid = ask.text("bid_id")
        ask.nothing_else()
        return self.backend.bids.get(OPERATOR, fid)

    def shown(self, fid: str, now: float) -> dict[str, Any]:
        """Return a bid as the API shows it."""
        return self.backend.show_bid(OPERATOR, fid, now)

    def project_id(self, ask: Body) -> str:
        """Return the id of the project that is named, by name or id."""
        name = ask.text("project") if ask.has("project") else self.project
        return str(self.backend.accounts.find_project(name)["fid"]) if name else ""


def perform_here(operator: Operator, verb: str, arguments: Mapping[str, Any]) -> Any:
    """Perform a verb for Python: KeyError for an id that does not exist, ValueError for what cannot be."""
    try:
        return operator.perform(verb, arguments)
    except ApiError as error:
        raise python_error(error.status, str(error)) from error


def python_error(status: int, text: str) -> Exception:
    """Return a refusal as Python says it."""
    return (KeyError if status == NotFoundError.status else ValueError)(text)


def places(ask: Body) -> list[Place]:
    """Read the places that `instance_type` and `region` mean: of several types of one name, those on offer there."""
    spec, region = ask.text("instance_type"), ask.text("region")
    kinds = _readable(ask, "instance_type", find_types, spec) or ()
    _readable(ask, "region", check_region, region)
    offered = [kind for kind in kinds if region in BY_FID[kind.fid].regions]
    return [Place(kind.fid, region) for kind in offered or kinds]


def _given(ask: Body, *names: str) -> dict[str, Any]:
    """Return the fields that were sent, as they came: whoever they are for checks them."""
    return {name: value for name in names for value in [ask.anything(name)] if value is not None}


def _readable(ask: Body, name: str, read: Callable[[str], T], text: str) -> T | None:
    try:
        return read(text)
    except ValueError as error:
        ask.wrong(name, str(error))
        return None


# --- what there is ---------------------------------------------------------------------------------------------------


@reads
def about(operator: Operator, ask: Body, _now: float) -> Any:
    """Return what this cloud is: its seed, and the project and region that are meant where none is named."""
    ask.nothing_else()
    return {"seed": operator.backend.market.seed, "project": operator.project, "region": operator.region}


@reads
def bids(operator: Operator, ask: Body, _now: float) -> Any:
    """Return every bid there ever was, in the order of submission."""
    ask.nothing_else()
    return operator.backend.bids.all()


@reads
def bid(operator: Operator, ask: Body, now: float) -> Any:
    """Return one bid."""
    return operator.shown(operator.bid(ask)["fid"], now)


@reads
def instances(operator: Operator, ask: Body, _now: float) -> Any:
    """Return every machine there ever was."""
    ask.nothing_else()
    return operator.backend.machines.all()


@reads
def reservations(operator: Operator, ask: Body, _now: float) -> Any:
    """Return every reservation there ever was."""
    ask.nothing_else()
    return operator.backend.reservations.all()


@reads
def volumes(operator: Operator, ask: Body, _now: float) -> Any:
    """Return the volumes that are not deleted."""
    ask.nothing_else()
    return operator.backend.volumes.listing()


@reads
def ssh_keys(operator: Operator, ask: Body, _now: float) -> Any:
    """Return every SSH key."""
    ask.nothing_else()
    return operator.backend.accounts.ssh_keys(OPERATOR, None)


@reads
def spend(operator: Operator, ask: Body, now: float) -> Any:
    """Return what was spent so far, in USD: in all, an hour at present, and by bid."""
    ask.nothing_else()
    by_bid = operator.backend.billing.spent(now)
    total = round(sum(by_bid.values()), 6)
    return {"total_usd": total, "per_hour_usd": operator.backend.billing.per_hour(), "bids": by_bid}


@reads
def market(operator: Operator, ask: Body, now: float) -> Any:
    """Return price and capacity of every place."""
    ask.nothing_else()
    return list(markets(operator.backend, now))


@reads
def price_history(operator: Operator, ask: Body, now: float) -> Any:
    """Return (moment, USD) for every change of the price of a place over the last hours."""
    where = places(ask)
    hours = ask.decimal("hours", most=HOURS_MAX) if ask.has("hours") else 24.0
    ask.nothing_else()
    start = now - 3600 * hours
    points = operator.backend.market.prices(where[0], start, now).changes(start, now)
    return [[at, cents / 100] for at, cents in points]


@reads
def clock(operator: Operator, ask: Body, now: float) -> Any:
    """Return the cloud's time and its speed."""
    ask.nothing_else()
    return {"now": now, "at": wire_time(now), "speed": operator.backend.clock.speed}


@reads
def options(operator: Operator, ask: Body, _now: float) -> Any:
    """Return the switches."""
    ask.nothing_else()
    return operator.backend.options.wire()


@reads
def requests(operator: Operator, ask: Body, _now: float) -> Any:
    """Return every request, in order of arrival."""
    ask.nothing_else()
    return [asdict(request) for request in operator.journal.all()]


@reads
def faults(operator: Operator, ask: Body, _now: float) -> Any:
    """Return the rules in force."""
    ask.nothing_else()
    return [rule.wire() for rule in operator.faults.all()]


@reads
def state(operator: Operator, ask: Body, now: float) -> Any:
    """Return everything at one moment."""
    ask.nothing_else()
    nouns = (about, clock, options, market, bids, instances, reservations, volumes, ssh_keys, spend, faults)
    return {noun.__name__: noun(operator, Body({}), now) for noun in nouns}


_READS["overview"] = lambda operator, ask, now: overview(
    operator.backend, operator.journal, operator.faults, operator.project, operator.region, ask, now
)


# --- time ------------------------------------------------------------------------------------------------------------


@acts
def advance(operator: Operator, ask: Body, _now: float) -> Any:
    """Move the clock forward and return the new present; everything that was due has happened then."""
    step = ask.decimal("seconds")
    ask.nothing_else()
    now = operator.backend.clock.advance(step)
    operator.backend.timeline.catch_up(now)
    return {"now": now}


@acts
def set_clock(operator: Operator, ask: Body, _now: float) -> Any:
    """Set how many seconds pass in a real one; 0 stops the clock."""
    speed = ask.decimal("speed")
    ask.nothing_else()
    operator.backend.clock.speed = speed
    return {"speed": speed}


@acts
def finish(operator: Operator, ask: Body, now: float) -> Any:
    """End what takes time, of one bid or of all."""
    what: Any = ask.choice("what", get_args(Transition))
    fid = ask.text("bid_id") if ask.has("bid_id") else None
    ask.nothing_else()
    if fid is not None:
        operator.backend.bids.get(OPERATOR, fid)
    operator.backend.lifecycle.finish(what, fid, now)
    return {}


@acts
def hold_auction(operator: Operator, ask: Body, now: float) -> Any:
    """Hold an auction everywhere."""
    ask.nothing_else()
    operator.backend.lifecycle.finish("auction", None, now)
    return {}


@acts
def set_options(operator: Operator, ask: Body, _now: float) -> Any:
    """Change switches; they count from the next transition on."""
    values = ask.rest()
    trial = Options(**operator.backend.options.wire())
    for name, value in values.items():
        setattr(trial, name, value)
    for name, value in values.items():
        setattr(operator.backend.options, name, value)
    return operator.backend.options.wire()


# --- the market ------------------------------------------------------------------------------------------------------


@acts
def set_price(operator: Operator, ask: Body, now: float) -> Any:
    """Set the price of a place from now on, null to give it back; let bids held out by `preempt` in again."""
    where, price = places(ask), ask.anything("price")
    return _plan(operator, ask, where, "price", [(0.0, price)], now)


@acts
def set_path(operator: Operator, ask: Body, now: float) -> Any:
    """Plan the price of a place from now on, in place of what was planned."""
    where, path = places(ask), ask.pairs("path")
    return _plan(operator, ask, where, "path", path, now)


def _plan(
    operator: Operator, ask: Body, where: list[Place], name: str, path: list[tuple[Any, Any]], now: float
) -> dict[str, Any]:
    for after, price in path:
        if not 0 <= after < HORIZON:
            ask.wrong(name, f"a moment must not be in the past, got {after!r} seconds from now")
        if price is not None and not (is_number(price) and _CENT <= price <= _DEAREST):
            ask.wrong(name, f"price must be at least a cent, got {price!r}; it is in USD per machine and hour")
    ask.nothing_else()
    for place in where:
        operator.backend.market.forget_plans(place, now)
        for after, price in path:
            operator.backend.market.set_price(place, now + after, None if price is None else round(price * 100))
        operator.backend.lifecycle.reprice(place, now)
    return {}


@acts
def set_capacity(operator: Operator, ask: Body, now: float) -> Any:
    """Set how many machines a place has in all; let bids held out by `preempt` in again."""
    where, machines = places(ask), ask.whole("machines", least=0, most=1_000_000)
    ask.nothing_else()
    for place in where:
        operator.backend.market.set_capacity(place, now, machines)
        operator.backend.lifecycle.reprice(place, now)
    return {}


@acts
def set_quota(operator: Operator, ask: Body, _now: float) -> Any:
    """Set how many machines of a type, or GB of storage, a project may hold."""
    project, product, total = operator.project_id(ask), ask.text("product"), ask.whole("total", least=0)
    kinds = () if product == STORAGE else _readable(ask, "product", find_types, product) or ()
    ask.nothing_else()
    for one in [kind.fid for kind in kinds] or [STORAGE]:
        operator.backend.quotas.set_total(project, one, total)
    return {}


# --- the lives of bids -----------------------------------------------------------------------------------------------


@acts
def preempt(operator: Operator, ask: Body, now: float) -> Any:
    """Take a bid's machines away and keep it out of the auction."""
    notice = ask.seconds("notice_seconds")
    bid = operator.bid(ask)
    if bid["status"] != "Allocated":
        msg = f"only an Allocated bid can be preempted, {bid['fid']} is {bid['status']}"
        raise BadRequestError(msg)
    lifecycle, usual = operator.backend.lifecycle, operator.backend.options.preemption_notice_seconds
    lifecycle.keep_out(bid)
    lifecycle.preempt(bid, now, usual if notice is None else notice)
    return operator.shown(bid["fid"], now)


@acts
def release(operator: Operator, ask: Body, now: float) -> Any:
    """Let a preempted bid take part in the auction again."""
    bid = operator.bid(ask)
    operator.backend.lifecycle.let_in(bid)
    return operator.shown(bid["fid"], now)


@acts
def fail_boot(operator: Operator, ask: Body, now: float) -> Any:
    """Put the machines that a bid holds into STATUS_ERROR; they stay there until the bid boots them again."""
    bid = operator.bid(ask)
    if bid["status"] != "Allocated":
        msg = f"only an Allocated bid has machines that boot, {bid['fid']} is {bid['status']}"
        raise BadRequestError(msg)
    operator.backend.machines.mark(bid["fid"], "STATUS_ERROR", now)
    return operator.shown(bid["fid"], now)


@acts
def terminate(operator: Operator, ask: Body, now: float) -> Any:
    """End a bid at once, also one that is slowly being cancelled."""
    bid = operator.bid(ask)
    if bid["status"] != "Terminated":
        operator.backend.lifecycle.terminate(bid, now, OPERATOR)
    return operator.shown(bid["fid"], now)


# --- behind everybody's back -----------------------------------------------------------------------------------------


@acts
def add_project(operator: Operator, ask: Body, now: float) -> Any:
    """Add a project, for these keys to see."""
    name, keys = ask.text("name"), ask.texts("keys")
    ask.nothing_else()
    row = operator.backend.accounts.add_project(name, now)
    for key in keys:
        operator.backend.accounts.add_key(key, [name])
    return project_row(row)


@acts
def add_key(operator: Operator, ask: Body, _now: float) -> Any:
    """Add a key of another account, or let a known key see more projects."""
    key, projects = ask.text("key"), ask.texts("projects")
    ask.nothing_else()
    operator.backend.accounts.add_key(key, projects)
    return {}


@acts
def add_ssh_key(operator: Operator, ask: Body, now: float) -> Any:
    """Add an SSH key to a project."""
    body = {**_given(ask, "name", "public_key", "required"), "project": operator.project_id(ask)}
    ask.nothing_else()
    return operator.backend.accounts.create_ssh_key(OPERATOR, body, now)


@acts
def add_bid(operator: Operator, ask: Body, now: float) -> Any:
    """Place a bid as somebody else would."""
    where, project = places(ask), operator.project_id(ask)
    launch = {"volumes": [], "ssh_keys": [], **_given(ask, "volumes", "ssh_keys", "startup_script")}
    body = _given(ask, "name", "limit_price", "instance_quantity")
    ask.nothing_else()
    place = {"project": project, "instance_type": where[0].instance_type, "region": where[0].region}
    return operator.backend.create_bid(OPERATOR, {**body, **place, "launch_specification": launch}, None, now)


@acts
def add_volume(operator: Operator, ask: Body, now: float) -> Any:
    """Make a volume as somebody else would."""
    body = {**_given(ask, "name", "disk_interface", "region", "size_gb"), "project": operator.project_id(ask)}
    ask.nothing_else()
    return operator.backend.create_volume(OPERATOR, body, None, now)


@acts
def update_bid(operator: Operator, ask: Body, now: float) -> Any:
    """Change a bid as the console would."""
    fid, body = ask.text("bid_id"), _given(ask, "limit_price", "paused", "volumes", "memory_gb")
    ask.nothing_else()
    return operator.backend.update_bid(OPERATOR, fid, body, now)


@acts
def update_volume(operator: Operator, ask: Body, _now: float) -> Any:
    """Rename a volume as the console would."""
    fid, body = ask.text("volume_id"), _given(ask, "name")
    ask.nothing_else()
    operator.backend.volumes.rename(OPERATOR, fid, body)
    return operator.backend.volumes.wire(fid)


@acts
def delete_volume(operator: Operator, ask: Body, now: float) -> Any:
    """Delete a volume; with `force` also one that a bid uses, which goes on listing it."""
    fid, force = ask.text("volume_id"), ask.flag("force", default=False)
    ask.nothing_else()
    operator.backend.volumes.delete(OPERATOR, fid, now, force=force)
    return {}


# --- the wire --------------------------------------------------------------------------------------------------------


@acts
def add_fault(operator: Operator, ask: Body, _now: float) -> Any:
    """Add a rule, with the fields of `FaultRule` that JSON can say."""
    rule: dict[str, Any] = {name: ask.text(name) for name in ("kind", "when", "method", "path") if ask.has(name)}
    rule |= {name: ask.whole(name, least=0) for name in ("nth", "times", "status", "kill") if ask.has(name)}
    rule |= {name: ask.decimal(name) for name in ("rate", "lasts", "seconds") if ask.has(name)}
    if ask.is_null("times"):
        rule["times"] = None
    if ask.has("headers"):
        headers = ask.inner("headers").rest()
        rule["headers"] = {name: str(value) for name, value in headers.items()}
    rule["body"] = ask.anything("body")
    ask.nothing_else()
    return operator.faults.add(**rule).wire()


@acts
def clear_faults(operator: Operator, ask: Body, _now: float) -> Any:
    """Forget every rule and let go of the clients that hang."""
    ask.nothing_else()
    operator.faults.clear()
    return {}


@acts
def clear_requests(operator: Operator, ask: Body, _now: float) -> Any:
    """Forget what was asked."""
    ask.nothing_else()
    operator.journal.clear()
    return {}


@acts
def set_latency(operator: Operator, ask: Body, _now: float) -> Any:
    """Make every answer of the service wait that many real seconds."""
    seconds = ask.decimal("seconds")
    ask.nothing_else()
    operator.set_latency(seconds)
    return {}


@acts
def reset(operator: Operator, ask: Body, now: float) -> Any:
    """Begin anew: no bids, machines, volumes, SSH keys, prices, faults or requests.

    Accounts and their keys stay, and so do the switches that somebody set.
    """
    seed = ask.whole("seed", least=0) if ask.has("seed") else None
    ask.nothing_else()
    operator.faults.restart(seed)
    operator.set_latency(0.0)
    operator.journal.clear()
    operator.backend.options.follow(living=seed is not None)
    operator.backend.reset(now, seed)
    return {"seed": seed}
