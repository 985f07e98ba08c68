"""The shared listings: a bid whose status changes while they are read is in one of them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal

import pytest

from flow_resources.cloud import RetryBudget
from flow_resources.cloud.listings import Listings
from flow_resources.core.models import Bid

BID = Bid("bid_1", "it", "proj_1", "Open", Decimal(50), 1, "it_1", "r", ("inst_1",), (), "2026-01-02T11:00:00Z")


class Service:
    """One bid, whose status changes after some number of pages; a clock that ticks whenever it is read."""

    def __init__(self, before: str, after: str, pages: int) -> None:
        self.before, self.after, self.pages, self.read = before, after, pages, 0
        self.listings = Listings(self.list_bids, lambda _: {}, itertools.count(1.0).__next__)

    def list_bids(self, status: str, _budget: RetryBudget) -> dict[str, Bid]:
        current = self.before if self.read < self.pages else self.after
        self.read += 1
        return {BID.id: replace(BID, status=current)} if status == current else {}

    def live_bids(self) -> dict[str, Bid]:
        """Return the live bids, whatever their age."""
        return self.listings.live_bids(0.0, RetryBudget(0.0))


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
    service.listings = Listings(service.list_bids, lambda _: {}, lambda: 7.0)
    assert not service.live_bids()
    service.listings.record_placement()
    assert BID.id in service.live_bids()
