"""What a check tells of the price of a bid: the line on its row, its part in the stack's budget, the warnings.

What stands unchanged costs no request: the market's price is in the offers that every check reads. For what is new, or
has another number, the market of its type and region is asked once in an operation, whatever the number of resources.
`flow:marketLines: false` sends no such request, and tells nothing of the market.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from flow_resources.core import money
from flow_resources.core.bid_policy import BID_POLICY
from flow_resources.core.inputs import Checked
from flow_resources.core.market import Market
from flow_resources.core.models import Offer
from flow_resources.core.placement_fields import is_unchanged
from flow_resources.core.placements import PRICE
from flow_resources.core.price_lines import (
    Terms,
    describe_costs,
    describe_total,
    warn_of_bid_under_market,
    warn_of_capacity,
    warn_of_lowest_bid,
    warn_of_number,
)
from flow_resources.lifecycle.bid import describe_bid
from flow_resources.lifecycle.bid_kind import BidKind
from flow_resources.lifecycle.budget import charge
from flow_resources.lifecycle.market_prices import MarketPrices
from flow_resources.lifecycle.operation import Operation


def check_costs(
    op: Operation,
    kind: BidKind[Any, Any],
    found: Checked,
    olds: Mapping[str, Any],
    market: Market | None,
    budget: Decimal | None,
    key: str,
) -> None:
    """Enter a bid into the stack's budget under a key of its own, show on its row what it can cost, warn of its price.

    What is not known yet is neither counted nor shown; `bid_price` counts the cap of a policy without a number.
    """
    is_shown = True
    with op.collecting_failures(found):
        is_shown = op.settings.shows_market()
    price, count, is_paused = found.known(PRICE), found.known("num_instances"), found.inputs.get("paused") is True
    if price is None or count is None:
        return
    terms = Terms(money.price(price), count, found.known("instance_type"), found.known("region"), is_paused)
    total = charge(found, op.deployment.spending, key, terms.cost, budget, kind.called)
    # Of a replacement the check is not told what was before, but for the first one of those that an input forces.
    before = Terms.recorded(olds) if olds else op.own_record.terms
    offer = _offer(market, terms) if is_shown else None
    going = offer.price if offer else None
    if is_paused:
        line = describe_bid(terms.price, count, terms.region, going)
        found.row = f"{line}; paused, after it may have run for moments"
        return
    if not (is_new := not is_unchanged(kind.fields, found, olds)) and terms == before:
        found.row = describe_bid(terms.price, count, terms.region, going)
        _warn(op, warn_of_bid_under_market(terms.price, going, kind.called))
        return
    prices = MarketPrices(op).current(offer.instance_type, offer.region, count) if offer else None
    if going is None and prices:
        going = prices.spot
    _warn(op, warn_of_bid_under_market(terms.price, going, kind.called))
    is_other_number = before is None or before.price != terms.price or not terms.is_in_market_of(before)
    if is_other_number and BID_POLICY not in found.inputs:
        _warn(op, warn_of_number(terms.price, going, prices, _gpus(market, offer)))
    if is_other_number or is_new:
        _warn(op, warn_of_lowest_bid(terms, before, going, prices))
    if is_new:
        _warn(op, warn_of_capacity(terms, before, prices, kind.called))
    costs = describe_costs(terms, before, going, found.known("max_run_time_hours"))
    found.row = f"{costs}; {describe_total(total, budget)}"


def _warn(op: Operation, warnings: Iterable[str]) -> None:
    for warning in warnings:
        op.warn_once(warning)


def _offer(market: Market | None, terms: Terms) -> Offer | None:
    return market.offer(terms.instance_type, terms.region) if market and terms.instance_type and terms.region else None


def _gpus(market: Market | None, offer: Offer | None) -> int:
    """Return how many GPUs a machine has; 0: not known."""
    types = market.types if market and offer else ()
    return next((type_.gpus for type_ in types if offer and type_.id == offer.instance_type), 0)
