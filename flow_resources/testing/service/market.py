"""The market of every place: what somebody set by hand, its capacity, its other bidders, and what clears it.

A price is the spot price of one machine for one hour. In a still market it is the catalog's; with a seed it is what the
crowd and our own bids make of it; and a price set by hand goes before both, until it is given back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from flow_resources.testing.service.auction import Bidder, Outcome, clear
from flow_resources.testing.service.catalog import BY_FID, CAPACITY
from flow_resources.testing.service.crowd import TICK_SECONDS, Crowd
from flow_resources.testing.service.prices import Prices, Written, latest
from flow_resources.testing.service.store import Row, Store
from flow_resources.testing.service.ticks import Ticks

# `status != 'Terminated'` says nothing new wherever it stands beside this, but lets SQLite use the index of live bids.
BIDDING = "(NOT held AND (status = 'Allocated' OR (status = 'Open' AND cancel_at IS NULL)))"
"""Which bids take part in the auction of their place."""


class Place(NamedTuple):
    """One market: a type in a region."""

    instance_type: str
    region: str


class Market:
    """What is known of every place."""

    def __init__(self, store: Store) -> None:
        """Work on the tables of `store`, which know the seed and when the story began."""
        self._store = store
        self._crowds: dict[Place, Crowd] = {}
        self.seed: int | None = store.fact("seed")
        self.born: float = store.fact("born")
        self.ticks = Ticks(self.born, TICK_SECONDS)
        """The rhythm in which prices move."""

    # --- what somebody sets by hand ---

    def set_price(self, place: Place, at: float, cents: int | None) -> None:
        """Set the price from a moment on, None to give it back; what was planned for later stays."""
        self._store.run("INSERT OR REPLACE INTO paths VALUES (?, ?, ?, ?)", *place, at, cents)

    def forget_plans(self, place: Place, after: float) -> None:
        """Drop the prices that were planned for after a moment."""
        self._store.run("DELETE FROM paths WHERE instance_type = ? AND region = ? AND at > ?", *place, after)

    def next_by_hand(self, moment: float) -> float | None:
        """Return when the next price that was set by hand takes effect."""
        found: float | None = self._store.value("SELECT min(at) FROM paths WHERE at > ?", moment)
        return found

    def by_hand(self, place: Place, at: float) -> int | None:
        """Return the price that somebody set, if one holds."""
        return latest(self._written("paths", "cents", place, at), at)

    def set_capacity(self, place: Place, at: float, machines: int) -> None:
        """Change how many machines there are, from a moment on."""
        self._store.run("INSERT OR REPLACE INTO capacities VALUES (?, ?, ?, ?)", *place, at, machines)

    # --- what there is ---

    def capacity(self, place: Place, at: float) -> int:
        """Return how many machines there are in all."""
        machines = latest(self._written("capacities", "machines", place, at), at)
        return CAPACITY if machines is None else machines

    def used(self, place: Place) -> int:
        """Return how many machines hold a bid of an account; those under notice are not free yet."""
        return int(
            self._store.value(
                "SELECT coalesce(sum(quantity), 0) FROM bids WHERE status IN ('Allocated', 'Preempting')"
                " AND status != 'Terminated' AND instance_type = ? AND region = ?",
                *place,
            )
        )

    def free(self, place: Place, at: float) -> int:
        """Return how many machines nobody holds."""
        capacity = self.capacity(place, at)
        others = self.crowd(place).taken(self.ticks.at(at), capacity) if self.moves(place, at) else 0
        return max(0, capacity - self.used(place) - others)

    def price(self, place: Place, at: float) -> int:
        """Return the spot price in cents at a moment."""
        return self.prices(place, at, at).at(at)

    def prices(self, place: Place, start: float, end: float) -> Prices:
        """Return the prices of a place from one moment to another."""
        return Prices(
            by_hand=self._written("paths", "cents", place, end),
            noted=self._written("prices", "cents", place, end, self.ticks.begins(self.ticks.at(start))),
            crowd=None if self.seed is None else self.crowd(place),
            catalog_cents=BY_FID[place.instance_type].spot_cents,
            ticks=self.ticks,
            capacities=self._written("capacities", "machines", place, end),
            capacity=CAPACITY,
        )

    def floor(self, place: Place, at: float) -> int:
        """Return the least limit that can win at a moment, in cents."""
        pinned = self.by_hand(place, at)
        if pinned is not None:
            return pinned
        return BY_FID[place.instance_type].spot_cents if self.seed is None else self.crowd(place).floor

    def moves(self, place: Place, at: float) -> bool:
        """Say whether the price goes its own way, instead of standing still or being set by hand."""
        return self.seed is not None and self.by_hand(place, at) is None

    # --- the others ---

    def crowd(self, place: Place) -> Crowd:
        """Return who else bids in a place that moves."""
        if place not in self._crowds:
            # They come for what the catalog promises: fewer machines than that make the price rise.
            spot = BY_FID[place.instance_type].spot_cents
            self._crowds[place] = Crowd(self.seed or 0, place, spot, CAPACITY)
        return self._crowds[place]

    def others(self, place: Place, at: float) -> list[Bidder]:
        """Return what the others bid at a moment: nothing where the price does not move."""
        if not self.moves(place, at):
            return []
        bids = self.crowd(place).bids(self.ticks.at(at))
        # They were there before: ties go to them.
        return [Bidder(None, index - len(bids), *bid) for index, bid in enumerate(bids)]

    def clear(self, place: Place, ours: Sequence[Bidder], at: float) -> Outcome:
        """Return what an auction would decide, and note the price that it comes to.

        A price set by hand and that of a still market need no noting, nor do prices that the others make by themselves.
        """
        floor = self.floor(place, at)
        outcome = clear([*self.others(place, at), *ours], floor, self.capacity(place, at))
        if not self.moves(place, at):
            return outcome._replace(price_cents=floor)
        if ours or self._is_noted(place, at):
            self._store.run("INSERT OR REPLACE INTO prices VALUES (?, ?, ?, ?)", *place, at, outcome.price_cents)
        return outcome

    def _is_noted(self, place: Place, at: float) -> bool:
        """Say whether we have taken part in this tick: once we leave, the price is no longer what we made of it."""
        return bool(self._written("prices", "cents", place, at, self.ticks.begins(self.ticks.at(at))))

    def _written(self, table: str, column: str, place: Place, end: float, start: float = float("-inf")) -> Written:
        rows = self._store.rows(
            f"SELECT at, {column} FROM {table} WHERE instance_type = ? AND region = ?"  # noqa: S608
            " AND at BETWEEN ? AND ? ORDER BY at",
            *(*place, start, end),
        )
        return [(row[0], row[1]) for row in rows]


def bidder(row: Row) -> Bidder:
    """Return a bid of an account as the auction sees it."""
    return Bidder(row["fid"], row["seq"], row["limit_cents"], row["quantity"])
