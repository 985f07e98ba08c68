"""Who holds machines, and what they cost: one auction, as a function of its bids. No state, no time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Bidder(NamedTuple):
    """What the auction needs to know about a bid; somebody else's has no id."""

    fid: str | None
    seq: int
    limit_cents: int
    quantity: int


class Outcome(NamedTuple):
    """What an auction decided."""

    winners: frozenset[str]
    """The ids of the bids that hold machines now."""
    price_cents: int
    """What each machine costs an hour, for every winner alike."""
    others: int
    """The machines that those without an id won."""


def clear(bidders: Iterable[Bidder], floor_cents: int, capacity: int) -> Outcome:
    """Clear the market once.

    Bids win in the order of their limits, equal ones in the order of submission, as long as their limit is at least the
    floor: each of ours with all of its machines or with none, somebody else's also with some of them. The first for
    which there is not room enough closes the auction: nobody below it wins, and its limit is what every winner pays;
    if there is room for all, they pay the floor. So a bid above the price holds machines. One of ours that wants more
    machines than there are at all is left out.
    """
    won: set[str] = set()
    room, others = capacity, 0
    for bidder in sorted(bidders, key=lambda one: (-one.limit_cents, one.seq)):
        if bidder.limit_cents < floor_cents:
            break
        if bidder.quantity > room:
            if bidder.fid is None:
                return Outcome(frozenset(won), bidder.limit_cents, others + room)
            if bidder.quantity <= capacity:
                return Outcome(frozenset(won), bidder.limit_cents, others)
            continue
        room -= bidder.quantity
        if bidder.fid is None:
            others += bidder.quantity
        else:
            won.add(bidder.fid)
    return Outcome(frozenset(won), floor_cents, others)


def price_to_win(bidders: Sequence[Bidder], floor_cents: int, capacity: int, quantity: int) -> int | None:
    """Return the lowest limit with which a new bid for `quantity` machines would win, None when there are too few."""

    def wins(limit: int) -> bool:
        return (
            "newcomer" in clear([*bidders, Bidder("newcomer", 2**62, limit, quantity)], floor_cents, capacity).winners
        )

    # It is the floor or just above somebody's limit, and whoever bids more wins all the more.
    limits = sorted({floor_cents, *(one.limit_cents + 1 for one in bidders if one.limit_cents >= floor_cents)})
    place = bisect_left(limits, True, key=wins)
    return limits[place] if place < len(limits) else None
