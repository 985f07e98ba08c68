"""The prices of one pool at any time, past or present, from recorded values and competing bids."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from flow_resources.testing.service.competing_bids import CompetingBids
from flow_resources.testing.service.schedule import Schedule

Series = Sequence[tuple[float, int | None]]
"""(time, value) in ascending order of time; a value is valid until the next one."""


class Prices(NamedTuple):
    """The prices of one pool over a period: the fixed price, else the recorded one, else the computed one."""

    fixed: Series
    """Prices that a test has set; None ends a fixed price."""
    recorded: Series
    """Prices of auctions and ticks in which bids of accounts took part."""
    competing_bids: CompetingBids | None
    """None in a static market."""
    catalog_cents: int
    schedule: Schedule
    capacities: Series
    default_capacity: int
    """The number of machines before the first entry of `capacities`."""

    def at(self, at: float) -> int:
        """Return the price at a time, in cents."""
        fixed = latest(self.fixed, at)
        if fixed is not None:
            return fixed
        if self.competing_bids is None:
            return self.catalog_cents
        tick = self.schedule.tick_at(at)
        recorded = latest(self.recorded, at, since=self.schedule.start_of(tick))
        return recorded if recorded is not None else self.competing_bids.price(tick, self._capacity(at))

    def changes(self, start: float, end: float) -> Iterator[tuple[float, int]]:
        """Yield (time, cents) for the price at `start` and for each change up to `end`."""
        changed_at = {
            at for series in (self.fixed, self.recorded, self.capacities) for at, _ in series if start < at <= end
        }
        ticks = range(0)
        if self.competing_bids is not None:
            ticks = range(self.schedule.tick_at(start) + 1, self.schedule.tick_at(end) + 1)
        previous = None
        for at in sorted({start, *changed_at, *map(self.schedule.start_of, ticks)}):
            cents = self.at(at)
            if cents != previous:
                yield at, cents
                previous = cents

    def _capacity(self, at: float) -> int:
        capacity = latest(self.capacities, at)
        return self.default_capacity if capacity is None else capacity


def latest(series: Series, at: float, *, since: float = float("-inf")) -> int | None:
    """Return the value of a series at a time; None if there is none since `since`."""
    index = bisect_right(series, at, key=lambda entry: entry[0]) - 1
    return series[index][1] if index >= 0 and series[index][0] >= since else None
