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

    A bid wins with all of its machines or with none, when its limit is at least the floor and there is room left after
    the higher limits; equal limits are served in the order of submission. A bid too big for the room does not keep a
    smaller one behind it from winning. Everybody pays the same: the highest limit that went without, as far as it does
    not lie above a winner's, and the floor at least.
    """
    won: set[str] = set()
    room, others, price = capacity, 0, floor_cents
    contenders = [one for one in bidders if one.limit_cents >= floor_cents]
    for bidder in sorted(contenders, key=lambda one: (-one.limit_cents, one.seq)):
        if bidder.quantity > room:
            price = max(price, bidder.limit_cents)
            continue
        # Whoever went without and bid more wanted more machines than there were: that says nothing about the price.
        price = floor_cents
        room -= bidder.quantity
        if bidder.fid is None:
            others += bidder.quantity
        else:
            won.add(bidder.fid)
    return Outcome(frozenset(won), price, others)


def price_to_win(bidders: Sequence[Bidder], floor_cents: int, capacity: int, quantity: int) -> int | None:
    """Return the lowest limit with which a new bid for `quantity` machines would win, None when there are too few."""
    limits = sorted({floor_cents, *(one.limit_cents + 1 for one in bidders if one.limit_cents >= floor_cents)})
    for limit in limits:
        newcomer = Bidder("newcomer", 2**62, limit, quantity)
        if "newcomer" in hold([*bidders, newcomer], floor_cents, capacity).winners:
            return limit
    return None
