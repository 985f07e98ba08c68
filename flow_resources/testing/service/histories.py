"""What was, as the API tells it: the prices of the market, and the statuses and prices of machines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from flow_resources.testing.service.billing import Billing
from flow_resources.testing.service.catalog import BY_FID, TYPES
from flow_resources.testing.service.listing import Listing
from flow_resources.testing.service.machines import order_of
from flow_resources.testing.service.market import Market, Place
from flow_resources.testing.service.notation import write_price, write_time
from flow_resources.testing.service.query import Query
from flow_resources.testing.service.store import Row, Store

_WEEK = 7 * 86_400.0
_BEFORE = 31 * 86_400.0
"""How long before the story the history of prices begins."""
_SAMPLES = 100
_SAMPLES_MAX = 1_000


class Histories:
    """Answers the three endpoints that look back."""

    def __init__(self, store: Store, market: Market, billing: Billing) -> None:
        """Read what the other rooms wrote down."""
        self._store = store
        self._market = market
        self._billing = billing

    def prices(self, query: Query, now: float) -> dict[str, Any]:
        """Answer GET /v2/pricing/history: the last seven days unless the query says otherwise.

        A price holds until the next timestamp. `num_samples` is how many points each series has at most, evenly spread;
        -1 gives every change.
        """
        asked_samples = query.whole("num_samples", least=-1, most=_SAMPLES_MAX)
        samples = _SAMPLES if asked_samples is None else asked_samples
        asked_start, asked_end = query.moment("start_time"), query.moment("end_time")
        wanted, region = query.many("instance_types", list(BY_FID)), query.text("region")
        oldest = self._market.born - _BEFORE
        end = max(oldest, now if asked_end is None else min(asked_end, now))
        start = max(oldest, end - _WEEK if asked_start is None else min(asked_start, end))
        places = [
            Place(kind.fid, one)
            for kind in TYPES
            for one in kind.regions
            if (not wanted or kind.fid in wanted) and region in (None, one)
        ]
        series = [_series(place, self.points(place, start, end, samples)) for place in places]
        return {"series": series, "complete": samples == -1, "show_disabled_regions": False}

    def points(self, place: Place, start: float, end: float, samples: int) -> list[tuple[float, int]]:
        """Return (moment, cents): every change when `samples` is -1, else that many moments, evenly spread."""
        prices = self._market.prices(place, start, end)
        if samples < 0:
            return list(prices.changes(start, end))
        step = (end - start) / max(1, samples - 1)
        moments = [start + step * index for index in range(samples)] if end > start else [start][:samples]
        return [(moment, prices.at(moment)) for moment in moments]

    def machine_prices(self, query: Query, project: str, page_limit: int) -> dict[str, Any]:
        """Answer GET /v2/instances/pricing/history: what each machine cost an hour, and from when to when."""

        def events(machine: Row, start: float, end: float) -> list[dict[str, Any]]:
            return [
                {
                    "price_cents": period.cents,
                    "start_time": write_time(period.start),
                    "end_time": None if period.end is None else write_time(period.end),
                }
                for period in self._billing.history(machine)
                if period.start <= end and (period.end is None or period.end >= start)
            ]

        return self._of_machines(query, project, page_limit, events)

    def machine_statuses(self, query: Query, project: str, page_limit: int) -> dict[str, Any]:
        """Answer GET /v2/instances/status/history: what each machine went through."""

        def events(machine: Row, start: float, end: float) -> list[dict[str, Any]]:
            rows = self._store.rows("SELECT * FROM phases WHERE instance = ? ORDER BY rowid", machine["seq"])
            return [
                {"timestamp": write_time(row["at"]), "status": row["status"]}
                for row in rows
                if start <= row["at"] <= end
            ]

        return self._of_machines(query, project, page_limit, events)

    def _of_machines(
        self,
        query: Query,
        project: str,
        page_limit: int,
        events: Callable[[Row, float, float], Sequence[dict[str, Any]]],
    ) -> dict[str, Any]:
        asked = (query.moment("start_time"), query.moment("end_time"))
        start, end = (otherwise if one is None else one for one, otherwise in zip(asked, (0.0, math.inf), strict=True))
        listing = replace(Listing.read("instances", query, {"created_at": "seq"}, page_limit), descending=False)
        listing.only("project", [project])
        listing.as_asked(query, instance_fid="fid", bid_fid="bid", reservation_fid="bid")
        rows, cursor = listing.page(self._store)
        machines = [
            {
                "instance_fid": row["fid"],
                "events": events(row, start, end),
                "bid_fid": order["bid"],
                "reservation_fid": order["reservation"],
            }
            for row in rows
            for order in [order_of(row)]
        ]
        return {"instances": machines, "next_cursor": cursor}


def _series(place: Place, points: Sequence[tuple[float, int]]) -> dict[str, Any]:
    prices = [write_price(cents) for _, cents in points]
    return {
        "instance_type": place.instance_type,
        "region": place.region,
        "timestamps": [write_time(at) for at, _ in points],
        "spot_prices": prices,
        "reserved_prices": [],
        "region_disabled": False,
    }
