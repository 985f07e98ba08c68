"""The simulated bidders of a moving market: their bids as a function of seed, type, region and time.

Nothing is simulated step by step and nothing is stored: the bids at any tick, past or future, are computed when they
are needed. So the same seed always gives the same prices, advancing the clock costs nothing where no account bids, and
there is a price history before the start of the cloud.

The competitors in a pool are drawn once, each with a quantity, a base price and hours of activity. All of them follow
one level of demand, which varies over the day, on shorter cycles, and in occasional surges. The price is what clears
the auction.
"""

from __future__ import annotations

import math
from functools import lru_cache
from random import Random
from typing import NamedTuple

TICK_SECONDS = 120.0
"""Seconds between price changes; according to Mithril's documentation an auction is held every two minutes."""
FLOOR_SHARE = 0.35
"""The minimum price of a pool, as a share of the catalog price."""
_DAY = int(86_400 / TICK_SECONDS)
_CYCLES = ((_DAY, 0.22), (_DAY / 3.7, 0.14), (_DAY / 11.3, 0.09), (_DAY / 41.0, 0.05))
"""The cycles of demand, as (length in ticks, amplitude of the logarithm of the price)."""
_SURGE_BLOCK = 120
"""The number of ticks, four hours, in which demand surges at most once."""
_SURGE_CHANCE = 0.35


class Competitor(NamedTuple):
    """One simulated bidder: its limit at a level of demand of 1, and the ticks at which it bids."""

    cents: float
    quantity: int
    period: int
    offset: int
    active: int
    """How many ticks of each period it bids."""

    def is_active(self, tick: int) -> bool:
        """Return whether it bids at this tick."""
        return (tick + self.offset) % self.period < self.active


class CompetingBids:
    """The competing bids in one capacity pool."""

    def __init__(self, seed: int, pool: tuple[str, str], spot_cents: int, machines: int) -> None:
        """Draw the competitors such that the price centers on `spot_cents` if there are `machines` in all."""
        self._name = f"{seed}/{pool[0]}/{pool[1]}"
        random = Random(self._name)
        self._phases = [random.random() for _ in _CYCLES]
        self._floor = max(1, round(spot_cents * FLOOR_SHARE))
        self._competitors = _draw_competitors(random, spot_cents, machines)
        self._surge = lru_cache(maxsize=64)(self._find_surge)

    @property
    def floor(self) -> int:
        """Return the minimum price in cents."""
        return self._floor

    def bids(self, tick: int) -> list[tuple[int, int]]:
        """Return the bids at a tick as (limit in cents, quantity), highest limit first."""
        level = self.level(tick)
        active = [competitor for competitor in self._competitors if competitor.is_active(tick)]
        return [(max(1, round(competitor.cents * level)), competitor.quantity) for competitor in active]

    def price(self, tick: int, machines: int) -> int:
        """Return the price in cents if no account bids; equal to that of `clear`, but faster."""
        return self._clear(tick, machines)[0]

    def taken(self, tick: int, machines: int) -> int:
        """Return how many machines the competitors win if no account bids."""
        return self._clear(tick, machines)[1]

    def _clear(self, tick: int, machines: int) -> tuple[int, int]:
        level, free = self.level(tick), machines
        # A price history needs thousands of ticks, so this loop avoids calls and attributes.
        for cents, quantity, period, offset, active in self._competitors:
            if (tick + offset) % period >= active:
                continue
            limit = round(cents * level) or 1
            if limit < self._floor:
                break
            if quantity > free:
                return limit, machines
            free -= quantity
        return self._floor, machines - free

    def level(self, tick: int) -> float:
        """Return the level of demand at a tick, a factor of every limit; its long-run level is 1."""
        logarithm = sum(
            amplitude * math.sin(math.tau * (tick / length + phase))
            for (length, amplitude), phase in zip(_CYCLES, self._phases, strict=True)
        )
        start, end, height = self._surge(tick // _SURGE_BLOCK)
        return math.exp(logarithm) * (height if start <= tick < end else 1.0)

    def _find_surge(self, block: int) -> tuple[int, int, float]:
        """Return the first tick of the surge, the tick after its last, and the factor of its demand."""
        random = Random(f"{self._name}/{block}")
        if random.random() >= _SURGE_CHANCE:
            return 0, 0, 1.0
        start = block * _SURGE_BLOCK + random.randrange(_SURGE_BLOCK)
        return start, start + random.randrange(4, 25), random.uniform(1.4, 3.0)


def _draw_competitors(random: Random, spot_cents: int, machines: int) -> tuple[Competitor, ...]:
    """Return competitors, highest limit first, for twice the capacity, so that demand nearly always exceeds it."""
    quantity_max = max(1, machines // 7)
    drawn: list[tuple[float, int, int, int, int]] = []
    demand = 0
    while demand < 2 * machines:
        quantity = random.randint(1, quantity_max)
        period = random.randrange(60, _DAY)
        active = round(period * random.uniform(0.6, 1.0))
        drawn.append((random.lognormvariate(0.0, 0.45), quantity, period, random.randrange(_DAY), active))
        demand += quantity
    drawn.sort(reverse=True)
    # Competitors are active 80 % of the time on average. The one that exhausts the capacity bids the catalog price.
    won, marginal_weight = 0.0, 1.0
    for weight, quantity, *_ in drawn:
        won += 0.8 * quantity
        marginal_weight = weight
        if won >= machines:
            break
    return tuple(Competitor(spot_cents * weight / marginal_weight, *rest) for weight, *rest in drawn)
