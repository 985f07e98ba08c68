"""The shared listings: what they tell while bids change, and how few requests they send for those who wait."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from flow_resources.cloud import RetryBudget
from flow_resources.cloud.listings import Listings
from flow_resources.core.models import Bid, Instance

BID = Bid("bid_1", "it", "proj_1", "Open", Decimal(50), 1, "it_1", "r", ("inst_1",), (), "2026-01-02T11:00:00Z")
NOW = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
BUDGET = RetryBudget(0.0)
PAGE = 100


class Cloud:
    """Bids in the order in which they were placed, and a journal of the requests for pages of them."""

    def __init__(self, now: Callable[[], float] = itertools.count(1.0).__next__) -> None:
        self.bids: dict[str, Bid] = {}
        self.requests: list[str] = []
        self.time: datetime | None = NOW
        self.listings = Listings(self, now)

    def place(self, id_: str, status: str = "Open", at: datetime | None = None, **fields: object) -> str:
        """Place a bid now, or at another time."""
        created_at = (at or self.time or NOW).isoformat()
        self.bids[id_] = replace(BID, id=id_, status=status, created_at=created_at, **fields)  # type: ignore[arg-type]
        return id_

    def end(self, id_: str) -> None:
        """End a bid."""
        self.bids[id_] = replace(self.bids[id_], status="Terminated")

    # -- what the listings send

    def list_bids(self, status: str, _budget: RetryBudget) -> Iterator[Bid]:
        return self._pages(status, [bid for bid in self.bids.values() if bid.status == status], PAGE)

    def list_newest_bids(self, limit: int, _budget: RetryBudget) -> Iterator[Bid]:
        return self._pages("newest", sorted(self.bids.values(), key=lambda bid: bid.created_at, reverse=True), limit)

    def read_bid(self, bid_id: str, _budget: RetryBudget) -> Bid | None:
        self.requests.append(bid_id)
        return self.bids.get(bid_id)

    def list_instances(self, _budget: RetryBudget, bid_ids: Collection[str] = ()) -> Iterator[Instance]:
        assert len(bid_ids) <= PAGE
        holders = [id_ for id_ in bid_ids or self.bids if self.bids[id_].status == "Allocated"]
        yield from self._pages("instances", [Instance(f"of {id_}", id_, "running", None, None, None) for id_ in holders], PAGE)

    def service_now(self) -> datetime | None:
        return self.time

    def _pages(self, what: str, rows: list[object], limit: int) -> Iterator[object]:
        for start in range(0, max(len(rows), 1), limit):
            self.requests.append(what)
            yield from rows[start : start + limit]

    # -- what is asked

    def live_before_create(self) -> set[str]:
        """Return the ids of what a create would judge."""
        return set(self.listings.live_bids_before_create(self.listings._now(), BUDGET).bids)

    def waited(self, *ids: str) -> set[str]:
        """Return which of these bids a reading finds that one who waits for them asks for."""
        return set(ids) & self.listings.waited(ids, self.listings._now(), BUDGET).bids.keys()


class Service(Cloud):
    """One bid, whose status changes after some number of pages; a clock that ticks whenever it is read."""

    def __init__(self, before: str, after: str, pages: int) -> None:
        super().__init__()
        self.before, self.after, self.pages, self.read = before, after, pages, 0

    def list_bids(self, status: str, _budget: RetryBudget) -> Iterator[Bid]:
        current = self.before if self.read < self.pages else self.after
        self.read += 1
        return iter([replace(BID, status=current)] if status == current else [])

    def live_bids(self) -> Collection[str]:
        """Return the ids of the live bids, whatever their age."""
        return self.listings.live_bids(0.0, BUDGET)


@pytest.mark.parametrize("pages", range(5))
@pytest.mark.parametrize(
    ("before", "after"),
    [("Open", "Allocated"), ("Allocated", "Preempting"), ("Open", "Paused"), ("Allocated", "Paused")],
)
def test_a_bid_whose_status_changes_is_among_the_live_bids(before: str, after: str, pages: int) -> None:
    """It is allocated, preempted or paused, after whichever page."""
    assert BID.id in Service(before, after, pages).live_bids()


def test_no_listing_that_began_before_a_placement_answers() -> None:
    """Whatever age a caller accepts."""
    service = Service("Terminated", "Open", 4)
    assert not service.live_bids()
    service.listings.record_placement()
    assert BID.id in service.live_bids()


def test_a_listing_in_the_same_grain_of_the_clock_does_not_answer() -> None:
    """It may have begun before the placement."""
    service = Service("Terminated", "Open", 4)
    service.listings = Listings(service, lambda: 7.0)
    assert not service.live_bids()
    service.listings.record_placement()
    assert BID.id in service.live_bids()
