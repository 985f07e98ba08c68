"""Waiting: as far as `wait_for` asks, never past the limit, and all waiters with one listing."""

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


@pytest.fixture
def time() -> Clock:
    """The cloud's clock, which moves as the waiter sleeps."""
    return Clock(speed=0)


@pytest.fixture
def slow(clean_environment: None, time: Clock) -> Iterator[FakeMithril]:
    """A cloud whose machines boot for 20 s."""
    with FakeMithril(boot_seconds=20.0, clock=time) as fake:
        yield fake


@pytest.fixture
def waiting(slow: FakeMithril, time: Clock, clock: FakeClock) -> Iterator[Stack]:
    """A stack on it."""
    clock.on_sleep = lambda: time.advance(clock.slept[-1])
    yield Stack(settings_of(slow), clock=clock)
    base.current().close()


@pytest.fixture
def rows(reports: Reports) -> list[str]:
    """What the resource's row shows."""
    return reports.rows


def test_running_waits_until_every_machine_runs_and_has_an_address(waiting: Stack, clock: FakeClock) -> None:
    """The default."""
    waiting.up({"trainer": cluster(num_instances=4)})
    assert len(waiting.state["trainer"].outputs["public_ips"]) == 4
    assert 20 <= sum(clock.slept) < 25


@pytest.mark.parametrize("goal", ["placed", "allocated"])
def test_weaker_goals_do_not_wait_for_machines(waiting: Stack, clock: FakeClock, goal: str) -> None:
    """The bid is there, or has won."""
    waiting.up({"trainer": cluster(wait_for=goal)})
    assert waiting.state["trainer"].outputs["status"] == "starting"
    assert sum(clock.slept) < 1


def test_allocated_waits_for_the_auction(waiting: Stack, slow: FakeMithril, clock: FakeClock, time: Clock) -> None:
    """A bid under the market waits until the price falls."""
    slow.set_price("8xa100", "us-central5-a", 61.0)

    def fall() -> None:
        time.advance(clock.slept[-1])
        if sum(clock.slept) > 100:
            slow.set_price("8xa100", "us-central5-a", 40.0)

    clock.on_sleep = fall
    waiting.up({"trainer": cluster(wait_for="allocated")})
    assert 100 < sum(clock.slept) < 110


def test_a_stronger_goal_later_waits_for_it_and_writes_nothing(waiting: Stack, slow: FakeMithril) -> None:
    """Placed -> running."""
    waiting.up({"trainer": cluster(wait_for="placed")})
    slow.clear_requests()
    waiting.up({"trainer": cluster()})
    assert waiting.state["trainer"].outputs["status"] == "running"
    assert not slow.mutations


def test_at_the_limit_the_id_is_recorded_and_the_next_up_goes_on(
    waiting: Stack, slow: FakeMithril, clock: FakeClock
) -> None:
    """The error says what was seen last; there is one bid throughout."""
    slow.set_price("8xa100", "us-central5-a", 61.0)
    with pytest.raises(VerbError) as failed:
        waiting.up({"trainer": cluster(num_instances=4, timeout=90.0)})
    assert str(failed.value) == (
        "0/4 machines running, bid $50.00, market $61.00: raise the bid or wait; run `pulumi up` again to go on"
    )
    assert 90 <= sum(clock.slept) < 91
    id_ = waiting.state["trainer"].id
    slow.set_price("8xa100", "us-central5-a", 12.0)
    assert waiting.preview({"trainer": cluster(num_instances=4)}) == {"trainer": "update"}
    waiting.up({"trainer": cluster(num_instances=4)})
    assert waiting.state["trainer"].outputs["status"] == "running"
    assert [bid["fid"] for bid in slow.bids] == [id_]


def test_without_a_time_limit_it_is_thirty_minutes(waiting: Stack, slow: FakeMithril, clock: FakeClock) -> None:
    """The documented default."""
    slow.set_price("8xa100", "us-central5-a", 61.0)
    with pytest.raises(VerbError, match="0/1 machines running"):
        waiting.up({"trainer": cluster()})
    assert 1800 <= sum(clock.slept) < 1801


def test_a_bid_that_ends_while_waited_for_is_said_and_recorded(
    waiting: Stack, slow: FakeMithril, clock: FakeClock
) -> None:
    """Somebody cancelled it in the console."""
    clock.on_sleep = lambda: [slow.terminate(bid["fid"]) for bid in slow.live_bids]
    with pytest.raises(VerbError, match="ended while it was waited for"):
        waiting.up({"trainer": cluster()})
    waiting.up({"trainer": cluster(wait_for="placed")}, refresh=True)
    assert [bid["fid"] for bid in slow.live_bids] == [waiting.state["trainer"].id]


def test_a_service_that_fails_while_waiting_leaves_the_id_recorded(
    waiting: Stack, slow: FakeMithril, clock: FakeClock
) -> None:
    """Whatever happens after the bid is placed, its id is not lost."""

    def fail() -> None:
        slow.faults.add(method="GET", kind="reset", when="before", times=None)

    clock.on_sleep = fail
    with pytest.raises(VerbError, match="run the same command again"):
        waiting.up({"trainer": cluster()})
    assert [bid["fid"] for bid in slow.live_bids] == [waiting.state["trainer"].id]


def test_the_row_tells_what_is_seen(
    waiting: Stack, slow: FakeMithril, clock: FakeClock, time: Clock, rows: list[str]
) -> None:
    """From the bid over the auction's minutes to the result."""
    slow.set_price("8xa100", "us-central5-a", 61.0)

    def fall() -> None:
        time.advance(clock.slept[-1])
        if sum(clock.slept) > 130:
            slow.set_price("8xa100", "us-central5-a", 40.0)

    clock.on_sleep = fall
    waiting.up({"trainer": cluster(num_instances=4)})
    assert "placing: bid $50.00/h x 4 (max $200.00/h) in us-central5-a" in rows
    assert "waiting in the auction: 3rd minute" in rows
    assert "0/4 machines running" in rows
    assert rows[-1] == "4/4 machines running, max $200.00/h"


def test_many_waiters_share_one_listing(stack: Stack, cloud: FakeMithril) -> None:
    """Sixty-four waiters cost about what one costs: real threads in real time."""
    cloud.boot_seconds, stack.clock = 1.0, RealClock()
    stack.operation()
    names = [f"c{number}" for number in range(64)]
    news = {name: stack.check(name, cluster(), None) for name in names}

    def create(name: str) -> Any:
        request = SimpleNamespace(urn=stack.urn(name, "GpuCluster"), timeout=0)
        return Create(PROVIDERS["GpuCluster"](), lambda provider: provider.create(wire(news[name])), request, Context())

    with ThreadPoolExecutor(64) as pool:
        made = list(pool.map(create, names))
    assert len({result.id for result in made}) == 64
    assert all(result.outs["status"] == "running" for result in made)
    listings = [
        request
        for request in cloud.requests
        if request.path == "/v2/spot/bids" and request.query.get("status") == "Open"
    ]
    assert len(listings) <= 64


def test_polls_slow_down_to_a_listing_each_five_seconds(waiting: Stack, slow: FakeMithril, clock: FakeClock) -> None:
    """Quick at first, gentle after half a minute."""
    slow.set_price("8xa100", "us-central5-a", 61.0)
    with pytest.raises(VerbError):
        waiting.up({"trainer": cluster(timeout=300.0)})
    late = [pause for place, pause in enumerate(clock.slept) if sum(clock.slept[:place]) > 40]
    assert clock.slept[0] < 0.5
    assert min(late[:-1]) >= 5
