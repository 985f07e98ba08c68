"""The other bidders of a market that lives: who they are and what they bid, as a function of seed, place and time.

Nothing is simulated step by step and nothing is stored: the crowd of any tick, past or future, is computed when
somebody looks. So one seed gives one story, a jump of the clock costs nothing where nobody bids, and a price history is
there from the first moment on.

A place draws its bidders once, each with a number of machines, a weight and hours of its own. All of them follow one
level of demand, which swings with the day, wanders, and surges now and then. The price is what clears the auction.
"""

from __future__ import annotations

import math
from functools import lru_cache
from random import Random
from typing import NamedTuple

TICK_SECONDS = 120.0
"""How often prices move; Mithril's documentation tells of an auction every two minutes."""
FLOOR_SHARE = 0.35
"""The least price of a place, as a share of the catalog's."""
_DAY = int(86_400 / TICK_SECONDS)
_WAVES = ((_DAY, 0.22), (_DAY / 3.7, 0.14), (_DAY / 11.3, 0.09), (_DAY / 41.0, 0.05))
"""(length in ticks, strength in log price) of the swings of demand: by the day, and shorter."""
_SURGE_BLOCK = 120
"""Ticks of four hours: in each of them demand surges once or not at all."""
_SURGE_CHANCE = 0.35


class Offer(NamedTuple):
    """What one other bidder wants: how much it pays at the level of demand 1, and when it is there."""

    cents: float
    quantity: int
    period: int
    offset: int
    awake: int

    def present(self, tick: int) -> bool:
        """Say whether it bids at this tick."""
        return (tick + self.offset) % self.period < self.awake


class Crowd:
    """The other bidders of one place."""

    def __init__(self, seed: int, place: tuple[str, str], spot_cents: int, machines: int) -> None:
        """Draw them: their price centers on `spot_cents` where `machines` are to be had."""
        self._name = f"{seed}/{place[0]}/{place[1]}"
        draw = Random(self._name)
        self._phases = [draw.random() for _ in _WAVES]
        self._floor = max(1, round(spot_cents * FLOOR_SHARE))
        self._offers = _draw_offers(draw, spot_cents, machines)
        self._surge = lru_cache(maxsize=64)(self._find_surge)

    @property
    def floor(self) -> int:
        """Return the least price in cents."""
        return self._floor

    def bids(self, tick: int) -> list[tuple[int, int]]:
        """Return (limit in cents, machines) of everybody who bids at this tick, the highest limit first."""
        level = self.level(tick)
        return [(max(1, round(one.cents * level)), one.quantity) for one in self._offers if one.present(tick)]

    def price(self, tick: int, machines: int) -> int:
        """Return what the auction comes to when nobody but them bids; the same as `clear` says, only faster."""
        return self._alone(tick, machines)[0]

    def taken(self, tick: int, machines: int) -> int:
        """Return how many machines they hold when nobody else bids."""
        return self._alone(tick, machines)[1]

    def _alone(self, tick: int, machines: int) -> tuple[int, int]:
        level, room = self.level(tick), machines
        # A history asks for thousands of ticks: no calls, no attributes.
        for cents, quantity, period, offset, awake in self._offers:
            if (tick + offset) % period >= awake:
                continue
            limit = round(cents * level) or 1
            if limit < self._floor:
                break
            if quantity > room:
                return limit, machines
            room -= quantity
        return self._floor, machines - room

    def level(self, tick: int) -> float:
        """Return how much everybody pays at this tick, relative to the long run."""
        swing = sum(
            strength * math.sin(math.tau * (tick / length + phase))
            for (length, strength), phase in zip(_WAVES, self._phases, strict=True)
        )
        start, end, height = self._surge(tick // _SURGE_BLOCK)
        return math.exp(swing) * (height if start <= tick < end else 1.0)

    def _find_surge(self, block: int) -> tuple[int, int, float]:
        draw = Random(f"{self._name}/{block}")
        if draw.random() >= _SURGE_CHANCE:
            return 0, 0, 1.0
        start = block * _SURGE_BLOCK + draw.randrange(_SURGE_BLOCK)
        return start, start + draw.randrange(4, 25), draw.uniform(1.4, 3.0)


def _draw_offers(draw: Random, spot_cents: int, machines: int) -> tuple[Offer, ...]:
    """Return offers for twice the machines that there are, so that hardly ever everybody gets some."""
    largest = max(1, machines // 7)
    offers: list[tuple[float, int, int, int, int]] = []
    wanted = 0
    while wanted < 2 * machines:
        quantity = draw.randint(1, largest)
        period = draw.randrange(60, _DAY)
        awake = round(period * draw.uniform(0.6, 1.0))
        offers.append((draw.lognormvariate(0.0, 0.45), quantity, period, draw.randrange(_DAY), awake))
        wanted += quantity
    offers.sort(reverse=True)
    # The one with whom the machines run out, when about a fifth is away, pays the catalog's price.
    taken, margin = 0.0, 1.0
    for weight, quantity, *_ in offers:
        taken += 0.8 * quantity
        margin = weight
        if taken >= machines:
            break
    return tuple(Offer(spot_cents * weight / margin, *rest) for weight, *rest in offers)
