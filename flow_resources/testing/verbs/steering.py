"""The market, steered by hand: prices, capacities, quotas, and the auction."""

from __future__ import annotations

from typing import Any

from flow_resources.testing.service.catalog import find_types
from flow_resources.testing.service.clock import HORIZON
from flow_resources.testing.service.inputs import Body
from flow_resources.testing.service.market import Place
from flow_resources.testing.service.notation import is_number
from flow_resources.testing.service.quotas import STORAGE
from flow_resources.testing.verbs.operator import Operator, acts, places, readable

_CENT, _DEAREST = 0.01, 1e6


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
    kinds = () if product == STORAGE else readable(ask, "product", find_types, product) or ()
    ask.nothing_else()
    for one in [kind.fid for kind in kinds] or [STORAGE]:
        operator.backend.quotas.set_total(project, one, total)
    return {}


@acts
def hold_auction(operator: Operator, ask: Body, now: float) -> Any:
    """Hold an auction everywhere."""
    ask.nothing_else()
    operator.backend.lifecycle.finish("auction", None, now)
    return {}
