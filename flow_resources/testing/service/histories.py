"""The history endpoints of the API: prices of the market, and statuses and prices of instances."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from flow_resources.testing.service.billing import Billing
from flow_resources.testing.service.catalog import BY_FID, TYPES
from flow_resources.testing.service.formats import write_price, write_time
from flow_resources.testing.service.instances import order_of
from flow_resources.testing.service.listing import Listing
from flow_resources.testing.service.market import Market, Pool
from flow_resources.testing.service.query import Query
from flow_resources.testing.service.reservation_terms import unit_price
from flow_resources.testing.service.store import Row, Store

_WEEK = 7 * 86_400.0
_BEFORE_START = 31 * 86_400.0
"""How long before the start of the cloud the price history begins."""
_SAMPLES_DEFAULT = 100
_SAMPLES_MAX = 1_000


class Histories:
    """The responses of the three history endpoints."""

    def __init__(self, store: Store, market: Market, billing: Billing) -> None:
        """Use the tables of `store`."""
        self._store = store
        self._market = market
        self._billing = billing

    def prices(self, query: Query, now: float) -> dict[str, Any]:
        """Return the response of GET /v2/pricing/history, by default for the last seven days.

        A price is valid until the next timestamp. `num_samples` is the number of evenly spaced points of each series;
        -1 returns every change.
        """
        requested_samples = query.integer("num_samples", minimum=-1, maximum=_SAMPLES_MAX)
        samples = _SAMPLES_DEFAULT if requested_samples is None else requested_samples
        requested_start, requested_end = query.time("start_time"), query.time("end_time")
        type_ids, region = query.text_list("instance_types", list(BY_FID)), query.text("region")
        oldest = self._market.started_at - _BEFORE_START
        end = max(oldest, now if requested_end is None else min(requested_end, now))
        start = max(oldest, end - _WEEK if requested_start is None else min(requested_start, end))
        pools = [
            Pool(instance_type.fid, offered_in)
            for instance_type in TYPES
            for offered_in in instance_type.regions
            if (not type_ids or instance_type.fid in type_ids) and region in (None, offered_in)
        ]
        series = [_series(pool, self.points(pool, start, end, samples)) for pool in pools]
        return {"series": series, "complete": samples == -1, "show_disabled_regions": False}

    def points(self, pool: Pool, start: float, end: float, samples: int) -> list[tuple[float, int]]:
        """Return (time, cents): every change if `samples` is -1, else this many evenly spaced points."""
        prices = self._market.prices(pool, start, end)
        if samples < 0:
            return list(prices.changes(start, end))
        step = (end - start) / max(1, samples - 1)
        times = [start + step * index for index in range(samples)] if end > start else [start][:samples]
        return [(at, prices.at(at)) for at in times]

    def instance_prices(self, query: Query, project: str, page_limit: int) -> dict[str, Any]:
        """Return the response of GET /v2/instances/pricing/history."""

        def events(instance: Row, start: float, end: float) -> list[dict[str, Any]]:
            return [
                {
                    "price_cents": period.cents,
                    "start_time": write_time(period.start),
                    "end_time": None if period.end is None else write_time(period.end),
                }
                for period in self._billing.history(instance)
                if period.start <= end and (period.end is None or period.end >= start)
            ]

        return self._for_instances(query, project, page_limit, events)

    def instance_statuses(self, query: Query, project: str, page_limit: int) -> dict[str, Any]:
        """Return the response of GET /v2/instances/status/history."""

        def events(instance: Row, start: float, end: float) -> list[dict[str, Any]]:
            rows = self._store.rows("SELECT * FROM phases WHERE instance = ? ORDER BY rowid", instance["seq"])
            return [
                {"timestamp": write_time(row["at"]), "status": row["status"]}
                for row in rows
                if start <= row["at"] <= end
            ]

        return self._for_instances(query, project, page_limit, events)

    def _for_instances(
        self,
        query: Query,
        project: str,
        page_limit: int,
        events: Callable[[Row, float, float], Sequence[dict[str, Any]]],
    ) -> dict[str, Any]:
        start, end = query.time("start_time") or 0.0, query.time("end_time")
        end = math.inf if end is None else end
        listing = replace(Listing.read("instances", query, {"created_at": "seq"}, page_limit), descending=False)
        listing.filter_in("project", [project])
        listing.filter_by_query(query, instance_fid="fid", bid_fid="bid", reservation_fid="bid")
        rows, cursor = listing.page(self._store)
        instances = [
            {
                "instance_fid": row["fid"],
                "events": events(row, start, end),
                "bid_fid": order["bid"],
                "reservation_fid": order["reservation"],
            }
            for row in rows
            for order in [order_of(row)]
        ]
        return {"instances": instances, "next_cursor": cursor}


def _series(pool: Pool, points: Sequence[tuple[float, int]]) -> dict[str, Any]:
    prices = [write_price(cents) for _, cents in points]
    return {
        "instance_type": pool.instance_type,
        "region": pool.region,
        "timestamps": [write_time(at) for at, _ in points],
        "spot_prices": prices,
        "reserved_prices": [write_price(unit_price(BY_FID[pool.instance_type]))] * len(points),
        "region_disabled": False,
    }
