"""Transitions at once, after a time, or by `finish`, for each kind."""

from __future__ import annotations

import pytest

from flow_resources.testing import MANUAL, FakeMithril

TYPE = "8xa100"


@pytest.fixture
def by_hand(cloud):
    """Return a cloud in which nothing happens by itself, however much time passes."""
    return cloud(
        auction_seconds=MANUAL,
        boot_seconds=MANUAL,
        preemption_notice_seconds=MANUAL,
        cancel_seconds=MANUAL,
        detach_seconds=MANUAL,
    )


def wait(mithril):
    """Let a year pass."""
    mithril.clock.advance(hours=365 * 24)


def test_everything_can_be_moved_by_hand(by_hand, connect):
    """The whole life of a bid, each step of it when the test says so and not before."""
    client = connect(by_hand)
    volume = client.volume()
    bid = client.bid(volumes=[volume["fid"]])
    status = lambda: client.read(bid)["status"]  # noqa: E731
    machine = lambda: client.machines(bid)[-1]["status"]  # noqa: E731

    wait(by_hand)
    assert status() == "Open"
    by_hand.finish("auction")
    assert status() == "Allocated"
    wait(by_hand)
    assert machine() == "STATUS_NEW"
    by_hand.finish("boot", bid["fid"])
    assert machine() == "STATUS_RUNNING"
    by_hand.set_price(TYPE, by_hand.region, 61.0)
    wait(by_hand)
    assert status() == "Allocated"
    by_hand.hold_auction()
    wait(by_hand)
    assert status() == "Preempting"
    by_hand.finish("notice", bid["fid"])
    assert (status(), machine()) == ("Open", "STATUS_PREEMPTED")
    client.delete(f"/v2/spot/bids/{bid['fid']}")
    wait(by_hand)
    assert status() == "Open"
    by_hand.finish("cancel")
    assert status() == "Terminated"
    wait(by_hand)
    assert client.delete(f"/v2/volumes/{volume['fid']}").status_code == 400
    by_hand.finish("detach", bid["fid"])
    assert client.delete(f"/v2/volumes/{volume['fid']}").status_code == 204


def test_finishing_one_bid_leaves_the_others(by_hand, connect):
    """By id."""
    client = connect(by_hand)
    first, second = client.bid(name="one"), client.bid(name="two")
    by_hand.finish("auction")
    by_hand.finish("boot", first["fid"])
    assert [client.machines(bid)[0]["status"] for bid in (first, second)] == ["STATUS_RUNNING", "STATUS_NEW"]
    for bid in (first, second):
        client.delete(f"/v2/spot/bids/{bid['fid']}")
    by_hand.finish("cancel", second["fid"])
    assert [client.read(bid)["status"] for bid in (first, second)] == ["Allocated", "Terminated"]
    with pytest.raises(KeyError, match="bid_nothing"):
        by_hand.finish("boot", "bid_nothing")
    with pytest.raises(ValueError, match="what"):
        by_hand.finish("lunch")


def test_the_volumes_of_an_ended_bid_stay_attached_for_a_while(cloud, connect, clock):
    """Deleting them is refused until then; another bid may use a file volume meanwhile."""
    mithril = cloud(detach_seconds=30.0)
    client = connect(mithril)
    volume = client.volume()
    bid = client.bid(volumes=[volume["fid"]])
    mithril.terminate(bid["fid"])
    clock.advance(seconds=29)
    assert client.volumes()[0]["bids"] == [bid["fid"]]
    assert client.delete(f"/v2/volumes/{volume['fid']}").status_code == 400
    clock.advance(seconds=1)
    assert client.volumes()[0]["bids"] == []
    assert client.delete(f"/v2/volumes/{volume['fid']}").status_code == 204


def test_switches_may_be_set_while_the_cloud_runs(mithril, client):
    """They count from the next transition on; a wrong one changes nothing."""
    mithril.set_options(boot_seconds=60, idempotency="ignore")
    assert client.machines(client.bid())[0]["status"] == "STATUS_NEW"
    with pytest.raises(ValueError, match="page_limit"):
        mithril.set_options(boot_seconds=5, page_limit=0)
    assert (mithril.options.boot_seconds, mithril.options.page_limit) == (60, 100)
    mithril.options.boot_seconds = 0
    assert client.machines(client.bid(name="two"))[0]["status"] == "STATUS_RUNNING"
    with pytest.raises(ValueError, match="colour"):
        mithril.set_options(colour="red")


def test_an_auction_that_was_waited_for_by_hand_is_held_when_the_switch_is_put_back(by_hand, connect):
    """At once means at once, also for what has been waiting."""
    client = connect(by_hand)
    bid = client.bid()
    assert bid["status"] == "Open"
    by_hand.set_options(auction_seconds=0)
    assert client.read(bid)["status"] == "Allocated"


def test_auctions_have_a_rhythm_in_a_still_market_too(cloud, connect, clock):
    """Counted from the beginning; what is decided in between waits."""
    mithril = cloud(auction_seconds=120)
    client = connect(mithril)
    clock.advance(seconds=119)
    bid = client.bid()
    assert bid["status"] == "Open"
    clock.advance(seconds=1)
    assert client.read(bid)["status"] == "Allocated"
    mithril.set_price(TYPE, mithril.region, 61.0)
    clock.advance(seconds=119)
    assert client.read(bid)["status"] == "Allocated"
    clock.advance(seconds=1)
    assert client.read(bid)["status"] == "Open"


def test_a_clock_or_a_speed_but_not_both(clock):
    """A clock has a speed of its own."""
    with pytest.raises(ValueError, match="clock or a speed"):
        FakeMithril(clock=clock, speed=60)


def test_a_scaled_clock_boots_machines_faster(connect, cloud, mocker):
    """An hour a minute: ninety seconds of boot are one and a half."""
    real = mocker.patch("flow_resources.testing.service.clock.time.time", return_value=1_800_000_000.0)
    mithril = cloud(clock=None, speed=60, boot_seconds=90)
    client = connect(mithril)
    bid = client.bid()
    real.return_value += 1.4
    assert client.machines(bid)[0]["status"] != "STATUS_RUNNING"
    real.return_value += 0.1
    assert client.machines(bid)[0]["status"] == "STATUS_RUNNING"


def test_time_never_runs_backwards_over_a_restart(cloud, tmp_path, mocker):
    """A state file that was written by a clock ahead of ours is where ours begins."""
    mocker.patch("flow_resources.testing.service.clock.time.time", return_value=1_800_000_000.0)
    first = cloud(clock=None, state=tmp_path / "state.db")
    first.clock.advance(hours=5)
    first.add_bid()
    first.close()
    second = cloud(clock=None, state=tmp_path / "state.db")
    assert second.clock.now() == 1_800_000_000.0 + 5 * 3600
