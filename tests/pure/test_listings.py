"""The shared listings: what they tell while bids change, and how few requests they send for those who wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.listed_cloud import BID, BUDGET, NOW, Cloud

from flow_resources.cloud import RetryBudget
from flow_resources.cloud.listings import Listings, Waiting
from flow_resources.core.models import Bid, Instance
from flow_resources.errors import UnavailableError


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


# -- what a create judges --------------------------------------------------------------------------------------------

ALL = ["Open", "Allocated", "Preempting", "Paused"]


@pytest.fixture
def cloud() -> Cloud:
    """A bid that was placed an hour ago, and one that was placed before and has ended."""
    cloud = Cloud()
    cloud.place("old", "Allocated", NOW - timedelta(hours=1))
    cloud.end(cloud.place("ended", at=NOW - timedelta(hours=2)))
    return cloud


def test_what_was_placed_since_is_one_page(cloud: Cloud) -> None:
    """Everything is listed once, however much is live; each later create asks for what is newer."""
    for number in range(500):
        cloud.place(f"other_{number}", "Allocated", NOW - timedelta(hours=2))
    assert len(cloud.live_before_create()) == 501
    assert cloud.requests == ["Open", *["Allocated"] * 6, "Preempting", "Paused"]
    for number in range(20):
        cloud.requests.clear()
        cloud.time = NOW + timedelta(minutes=number)
        cloud.place(f"new_{number}")
        assert f"new_{number}" in cloud.live_before_create()
        assert cloud.requests == ["newest"]
    assert len(cloud.live_before_create()) == 521


def test_what_was_placed_late_by_another_process_is_found(cloud: Cloud) -> None:
    """The listing before it did not show it yet."""
    assert cloud.live_before_create() == {"old"}
    cloud.time = NOW + timedelta(seconds=4)
    cloud.place("hidden", at=NOW - timedelta(seconds=4))
    assert cloud.live_before_create() == {"old", "hidden"}


def test_what_was_seen_ended_is_not_live(cloud: Cloud) -> None:
    """By its id, or among the newest; the others are as they were read, which is told."""
    cloud.place("new")
    assert cloud.live_before_create() == {"old", "new"}
    cloud.end("new")
    known = cloud.listings.live_bids_before_create(cloud.now(), BUDGET)
    assert (set(known.bids), set(known.just_read)) == ({"old"}, {"new"})
    cloud.end("old")
    cloud.listings.record_end("old")
    assert not cloud.live_before_create()


@pytest.mark.parametrize("doubt", ["created_at", "status", "order", "service time"])
def test_what_does_not_tell_what_is_new_makes_everything_be_listed(cloud: Cloud, doubt: str) -> None:
    """A creation time or a status that cannot be read, another order, a service whose time is not known."""
    cloud.live_before_create()
    cloud.requests.clear()
    cloud.time = NOW + timedelta(minutes=1)
    cloud.place("new")
    if doubt == "created_at":
        cloud.bids["new"] = replace(cloud.bids["new"], created_at="")
    elif doubt == "status":
        cloud.bids["another"] = replace(cloud.bids["new"], id="another", status="")
        cloud.placed_at["another"] = cloud.placed_at["new"]
    elif doubt == "order":
        cloud.newest_first = False
    else:
        cloud.time = None
    assert cloud.live_before_create() >= {"old", "new"}
    assert cloud.requests[-4:] == ALL


def test_the_order_of_the_newest_is_doubted_where_nothing_was_live(cloud: Cloud) -> None:
    """The oldest of all comes first; nothing that is known is newer."""
    cloud.end("old")
    assert not cloud.live_before_create()
    cloud.newest_first, cloud.time = False, NOW + timedelta(minutes=1)
    cloud.place("new")
    assert cloud.live_before_create() == {"new"}


class SlowService(Cloud):
    """Each page takes a second."""

    def __init__(self) -> None:
        self.seconds = 100.0
        super().__init__(lambda: self.seconds)
        self.place("it", "Allocated")
        self.place("other", "Allocated")

    def _pages(self, what: str, rows: list[Any], limit: int) -> Iterator[Any]:
        self.seconds += 1.0
        yield from super()._pages(what, rows, limit)

    def refresh(self, id_: str) -> int:
        """Read a bid and its instances as a refresh does; return how many pages that took."""
        before, begun = len(self.requests), self.seconds
        bid = self.listings.bid(id_, begun - 2.0, BUDGET, begun - 5.0)
        assert bid
        assert self.listings.instances(bid, begun - 2.0, BUDGET, begun - 5.0)
        return len(self.requests) - before


def test_a_listing_that_takes_longer_than_it_is_fresh_serves_those_who_come_when_it_has_ended() -> None:
    """Else a refresh of many would list everything anew for each few that run at the same time."""
    service = SlowService()
    assert service.refresh("it") == 5
    service.seconds += 3.0
    assert service.refresh("other") == 0
    service.seconds += 3.0
    assert service.refresh("it") == 5


def test_no_listing_from_before_a_change_serves_whatever_its_end() -> None:
    """It may have read the bid before."""
    service = SlowService()
    service.refresh("it")
    with service.listings.recording_change("it"):
        service.place("it", "Allocated")
    assert service.refresh("it") == 5
    assert service.refresh("other") == 0


# -- with instances --------------------------------------------------------------------------------------------------


class ServiceAtOnce(Cloud):
    """It answers a listing of bids, and one of instances, only once both have been asked for."""

    def __init__(self) -> None:
        super().__init__(time.monotonic)
        self.both = threading.Barrier(2, timeout=10)
        self.error: Exception | None = None

    def list_bids(self, status: str, budget: RetryBudget) -> Iterator[Bid]:
        if status == ALL[0]:
            self.both.wait()
        return super().list_bids(status, budget)

    def list_instances(self, budget: RetryBudget, bid_ids: Collection[str] = ()) -> Iterator[Instance]:
        if not self.both.broken and "instances" not in self.requests:
            self.both.wait()
        if self.error:
            self.requests.append("instances")
            budget.spent += 3.0
            raise self.error
        return super().list_instances(budget, bid_ids)


def test_bids_and_instances_are_listed_at_the_same_time() -> None:
    """Else a refresh of many would take twice as long of a service that is far away."""
    service = ServiceAtOnce()
    service.place("it", "Allocated")
    bid = service.listings.bid("it", 0.0, BUDGET, with_instances=True)
    assert bid
    assert service.listings.instances(bid, 0.0, BUDGET)
    assert sorted(service.requests) == sorted([*ALL, "instances"])


def test_a_bid_is_told_where_the_instances_beside_it_are_not() -> None:
    """Who needs them hears why; who asks later asks anew, without the time that was spent on retries."""
    service, budget = ServiceAtOnce(), RetryBudget(60.0)
    service.error = UnavailableError("no answer", "run it again")
    service.place("paused", "Paused")
    asked = service.listings.instance_listings
    bid = service.listings.bid(service.place("it", "Allocated"), 0.0, budget, with_instances=True)
    assert bid
    assert budget.spent == 3.0
    assert service.listings.bid("paused", 0.0, budget, with_instances=True)
    with pytest.raises(UnavailableError, match="no answer"):
        service.listings.instances(bid, 0.0, budget, asked=asked)
    assert service.requests.count("instances") == 1
    service.error = None
    assert service.listings.instances(bid, 0.0, budget)


# -- waiting ---------------------------------------------------------------------------------------------------------


def test_those_who_wait_together_share_one_listing_of_each(cloud: Cloud) -> None:
    """However much else is live, ended or older."""
    for number in range(5000):
        cloud.place(f"other_{number}", "Allocated", NOW - timedelta(hours=2))
    ids = [cloud.place(f"new_{number}", "Allocated") for number in range(45)]
    with cloud.listings.waiting_for(ids):
        assert cloud.waited("new_0") == {"new_0"}
        assert cloud.requests == ["newest", "instances"]
        reading = cloud.listings.waited(ids, 0.0, BUDGET)
    assert reading.bids.keys() == reading.instances.keys() == set(ids)
    assert cloud.requests == ["newest", "instances"]
    assert reading.requests == 2


def test_a_reading_that_began_before_somebody_waited_does_not_answer(cloud: Cloud) -> None:
    """Whatever age is accepted: it has not asked for that bid."""
    assert cloud.waited("old") == {"old"}
    cloud.place("new")
    assert cloud.listings.waited(["new"], 0.0, BUDGET).bids.keys() >= {"new"}


def test_no_reading_from_before_a_change_answers_one_who_waits(cloud: Cloud) -> None:
    """Whatever age is accepted."""
    with cloud.listings.waiting_for(["old"]):
        assert cloud.waited("old") == {"old"}
        with cloud.listings.recording_change("old"):
            cloud.end("old")
        assert cloud.listings.waited(["old"], 0.0, BUDGET).bids["old"].ended


def test_a_bid_that_was_just_read_is_asked_for_its_instances_alone(cloud: Cloud) -> None:
    """One that has none is not asked for anything; another who waits for it is not told of an earlier reading."""
    bid = cloud.bids[cloud.place("new", "Allocated")]
    assert [instance.bid for instance in cloud.listings.instances_of_new(bid, BUDGET)] == ["new"]
    assert cloud.requests == ["instances"]
    assert not cloud.listings.instances_of_new(replace(bid, instances=()), BUDGET)
    assert cloud.requests == ["instances"]
    assert cloud.waited("new") == {"new"}


def test_who_has_just_been_told_is_not_asked_for_before_it_pauses(cloud: Cloud) -> None:
    """Whatever is read meanwhile would be no answer to it; what is read while it pauses is one."""
    one, other = (cloud.bids[cloud.place(name, "Allocated")] for name in ("one", "other"))
    cloud.listings.instances_of_new(one, BUDGET)
    cloud.requests.clear()
    cloud.listings.instances_of_new(other, BUDGET)
    assert cloud.requests == ["instances"]
    with Waiting(cloud.listings, ["one"]).pausing():
        cloud.listings.instances_of_new(other, BUDGET)
    assert cloud.requests == ["instances", "newest", "instances"]
    assert cloud.listings.last_waited
    assert cloud.listings.last_waited.bids.keys() == {"one"}


@pytest.mark.parametrize(("count", "status"), [(1, "Paused"), (2, "Open"), (3, "Open"), (3, "Allocated")])
def test_a_bid_among_many_newer_ones_is_found(cloud: Cloud, count: int, status: str) -> None:
    """A few by their ids, more by the listings of their statuses; the newest are not listed for them again."""
    ids = [cloud.place(f"sunk_{number}", status, NOW - timedelta(minutes=1)) for number in range(count)]
    for number in range(300):
        cloud.end(cloud.place(f"other_{number}"))
    assert cloud.waited(*ids) == set(ids)
    cloud.requests.clear()
    assert cloud.waited(*ids) == set(ids)
    assert "newest" not in cloud.requests
    assert len(cloud.requests) <= 3


def test_a_bid_that_is_nowhere_is_left_out(cloud: Cloud) -> None:
    """Whether it is gone is for the caller to prove."""
    assert not cloud.waited("missing")
