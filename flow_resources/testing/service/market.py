"""The market of every place: its capacity, its other bidders, and its price at any moment, past or present.

A price is the spot price of one machine for one hour. In a still market it is the catalog's; with a seed it is what the
crowd and our own bids make of it; and a price set by hand goes before both, until it is given back.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from flow_resources.testing.service.auction import Bidder, Outcome, hold, price_to_win
from flow_resources.testing.service.catalog import BY_FID, CAPACITY, REGIONS, TYPES, InstanceType
from flow_resources.testing.service.crowd import TICK_SECONDS, Crowd
from flow_resources.testing.service.inputs import write_price
from flow_resources.testing.service.options import MANUAL, Options
from flow_resources.testing.service.store import Row, Store


class Place(NamedTuple):
    """One market: a type in a region."""

    instance_type: str
    region: str


class Market:
    """Prices and capacities, and the auction of one place at one moment."""

    def __init__(self, store: Store, options: Options) -> None:
        """Work on the tables of `store`, which know the seed and when the story began."""
        self._store = store
        self._options = options
        self._crowds: dict[Place, Crowd] = {}
        self._among_themselves = lru_cache(maxsize=65_536)(self._hold_among_themselves)
        self.seed: int | None = store.fact("seed")
        self.born: float = store.fact("born") or 0.0

    # --- time ---

    @property
    def tick_seconds(self) -> float:
        """Return the time from one auction to the next, or from one price to the next where auctions have no rhythm."""
        return self._options.auction_seconds if 0 < self._options.auction_seconds < MANUAL else TICK_SECONDS

    def tick_at(self, moment: float) -> int:
        """Return the number of the tick that `moment` lies in, counted from the beginning of the story."""
        # A moment that was computed from a tick must lie in it, whatever floats make of it.
        return int((moment - self.born + 1e-6) // self.tick_seconds)

    def moment_of(self, tick: int) -> float:
        """Return when a tick begins."""
        return self.born + tick * self.tick_seconds

    def next_by_hand(self, moment: float) -> float | None:
        """Return when the next price that was set by hand takes effect."""
        found: float | None = self._store.value("SELECT min(at) FROM paths WHERE at > ?", moment)
        return found

    # --- what somebody sets by hand ---

    def set_price(self, place: Place, at: float, cents: int | None) -> None:
        """Set the price from a moment on, None to give it back; what was planned for later stays."""
        self._store.run("INSERT OR REPLACE INTO paths VALUES (?, ?, ?, ?)", *place, at, cents)

    def forget_plans(self, place: Place, after: float) -> None:
        """Drop the prices that were planned for after a moment."""
        self._store.run("DELETE FROM paths WHERE instance_type = ? AND region = ? AND at > ?", *place, after)

    def set_capacity(self, place: Place, machines: int) -> None:
        """Change how many machines there are from now on."""
        self._store.run("INSERT OR REPLACE INTO capacities VALUES (?, ?, ?)", *place, machines)

    def by_hand(self, place: Place, at: float) -> int | None:
        """Return the price that somebody set, if one holds."""
        return _latest(self._written("paths", place, at), at)

    # --- what there is ---

    def capacity(self, place: Place) -> int:
        """Return how many machines there are in all."""
        machines = self._store.value("SELECT machines FROM capacities WHERE instance_type = ? AND region = ?", *place)
        return CAPACITY if machines is None else int(machines)

    def used(self, place: Place) -> int:
        """Return how many machines hold a bid of an account; those under notice are not free yet."""
        return int(
            self._store.value(
                "SELECT coalesce(sum(quantity), 0) FROM bids WHERE status IN ('Allocated', 'Preempting')"
                " AND status != 'Terminated' AND instance_type = ? AND region = ?",
                *place,
            )
        )

    def price(self, place: Place, at: float) -> int:
        """Return the spot price in cents at a moment."""
        return next(self.changes(place, at, at))[1]

    def floor(self, place: Place, at: float) -> int:
        """Return the least limit that can win at a moment, in cents."""
        pinned = self.by_hand(place, at)
        if pinned is not None:
            return pinned
        return BY_FID[place.instance_type].spot_cents if self.seed is None else self._crowd(place).floor

    def moves(self, place: Place, at: float) -> bool:
        """Say whether the price goes its own way, instead of standing still or being set by hand."""
        return self.seed is not None and self.by_hand(place, at) is None

    # --- the auction ---

    def decide(self, place: Place, ours: Sequence[Bidder], at: float) -> Outcome:
        """Hold the auction of one place and note its price."""
        capacity, floor = self.capacity(place), self.floor(place, at)
        if not self.moves(place, at):
            return hold(ours, floor, capacity)._replace(price_cents=floor)
        outcome = hold([*self._others(place, self.tick_at(at)), *ours], floor, capacity)
        if ours:
            self._store.run("INSERT OR REPLACE INTO prices VALUES (?, ?, ?, ?)", *place, at, outcome.price_cents)
        return outcome

    def changes(self, place: Place, start: float, end: float) -> Iterator[tuple[float, int]]:
        """Yield (moment, cents) for the price at `start` and every change of it up to `end`."""
        capacity, last = self.capacity(place), -1
        first = start if self.seed is None else self.moment_of(self.tick_at(start))
        by_hand, noted = self._written("paths", place, end), self._written("prices", place, end, first)
        for moment in self._moments(start, end, *(at for at, _ in (*by_hand, *noted))):
            cents = _latest(by_hand, moment)
            if cents is None and self.seed is None:
                cents = BY_FID[place.instance_type].spot_cents
            elif cents is None:
                tick = self.tick_at(moment)
                # Where we took part, the auction wrote down what it came to; elsewhere the crowd is among itself.
                cents = _latest(noted, moment, self.moment_of(tick))
                cents = self._among_themselves(place, tick, capacity).price_cents if cents is None else cents
            if cents != last:
                yield moment, cents
                last = cents

    # --- as the API shows it ---

    def auctions(self, at: float) -> list[dict[str, Any]]:
        """Return what is on offer as /v2/spot/availability lists it."""
        return [self._auction(Place(kind.fid, region), at) for kind in TYPES for region in kind.regions]

    def quote(self, kind: InstanceType, region: str | None, quantity: int, at: float) -> dict[str, int | None]:
        """Return what /v2/pricing/current says; without a region, the cheapest price and the whole capacity."""
        # A type has a price in every region, also where it is not on offer: clients probe prices before they look.
        places = [Place(kind.fid, one) for one in (REGIONS if region is None else (region,))]
        spot = min(self.price(place, at) for place in places)
        lowest = min((low for place in places if (low := self._lowest_allocated(place))), default=None)
        wins = min((win for place in places if (win := self._winning(place, quantity, at))), default=None)
        return {
            "spot_price_cents": spot,
            "reserved_price_cents": None,
            "minimum_price_cents": min(self.floor(place, at) for place in places),
            "lowest_allocated_bid_cents": lowest,
            "dynamic_win_price_cents": spot if wins is None else max(spot, wins),
            "available_capacity": sum(self.free(place, at) for place in places),
            "total_capacity": sum(self.capacity(place) for place in places),
        }

    def free(self, place: Place, at: float) -> int:
        """Return how many machines nobody holds."""
        capacity = self.capacity(place)
        others = self._among_themselves(place, self.tick_at(at), capacity).others if self.moves(place, at) else 0
        return max(0, capacity - self.used(place) - others)

    # --- helpers ---

    def _auction(self, place: Place, at: float) -> dict[str, Any]:
        lowest = self._lowest_allocated(place)
        return {
            "fid": f"auc_{place.instance_type[3:]}{REGIONS.index(place.region)}",
            "instance_type": place.instance_type,
            "region": place.region,
            "capacity": self.capacity(place),
            "last_instance_price": write_price(self.price(place, at)),
            "lowest_allocated_price": None if lowest is None else write_price(lowest),
            "adjustable_memory": False,
            "default_image_version": None,
        }

    def _crowd(self, place: Place) -> Crowd:
        if place not in self._crowds:
            # They come for what the catalog promises: fewer machines than that make the price rise.
            spot = BY_FID[place.instance_type].spot_cents
            self._crowds[place] = Crowd(self.seed or 0, place, spot, CAPACITY)
        return self._crowds[place]

    def _others(self, place: Place, tick: int) -> list[Bidder]:
        # They were there before: ties go to them.
        bids = self._crowd(place).bids(tick)
        return [Bidder(None, index - len(bids), *bid) for index, bid in enumerate(bids)]

    def _hold_among_themselves(self, place: Place, tick: int, capacity: int) -> Outcome:
        return hold(self._others(place, tick), self._crowd(place).floor, capacity)

    def _winning(self, place: Place, quantity: int, at: float) -> int | None:
        rows = self._store.rows(
            "SELECT fid, seq, limit_cents, quantity FROM bids WHERE instance_type = ? AND region = ?"
            " AND status != 'Terminated' AND status IN ('Open', 'Allocated') AND NOT held",
            *place,
        )
        others = self._others(place, self.tick_at(at)) if self.moves(place, at) else []
        bidders = [*others, *map(bidder, rows)]
        return price_to_win(bidders, self.floor(place, at), self.capacity(place), quantity)

    def _lowest_allocated(self, place: Place) -> int | None:
        lowest: int | None = self._store.value(
            "SELECT min(limit_cents) FROM bids WHERE status = 'Allocated'"
            " AND status != 'Terminated' AND instance_type = ? AND region = ?",
            *place,
        )
        return lowest

    def _written(self, table: str, place: Place, end: float, start: float = 0.0) -> list[tuple[float, int | None]]:
        rows = self._store.rows(
            f"SELECT at, cents FROM {table} WHERE instance_type = ? AND region = ?"  # noqa: S608
            " AND at BETWEEN ? AND ? ORDER BY at",
            *(*place, start, end),
        )
        return [(row["at"], row["cents"]) for row in rows]

    def _moments(self, start: float, end: float, *others: float) -> list[float]:
        """Return `start`, and every moment up to `end` at which a price may have changed."""
        ticks = range(0) if self.seed is None else range(self.tick_at(start) + 1, self.tick_at(end) + 1)
        moments = {start, *map(self.moment_of, ticks), *(at for at in others if at > start)}
        return sorted(moments)


def _latest(written: Sequence[tuple[float, int | None]], moment: float, since: float = 0.0) -> int | None:
    """Return what was written last up to a moment, if that is not too long ago."""
    index = bisect_right(written, moment, key=lambda one: one[0]) - 1
    return written[index][1] if index >= 0 and written[index][0] >= since else None


def bidder(row: Row) -> Bidder:
    """Return a bid of an account as the auction sees it."""
    return Bidder(row["fid"], row["seq"], row["limit_cents"], row["quantity"])
