"""Verbs that read the cloud and change nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flow_resources.testing.service.accounts import OPERATOR
from flow_resources.testing.service.body import Body
from flow_resources.testing.service.catalog import BY_FID, TYPES, InstanceType
from flow_resources.testing.service.formats import write_time
from flow_resources.testing.service.market import Market, Pool
from flow_resources.testing.service.policies import policies
from flow_resources.testing.verbs.operator import Operator, plain_query, query, read_pools

HOURS_MAX = 24.0 * 366
"""How far back a price history may reach."""


@plain_query
def about(operator: Operator, _now: float) -> Any:
    """Return the seed, the default project and region, and the folder for the SDK's files."""
    seed, flow_dir = operator.backend.market.seed, operator.flow_dir()
    return {"seed": seed, "project": operator.project, "region": operator.region, "flow_dir": flow_dir}


@plain_query
def bids(operator: Operator, _now: float) -> Any:
    """Return all bids, including terminated ones, in the order of submission."""
    return operator.backend.bids.all()


@query
def bid(operator: Operator, arguments: Body, _now: float) -> Any:
    """Return one bid."""
    return operator.backend.bids.show(OPERATOR, operator.bid(arguments)["fid"])


@query
def boots(operator: Operator, arguments: Body, _now: float) -> Any:
    """Return each boot of a bid's machines, oldest first, and what ran at it."""
    return operator.backend.boots.history(operator.bid(arguments))


@plain_query
def instances(operator: Operator, _now: float) -> Any:
    """Return all machines, including those that have ended."""
    return operator.backend.instances.all()


@plain_query
def reservations(operator: Operator, _now: float) -> Any:
    """Return all reservations, including ended ones."""
    return operator.backend.reservations.all()


@plain_query
def volumes(operator: Operator, _now: float) -> Any:
    """Return the volumes that are not deleted."""
    return operator.backend.volumes.listing()


@plain_query
def ssh_keys(operator: Operator, _now: float) -> Any:
    """Return all SSH keys."""
    return operator.backend.accounts.ssh_keys(OPERATOR, None)


@plain_query
def spend(operator: Operator, now: float) -> Any:
    """Return the cost so far in USD, in total and by bid, and the present cost in USD per hour."""
    by_bid = operator.backend.billing.spent(now)
    total = round(sum(by_bid.values()), 6)
    return {"total_usd": total, "per_hour_usd": operator.backend.billing.per_hour(), "bids": by_bid}


@plain_query
def market(operator: Operator, now: float) -> Any:
    """Return price and capacity of every instance type in every region."""
    return [
        _market_row(operator.backend.market, instance_type, region, now)
        for instance_type in TYPES
        for region in instance_type.regions
    ]


@query
def price_history(operator: Operator, arguments: Body, now: float) -> Any:
    """Return (seconds since 1970, USD) for each change of a price in the last hours."""
    pools = read_pools(arguments)
    hours = arguments.number("hours", maximum=HOURS_MAX) if arguments.has("hours") else 24.0
    arguments.reject_others()
    start = now - 3600 * hours
    points = operator.backend.market.prices(pools[0], start, now).changes(start, now)
    return [[at, cents / 100] for at, cents in points]


@plain_query
def clock(operator: Operator, now: float) -> Any:
    """Return the time of the cloud's clock and its speed."""
    return {"now": now, "at": write_time(now), "speed": operator.backend.clock.speed}


@plain_query
def options(operator: Operator, _now: float) -> Any:
    """Return the options."""
    return operator.backend.options.wire()


@plain_query
def requests(operator: Operator, _now: float) -> Any:
    """Return all requests, in order of arrival."""
    return [asdict(request) for request in operator.journal.all()]


@plain_query
def faults(operator: Operator, _now: float) -> Any:
    """Return all fault rules that were not cleared."""
    return [rule.wire() for rule in operator.faults.all()]


@plain_query
def state(operator: Operator, now: float) -> Any:
    """Return the results of the queries without arguments, all at the same time."""
    queries = (about, clock, options, market, bids, instances, reservations, volumes, ssh_keys, spend, faults)
    return {query.__name__: query(operator, now) for query in queries}


@query
def bid_policies(operator: Operator, arguments: Body, now: float) -> Any:
    """Return what usual policies would bid now for some machines, and what each would have held over the last hours."""
    pools = read_pools(arguments)
    hours = arguments.number("hours", minimum=1.0, maximum=HOURS_MAX)
    machines = arguments.integer("machines", maximum=1_000_000)
    arguments.reject_others()
    pool, backend = pools[0], operator.backend
    changes = list(backend.market.prices(pool, now - 3600 * hours, now).changes(now - 3600 * hours, now))
    wins = backend.quotes.current(BY_FID[pool.instance_type], pool.region, machines, now)["dynamic_win_price_cents"]
    return [
        {
            "policy": policy.name,
            "price": policy.cents / 100,
            "held": round(policy.held, 4),
            "max_per_hour": policy.cents * machines / 100,
        }
        for policy in policies(changes, now, wins)
    ]


def _market_row(market: Market, instance_type: InstanceType, region: str, now: float) -> dict[str, Any]:
    pool = Pool(instance_type.fid, region)
    return {
        "instance_type": instance_type.fid,
        "type": instance_type.short,
        "full_name": instance_type.name,
        "region": region,
        "price": market.price(pool, now) / 100,
        "by_hand": market.fixed_price(pool, now) is not None,
        "capacity": market.capacity(pool, now),
        "used": market.used(pool),
        "free": market.free(pool, now),
    }
