"""Prices, capacity, and who wins.

A price is the spot price of one machine for one hour, set by hand or by the catalog.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from flow_resources.testing.service.catalog import CAPACITY, REGIONS, TYPES, InstanceType
from flow_resources.testing.service.inputs import write_price
from flow_resources.testing.service.store import Store


class Place(NamedTuple):
    """One market: a type in a region."""

    instance_type: str
    region: str


class Bidder(NamedTuple):
    """What the auction needs to know about a bid."""

    fid: str
    seq: int
    limit_cents: int
    quantity: int


def winners(bidders: Sequence[Bidder], price_cents: int, capacity: int) -> set[str]:
    """Return the bids that hold machines now.

    A bid wins with all of its machines or with none, when its limit is at least the price and there is room left after
    the higher limits; equal limits are served in the order of submission. A bid too big for the room does not keep a
    smaller one behind it from winning.
    """
    won: set[str] = set()
    room = capacity
    for bidder in sorted(bidders, key=lambda one: (-one.limit_cents, one.seq)):
        if bidder.limit_cents >= price_cents and bidder.quantity <= room:
            won.add(bidder.fid)
            room -= bidder.quantity
    return won


class Market:
    """The price and the capacity of every place."""

    def __init__(self, store: Store) -> None:
        """Work on the tables of `store`; a place nobody touched is as the catalog says."""
        self._store = store

    def price(self, kind: InstanceType, region: str) -> int:
        """Return the spot price in cents."""
        return int(self._set(kind.fid, region, "price_cents") or kind.spot_cents)

    def capacity(self, kind: InstanceType, region: str) -> int:
        """Return how many machines there are in all."""
        capacity = self._set(kind.fid, region, "capacity")
        return CAPACITY if capacity is None else int(capacity)

    def used(self, place: Place) -> int:
        """Return how many machines hold a bid; those under notice are not free yet."""
        return int(
            self._store.value(
                "SELECT coalesce(sum(quantity), 0) FROM bids WHERE status IN ('Allocated', 'Preempting')"
                " AND status != 'Terminated' AND instance_type = ? AND region = ?",
                *place,
            )
        )

    def set_price(self, place: Place, cents: int) -> None:
        """Change the spot price from now on."""
        self._change(place, "price_cents", cents)

    def set_capacity(self, place: Place, machines: int) -> None:
        """Change how many machines there are from now on."""
        self._change(place, "capacity", machines)

    def auctions(self) -> list[dict[str, Any]]:
        """Return what is on offer as /v2/spot/availability lists it."""
        return [self._auction(kind, region) for kind in TYPES for region in kind.regions]

    def quote(self, kind: InstanceType, region: str | None, quantity: int) -> dict[str, int | None]:
        """Return what /v2/pricing/current says; without a region, the cheapest price and the whole capacity."""
        # A type has a price in every region, also where it is not on offer: clients probe prices before they look.
        regions = REGIONS if region is None else (region,)
        spot = min(self.price(kind, one) for one in regions)
        total = sum(self.capacity(kind, one) for one in regions)
        free = sum(max(0, self.capacity(kind, one) - self.used(Place(kind.fid, one))) for one in regions)
        lowest = min((low for one in regions if (low := self._lowest_allocated(Place(kind.fid, one)))), default=None)
        return {
            "spot_price_cents": spot,
            "reserved_price_cents": None,
            "minimum_price_cents": spot,
            "lowest_allocated_bid_cents": lowest,
            "dynamic_win_price_cents": spot if quantity <= free or lowest is None else max(spot, lowest + 1),
            "available_capacity": free,
            "total_capacity": total,
        }

    def _auction(self, kind: InstanceType, region: str) -> dict[str, Any]:
        lowest = self._lowest_allocated(Place(kind.fid, region))
        return {
            "fid": f"auc_{kind.fid[3:]}{REGIONS.index(region)}",
            "instance_type": kind.fid,
            "region": region,
            "capacity": self.capacity(kind, region),
            "last_instance_price": write_price(self.price(kind, region)),
            "lowest_allocated_price": None if lowest is None else write_price(lowest),
            "adjustable_memory": False,
            "default_image_version": None,
        }

    def _lowest_allocated(self, place: Place) -> int | None:
        lowest: int | None = self._store.value(
            "SELECT min(limit_cents) FROM bids WHERE status = 'Allocated'"
            " AND status != 'Terminated' AND instance_type = ? AND region = ?",
            *place,
        )
        return lowest

    def _set(self, instance_type: str, region: str, column: str) -> int | None:
        found: int | None = self._store.value(
            f"SELECT {column} FROM markets WHERE instance_type = ? AND region = ?",  # noqa: S608
            *(instance_type, region),
        )
        return found

    def _change(self, place: Place, column: str, value: int) -> None:
        self._store.run("INSERT OR IGNORE INTO markets (instance_type, region) VALUES (?, ?)", *place)
        self._store.run(
            f"UPDATE markets SET {column} = ? WHERE instance_type = ? AND region = ?",  # noqa: S608
            *(value, *place),
        )
