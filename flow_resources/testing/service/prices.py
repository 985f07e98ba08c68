"""What a place costs at any moment, past or present: a value, made of what was written down and of who bids there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from flow_resources.testing.service.crowd import Crowd
from flow_resources.testing.service.ticks import Ticks

Written = Sequence[tuple[float, int | None]]
"""(moment, value) in the order of time: a value holds until the next one."""


class Prices(NamedTuple):
    """The prices of one place over a stretch of time. The first of these that has a price at a moment decides."""

    by_hand: Written
    """What somebody set; None gives it back."""
    noted: Written
    """What our own bids made of it, noted at each auction and each tick that they took part in."""
    crowd: Crowd | None
    """Who bids there; None in a market that stands still."""
    catalog_cents: int
    ticks: Ticks
    capacities: Written
    capacity: int
    """The machines that there are while `capacities` says nothing."""

    def at(self, moment: float) -> int:
        """Return the price at a moment, in cents."""
        pinned = latest(self.by_hand, moment)
        if pinned is not None:
            return pinned
        if self.crowd is None:
            return self.catalog_cents
        tick = self.ticks.at(moment)
        noted = latest(self.noted, moment, since=self.ticks.begins(tick))
        return noted if noted is not None else self.crowd.price(tick, self._machines(moment))

    def changes(self, start: float, end: float) -> Iterator[tuple[float, int]]:
        """Yield (moment, cents) for the price at `start` and every change of it up to `end`."""
        written = {
            at for source in (self.by_hand, self.noted, self.capacities) for at, _ in source if start < at <= end
        }
        ticks = range(0) if self.crowd is None else range(self.ticks.at(start) + 1, self.ticks.at(end) + 1)
        last = None
        for moment in sorted({start, *written, *map(self.ticks.begins, ticks)}):
            cents = self.at(moment)
            if cents != last:
                yield moment, cents
                last = cents

    def _machines(self, moment: float) -> int:
        machines = latest(self.capacities, moment)
        return self.capacity if machines is None else machines


def latest(written: Written, moment: float, *, since: float = float("-inf")) -> int | None:
    """Return what was written last up to a moment, if that is not too long ago."""
    index = bisect_right(written, moment, key=lambda one: one[0]) - 1
    return written[index][1] if index >= 0 and written[index][0] >= since else None
