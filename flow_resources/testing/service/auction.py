"""Who holds machines, and what they cost: one auction, as a function of its bids. No state, no time."""

from __future__ import annotations

from collections.abc import Sequence
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


def hold(bidders: Sequence[Bidder], floor_cents: int, capacity: int) -> Outcome:
    """Hold an auction.

    Bids win in the order of their limits, equal ones in the order of submission, each with all of its machines or with
    none, as long as its limit is at least the floor. The first for which there is not room enough closes the auction:
    nobody below it wins, and its limit is what every winner pays; if there is room for all, they pay the floor. So a
    bid above the price holds machines. Whoever wants more machines than there are at all is left out.
    """
    won: set[str] = set()
    room, others = capacity, 0
    contenders = [one for one in bidders if one.limit_cents >= floor_cents and one.quantity <= capacity]
    for bidder in sorted(contenders, key=lambda one: (-one.limit_cents, one.seq)):
        if bidder.quantity > room:
            return Outcome(frozenset(won), bidder.limit_cents, others)
        room -= bidder.quantity
        if bidder.fid is None:
            others += bidder.quantity
        else:
            won.add(bidder.fid)
    return Outcome(frozenset(won), floor_cents, others)


def price_to_win(bidders: Sequence[Bidder], floor_cents: int, capacity: int, quantity: int) -> int | None:
    """Return the lowest limit with which a new bid for `quantity` machines would win, None when there are too few."""
    limits = sorted({floor_cents, *(one.limit_cents + 1 for one in bidders if one.limit_cents >= floor_cents)})
    for limit in limits:
        newcomer = Bidder("newcomer", 2**62, limit, quantity)
        if "newcomer" in hold([*bidders, newcomer], floor_cents, capacity).winners:
            return limit
    return None
