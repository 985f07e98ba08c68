"""The shared listings: a bid that moves on while they are read is in one of them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal

import pytest

from flow_resources.cloud.listings import Listings
from flow_resources.core.models import Bid

BID = Bid("bid_1", "it", "proj_1", "Open", Decimal(50), 1, "it_1", "r", ("inst_1",), (), "2026-01-02T11:00:00Z")


class Service:
    """One bid, which moves on after some number of pages; a clock that ticks at each look."""

    def __init__(self, before: str, after: str, pages: int) -> None:
        self.before, self.after, self.pages, self.read = before, after, pages, 0
        self.listings = Listings(self.list_bids, dict, itertools.count(1.0).__next__)

    def list_bids(self, status: str) -> dict[str, Bid]:
        now = self.before if self.read < self.pages else self.after
        self.read += 1
        return {BID.id: replace(BID, status=now)} if status == now else {}


@pytest.mark.parametrize("pages", range(5))
@pytest.mark.parametrize(
    ("before", "after"),
    [("Open", "Allocated"), ("Allocated", "Preempting"), ("Open", "Paused"), ("Allocated", "Paused")],
)
def test_a_bid_that_moves_on_is_among_the_live(before: str, after: str, pages: int) -> None:
    """It wins, it begins to lose its machines, it is paused: at whatever page."""
    assert BID.id in Service(before, after, pages).listings.live(0.0)


def test_what_was_placed_is_in_no_listing_that_began_before() -> None:
    """Whatever age somebody accepts."""
    service = Service("Terminated", "Open", 4)
    assert not service.listings.live(0.0)
    service.listings.placed()
    assert BID.id in service.listings.live(0.0)


def test_in_the_same_grain_of_the_clock_it_is_listed_again() -> None:
    """What began in the moment of the placing may have begun before it."""
    service = Service("Terminated", "Open", 4)
    service.listings = Listings(service.list_bids, dict, lambda: 7.0)
    assert not service.listings.live(0.0)
    service.listings.placed()
    assert BID.id in service.listings.live(0.0)
