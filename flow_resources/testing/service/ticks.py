"""A rhythm of the clock: moments that are so many seconds apart, counted from the beginning of the story."""

from __future__ import annotations

from typing import NamedTuple


class Ticks(NamedTuple):
    """The rhythm of prices, or of auctions. A tick lasts until the moment before the next one begins."""

    born: float
    seconds: float

    def begins(self, tick: int) -> float:
        """Return when a tick begins."""
        return self.born + tick * self.seconds

    def at(self, moment: float) -> int:
        """Return the tick that a moment lies in, such that `begins` never disagrees, whatever floats are."""
        tick = int((moment - self.born) // self.seconds)
        while self.begins(tick) > moment:
            tick -= 1
        while self.begins(tick + 1) <= moment:
            tick += 1
        return tick

    def after(self, moment: float) -> float:
        """Return when the next tick begins."""
        return self.begins(self.at(moment) + 1)

    def has(self, moment: float) -> bool:
        """Say whether a tick begins at this very moment."""
        return self.begins(self.at(moment)) == moment
