"""Verbs that set prices, capacities and quotas, and that hold an auction."""

from __future__ import annotations

from typing import Any

from flow_resources.testing.service.body import Body
from flow_resources.testing.service.catalog import find_types
from flow_resources.testing.service.clock import HORIZON
from flow_resources.testing.service.formats import is_number
from flow_resources.testing.service.market import Pool
from flow_resources.testing.service.quotas import STORAGE
from flow_resources.testing.verbs.operator import Operator, mutation, parse_with, read_pools

_PRICE_MIN, _PRICE_MAX = 0.01, 1e6


@mutation
def set_price(operator: Operator, arguments: Body, now: float) -> Any:
    """Set the price of a pool from now on, or return it to the market with null; include preempted bids again."""
    pools, price = read_pools(arguments), arguments.raw_value("price")
    return _schedule(operator, arguments, pools, "price", [(0.0, price)], now)


@mutation
def set_path(operator: Operator, arguments: Body, now: float) -> Any:
    """Schedule the prices of a pool from now on, replacing any earlier schedule."""
    pools, path = read_pools(arguments), arguments.number_pairs("path")
    return _schedule(operator, arguments, pools, "path", path, now)


def _schedule(
    operator: Operator, arguments: Body, pools: list[Pool], name: str, path: list[tuple[Any, Any]], now: float
) -> dict[str, Any]:
    for after, price in path:
        if not 0 <= after < HORIZON:
            arguments.add_problem(name, f"a moment must not be in the past, got {after!r} seconds from now")
        if price is not None and not (is_number(price) and _PRICE_MIN <= price <= _PRICE_MAX):
            arguments.add_problem(
                name, f"price must be at least a cent, got {price!r}; it is in USD per machine and hour"
            )
    arguments.reject_others()
    for pool in pools:
        operator.backend.market.clear_scheduled_prices(pool, now)
        for after, price in path:
            operator.backend.market.set_price(pool, now + after, None if price is None else round(price * 100))
        operator.backend.lifecycle.reprice(pool, now)
    return {}


@mutation
def set_capacity(operator: Operator, arguments: Body, now: float) -> Any:
    """Set the total number of machines in a pool; include preempted bids again."""
    pools, machines = read_pools(arguments), arguments.integer("machines", minimum=0, maximum=1_000_000)
    arguments.reject_others()
    for pool in pools:
        operator.backend.market.set_capacity(pool, now, machines)
        operator.backend.lifecycle.reprice(pool, now)
    return {}


@mutation
def set_quota(operator: Operator, arguments: Body, _now: float) -> Any:
    """Set how many machines of a type, or how many GB of storage, a project may hold."""
    project, product, total = (
        operator.project_id(arguments),
        arguments.text("product"),
        arguments.integer("total", minimum=0),
    )
    types = () if product == STORAGE else parse_with(arguments, "product", find_types, product) or ()
    arguments.reject_others()
    for product_id in [instance_type.fid for instance_type in types] or [STORAGE]:
        operator.backend.quotas.set_total(project, product_id, total)
    return {}


@mutation
def hold_auction(operator: Operator, arguments: Body, now: float) -> Any:
    """Hold an auction for every type and region."""
    arguments.reject_others()
    operator.backend.lifecycle.finish("auction", None, now)
    return {}
