"""How many machines of a stock are free while others are reserved. Pure functions of the reservations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple


class Period(NamedTuple):
    """A number of machines, reserved from `start` until just before `end` (seconds since 1970)."""

    start: float
    end: float
    quantity: int


def free(stock: int, reserved: Sequence[Period], start: float, end: float) -> int:
    """Return how many machines are free all the time from `start` until `end`."""
    times = [start, *(period.start for period in reserved if start < period.start < end)]
    return min(_free_at(stock, reserved, at) for at in times)


def latest_end(stock: int, reserved: Sequence[Period], start: float, quantity: int, horizon: float) -> float:
    """Return until when `quantity` machines are free from `start` on, at most `horizon`; `start` if they are not."""
    for at in (start, *sorted(period.start for period in reserved if start < period.start < horizon)):
        if _free_at(stock, reserved, at) < quantity:
            return at
    return horizon


def slots(stock: int, reserved: Sequence[Period], start: float, end: float) -> Iterator[Period]:
    """Yield the periods from `start` until `end` in which the number of free machines is constant and not 0."""
    slot_start, machines = start, _free_at(stock, reserved, start)
    for at in sorted({*_changes(reserved, start, end), end}):
        next_machines = _free_at(stock, reserved, at) if at < end else -1
        if next_machines == machines:
            continue
        if machines > 0 and slot_start < at:
            yield Period(slot_start, at, machines)
        slot_start, machines = at, next_machines


def _changes(reserved: Iterable[Period], start: float, end: float) -> Iterator[float]:
    return (at for period in reserved for at in (period.start, period.end) if start < at < end)


def _free_at(stock: int, reserved: Iterable[Period], at: float) -> int:
    return stock - sum(period.quantity for period in reserved if period.start <= at < period.end)
