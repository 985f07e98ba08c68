"""What the listings send their requests to, without HTTP: bids, and a journal of the pages that were asked for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from flow_resources.cloud import RetryBudget
from flow_resources.cloud.listings import Listings
from flow_resources.core.models import Bid, Instance

BID = Bid("bid_1", "it", "proj_1", "Open", Decimal(50), 1, "it_1", "r", ("inst_1",), (), "2026-01-02T11:00:00Z")
NOW = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
BUDGET = RetryBudget(0.0)
PAGE = 100


class Cloud:
    """Bids by id, and a journal of the requests for pages of them; without a clock, each look at it is a tick."""

    def __init__(self, now: Callable[[], float] | None = None) -> None:
        self.bids: dict[str, Bid] = {}
        self.placed_at: dict[str, str] = {}
        self.requests: list[str] = []
        self.time: datetime | None = NOW
        self.newest_first = True
        self.now = now or itertools.count(1.0).__next__
        self.listings = Listings(self, self.now)

    def place(self, id_: str, status: str = "Open", at: datetime | None = None) -> str:
        """Place a bid now, or at another time."""
        created_at = (at or self.time or NOW).isoformat()
        self.bids[id_] = replace(BID, id=id_, status=status, created_at=created_at)
        self.placed_at[id_] = created_at
        return id_

    def end(self, id_: str) -> None:
        """End a bid."""
        self.bids[id_] = replace(self.bids[id_], status="Terminated")

    # -- what the listings send

    def list_bids(self, status: str, _budget: RetryBudget) -> Iterator[Bid]:
        return self._pages(status, [bid for bid in self.bids.values() if bid.status == status], PAGE)

    def list_newest_bids(self, limit: int, _budget: RetryBudget) -> Iterator[Bid]:
        rows = sorted(self.bids.values(), key=lambda bid: self.placed_at[bid.id], reverse=self.newest_first)
        return self._pages("newest", rows, limit)

    def read_bid(self, bid_id: str, _budget: RetryBudget) -> Bid | None:
        self.requests.append(bid_id)
        return self.bids.get(bid_id)

    def list_instances(self, _budget: RetryBudget, bid_ids: Collection[str] = ()) -> Iterator[Instance]:
        assert len(bid_ids) <= PAGE
        holders = [id_ for id_ in bid_ids or self.bids if id_ in self.bids and self.bids[id_].status == "Allocated"]
        yield from self._pages(
            "instances", [Instance(f"of {id_}", id_, "running", "203.0.113.1", 22, None) for id_ in holders], PAGE
        )

    def service_now(self) -> datetime | None:
        return self.time

    def _pages(self, what: str, rows: list[Any], limit: int) -> Iterator[Any]:
        for start in range(0, max(len(rows), 1), limit):
            self.requests.append(what)
            yield from rows[start : start + limit]

    # -- what is asked

    def live_before_create(self) -> set[str]:
        """Return the ids of what a create would judge."""
        return set(self.listings.live_bids_before_create(self.now(), BUDGET).bids)

    def waited(self, *ids: str) -> set[str]:
        """Return which of these bids a reading finds that one who waits for them asks for."""
        return set(ids) & self.listings.waited(ids, self.now(), BUDGET).bids.keys()
