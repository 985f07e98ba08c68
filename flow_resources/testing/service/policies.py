"""What usual policies of a bid come to in a market, and what each would have held: for the page. Pure functions.

The package that is tested against the fake computes the same elsewhere, and shares no code with this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_UPTIMES = (0.5, 0.9, 0.99)
_MULTIPLES = (("workload 10 %", 110), ("market x 1.2", 120))
"""Policies that bid a multiple of the price, in percent."""
_WINS = "wins now"


class Policy(NamedTuple):
    """A policy, its bid in cents, and the share of the time in which the price was not above that."""

    name: str
    cents: int
    held: float


def policies(changes: Sequence[tuple[float, int]], end: float, lowest_to_win: int | None) -> list[Policy]:
    """Return what each policy would bid now, lowest first.

    Args:
        changes: (time, cents) of the price, in order, each valid until the next one.
        end: the present; the last price is valid until then, and is the price now.
        lowest_to_win: the lowest bid that wins now, in cents; None if none does.

    """
    ends = [*(at for at, _ in changes), end][1:]
    periods = sorted((cents, until - at) for (at, cents), until in zip(changes, ends, strict=True))
    now = changes[-1][1]
    bids = [(f"uptime {100 * target:g} %", _lowest_bid(periods, target)) for target in _UPTIMES]
    bids += [(name, -(-now * percent // 100)) for name, percent in _MULTIPLES]
    if lowest_to_win is not None:
        bids.append((_WINS, lowest_to_win))
    return sorted((Policy(name, cents, _share(periods, cents)) for name, cents in bids), key=lambda one: one.cents)


def _lowest_bid(periods: Sequence[tuple[int, float]], target: float) -> int:
    held, whole = 0.0, sum(seconds for _, seconds in periods)
    for cents, seconds in periods:
        held += seconds
        if held >= target * whole:
            return cents
    return periods[-1][0]


def _share(periods: Sequence[tuple[int, float]], bid: int) -> float:
    whole = sum(seconds for _, seconds in periods)
    return sum(seconds for cents, seconds in periods if cents <= bid) / whole if whole else 1.0
