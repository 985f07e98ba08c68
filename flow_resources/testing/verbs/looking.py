"""What can be seen of the cloud, noun by noun: GET reads it, and nothing changes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flow_resources.testing.service.accounts import OPERATOR
from flow_resources.testing.service.catalog import TYPES, InstanceType
from flow_resources.testing.service.inputs import Body
from flow_resources.testing.service.market import Market, Place
from flow_resources.testing.service.notation import write_time
from flow_resources.testing.verbs.operator import Operator, noun, places, reads

HOURS_MAX = 24.0 * 366
"""How far back a history of prices may be asked for."""


@noun
def about(operator: Operator, _now: float) -> Any:
    """Return what this cloud is: its seed, and the project and region that are meant where none is named."""
    return {"seed": operator.backend.market.seed, "project": operator.project, "region": operator.region}


@noun
def bids(operator: Operator, _now: float) -> Any:
    """Return every bid there ever was, in the order of submission."""
    return operator.backend.bids.all()


@reads
def bid(operator: Operator, ask: Body, _now: float) -> Any:
    """Return one bid."""
    return operator.backend.bids.show(OPERATOR, operator.bid(ask)["fid"])


@noun
def instances(operator: Operator, _now: float) -> Any:
    """Return every machine there ever was."""
    return operator.backend.machines.all()


@noun
def reservations(operator: Operator, _now: float) -> Any:
    """Return every reservation there ever was."""
    return operator.backend.reservations.all()


@noun
def volumes(operator: Operator, _now: float) -> Any:
    """Return the volumes that are not deleted."""
    return operator.backend.volumes.listing()


@noun
def ssh_keys(operator: Operator, _now: float) -> Any:
    """Return every SSH key."""
    return operator.backend.accounts.ssh_keys(OPERATOR, None)


@noun
def spend(operator: Operator, now: float) -> Any:
    """Return what was spent so far, in USD: in all, an hour at present, and by bid."""
    by_bid = operator.backend.billing.spent(now)
    total = round(sum(by_bid.values()), 6)
    return {"total_usd": total, "per_hour_usd": operator.backend.billing.per_hour(), "bids": by_bid}


@noun
def market(operator: Operator, now: float) -> Any:
    """Return price and capacity of every place."""
    return [_market_row(operator.backend.market, kind, region, now) for kind in TYPES for region in kind.regions]


@reads
def price_history(operator: Operator, ask: Body, now: float) -> Any:
    """Return (moment, USD) for every change of the price of a place over the last hours."""
    where = places(ask)
    hours = ask.decimal("hours", most=HOURS_MAX) if ask.has("hours") else 24.0
    ask.nothing_else()
    start = now - 3600 * hours
    points = operator.backend.market.prices(where[0], start, now).changes(start, now)
    return [[at, cents / 100] for at, cents in points]


@noun
def clock(operator: Operator, now: float) -> Any:
    """Return the cloud's time and its speed."""
    return {"now": now, "at": write_time(now), "speed": operator.backend.clock.speed}


@noun
def options(operator: Operator, _now: float) -> Any:
    """Return the switches."""
    return operator.backend.options.wire()


@noun
def requests(operator: Operator, _now: float) -> Any:
    """Return every request, in order of arrival."""
    return [asdict(request) for request in operator.journal.all()]


@noun
def faults(operator: Operator, _now: float) -> Any:
    """Return the rules in force."""
    return [rule.wire() for rule in operator.faults.all()]


@noun
def state(operator: Operator, now: float) -> Any:
    """Return everything at one moment."""
    nouns = (about, clock, options, market, bids, instances, reservations, volumes, ssh_keys, spend, faults)
    return {one.__name__: one(operator, now) for one in nouns}


def _market_row(market: Market, kind: InstanceType, region: str, now: float) -> dict[str, Any]:
    place = Place(kind.fid, region)
    return {
        "instance_type": kind.fid,
        "type": kind.short,
        "full_name": kind.name,
        "region": region,
        "price": market.price(place, now) / 100,
        "by_hand": market.by_hand(place, now) is not None,
        "capacity": market.capacity(place, now),
        "used": market.used(place),
        "free": market.free(place, now),
    }
