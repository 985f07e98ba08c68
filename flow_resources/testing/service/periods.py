"""What is still free of a stock of machines while others have parts of it reserved. Pure functions of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple


class Period(NamedTuple):
    """So many machines, taken from one moment until just before another (seconds since 1970)."""

    start: float
    end: float
    quantity: int


def free(stock: int, taken: Sequence[Period], start: float, end: float) -> int:
    """Return how many machines nobody has at any time from `start` until `end`."""
    moments = [start, *(one.start for one in taken if start < one.start < end)]
    return min(_free_at(stock, taken, moment) for moment in moments)


def latest_end(stock: int, taken: Sequence[Period], start: float, quantity: int, horizon: float) -> float:
    """Return until when `quantity` machines can be had from `start` on: `start` itself when they cannot."""
    for moment in (start, *sorted(one.start for one in taken if start < one.start < horizon)):
        if _free_at(stock, taken, moment) < quantity:
            return moment
    return horizon


def slots(stock: int, taken: Sequence[Period], start: float, end: float) -> Iterator[Period]:
    """Cut the time from `start` until `end` where the number of free machines changes; drop where there are none."""
    begun, machines = start, _free_at(stock, taken, start)
    for moment in sorted({*_edges(taken, start, end), end}):
        after = _free_at(stock, taken, moment) if moment < end else -1
        if after == machines:
            continue
        if machines > 0 and begun < moment:
            yield Period(begun, moment, machines)
        begun, machines = moment, after


def _edges(taken: Iterable[Period], start: float, end: float) -> Iterator[float]:
    return (moment for one in taken for moment in (one.start, one.end) if start < moment < end)


def _free_at(stock: int, taken: Iterable[Period], moment: float) -> int:
    return stock - sum(one.quantity for one in taken if one.start <= moment < one.end)
