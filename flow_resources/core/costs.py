"""What was paid for bids, from the periods in which the service billed their instances.

Every sum is exact, in cents times microseconds, and rounded once, at the end, to the cent (half up). What the service
does not say readably makes a sum incomplete: it is then a lower bound, never silently a smaller number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple, TypeVar

from flow_resources.core import money
from flow_resources.core.moments import moment_of
from flow_resources.core.prices import hours_of, of_cents

_MICROSECOND, _HOUR = timedelta(microseconds=1), timedelta(hours=1)
_HOUR_MICROSECONDS = _HOUR // _MICROSECOND
S = TypeVar("S", int, timedelta)
_TENTH = Decimal("0.1")


class PaidPeriod(NamedTuple):
    """A time in which the price of one instance of a bid did not change."""

    instance: str
    price: Decimal | None
    """USD per instance-hour. None: not known."""
    start: datetime | None
    """None: not known."""
    end: datetime | None
    """None while it goes on, and where it is not known."""
    is_open: bool = False
    """Whether the service says that it goes on."""


def paid_periods_in(row: Any, bid_id: str) -> list[PaidPeriod]:
    """Return the periods of one instance in an answer of /v2/instances/pricing/history to a request for a bid.

    An instance of another bid has none; for one of which the service does not say whose it is, the answer is a period
    of which nothing is known.
    """
    row = row if isinstance(row, Mapping) else {}
    instance, events = row.get("instance_fid"), row.get("events")
    owner = row.get("bid_fid") or row.get("reservation_fid")
    if owner is not None and owner != bid_id:
        return []
    if owner is None or not isinstance(instance, str) or not isinstance(events, list):
        return [PaidPeriod(str(instance), None, None, None)]
    return [_paid_period(instance, event if isinstance(event, Mapping) else {}) for event in events]


def _paid_period(instance: str, event: Mapping[str, Any]) -> PaidPeriod:
    start, end = (value if isinstance(value := event.get(key), str) else None for key in ("start_time", "end_time"))
    is_open = "end_time" in event and event["end_time"] is None
    return PaidPeriod(instance, of_cents(event.get("price_cents")), moment_of(start), moment_of(end), is_open)


class Comparison(NamedTuple):
    """What a bid's costs are compared with."""

    gpus: int = 0
    """How many GPUs an instance has; 0: not known."""
    on_demand: Decimal | None = None
    """The on-demand price, USD per instance-hour. None: not known."""


NO_COMPARISON = Comparison()


@dataclass(frozen=True)
class Spending:
    """What was paid for a bid, or for several, up to a moment.

    Where it is not complete, amounts and hours are lower bounds.
    """

    cent_microseconds: int = 0
    """Price times time, over all instances: exact."""
    ran: timedelta = timedelta()
    """How long instances ran, each counted, as far as that is known."""
    priced: timedelta = timedelta()
    """How much of it has a price that is known."""
    times: tuple[tuple[datetime, datetime], ...] = field(default=(), repr=False)
    """When at least one instance ran, oldest first, without overlaps."""
    gpu_time: timedelta | None = timedelta()
    """How long GPUs ran at prices that are known, each counted. None: how many GPUs there were is not known."""
    on_demand_cent_microseconds: int | None = 0
    """What on-demand instances would have cost for the same time, exact. None: a price is not known."""
    preemptions: int | None = 0
    """None: not known."""
    is_complete: bool = True
    """Whether all that the service says could be read."""
    is_final: bool = True
    """Whether nothing of it went on at the moment."""

    @classmethod
    def total(cls, parts: Iterable[Spending]) -> Spending:
        """Return the sum; what is not known of one part is not known of the sum."""
        parts = tuple(parts)
        return cls(
            sum(part.cent_microseconds for part in parts),
            sum((part.ran for part in parts), timedelta()),
            sum((part.priced for part in parts), timedelta()),
            _merged(time for part in parts for time in part.times),
            _sum([part.gpu_time for part in parts], timedelta()),
            _sum([part.on_demand_cent_microseconds for part in parts], 0),
            _sum([part.preemptions for part in parts], 0),
            all(part.is_complete for part in parts),
            all(part.is_final for part in parts),
        )

    @property
    def spent(self) -> Decimal:
        """What was paid, in USD and whole cents; at least that where it is not complete."""
        return _in_cents(self.cent_microseconds, _HOUR_MICROSECONDS)

    @property
    def is_known(self) -> bool:
        """Whether anything of it is known."""
        return self.is_complete or bool(self.ran)

    @property
    def spent_text(self) -> str:
        """What was paid for a person: `>=` before it where it is not complete, `?` where nothing is known."""
        if not self.is_known:
            return "?"
        return f"{'' if self.is_complete else '>='}{money.usd(self.spent)}"

    @property
    def instance_hours(self) -> Decimal:
        """How many hours instances ran, each counted; two decimals."""
        return hours_of(self.ran)

    @property
    def hours(self) -> Decimal:
        """For how many hours at least one instance ran; two decimals."""
        return hours_of(sum((end - start for start, end in self.times), timedelta()))

    @property
    def per_gpu_hour(self) -> Decimal | None:
        """What an hour of a GPU cost on average, in USD and whole cents.

        None where no GPU ran, and where it is not known how many did.
        """
        return _in_cents(self.cent_microseconds, self.gpu_time // _MICROSECOND) if self.gpu_time else None

    @property
    def on_demand(self) -> Decimal | None:
        """What on-demand instances would have cost for the same hours, USD. None: a reference price is not known."""
        exact = self.on_demand_cent_microseconds
        return None if exact is None else _in_cents(exact, _HOUR_MICROSECONDS)

    @property
    def saved_percent(self) -> Decimal | None:
        """By how many percent of the on-demand cost it was cheaper, one decimal; negative where it was dearer.

        None where either is not known, where it is not complete, and where nothing ran.
        """
        exact = self.on_demand_cent_microseconds
        if not exact or not self.is_complete:
            return None
        saved = 100 * Decimal(exact - self.cent_microseconds) / Decimal(exact)
        return saved.quantize(_TENTH, ROUND_HALF_UP)


NOT_KNOWN = Spending(
    gpu_time=None, on_demand_cent_microseconds=None, preemptions=None, is_complete=False, is_final=False
)
"""Of a bid of which nothing could be read."""


def spending_of(
    periods: Iterable[PaidPeriod],
    now: datetime | None,
    comparison: Comparison = NO_COMPARISON,
    preemptions: int | None = None,
    since: datetime | None = None,
) -> Spending:
    """Return what was paid for one bid from `since` until now, which is the time of the service.

    It is not complete where a price or a time of a period cannot be read, where periods of one instance contradict each
    other, and where one goes on while the time is not known.
    """
    by_instance: dict[str, set[PaidPeriod]] = defaultdict(set)  # a row that two pages have counts once
    for period in periods:
        by_instance[period.instance].add(period)
    cents, ran, priced, times = 0, timedelta(), timedelta(), list[tuple[datetime, datetime]]()
    is_complete = is_final = True
    for told in by_instance.values():
        known = [billed for period in told if (billed := _billed(period, now))]
        parts = list(_without_overlaps(known))
        is_complete &= len(known) == len(told) and set(parts) == set(known)
        is_final &= not any(period.is_open or (period.end and now and period.end > now) for period in told)
        for start, end, price in parts:
            begin = start if since is None else max(start, since)
            if begin >= end:
                continue
            ran += end - begin
            times.append((begin, end))
            if price is None:
                is_complete = False
            else:
                priced += end - begin
                cents += int(price * 100) * ((end - begin) // _MICROSECOND)
    on_demand = None if comparison.on_demand is None else int(comparison.on_demand * 100) * (ran // _MICROSECOND)
    return Spending(
        cents,
        ran,
        priced,
        _merged(times),
        priced * comparison.gpus if comparison.gpus or not priced else None,
        on_demand if ran else 0,
        preemptions,
        is_complete,
        is_final,
    )


class _Billed(NamedTuple):
    start: datetime
    end: datetime
    price: Decimal | None


def _billed(period: PaidPeriod, now: datetime | None) -> _Billed | None:
    """Return the part of a period that is over; None where its times are not known or make no sense."""
    end = now if period.is_open else period.end
    if period.start is None or end is None or (end < period.start and not period.is_open):
        return None
    end = end if now is None else min(end, now)
    return _Billed(period.start, max(period.start, end), period.price)


def _without_overlaps(billed: Iterable[_Billed]) -> Iterator[_Billed]:
    """Yield periods of one instance, oldest first, each up to the start of the next: an instance has one price."""
    ordered = sorted(billed, key=lambda one: (one.start, one.end))
    for one, following in zip(ordered, [*ordered[1:], None], strict=False):  # of none there is no last one
        yield one if following is None or one.end <= following.start else one._replace(end=following.start)


def _merged(times: Iterable[tuple[datetime, datetime]]) -> tuple[tuple[datetime, datetime], ...]:
    merged = list[tuple[datetime, datetime]]()
    for start, end in sorted(times):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return tuple(merged)


def _sum(values: Sequence[S | None], zero: S) -> S | None:
    known = [value for value in values if value is not None]
    return sum(known, zero) if len(known) == len(values) else None


def _in_cents(cent_microseconds: int, microseconds: int) -> Decimal:
    """Divide exactly, and round half up to the cent."""
    cents, rest = divmod(cent_microseconds, microseconds)
    return (Decimal(cents + (2 * rest >= microseconds)) / 100).quantize(money.CENT)
