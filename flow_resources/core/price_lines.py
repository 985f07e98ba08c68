"""What a preview says of the price of a bid: the line on its row, and the warnings.

All amounts are in USD per hour. What is not known is None, and is left out of the line: nothing is computed from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from flow_resources.core import money

if TYPE_CHECKING:
    from flow_resources.core.prices import CurrentPrices

_HIGH = 3
"""A bid above so many times the market is worth a word: machines are kept at any price up to it."""


@dataclass(frozen=True)
class Terms:
    """What a bid is for: its price and its machines."""

    price: Decimal
    """USD per instance-hour."""
    machines: int
    instance_type: Any
    region: Any
    is_paused: bool = False

    @property
    def cost(self) -> Decimal:
        """The most that it can cost, in USD per hour: nothing while it is paused."""
        return Decimal(0) if self.is_paused else self.price * self.machines

    @classmethod
    def recorded(cls, inputs: Mapping[str, Any]) -> Terms | None:
        """Return the terms of recorded inputs; None where they do not say them."""
        price, machines = money.known_price(inputs.get("max_price_per_hour")), inputs.get("num_instances", 1)
        if price is None or isinstance(machines, bool) or not isinstance(machines, (int, float)):
            return None
        is_paused = inputs.get("paused") is True
        return cls(price, int(machines), inputs.get("instance_type"), inputs.get("region"), is_paused)

    def is_in_market_of(self, other: Terms) -> bool:
        """Whether both are for the same instance type in the same region."""
        return (self.instance_type, self.region) == (other.instance_type, other.region)


def describe_costs(terms: Terms, before: Terms | None, market: Decimal | None, hours: float | None = None) -> str:
    """Return what a bid costs at most, how much more than before, what the market asks for its machines, and where.

    `market`: USD per instance-hour. `hours`: the time limit of a job. What the market asks a day is told only of a bid
    that is not under it: one that waits costs nothing.
    """
    each = f" ({terms.machines} x {money.usd(terms.price)})" if terms.machines > 1 else ""
    parts = [f"max {money.usd(terms.cost)}/h{each}"]
    if before and (more := terms.cost - before.cost):
        parts.append(f"{'+' if more > 0 else '-'}{money.usd(abs(more))}/h")
    if hours is not None:
        at_most = (terms.cost * Decimal(repr(hours))).quantize(money.CENT, ROUND_CEILING)
        parts.append(f"at most {money.usd(at_most)} in all")
    if market is not None:
        going = market * terms.machines
        parts.append(f"market {money.usd(going)}/h now")
        if market <= terms.price:
            parts.append(f"about ${(going * 24).quantize(Decimal(1), ROUND_HALF_UP):,} a day")
    if terms.region:
        parts.append(f"in {terms.region}")
    return ", ".join(parts)


def describe_total(total: Decimal, budget: Decimal | None) -> str:
    """Return what all bids of a stack that have been checked cost at most, and its budget, where it has one."""
    return f"stack so far {money.usd(total)}/h{'' if budget is None else f' of {money.usd(budget)}/h'}"


def warn_of_bid_under_market(price: Decimal, market: Decimal | None, called: str) -> Iterator[str]:
    """Yield a warning of a bid that wins nothing now. `called`: how messages call the resource."""
    if market is not None and price < market:
        yield (
            f"the bid {money.usd(price)}/h is under the market {money.usd(market)}/h: machines that run are preempted, "
            f"and the {called} waits in the auction until the price falls"
        )


def warn_of_number(price: Decimal, market: Decimal | None, prices: CurrentPrices | None, gpus: int) -> Iterator[str]:
    """Yield warnings of a number that a person has written: too high, or written per GPU.

    `gpus`: how many a machine has; 0: not known.
    """
    if market is None:
        return
    if price > _HIGH * market:
        yield (
            f"the bid {money.usd(price)}/h is more than three times the market {money.usd(market)}/h: the machines "
            "cost what the market asks, up to the bid where that rises; `Bid` has policies with a cap"
        )
    least = prices.floor if prices and prices.floor is not None else market
    whole = price * gpus
    if price < least <= whole <= _HIGH * market:
        yield (
            f"the bid {money.usd(price)}/h: it looks like a price per GPU: max_price_per_hour is per machine; "
            f"Bid.per_gpu({price.normalize():f}) is {money.usd(whole)} for {gpus} GPUs"
        )


def warn_of_lowest_bid(
    terms: Terms, before: Terms | None, market: Decimal | None, prices: CurrentPrices | None
) -> Iterator[str]:
    """Yield a warning of a bid that others come before. `before`: of a bid that stays, the terms that it has now."""
    price, lowest = terms.price, prices.lowest_allocated if prices else None
    if prices is None or lowest is None or price >= lowest or (market is not None and price < market):
        return  # a bid under the market has a warning that says more
    if prices.available is not None and prices.available >= terms.machines:
        return  # it waits for nobody: so many machines are free, such as beside one other bid of the same program
    if before and before.price == lowest:
        return  # the lowest bid that holds machines may be this one, as it is now
    yield (
        f"the bid {money.usd(price)}/h is under {money.usd(lowest)}/h, the lowest bid that holds machines there now: "
        "it is the first to lose its machines when the price rises, and may have to wait for them"
    )


def warn_of_capacity(terms: Terms, replaced: Terms | None, prices: CurrentPrices | None, called: str) -> Iterator[str]:
    """Yield a warning of a bid for more machines than are free, unless it wins them now all the same.

    `replaced`: what is ended before it is placed.
    """
    if prices is None or prices.available is None:
        return
    released = replaced.machines if replaced and not replaced.is_paused and terms.is_in_market_of(replaced) else 0
    if prices.available + released >= terms.machines:
        return
    wanted = f"{terms.machines} {terms.instance_type} in {terms.region}"
    if prices.total is not None and prices.total < terms.machines:
        yield (
            f"the bid is for {wanted}, which has {prices.total} of them in all: the {called} waits until there are more"
        )
        return
    if prices.lowest_to_win is not None and terms.price >= prices.lowest_to_win:
        return
    wins = "" if prices.lowest_to_win is None else f", which a bid of {money.usd(prices.lowest_to_win)}/h wins now"
    yield (
        f"the bid is for {wanted}, where {_machines(prices.available)} free now: the {called} waits for the "
        f"others{wins}"
    )


def _machines(count: int) -> str:
    return f"{count} machine{' is' if count == 1 else 's are'}"
