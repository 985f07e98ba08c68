"""The availability and price endpoints of the API."""

from __future__ import annotations

from typing import Any

from flow_resources.testing.service.auction import price_to_win
from flow_resources.testing.service.catalog import REGIONS, TYPES, InstanceType
from flow_resources.testing.service.formats import write_price
from flow_resources.testing.service.market import BIDDING, Market, Pool, bidder
from flow_resources.testing.service.store import Store


class Quotes:
    """The responses of the two endpoints for present prices."""

    def __init__(self, store: Store, market: Market) -> None:
        """Use the bids in `store` and the prices of `market`."""
        self._store = store
        self._market = market

    def auctions(self, at: float) -> list[dict[str, Any]]:
        """Return the response of GET /v2/spot/availability."""
        return [
            self._auction(Pool(instance_type.fid, region), at)
            for instance_type in TYPES
            for region in instance_type.regions
        ]

    def current(
        self, instance_type: InstanceType, region: str | None, quantity: int, at: float
    ) -> dict[str, int | None]:
        """Return the response of GET /v2/pricing/current; without a region, the lowest price and the total capacity.

        `dynamic_win_price_cents` is the lowest limit that wins `quantity` machines now; None if capacity is too small.
        """
        # A type has a price even in regions where it is not on offer: clients read prices before availability.
        regions = REGIONS if region is None else (region,)
        pools = [Pool(instance_type.fid, name) for name in regions]
        market = self._market
        return {
            "spot_price_cents": min(market.price(pool, at) for pool in pools),
            "reserved_price_cents": None,
            "minimum_price_cents": min(market.floor(pool, at) for pool in pools),
            "lowest_allocated_bid_cents": min(filter(None, map(self._lowest_allocated, pools)), default=None),
            "dynamic_win_price_cents": min(
                filter(None, (self._winning_limit(pool, quantity, at) for pool in pools)), default=None
            ),
            "available_capacity": sum(market.free(pool, at) for pool in pools),
            "total_capacity": sum(market.capacity(pool, at) for pool in pools),
        }

    def _auction(self, pool: Pool, at: float) -> dict[str, Any]:
        lowest = self._lowest_allocated(pool)
        return {
            "fid": f"auc_{pool.instance_type[3:]}{REGIONS.index(pool.region)}",
            "instance_type": pool.instance_type,
            "region": pool.region,
            "capacity": self._market.capacity(pool, at),
            "last_instance_price": write_price(self._market.price(pool, at)),
            "lowest_allocated_price": None if lowest is None else write_price(lowest),
            "adjustable_memory": False,
            "default_image_version": None,
        }

    def _winning_limit(self, pool: Pool, quantity: int, at: float) -> int | None:
        rows = self._store.rows(
            "SELECT fid, seq, limit_cents, quantity FROM bids WHERE instance_type = ? AND region = ?"  # noqa: S608
            f" AND status != 'Terminated' AND {BIDDING}",
            *pool,
        )
        bidders = [*self._market.competitors(pool, at), *map(bidder, rows)]
        return price_to_win(bidders, self._market.floor(pool, at), self._market.capacity(pool, at), quantity)

    def _lowest_allocated(self, pool: Pool) -> int | None:
        lowest: int | None = self._store.value(
            "SELECT min(limit_cents) FROM bids WHERE status = 'Allocated'"
            " AND status != 'Terminated' AND instance_type = ? AND region = ?",
            *pool,
        )
        return lowest
