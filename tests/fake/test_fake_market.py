"""Which bids win and lose, and when."""

from __future__ import annotations

import pytest

from flow_resources.testing.service.auction import Bidder, clear

TYPE = "8xa100"


def test_higher_limits_win_and_ties_go_by_order():
    """Three places for four bids of one machine."""
    bidders = [Bidder("late", 9, 500, 1), Bidder("early", 1, 500, 1), Bidder("rich", 5, 900, 1), Bidder("x", 4, 500, 1)]
    assert clear(bidders, 100, 3).winners == {"rich", "early", "x"}


def test_a_bid_wins_with_all_its_machines_or_with_none_and_closes_the_auction():
    """The first bid that does not fit sets the price, and none below it wins, even for fewer machines."""
    bidders = [Bidder("first", 1, 900, 2), Bidder("big", 2, 700, 2), Bidder("small", 3, 500, 1)]
    assert clear(bidders, 100, 3) == (frozenset({"first"}), 700, 0)
    assert clear(bidders, 100, 5) == (frozenset({"first", "big", "small"}), 100, 0)


def test_a_bid_for_more_machines_than_there_are_keeps_nobody_from_winning():
    """It can never win, so it is not in the auction."""
    assert clear([Bidder("big", 1, 900, 4), Bidder("small", 2, 500, 2)], 100, 3) == (frozenset({"small"}), 100, 0)


def test_a_limit_equal_to_the_price_wins_and_a_cent_less_loses():
    """The limit is inclusive."""
    assert clear([Bidder("a", 1, 100, 1), Bidder("b", 2, 99, 1)], 100, 8).winners == {"a"}


def test_a_price_above_the_limit_takes_the_machines_and_a_lower_one_brings_new_ones(mithril, client):
    """Preempted at once by default: Open, then Allocated again with other ids."""
    bid = client.bid()
    mithril.set_price(TYPE, mithril.region, 61.00)
    lost = client.read(bid)
    assert (lost["status"], lost["instances"]) == ("Open", [])
    assert client.machines(bid)[0]["status"] == "STATUS_PREEMPTED"
    mithril.set_price(TYPE, mithril.region, 50.00)
    won = client.read(bid)
    assert won["status"] == "Allocated"
    assert set(won["instances"]).isdisjoint(bid["instances"])
    assert [machine["status"] for machine in client.machines(bid)] == ["STATUS_PREEMPTED", "STATUS_RUNNING"]
    assert client.events(bid) == ["Placed", "Allocated", "Preempted", "Allocated"]


def test_the_machines_can_be_the_same_after_a_preemption(cloud, connect):
    """keep_instance_ids is a guess about the service, so it is a switch."""
    mithril = cloud(keep_instance_ids=True)
    client = connect(mithril)
    bid = client.bid()
    mithril.set_price(TYPE, mithril.region, 61)
    assert client.machines(bid)[0]["status"] == "STATUS_PREEMPTED"
    mithril.set_price(TYPE, mithril.region, 12)
    assert client.read(bid) == bid
    assert client.machines(bid)[0]["status"] == "STATUS_RUNNING"


def test_a_notice_comes_before_the_loss(cloud, connect, clock):
    """Preempting for as long as the notice lasts, still reachable, then Open."""
    mithril = cloud(preemption_notice_seconds=300.0)
    client = connect(mithril)
    bid = client.bid()
    mithril.set_price(TYPE, mithril.region, 61)
    warned = client.read(bid)
    assert (warned["status"], warned["instances"]) == ("Preempting", bid["instances"])
    (machine,) = client.machines(bid)
    assert machine["status"] == "STATUS_PREEMPTING"
    assert machine["ssh_destination"] is not None
    clock.advance(seconds=299)
    assert client.read(bid)["status"] == "Preempting"
    clock.advance(seconds=1)
    assert client.read(bid)["status"] == "Open"


def test_machines_under_notice_are_not_free_yet(cloud, connect, clock):
    """The one who outbids waits for the notice of the one who loses."""
    mithril = cloud(preemption_notice_seconds=60.0)
    client = connect(mithril)
    mithril.set_capacity(TYPE, mithril.region, 1)
    poor = client.bid(limit_price="$20.00")
    rich = client.bid(limit_price="$30.00")
    assert (client.read(poor)["status"], rich["status"]) == ("Preempting", "Open")
    clock.advance(seconds=60)
    assert (client.read(poor)["status"], client.read(rich)["status"]) == ("Open", "Allocated")


def test_less_capacity_costs_the_lowest_limit_its_machines(mithril, client):
    """The others are left alone."""
    low, high = client.bid(limit_price="$20.00"), client.bid(limit_price="$30.00")
    mithril.set_capacity(TYPE, mithril.region, 1)
    assert (client.read(low)["status"], client.read(high)) == ("Open", high)
    mithril.set_capacity(TYPE, mithril.region, 0)
    assert client.read(high)["status"] == "Open"


def test_a_bid_preempted_by_hand_waits_for_its_release(mithril, client, clock):
    """It stays Open, even with a winning limit, until it is released."""
    bid = client.bid()
    assert mithril.preempt(bid["fid"])["status"] == "Open"
    clock.advance(hours=5)
    client.bid(name="other")
    assert client.read(bid)["status"] == "Open"
    assert mithril.release(bid["fid"])["status"] == "Allocated"


def test_a_bid_preempted_by_hand_may_get_a_notice(mithril, client, clock):
    """And is held out of the auction when the notice is over."""
    bid = client.bid()
    assert mithril.preempt(bid["fid"], notice_seconds=10)["status"] == "Preempting"
    clock.advance(seconds=10)
    assert client.read(bid)["status"] == "Open"


@pytest.mark.parametrize("way", ["price", "capacity", "limit", "pause"])
def test_whatever_changes_the_market_ends_the_hold(mithril, client, way):
    """A new price, a new capacity, a higher limit, a pause and resume."""
    bid = client.bid()
    mithril.preempt(bid["fid"])
    if way == "price":
        mithril.set_price(TYPE, mithril.region, 12.00)
    elif way == "capacity":
        mithril.set_capacity(TYPE, mithril.region, 64)
    elif way == "limit":
        client.patch(f"/v2/spot/bids/{bid['fid']}", json={"limit_price": "$60.00"})
    else:
        mithril.update_bid(bid["fid"], paused=True)
        mithril.update_bid(bid["fid"], paused=False)
    assert client.read(bid)["status"] == "Allocated"


def test_a_lower_limit_does_not_end_the_hold(mithril, client):
    """Nobody gets machines back by offering less."""
    bid = client.bid()
    mithril.preempt(bid["fid"])
    client.patch(f"/v2/spot/bids/{bid['fid']}", json={"limit_price": "$40.00"})
    assert client.read(bid)["status"] == "Open"


def test_only_machines_that_are_there_can_be_taken(mithril, client):
    """Preempting an Open bid is a mistake in the test, and says so."""
    bid = client.bid(limit_price="$1.00")
    with pytest.raises(ValueError, match="only an Allocated bid"):
        mithril.preempt(bid["fid"])
    with pytest.raises(KeyError, match="bid_nothing"):
        mithril.preempt("bid_nothing")


def test_a_limit_lowered_below_the_price_loses_the_machines(client):
    """The owner can do it to themselves."""
    bid = client.bid()
    assert client.patch(f"/v2/spot/bids/{bid['fid']}", json={"limit_price": "$1.00"}).json()["status"] == "Open"


def test_things_happen_at_their_own_moment_even_when_nobody_looked(cloud, connect, clock):
    """A notice that ended long ago lets the next one boot from then, not from the moment of looking."""
    mithril = cloud(preemption_notice_seconds=60.0, boot_seconds=30.0)
    client = connect(mithril)
    mithril.set_capacity(TYPE, mithril.region, 1)
    client.bid(limit_price="$20.00")
    rich = client.bid(limit_price="$30.00")
    clock.advance(seconds=90)
    (machine,) = client.machines(rich)
    assert (machine["status"], machine["created_at"]) == ("STATUS_RUNNING", "2027-01-15T08:01:00.000000Z")


def test_one_name_with_two_ids_gets_one_price(mithril, client):
    """The 8xh100 has an id per part of the world; a price set by name reaches the one on offer there."""
    mithril.set_price("8xh100", "eu-central1-a", 33.00)
    rows = client.get("/v2/spot/availability").json()
    (row,) = [r for r in rows if r["region"] == "eu-central1-a" and r["instance_type"] == "it_XqgKWbhZ5gznAYsG"]
    assert row["last_instance_price"] == "$33.00"
    assert not [r for r in rows if r["region"] == "eu-central1-a" and r["instance_type"] == "it_5ECSoHQjLBzrp5YM"]


def test_every_type_has_a_price_in_every_region_and_without_one(mithril, client):
    """Clients probe prices before they look what is on offer; anything but 200 stops them."""
    for kind in client.get("/v2/instance-types").json():
        for region in (None, *(row["name"] for row in client.get("/marketplace/v1/regions").json())):
            query = {"instance_type": kind["fid"], **({"region": region} if region else {})}
            answer = client.get("/v2/pricing/current", params=query).json()
            assert answer["spot_price_cents"] > 0
            assert answer["minimum_price_cents"] > 0


def test_the_price_page_follows_the_market(mithril, client):
    """Price, lowest winner, free and total capacity."""
    mithril.set_price(TYPE, mithril.region, 20.00)
    mithril.set_capacity(TYPE, mithril.region, 5)
    client.bid(instance_quantity=2, limit_price="$30.00")
    query = {"instance_type": "it_Sg1nDx1I8NFep60J", "region": mithril.region, "instance_quantity": 4}
    assert client.get("/v2/pricing/current", params=query).json() == {
        "spot_price_cents": 2000,
        "reserved_price_cents": None,
        "minimum_price_cents": 2000,
        "lowest_allocated_bid_cents": 3000,
        "dynamic_win_price_cents": 3001,
        "available_capacity": 3,
        "total_capacity": 5,
    }


@pytest.mark.parametrize("price", [0, -1, float("inf"), float("nan"), 0.001])
def test_a_price_that_is_none_is_refused(mithril, price):
    """A test that sets nonsense learns it there."""
    with pytest.raises(ValueError, match="price must be at least a cent"):
        mithril.set_price(TYPE, mithril.region, price)


def test_names_that_mean_nothing_are_refused_with_what_there_is(mithril):
    """Type and region."""
    with pytest.raises(ValueError, match="8xa100"):
        mithril.set_price("a100", mithril.region, 1.0)
    with pytest.raises(ValueError, match="us-central5-a"):
        mithril.set_capacity("a100:8", "moon-1", 1)


def test_machines_under_notice_are_paid(cloud):
    """The cost per hour includes them until they end."""
    mithril = cloud(preemption_notice_seconds=300)
    bid = mithril.add_bid(instance_quantity=2)["fid"]
    assert mithril._perform("spend")["per_hour_usd"] == 24.0
    mithril.preempt(bid)
    assert mithril._perform("spend")["per_hour_usd"] == 24.0
    mithril.finish("notice")
    assert mithril._perform("spend")["per_hour_usd"] == 0


def test_a_bid_ends_once(mithril, client):
    """Terminated twice it has one end in its history."""
    bid = client.bid()
    first, second = mithril.terminate(bid["fid"]), mithril.terminate(bid["fid"])
    assert first == second
    assert client.events(bid) == ["Placed", "Allocated", "Terminated"]
