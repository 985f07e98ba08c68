"""What past prices of a market say about a bid: how long it would have held machines, and what a budget buys at it.

An auction is not bound to its past: this tells what was, never what will be. Prices are in USD per instance-hour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from flow_resources.core import money
from flow_resources.core.prices import PriceHistory

SHARES = (Decimal("0.5"), Decimal("0.9"), Decimal("0.99"))
"""The shares of the time for which `advised_bids` names a bid."""
_TENTH = Decimal("0.1")


@dataclass(frozen=True)
class BidRecord:
    """How a bid would have done over a price history."""

    bid: Decimal
    share_held: Decimal
    """The share of the time in which it would have held machines, 0 to 1."""
    losses: int
    """How often it would have lost them; a history that begins above it counts as one."""
    longest_loss: timedelta
    average_paid: Decimal | None
    """What an instance-hour would have cost on average while it held; None where it never did."""


@dataclass(frozen=True)
class BudgetPlan:
    """What a budget would have paid for at a bid."""

    running_hours: Decimal
    """For how long it pays the machines, rounded down to a tenth of an hour."""
    elapsed_hours: Decimal
    """Over how long these hours stretch, the waiting included, rounded to a tenth of an hour."""


@dataclass(frozen=True)
class PriceRange:
    """The prices of a history, each weighted with the time for which it was valid."""

    lowest: Decimal
    median: Decimal
    highest: Decimal


def record_of(history: PriceHistory, bid: Decimal) -> BidRecord:
    """Return how a bid would have done."""
    losses = history.losses(bid)
    longest = max((loss.duration for loss in losses), default=timedelta())
    return BidRecord(bid, history.share_held(bid), len(losses), longest, history.average_paid(bid))


def advised_bids(history: PriceHistory, shares: Sequence[Decimal] = SHARES) -> list[tuple[Decimal, BidRecord]]:
    """Return, for each share of the time, the lowest bid that would have held for it, and how it would have done."""
    return [(share, record_of(history, history.lowest_bid(share))) for share in shares]


def budget_plan(record: BidRecord, budget: Decimal, machines: int) -> BudgetPlan | None:
    """Return what a budget, USD in all, would have paid for; None where the bid never held, or held for free."""
    if not record.average_paid or not record.share_held:
        return None
    hours = budget / (record.average_paid * machines)
    return BudgetPlan(hours.quantize(_TENTH, ROUND_DOWN), (hours / record.share_held).quantize(_TENTH, ROUND_HALF_UP))


def price_range(history: PriceHistory) -> PriceRange:
    """Return the lowest, the median and the highest price."""
    prices = [step.price for step in history.steps]
    return PriceRange(min(prices), history.lowest_bid(Decimal("0.5")), max(prices))


def highest_prices(history: PriceHistory, count: int) -> list[Decimal | None]:
    """Return the highest price in each of `count` equal parts of a history; None in a part of which nothing is known.

    The highest, because it is what a bid is lost to, however short it was.
    """
    highest: list[Decimal | None] = [None] * count
    whole = history.end - history.start
    for step in history.steps:
        first = int((step.start - history.start) / whole * count)
        last = math.ceil((step.end - history.start) / whole * count)
        for part in range(first, max(first + 1, last)):
            highest[part] = max(highest[part] or step.price, step.price)
    return highest


def per_gpu(price: Decimal | None, gpus: int) -> Decimal | None:
    """Return a price in USD per GPU-hour, to the cent; None where the price or the number of GPUs is not known."""
    return (price / gpus).quantize(money.CENT, ROUND_HALF_UP) if price is not None and gpus else None
