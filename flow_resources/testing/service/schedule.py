"""Schedules: events at a fixed interval, counted from the start of the cloud."""

from __future__ import annotations

from typing import NamedTuple


class Schedule(NamedTuple):
    """The times of price changes or of auctions. A tick is the interval from one event until just before the next."""

    start: float
    seconds: float

    def start_of(self, tick: int) -> float:
        """Return the time at which a tick starts."""
        return self.start + tick * self.seconds

    def tick_at(self, at: float) -> int:
        """Return the tick that contains a time, consistent with `start_of` despite rounding of floats."""
        tick = int((at - self.start) // self.seconds)
        while self.start_of(tick) > at:
            tick -= 1
        while self.start_of(tick + 1) <= at:
            tick += 1
        return tick

    def next_after(self, at: float) -> float:
        """Return the time at which the next tick starts."""
        return self.start_of(self.tick_at(at) + 1)

    def includes(self, at: float) -> bool:
        """Return whether a tick starts exactly at this time."""
        return self.start_of(self.tick_at(at)) == at
