"""What the market of an instance type in a region asks now, and what its prices have been.

A price is in USD per instance-hour. What the service does not say is None: nothing is computed from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

from flow_resources.core import money
from flow_resources.core.moments import moment_of


@dataclass(frozen=True)
class CurrentPrices:
    """The answer of /v2/pricing/current for one instance type in one region, and a number of machines."""

    spot: Decimal | None
    """What machines cost now."""
    floor: Decimal | None
    """Under it no bid ever wins."""
    lowest_to_win: Decimal | None
    """The lowest bid that would win the machines now."""
    lowest_allocated: Decimal | None
    """The lowest bid that holds machines now."""
    on_demand: Decimal | None
    """The price of a reservation."""
    available: int | None
    """Machines that nobody holds."""
    total: int | None
    """Machines that there are."""

    @classmethod
    def read(cls, row: Any) -> CurrentPrices:
        """Return an answer as CurrentPrices; what it does not say is None."""
        row = row if isinstance(row, Mapping) else {}
        return cls(
            spot=of_cents(row.get("spot_price_cents")),
            floor=of_cents(row.get("minimum_price_cents")),
            lowest_to_win=of_cents(row.get("dynamic_win_price_cents")),
            lowest_allocated=of_cents(row.get("lowest_allocated_bid_cents")),
            on_demand=of_cents(row.get("reserved_price_cents")),
            available=_count(row.get("available_capacity")),
            total=_count(row.get("total_capacity")),
        )


class Step(NamedTuple):
    """A price that was valid for a time."""

    start: datetime
    end: datetime
    price: Decimal

    @property
    def duration(self) -> timedelta:
        """How long it was valid."""
        return self.end - self.start


@dataclass(frozen=True)
class PriceHistory:
    """The prices of an instance type in a region over some time, without gaps but for what could not be read."""

    steps: Sequence[Step]
    """Oldest first, at least one; each of them lasts."""

    @classmethod
    def read(
        cls, answers: Iterable[tuple[datetime, Any]], instance_type: str, region: str, end: datetime
    ) -> PriceHistory | None:
        """Return the prices of a market in answers of /v2/pricing/history, each with the moment at which it begins.

        None where they have none. A price is valid until the next one, the last one until `end`. An answer can have
        series of other markets; from one that has none of this market, nothing is known until the next price.
        """
        points = list[tuple[datetime | None, Decimal | None]]()
        for start, answer in answers:
            points += _points_in(answer).get((instance_type, region)) or [(start, None)]
        return cls.of(points, end)

    @classmethod
    def of(cls, points: Iterable[tuple[datetime | None, Decimal | None]], end: datetime) -> PriceHistory | None:
        """Return the history of prices that begin at moments; None where nothing of it can be read.

        From a price that cannot be read to the next one that can, nothing is known.
        """
        known = sorted(((at, price) for at, price in points if at is not None and at <= end), key=lambda one: one[0])
        ends = [*(at for at, _ in known), end][1:]
        steps = [
            Step(at, until, price)
            for (at, price), until in zip(known, ends, strict=True)
            if price is not None and at < until
        ]
        return cls(tuple(steps)) if steps else None

    @property
    def start(self) -> datetime:
        """When it begins."""
        return self.steps[0].start

    @property
    def end(self) -> datetime:
        """When it ends."""
        return self.steps[-1].end

    @property
    def duration(self) -> timedelta:
        """How long its prices were valid together."""
        return sum((step.duration for step in self.steps), timedelta())

    def share_held(self, bid: Decimal) -> Decimal:
        """Return the share of the time, 0 to 1, in which a bid held: a price that is equal to it counts as won."""
        held = sum((step.duration for step in self.steps if step.price <= bid), timedelta())
        return Decimal(held // _MICROSECOND) / Decimal(self.duration // _MICROSECOND)

    def lowest_bid(self, share: Decimal) -> Decimal:
        """Return the lowest bid that would have held at least a share of the time, more than 0 and at most 1."""
        held, whole = timedelta(), self.duration
        for step in sorted(self.steps, key=lambda step: step.price):
            held += step.duration
            if Decimal(held // _MICROSECOND) >= share * Decimal(whole // _MICROSECOND):
                return step.price
        return max(step.price for step in self.steps)

    def average_paid(self, bid: Decimal) -> Decimal | None:
        """Return what an hour would have cost on average while a bid held, in whole cents; None where it never did."""
        held = [step for step in self.steps if step.price <= bid]
        whole = sum((step.duration for step in held), timedelta())
        if not whole:
            return None
        paid = sum((step.price * Decimal(step.duration // _MICROSECOND) for step in held), Decimal(0))
        return (paid / Decimal(whole // _MICROSECOND)).quantize(money.CENT, ROUND_HALF_UP)

    def losses(self, bid: Decimal) -> list[Step]:
        """Return the times in which a bid did not hold, each as one step with the highest price of it."""
        lost: list[Step] = []
        for step in self.steps:
            if step.price <= bid:
                continue
            if lost and lost[-1].end == step.start:
                lost[-1] = Step(lost[-1].start, step.end, max(lost[-1].price, step.price))
            else:
                lost.append(step)
        return lost


def regions_with_prices(answer: Any, instance_types: Collection[str]) -> set[str]:
    """Return the regions of which an answer of /v2/pricing/history tells a price of one of these types."""
    return {
        region
        for (instance_type, region), points in _points_in(answer).items()
        if instance_type in instance_types and any(None not in point for point in points)
    }


def _points_in(answer: Any) -> dict[tuple[str, str], list[tuple[datetime | None, Decimal | None]]]:
    """Return the moments and prices of each market in an answer; a series that cannot be read is left out."""
    rows = answer.get("series") if isinstance(answer, Mapping) else None
    found = dict[tuple[str, str], list[tuple[datetime | None, Decimal | None]]]()
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, Mapping):
            continue
        market = (str(row.get("instance_type")), str(row.get("region")))
        times, prices = row.get("timestamps"), row.get("spot_prices")
        if isinstance(times, list) and isinstance(prices, list) and len(times) == len(prices):
            points = zip(map(moment_of, times), map(money.from_wire, prices), strict=True)
            found.setdefault(market, list(points))
    return found


def hours_of(duration: timedelta) -> Decimal:
    """Return a duration in hours, to the hundredth."""
    hours = Decimal(duration // _MICROSECOND) / (_HOUR // _MICROSECOND)
    return hours.quantize(Decimal("0.01"), ROUND_HALF_UP)


_MICROSECOND, _HOUR = timedelta(microseconds=1), timedelta(hours=1)


def of_cents(value: Any) -> Decimal | None:
    """Return a price that the service writes as a whole number of cents; None for what is none."""
    count = _count(value)
    return None if count is None else (Decimal(count) / 100).quantize(money.CENT)


def _count(value: Any) -> int | None:
    """Return a whole number that is not negative; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1 or value < 0:
        return None
    return int(value)
