"""The market as the API shows it: what is on offer, and what a type costs now."""

from __future__ import annotations

from typing import Any

from flow_resources.testing.service.auction import price_to_win
from flow_resources.testing.service.catalog import REGIONS, TYPES, InstanceType
from flow_resources.testing.service.market import BIDDING, Market, Place, bidder
from flow_resources.testing.service.notation import write_price
from flow_resources.testing.service.store import Store


class Quotes:
    """Answers the two endpoints that speak of the present."""

    def __init__(self, store: Store, market: Market) -> None:
        """Read what `market` knows."""
        self._store = store
        self._market = market

    def auctions(self, at: float) -> list[dict[str, Any]]:
        """Return what is on offer as /v2/spot/availability lists it."""
        return [self._auction(Place(kind.fid, region), at) for kind in TYPES for region in kind.regions]

    def current(self, kind: InstanceType, region: str | None, quantity: int, at: float) -> dict[str, int | None]:
        """Return what /v2/pricing/current says; without a region, the cheapest price and the whole capacity.

        `dynamic_win_price_cents` is the least limit that wins so many machines now, null when there are too few.
        """
        # A type has a price in every region, also where it is not on offer: clients probe prices before they look.
        places = [Place(kind.fid, one) for one in (REGIONS if region is None else (region,))]
        market = self._market
        return {
            "spot_price_cents": min(market.price(place, at) for place in places),
            "reserved_price_cents": None,
            "minimum_price_cents": min(market.floor(place, at) for place in places),
            "lowest_allocated_bid_cents": min(filter(None, map(self._lowest_allocated, places)), default=None),
            "dynamic_win_price_cents": min(
                filter(None, (self._winning(place, quantity, at) for place in places)), default=None
            ),
            "available_capacity": sum(market.free(place, at) for place in places),
            "total_capacity": sum(market.capacity(place, at) for place in places),
        }

    def _auction(self, place: Place, at: float) -> dict[str, Any]:
        lowest = self._lowest_allocated(place)
        return {
            "fid": f"auc_{place.instance_type[3:]}{REGIONS.index(place.region)}",
            "instance_type": place.instance_type,
            "region": place.region,
            "capacity": self._market.capacity(place, at),
            "last_instance_price": write_price(self._market.price(place, at)),
            "lowest_allocated_price": None if lowest is None else write_price(lowest),
            "adjustable_memory": False,
            "default_image_version": None,
        }

    def _winning(self, place: Place, quantity: int, at: float) -> int | None:
        rows = self._store.rows(
            "SELECT fid, seq, limit_cents, quantity FROM bids WHERE instance_type = ? AND region = ?"  # noqa: S608
            f" AND status != 'Terminated' AND {BIDDING}",
            *place,
        )
        bidders = [*self._market.others(place, at), *map(bidder, rows)]
        return price_to_win(bidders, self._market.floor(place, at), self._market.capacity(place, at), quantity)

    def _lowest_allocated(self, place: Place) -> int | None:
        lowest: int | None = self._store.value(
            "SELECT min(limit_cents) FROM bids WHERE status = 'Allocated'"
            " AND status != 'Terminated' AND instance_type = ? AND region = ?",
            *place,
        )
        return lowest
