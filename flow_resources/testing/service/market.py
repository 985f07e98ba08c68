"""The market: prices, capacity, competing bids and clearing of each capacity pool.

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
"""The condition for bids that take part in the auction of their pool."""


class Pool(NamedTuple):
    """A capacity pool: the machines of one instance type in one region."""

    instance_type: str
    region: str


class Market:
    """The market of all pools."""

    def __init__(self, store: Store) -> None:
        """Use the tables of `store`, which has the seed and the start time."""
        self._store = store
        self._competing_bids: dict[Pool, CompetingBids] = {}
        self.seed: int | None = store.fact("seed")
        self.started_at: float = store.fact("born")
        self.schedule = Schedule(self.started_at, TICK_SECONDS)
        """The times at which prices change."""

    # --- fixed prices and capacities ---

    def set_price(self, pool: Pool, at: float, cents: int | None) -> None:
        """Fix the price from a time on; None ends the fixed price. Later scheduled prices are kept."""
        self._store.run("INSERT OR REPLACE INTO paths VALUES (?, ?, ?, ?)", *pool, at, cents)

    def clear_scheduled_prices(self, pool: Pool, after: float) -> None:
        """Remove the fixed prices that are scheduled after a time."""
        self._store.run("DELETE FROM paths WHERE instance_type = ? AND region = ? AND at > ?", *pool, after)

    def next_scheduled_price(self, after: float) -> float | None:
        """Return the time at which the next fixed price takes effect."""
        at: float | None = self._store.value("SELECT min(at) FROM paths WHERE at > ?", after)
        return at

    def fixed_price(self, pool: Pool, at: float) -> int | None:
        """Return the fixed price in cents, if there is one."""
        return latest(self._read_series("paths", "cents", pool, at), at)

    def set_capacity(self, pool: Pool, at: float, machines: int) -> None:
        """Set the number of machines from a time on."""
        self._store.run("INSERT OR REPLACE INTO capacities VALUES (?, ?, ?, ?)", *pool, at, machines)

    # --- prices and capacities ---

    def capacity(self, pool: Pool, at: float) -> int:
        """Return the total number of machines."""
        machines = latest(self._read_series("capacities", "machines", pool, at), at)
        return CAPACITY if machines is None else machines

    def used(self, pool: Pool) -> int:
        """Return how many machines the bids of accounts hold, including those under notice."""
        return int(
            self._store.value(
                "SELECT coalesce(sum(quantity), 0) FROM bids WHERE status IN ('Allocated', 'Preempting')"
                " AND status != 'Terminated' AND instance_type = ? AND region = ?",
                *pool,
            )
        )

    def free(self, pool: Pool, at: float) -> int:
        """Return how many machines neither accounts nor competitors hold."""
        capacity = self.capacity(pool, at)
        free = capacity - self.used(pool)
        if self.is_moving(pool, at):
            free -= self.competing_bids(pool).taken(self.schedule.tick_at(at), capacity)
        return max(0, free)

    def price(self, pool: Pool, at: float) -> int:
        """Return the spot price in cents at a time."""
        return self.prices(pool, at, at).at(at)

    def prices(self, pool: Pool, start: float, end: float) -> Prices:
        """Return the prices of a pool from `start` to `end`."""
        return Prices(
            fixed=self._read_series("paths", "cents", pool, end),
            recorded=self._read_series("prices", "cents", pool, end, self._tick_start(start)),
            competing_bids=None if self.seed is None else self.competing_bids(pool),
            catalog_cents=BY_FID[pool.instance_type].spot_cents,
            schedule=self.schedule,
            capacities=self._read_series("capacities", "machines", pool, end),
            default_capacity=CAPACITY,
        )

    def floor(self, pool: Pool, at: float) -> int:
        """Return the lowest limit that can win at a time, in cents."""
        fixed = self.fixed_price(pool, at)
        if fixed is not None:
            return fixed
        return BY_FID[pool.instance_type].spot_cents if self.seed is None else self.competing_bids(pool).floor

    def is_moving(self, pool: Pool, at: float) -> bool:
        """Return whether the price follows from bids, rather than being static or fixed."""
        return self.seed is not None and self.fixed_price(pool, at) is None

    # --- auctions ---

    def competing_bids(self, pool: Pool) -> CompetingBids:
        """Return the competing bids in a pool."""
        if pool not in self._competing_bids:
            # Their demand matches the default capacity: with fewer machines the price rises.
            spot = BY_FID[pool.instance_type].spot_cents
            self._competing_bids[pool] = CompetingBids(self.seed or 0, pool, spot, CAPACITY)
        return self._competing_bids[pool]

    def competitors(self, pool: Pool, at: float) -> list[Bidder]:
        """Return the competing bids at a time; none in a pool whose price does not move."""
        if not self.is_moving(pool, at):
            return []
        bids = self.competing_bids(pool).bids(self.schedule.tick_at(at))
        # Negative sequence numbers make competitors win ties.
        return [Bidder(None, index - len(bids), *bid) for index, bid in enumerate(bids)]

    def clear(self, pool: Pool, bids: Sequence[Bidder], at: float) -> Outcome:
        """Return the result of an auction among these bids and the competing ones, and record its price.

        Fixed prices, those of a static market, and those that follow from competing bids alone are not recorded.
        """
        floor = self.floor(pool, at)
        outcome = clear([*self.competitors(pool, at), *bids], floor, self.capacity(pool, at))
        if not self.is_moving(pool, at):
            return outcome._replace(price_cents=floor)
        if bids or self._is_recorded(pool, at):
            self._store.run("INSERT OR REPLACE INTO prices VALUES (?, ?, ?, ?)", *pool, at, outcome.price_cents)
        return outcome

    def _is_recorded(self, pool: Pool, at: float) -> bool:
        """Return whether a price was recorded in this tick, which changes when the last bid of an account ends."""
        return bool(self._read_series("prices", "cents", pool, at, self._tick_start(at)))

    def _tick_start(self, at: float) -> float:
        return self.schedule.start_of(self.schedule.tick_at(at))

    def _read_series(self, table: str, column: str, pool: Pool, end: float, start: float = float("-inf")) -> Series:
        rows = self._store.rows(
            f"SELECT at, {column} FROM {table} WHERE instance_type = ? AND region = ?"  # noqa: S608
            " AND at BETWEEN ? AND ? ORDER BY at",
            *(*pool, start, end),
        )
        return [(row[0], row[1]) for row in rows]


def bidder(row: Row) -> Bidder:
    """Return the bid of an account as the auction sees it."""
    return Bidder(row["fid"], row["seq"], row["limit_cents"], row["quantity"])
