"""Waiting: up to the goal of `wait_for`, not beyond the time limit, and with one listing for all waiters."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from support.stack import PROVIDERS, Context, Create, FakeClock, Reports, Stack, VerbError, cluster, settings_of, wire

from flow_resources.clock import Clock as RealClock
from flow_resources.providers import base
from flow_resources.testing import Clock, FakeMithril

pytestmark = pytest.mark.both_hosts(plugin="languages")


@pytest.fixture
def time() -> Clock:
    """The clock of the cloud, which advances as the waiter sleeps."""
    return Clock(speed=0)


@pytest.fixture
def slow(clean_environment: None, time: Clock) -> Iterator[FakeMithril]:
    """A cloud whose machines take 20 s to boot."""
    with FakeMithril(boot_seconds=20.0, clock=time) as fake:
        yield fake


@pytest.fixture
def waiting(slow: FakeMithril, time: Clock, clock: FakeClock) -> Iterator[Stack]:
    """A stack on the slow cloud."""
    clock.on_sleep = lambda: time.advance(clock.slept[-1])
    yield Stack(settings_of(slow), clock=clock)
    base.current().close()


@pytest.fixture
def rows(reports: Reports) -> list[str]:
    """The progress messages of the row of the resource."""
    return reports.rows


def test_running_waits_until_every_machine_runs_and_has_an_address(waiting: Stack, clock: FakeClock) -> None:
    """The default of `wait_for`."""
    waiting.up({"trainer": cluster(num_instances=4)})
    assert len(waiting.state["trainer"].outputs["public_ips"]) == 4
    assert 20 <= sum(clock.slept) < 25


@pytest.mark.parametrize("goal", ["placed", "allocated"])
def test_weaker_goals_do_not_wait_for_machines(waiting: Stack, clock: FakeClock, goal: str) -> None:
    """The bid is placed, or is allocated."""
    waiting.up({"trainer": cluster(wait_for=goal)})
    assert waiting.state["trainer"].outputs["status"] == "starting"
    assert sum(clock.slept) < 1


def test_allocated_waits_for_the_auction(waiting: Stack, slow: FakeMithril, clock: FakeClock, time: Clock) -> None:
    """A bid below the market price waits until the price falls."""
    slow.set_price("8xa100", "us-central5-a", 61.0)

    def lower_price() -> None:
        time.advance(clock.slept[-1])
        if sum(clock.slept) > 100:
            slow.set_price("8xa100", "us-central5-a", 40.0)

    clock.on_sleep = lower_price
    waiting.up({"trainer": cluster(wait_for="allocated")})
    assert 100 < sum(clock.slept) < 110


def test_a_stronger_goal_later_is_waited_for_without_a_mutation(waiting: Stack, slow: FakeMithril) -> None:
    """From placed to running."""
    waiting.up({"trainer": cluster(wait_for="placed")})
    slow.clear_requests()
    waiting.up({"trainer": cluster()})
    assert waiting.state["trainer"].outputs["status"] == "running"
    assert not slow.mutations


def test_at_the_time_limit_the_id_is_recorded_and_the_next_up_continues(
    waiting: Stack, slow: FakeMithril, clock: FakeClock
) -> None:
    """The error contains the last status; there is one bid throughout."""
    slow.set_price("8xa100", "us-central5-a", 61.0)
    with pytest.raises(VerbError) as failed:
        waiting.up({"trainer": cluster(num_instances=4, timeout=90.0)})
    assert str(failed.value) == (
        "0/4 machines running, bid $50.00, market $61.00: raise the bid or wait; run `pulumi up` again to go on"
    )
    assert round(sum(clock.slept)) == 90
    id_ = waiting.state["trainer"].id
    slow.set_price("8xa100", "us-central5-a", 12.0)
    assert waiting.preview({"trainer": cluster(num_instances=4)}) == {"trainer": "update"}
    waiting.up({"trainer": cluster(num_instances=4)})
    assert waiting.state["trainer"].outputs["status"] == "running"
    assert [bid["fid"] for bid in slow.bids] == [id_]


def test_the_default_time_limit_is_thirty_minutes(waiting: Stack, slow: FakeMithril, clock: FakeClock) -> None:
    """As documented."""
    slow.set_price("8xa100", "us-central5-a", 61.0)
    with pytest.raises(VerbError, match="0/1 machines running"):
        waiting.up({"trainer": cluster()})
    assert round(sum(clock.slept)) == 1800


def test_a_bid_that_ends_during_the_wait_is_reported_and_recorded(
    waiting: Stack, slow: FakeMithril, clock: FakeClock
) -> None:
    """Somebody cancelled it in the console."""
    clock.on_sleep = lambda: [slow.terminate(bid["fid"]) for bid in slow.live_bids]
    with pytest.raises(VerbError, match="ended while it was waited for"):
        waiting.up({"trainer": cluster()})
    waiting.up({"trainer": cluster(wait_for="placed")}, refresh=True)
    assert [bid["fid"] for bid in slow.live_bids] == [waiting.state["trainer"].id]


def test_an_outage_during_the_wait_leaves_the_id_recorded(waiting: Stack, slow: FakeMithril, clock: FakeClock) -> None:
    """After the bid is placed, no failure loses its id."""

    def reset_reads() -> None:
        clock.on_sleep = lambda: None  # one fault for all reads from here on
        slow.faults.add(method="GET", kind="reset", when="before", times=None)

    clock.on_sleep = reset_reads
    with pytest.raises(VerbError, match="run the same command again"):
        waiting.up({"trainer": cluster()})
    assert [bid["fid"] for bid in slow.live_bids] == [waiting.state["trainer"].id]


def test_the_row_shows_the_progress(
    waiting: Stack, slow: FakeMithril, clock: FakeClock, time: Clock, rows: list[str]
) -> None:
    """From the bid over the minutes of the auction to the result."""
    slow.set_price("8xa100", "us-central5-a", 61.0)

    def lower_price() -> None:
        time.advance(clock.slept[-1])
        if sum(clock.slept) > 130:
            slow.set_price("8xa100", "us-central5-a", 40.0)

    clock.on_sleep = lower_price
    waiting.up({"trainer": cluster(num_instances=4)})
    assert "placing: bid $50.00/h x 4 (max $200.00/h) in us-central5-a, market $61.00/h" in rows
    assert "waiting in the auction: 3rd minute" in rows
    assert "0/4 machines running" in rows
    assert rows[-1] == "4/4 machines running, max $200.00/h"


def test_many_waiters_share_one_listing(stack: Stack, cloud: FakeMithril) -> None:
    """64 waiters send about as many listings as one: real threads in real time."""
    cloud.boot_seconds, stack.clock = 1.0, RealClock()
    stack.operation()
    names = [f"c{number}" for number in range(64)]
    news = {name: stack.check(name, cluster(), None) for name in names}

    def create(name: str) -> Any:
        request = SimpleNamespace(urn=stack.urn(name, "GpuCluster"), timeout=0)
        return Create(PROVIDERS["GpuCluster"](), lambda provider: provider.create(wire(news[name])), request, Context())

    with ThreadPoolExecutor(64) as pool:
        results = list(pool.map(create, names))
    assert len({result.id for result in results}) == 64
    assert all(result.outs["status"] == "running" for result in results)
    listings = [
        request
        for request in cloud.requests
        if request.path == "/v2/spot/bids" and request.query.get("status") == "Open"
    ]
    assert len(listings) <= 64


def test_polls_slow_down_to_one_listing_per_five_seconds(waiting: Stack, slow: FakeMithril, clock: FakeClock) -> None:
    """Frequent at first, slower after half a minute."""
    slow.set_price("8xa100", "us-central5-a", 61.0)
    with pytest.raises(VerbError):
        waiting.up({"trainer": cluster(timeout=300.0)})
    late = [pause for index, pause in enumerate(clock.slept) if sum(clock.slept[:index]) > 40]
    assert clock.slept[0] < 0.5
    assert min(late[:-1]) >= 5
