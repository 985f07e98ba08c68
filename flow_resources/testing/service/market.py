"""The market of each type in each region: prices, capacity, competitors, and clearing.

A price is the spot price of one machine per hour. In a static market it is the catalog price; with a seed it follows
from the competing bids and the bids of accounts. A fixed price, one that a test has set, overrides both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from flow_resources.testing.service.auction import Bidder, Outcome, clear
from flow_resources.testing.service.catalog import BY_FID, CAPACITY
from flow_resources.testing.service.competing_bids import TICK_SECONDS, CompetingBids
from flow_resources.testing.service.prices import Prices, Series, latest
from flow_resources.testing.service.schedule import Schedule
from flow_resources.testing.service.store import Row, Store

# Queries add the redundant condition `status != 'Terminated'`, so that SQLite uses the index of live bids.
BIDDING = "(NOT held AND (status = 'Allocated' OR (status = 'Open' AND cancel_at IS NULL)))"
"""The condition for bids that take part in the auction of their market."""


class Place(NamedTuple):
    """The key of a market: an instance type in a region."""

    instance_type: str
    region: str


class Market:
    """The markets of all types and regions."""

    def __init__(self, store: Store) -> None:
        """Use the tables of `store`, which has the seed and the start time."""
        self._store = store
        self._competing_bids: dict[Place, CompetingBids] = {}
        self.seed: int | None = store.fact("seed")
        self.started_at: float = store.fact("born")
        self.schedule = Schedule(self.started_at, TICK_SECONDS)
        """The times at which prices change."""

    # --- fixed prices and capacities ---

    def set_price(self, place: Place, at: float, cents: int | None) -> None:
        """Fix the price from a time on; None ends the fixed price. Later scheduled prices are kept."""
        self._store.run("INSERT OR REPLACE INTO paths VALUES (?, ?, ?, ?)", *place, at, cents)

    def clear_scheduled_prices(self, place: Place, after: float) -> None:
        """Remove the fixed prices that are scheduled after a time."""
        self._store.run("DELETE FROM paths WHERE instance_type = ? AND region = ? AND at > ?", *place, after)

    def next_scheduled_price(self, after: float) -> float | None:
        """Return the time at which the next fixed price takes effect."""
        at: float | None = self._store.value("SELECT min(at) FROM paths WHERE at > ?", after)
        return at

    def fixed_price(self, place: Place, at: float) -> int | None:
        """Return the fixed price in cents, if there is one."""
        return latest(self._read_series("paths", "cents", place, at), at)

    def set_capacity(self, place: Place, at: float, machines: int) -> None:
        """Set the number of machines from a time on."""
        self._store.run("INSERT OR REPLACE INTO capacities VALUES (?, ?, ?, ?)", *place, at, machines)

    # --- prices and capacities ---

    def capacity(self, place: Place, at: float) -> int:
        """Return the total number of machines."""
        machines = latest(self._read_series("capacities", "machines", place, at), at)
        return CAPACITY if machines is None else machines

    def used(self, place: Place) -> int:
        """Return how many machines the bids of accounts hold, including those under notice."""
        return int(
            self._store.value(
                "SELECT coalesce(sum(quantity), 0) FROM bids WHERE status IN ('Allocated', 'Preempting')"
                " AND status != 'Terminated' AND instance_type = ? AND region = ?",
                *place,
            )
        )

    def free(self, place: Place, at: float) -> int:
        """Return how many machines neither accounts nor competitors hold."""
        capacity = self.capacity(place, at)
        free = capacity - self.used(place)
        if self.is_moving(place, at):
            free -= self.competing_bids(place).taken(self.schedule.tick_at(at), capacity)
        return max(0, free)

    def price(self, place: Place, at: float) -> int:
        """Return the spot price in cents at a time."""
        return self.prices(place, at, at).at(at)

    def prices(self, place: Place, start: float, end: float) -> Prices:
        """Return the prices of a market from `start` to `end`."""
        return Prices(
            fixed=self._read_series("paths", "cents", place, end),
            recorded=self._read_series("prices", "cents", place, end, self._tick_start(start)),
            competing_bids=None if self.seed is None else self.competing_bids(place),
            catalog_cents=BY_FID[place.instance_type].spot_cents,
            schedule=self.schedule,
            capacities=self._read_series("capacities", "machines", place, end),
            default_capacity=CAPACITY,
        )

    def floor(self, place: Place, at: float) -> int:
        """Return the lowest limit that can win at a time, in cents."""
        fixed = self.fixed_price(place, at)
        if fixed is not None:
            return fixed
        return BY_FID[place.instance_type].spot_cents if self.seed is None else self.competing_bids(place).floor

    def is_moving(self, place: Place, at: float) -> bool:
        """Return whether the price follows from bids, rather than being static or fixed."""
        return self.seed is not None and self.fixed_price(place, at) is None

    # --- auctions ---

    def competing_bids(self, place: Place) -> CompetingBids:
        """Return the competing bids of a moving market."""
        if place not in self._competing_bids:
            # Their demand matches the default capacity: with fewer machines the price rises.
            spot = BY_FID[place.instance_type].spot_cents
            self._competing_bids[place] = CompetingBids(self.seed or 0, place, spot, CAPACITY)
        return self._competing_bids[place]

    def competitors(self, place: Place, at: float) -> list[Bidder]:
        """Return the competing bids at a time; none in a market that does not move."""
        if not self.is_moving(place, at):
            return []
        bids = self.competing_bids(place).bids(self.schedule.tick_at(at))
        # Negative sequence numbers make competitors win ties.
        return [Bidder(None, index - len(bids), *bid) for index, bid in enumerate(bids)]

    def clear(self, place: Place, bids: Sequence[Bidder], at: float) -> Outcome:
        """Return the result of an auction among these bids and the competing ones, and record its price.

        Fixed prices, those of a static market, and those that follow from competing bids alone are not recorded.
        """
        floor = self.floor(place, at)
        outcome = clear([*self.competitors(place, at), *bids], floor, self.capacity(place, at))
        if not self.is_moving(place, at):
            return outcome._replace(price_cents=floor)
        if bids or self._is_recorded(place, at):
            self._store.run("INSERT OR REPLACE INTO prices VALUES (?, ?, ?, ?)", *place, at, outcome.price_cents)
        return outcome

    def _is_recorded(self, place: Place, at: float) -> bool:
        """Return whether a price was recorded in this tick, which changes when the last bid of an account ends."""
        return bool(self._read_series("prices", "cents", place, at, self._tick_start(at)))

    def _tick_start(self, at: float) -> float:
        return self.schedule.start_of(self.schedule.tick_at(at))

    def _read_series(self, table: str, column: str, place: Place, end: float, start: float = float("-inf")) -> Series:
        rows = self._store.rows(
            f"SELECT at, {column} FROM {table} WHERE instance_type = ? AND region = ?"  # noqa: S608
            " AND at BETWEEN ? AND ? ORDER BY at",
            *(*place, start, end),
        )
        return [(row[0], row[1]) for row in rows]


def bidder(row: Row) -> Bidder:
    """Return the bid of an account as the auction sees it."""
    return Bidder(row["fid"], row["seq"], row["limit_cents"], row["quantity"])
