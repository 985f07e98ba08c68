"""However many wait, for however long: a few requests for all of them, and everybody hears of it in time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any

import pytest
from support.listed_cloud import BUDGET, NOW, Cloud
from support.stack import Reports
from support.virtual_clock import VirtualClock

from flow_resources.cloud import RetryBudget
from flow_resources.cloud.listings import Waiting
from flow_resources.core.models import Instance
from flow_resources.lifecycle.waiting import Deadline

BOOT = 600.0


class Boots:
    """Bids whose machines take a time to boot, the last of them longer by a spread; each is waited for by a thread."""

    def __init__(self, waiters: int, others: int = 0, boot: float = BOOT, spread: float = 0.0) -> None:
        self.boot, self.spread = boot, spread
        self.clock = VirtualClock(self.advance)
        self.cloud = Cloud(self.clock.now)
        self.begun = self.clock.now()
        for number in range(others):
            self.cloud.place(f"other_{number}", "Allocated", NOW - timedelta(hours=1))
        self.ids = [self.cloud.place(f"bid_{number}", "Open") for number in range(waiters)]
        self.booted = 0
        self.sent: list[tuple[float, int]] = []
        """How many requests had been sent at which moment."""

    def advance(self, _seconds: float) -> None:
        """Let time pass in the cloud."""
        self.sent.append((self.clock.now() - self.begun, len(self.cloud.requests)))
        while self.booted < len(self.ids) and self.clock.now() >= self.begun + self.boot_of(self.booted):
            self.cloud.place(self.ids[self.booted], "Allocated")
            self.booted += 1

    def boot_of(self, number: int) -> float:
        """Return how long the machines of a bid take."""
        return self.boot + self.spread * number / len(self.ids)

    def wait(self, id_: str, after: float = 0.0) -> float:
        """Wait for a bid, from some seconds on; return when it is there, in seconds from the beginning of all."""
        if after:
            self.clock.sleep(after)
        listings = self.cloud.listings
        deadline = Deadline(self.clock, self.clock.now(), 1800.0, 300.0, Reports())

        def poll(moment: float) -> bool:
            return bool(listings.waited([id_], moment, BUDGET).instances.get(id_))

        for is_there in deadline.watch(poll, Waiting(listings, [id_])):
            if is_there:
                break
        return self.clock.now() - self.begun

    def requests_between(self, begin: float, end: float) -> int:
        """Return how many requests were sent between two moments of the wait."""
        counts = [count for moment, count in self.sent if begin <= moment <= end]
        return counts[-1] - counts[0]


@pytest.mark.parametrize(("waiters", "others"), [(1, 0), (10, 0), (45, 5000), (128, 0)])
def test_who_waits_together_sends_two_requests_per_five_seconds(waiters: int, others: int) -> None:
    """After half a minute, in which it is some 30 readings. Everybody hears of it in one of the next readings."""
    waiting = Boots(waiters, others)
    took = waiting.clock.run(waiting.wait, waiting.ids)
    pages = 1 + waiters // 100
    assert waiting.requests_between(0.0, 36.0) <= 2 * pages * 30
    assert waiting.requests_between(36.0, BOOT) <= 2 * (BOOT - 36.0) / 5.0
    assert BOOT <= min(took) <= max(took) <= BOOT + 2 * 1.15 * 6.0 * pages


class UnevenCloud(Cloud):
    """Between the two requests of every other reading there is a second."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock.now)
        self.clock, self.readings = clock, 0
        self.sent_at: list[float] = []

    def list_instances(self, budget: RetryBudget, bid_ids: Collection[str] = ()) -> Iterator[Instance]:
        self.readings += 1
        self.clock.sleep(float(self.readings % 2))
        return super().list_instances(budget, bid_ids)

    def _pages(self, what: str, rows: list[Any], limit: int) -> Iterator[Any]:
        self.sent_at.append(self.clock.now())
        return super()._pages(what, rows, limit)


def test_a_reading_that_takes_long_is_not_followed_by_the_next_within_five_seconds() -> None:
    """The last request of the one and both of the next would be three."""
    waiting = Boots(1)
    waiting.cloud = cloud = UnevenCloud(waiting.clock)
    cloud.place("bid_0", "Open")
    waiting.clock.run(waiting.wait, waiting.ids)
    later = [moment for moment in cloud.sent_at if moment >= waiting.begun + 36.0]
    assert max(sum(moment <= other < moment + 5.0 for other in later) for moment in later) == 2


def test_what_takes_seconds_is_seen_within_one() -> None:
    """One who has waited for long, and pauses for longer, hears of the readings of those who have just begun."""
    waiting = Boots(2, boot=21.5)
    took = waiting.clock.run(lambda id_: waiting.wait(id_, after=20.0 if id_ == "bid_1" else 0.0), waiting.ids)
    assert max(took) <= 21.5 + 0.6


@pytest.mark.parametrize("boot", [1.0, 3.0, 6.0, 10.0])
def test_a_boot_is_seen_within_a_third_of_its_time(boot: float) -> None:
    """At most two seconds late."""
    waiting = Boots(32, boot=boot)
    took = waiting.clock.run(waiting.wait, waiting.ids)
    assert max(took) <= boot + min(0.33 * boot + 0.3, 2.0)


@pytest.mark.parametrize("boot", [3.0, 6.0, 10.0, 20.0])
@pytest.mark.parametrize("spread", [0.05, 0.5, 1.0])
def test_who_is_a_little_behind_the_others_is_seen_soon(boot: float, spread: float) -> None:
    """Whichever of them a reading just misses: the next comes sooner after one that tells of others."""
    waiting = Boots(32, boot=boot, spread=spread)
    took = waiting.clock.run(waiting.wait, waiting.ids)
    behind = [number for number in range(32) if waiting.boot_of(number) > min(took)]
    assert max((took[number] - waiting.boot_of(number) for number in behind), default=0.0) <= 0.6


def test_boots_that_spread_over_half_a_minute_are_not_read_for_each() -> None:
    """One reading of many tells of some each time: there are few a second all the same, and some 60 in all."""
    waiting = Boots(300, boot=1.0, spread=29.0)
    waiting.clock.run(waiting.wait, waiting.ids)
    pages = 1 + 300 // 100
    assert waiting.requests_between(20.0, 30.0) <= 2 * pages * 10 * 3
