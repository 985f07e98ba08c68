"""One auction: which bids win machines, and at what price. Pure functions of the bids."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Bidder(NamedTuple):
    """A bid as the auction sees it; `fid` is None for a simulated competitor."""

    fid: str | None
    seq: int
    limit_cents: int
    quantity: int


class Outcome(NamedTuple):
    """The result of an auction."""

    winners: frozenset[str]
    """The ids of the bids that win machines."""
    price_cents: int
    """The price per machine and hour, the same for every winner."""
    competitor_machines: int
    """The number of machines that competitors win."""


def clear(bidders: Iterable[Bidder], floor_cents: int, capacity: int) -> Outcome:
    """Hold one auction and return its result.

    Bids win in descending order of their limits, equal ones in the order of submission, if the limit is at least the
    floor. A bid of an account wins all of its machines or none; a competitor may win some of them. The first bid that
    does not fit ends the auction: no bid after it wins, and every winner pays its limit. If all bids fit, the winners
    pay the floor. So every bid above the price holds machines. A bid of an account for more machines than `capacity` is
    ignored.
    """
    winners: set[str] = set()
    free, competitor_machines = capacity, 0
    for bidder in sorted(bidders, key=lambda bidder: (-bidder.limit_cents, bidder.seq)):
        if bidder.limit_cents < floor_cents:
            break
        if bidder.quantity > free:
            if bidder.fid is None:
                return Outcome(frozenset(winners), bidder.limit_cents, competitor_machines + free)
            if bidder.quantity <= capacity:
                return Outcome(frozenset(winners), bidder.limit_cents, competitor_machines)
            continue
        free -= bidder.quantity
        if bidder.fid is None:
            competitor_machines += bidder.quantity
        else:
            winners.add(bidder.fid)
    return Outcome(frozenset(winners), floor_cents, competitor_machines)


def price_to_win(bidders: Sequence[Bidder], floor_cents: int, capacity: int, quantity: int) -> int | None:
    """Return the lowest limit with which a new bid for `quantity` machines wins; None if `capacity` is too small."""

    def wins(limit: int) -> bool:
        new = Bidder("new", 2**62, limit, quantity)
        return "new" in clear([*bidders, new], floor_cents, capacity).winners

    # The lowest winning limit is the floor or one cent above another limit, and every higher limit wins, too.
    limits = sorted({floor_cents, *(bid.limit_cents + 1 for bid in bidders if bid.limit_cents >= floor_cents)})
    index = bisect_left(limits, True, key=wins)
    return limits[index] if index < len(limits) else None
