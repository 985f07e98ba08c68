"""The moving market: the same seed gives the same prices, auctions and costs."""

from __future__ import annotations

import math

import pytest

from flow_resources.testing import Clock
from flow_resources.testing.service.auction import Bidder, clear, price_to_win
from flow_resources.testing.service.catalog import CAPACITY, TYPES
from flow_resources.testing.service.competing_bids import CompetingBids

START = 1_800_000_000.0
TYPE = "8xa100"


@pytest.fixture
def living(cloud):
    """Return a function that starts a cloud with a seed and a stopped clock of its own."""

    def start(seed=7, **options):
        return cloud(seed=seed, clock=Clock(START, speed=0), **options)

    return start


def tell(mithril):
    """Simulate a day with two bids, and return all results."""
    fids = [
        mithril.add_bid("low", limit_price="$13.00", instance_quantity=4)["fid"],
        mithril.add_bid("high", limit_price="$40.00", instance_quantity=2)["fid"],
    ]
    history = []
    for _ in range(24):
        mithril.clock.advance(hours=1)
        history.append((mithril.bids, mithril.instances, mithril.market, mithril.spend_by_bid))
    return history, [mithril.price_history(TYPE, mithril.region, hours=48), fids]


def test_one_seed_tells_one_story(living):
    """The same bids, machines, prices, preemptions and costs; another seed gives others."""
    first, second, other = tell(living(7)), tell(living(7)), tell(living(8))
    assert first == second
    assert first != other


def test_the_story_does_not_depend_on_how_often_somebody_looks(living):
    """A day in one step is a day in two-minute steps."""
    stories = []
    for step in (24 * 60, 7, 2):
        mithril = living()
        bid = mithril.add_bid("a", limit_price="$13.00", instance_quantity=4)["fid"]
        for _ in range(0, 24 * 60, step):
            mithril.clock.advance(minutes=step)
            mithril.bid(bid)
        mithril.clock.advance(seconds=START + 25 * 3600 - mithril.clock.now())
        prices = mithril.price_history(TYPE, mithril.region, hours=26)
        stories.append((mithril.bids, mithril.instances, prices, mithril.spend))
    assert stories[0] == stories[1] == stories[2]


def test_a_bid_above_the_price_holds_machines_and_one_below_does_not(living):
    """At every auction of two days."""
    mithril = living(preemption_notice_seconds=0)
    limits = {mithril.add_bid(f"b{cents}", limit_price=f"${cents}.00")["fid"]: cents for cents in (9, 11, 13, 15, 30)}
    seen = set()
    for _ in range(720):
        mithril.clock.advance(minutes=2)
        price = mithril.price(TYPE, mithril.region)
        for bid in mithril.bids:
            limit = limits[bid["fid"]]
            if limit != price:
                assert (bid["status"] == "Allocated") == (limit > price), (bid["name"], price)
            seen.add((limit, bid["status"]))
    assert {(11, "Open"), (11, "Allocated"), (13, "Open"), (13, "Allocated")} <= seen


def test_a_bid_waits_for_the_next_auction(living):
    """Auctions are held every two minutes, counted from the start of the cloud."""
    mithril = living()
    mithril.clock.advance(seconds=30)
    bid = mithril.add_bid(limit_price="$90.00")["fid"]
    mithril.clock.advance(seconds=89)
    assert mithril.bid(bid)["status"] == "Open"
    mithril.clock.advance(seconds=1)
    assert mithril.bid(bid)["status"] == "Allocated"


def test_an_auction_can_be_held_at_once_or_when_a_test_says_so(living):
    """With an option, or manually."""
    assert living(auction_seconds=0).add_bid(limit_price="$90.00")["status"] == "Allocated"
    mithril = living()
    bid = mithril.add_bid(limit_price="$90.00")["fid"]
    mithril.hold_auction()
    assert mithril.bid(bid)["status"] == "Allocated"


def test_losing_brings_a_notice_of_five_minutes_and_a_boot_takes_its_time(living):
    """The default durations with a seed."""
    mithril = living()
    bid = mithril.add_bid(limit_price="$90.00")["fid"]
    mithril.clock.advance(minutes=2)
    assert mithril.instances[0]["status"] == "STATUS_NEW"
    mithril.clock.advance(seconds=90)
    assert mithril.instances[0]["status"] == "STATUS_RUNNING"
    mithril.set_price(TYPE, mithril.region, 99.0)
    mithril.clock.advance(seconds=30)
    assert mithril.bid(bid)["status"] == "Preempting"
    mithril.clock.advance(seconds=299)
    assert mithril.bid(bid)["status"] == "Preempting"
    mithril.clock.advance(seconds=1)
    assert mithril.bid(bid)["status"] == "Open"


def test_what_somebody_says_goes_before_what_the_seed_sets(living):
    """Also zero."""
    mithril = living(boot_seconds=0, preemption_notice_seconds=7)
    assert (mithril.options.boot_seconds, mithril.options.preemption_notice_seconds) == (0, 7)
    assert mithril.options.auction_seconds == 120


def test_our_own_bids_move_the_price(living):
    """A bid for half of the machines raises the price, and the history has it."""
    quiet, busy = living(), living()
    busy.add_bid(limit_price="$500.00", instance_quantity=CAPACITY // 2)
    for mithril in (quiet, busy):
        mithril.clock.advance(minutes=10)
    assert busy.price(TYPE, busy.region) > quiet.price(TYPE, quiet.region)
    assert busy.price_history(TYPE, busy.region)[-1][1] == busy.price(TYPE, busy.region)
    # Before the bid, and in other pools, prices are equal.
    assert busy.price_history(TYPE, busy.region)[:5] == quiet.price_history(TYPE, quiet.region)[:5]
    assert busy.price(TYPE, "us-east1-a") == quiet.price(TYPE, "us-east1-a")


def test_the_spot_price_is_paid_and_not_the_bid(living):
    """For every machine, for the time that the bid holds it, at the price of each auction."""
    mithril = living(boot_seconds=0)
    bid = mithril.add_bid(limit_price="$90.00", instance_quantity=3)["fid"]
    mithril.clock.advance(minutes=20)
    prices = [price for at, price in at_every_auction(mithril, 2 * 60, 20 * 60)]
    assert len(set(prices)) > 1
    assert mithril.spend == pytest.approx(3 * sum(prices) * 120 / 3600)
    assert mithril.spend_by_bid == {bid: mithril.spend}
    before = mithril.spend
    mithril.terminate(bid)
    mithril.clock.advance(hours=5)
    assert mithril.spend == before


def at_every_auction(mithril, start, end):
    """Return (moment, price) for every auction from `start` to before `end`, in seconds since the start."""
    history = mithril.price_history(TYPE, mithril.region, hours=2)
    moments = [START + second for second in range(start, end, 120)]
    return [(moment, [price for at, price in history if at <= moment][-1]) for moment in moments]


def test_a_paused_or_open_bid_costs_nothing(living):
    """Nor does one that has never won."""
    mithril = living()
    bid = mithril.add_bid(limit_price="$0.01")["fid"]
    mithril.clock.advance(hours=3)
    assert mithril.spend == 0
    mithril.update_bid(bid, limit_price="$90.00")
    mithril.clock.advance(minutes=2)
    mithril.update_bid(bid, paused=True)
    spent = mithril.spend
    mithril.clock.advance(hours=3)
    assert mithril.spend == spent


def test_a_price_by_hand_goes_before_the_story_until_it_is_given_back(living):
    """And there are no competing bids."""
    mithril, untouched = living(), living()
    mithril.set_price(TYPE, mithril.region, 3.21)
    mithril.clock.advance(hours=1)
    assert mithril.price(TYPE, mithril.region) == 3.21
    row = next(row for row in mithril.market if (row["type"], row["region"]) == (TYPE, mithril.region))
    assert (row["by_hand"], row["free"]) == (True, row["capacity"])
    mithril.set_price(TYPE, mithril.region, None)
    untouched.clock.advance(hours=1)
    assert mithril.price(TYPE, mithril.region) == untouched.price(TYPE, untouched.region)


def test_a_path_by_hand_is_followed_to_the_second(cloud):
    """Scheduled prices take effect when they are due, also within a step of the clock, and replace earlier ones."""
    mithril = cloud(clock=Clock(START, speed=0))
    bid = mithril.add_bid(limit_price="$20.00")["fid"]
    mithril.set_path(TYPE, mithril.region, [(0, 10.0), (600, 30.0), (1200, None)])
    mithril.set_path(TYPE, mithril.region, [(0, 11.0), (300, 31.0), (900, None)])
    mithril.clock.advance(hours=1)
    start = START
    assert mithril.price_history(TYPE, mithril.region, hours=1)[-3:] == [
        (start, 11.0),
        (start + 300, 31.0),
        (start + 900, 12.0),
    ]
    events = [(event["event_type"], event["timestamp"][14:19]) for event in history(mithril, bid)]
    assert events == [
        ("Placed", "00:00"), ("Allocated", "00:00"), ("Preempted", "05:00"), ("Allocated", "15:00"),
    ]  # fmt: skip


def history(mithril, bid):
    """Return the events of a bid as the page gets them."""
    (row,) = [row for row in mithril._perform("overview")["bids"] if row["fid"] == bid]
    return row["events"]


def test_competing_bids_center_on_the_catalogs_price():
    """Over a week in every pool: never zero, mostly near, sometimes far, and rarely the floor."""
    for kind in TYPES:
        competing = CompetingBids(7, (kind.fid, "us-central5-a"), kind.spot_cents, CAPACITY)
        prices = sorted(
            clear([Bidder(None, 0, *bid) for bid in competing.bids(tick)], competing.floor, CAPACITY).price_cents
            for tick in range(0, 5040, 5)
        )
        middle = prices[len(prices) // 2]
        assert 0.6 * kind.spot_cents < middle < 1.7 * kind.spot_cents, kind.name
        assert prices[-1] > 1.5 * middle
        assert prices.count(competing.floor) < 0.1 * len(prices)


def test_competing_bids_differ_for_every_seed_and_place():
    """And are the same each time."""
    competing = CompetingBids(7, ("it_a", "us-central5-a"), 1200, CAPACITY)
    assert competing.bids(12345) == CompetingBids(7, ("it_a", "us-central5-a"), 1200, CAPACITY).bids(12345)
    assert competing.bids(-3)
    for other in ((8, ("it_a", "us-central5-a")), (7, ("it_a", "us-east1-a")), (7, ("it_b", "us-central5-a"))):
        assert competing.bids(12345) != CompetingBids(*other, 1200, CAPACITY).bids(12345)


@pytest.mark.parametrize("quantity", [1, 4, 64])
def test_the_price_to_win_wins_and_a_cent_less_does_not(quantity):
    """Whatever the competitors bid."""
    competing = CompetingBids(7, ("it_a", "us-central5-a"), 1200, CAPACITY)
    for tick in range(0, 2000, 97):
        others = [Bidder(None, index, *bid) for index, bid in enumerate(competing.bids(tick))]
        cents = price_to_win(others, competing.floor, CAPACITY, quantity)

        def wins(limit, others=others):
            newcomer = Bidder("us", 999, limit, quantity)
            return "us" in clear([*others, newcomer], competing.floor, CAPACITY).winners

        assert wins(cents)
        assert not wins(cents - 1)
    assert price_to_win([], 100, 3, 4) is None


def test_the_market_says_what_a_bid_must_be_to_win(living, connect):
    """`dynamic_win_price_cents` is the lowest limit that wins the next auction, if nothing moves."""
    mithril = living(auction_seconds=0)
    client = connect(mithril)
    quote = client.get(
        "/v2/pricing/current",
        params={"instance_type": "it_Sg1nDx1I8NFep60J", "region": mithril.region, "instance_quantity": 8},
    ).json()
    wins = quote["dynamic_win_price_cents"]
    assert wins >= quote["spot_price_cents"] >= quote["minimum_price_cents"]
    for cents, status in ((wins - 1, "Open"), (wins, "Allocated")):
        price = f"${cents // 100}.{cents % 100:02d}"
        assert mithril.add_bid(f"b{cents}", limit_price=price, instance_quantity=8)["status"] == status


def test_less_capacity_makes_the_price_rise(living):
    """Demand does not depend on the capacity."""
    mithril = living()
    before = mithril.price(TYPE, mithril.region)
    mithril.set_capacity(TYPE, mithril.region, CAPACITY // 4)
    assert mithril.price(TYPE, mithril.region) > before


def test_a_story_goes_on_after_a_restart(cloud, tmp_path):
    """The seed, the start, the prices and the costs are in the state file."""
    clock = Clock(START, speed=0)
    first = cloud(seed=7, state=tmp_path / "state.db", clock=clock)
    bid = first.add_bid(limit_price="$13.00", instance_quantity=4)["fid"]
    clock.advance(hours=3)
    seen = (first.bids, first.spend, first.price_history(TYPE, first.region, hours=6))
    first.close()
    second = cloud(state=tmp_path / "state.db", clock=clock)
    assert second.seed == 7
    assert (second.bids, second.spend, second.price_history(TYPE, second.region, hours=6)) == seen
    clock.advance(hours=20)
    whole = cloud(seed=7, clock=Clock(START, speed=0))
    assert whole.add_bid(limit_price="$13.00", instance_quantity=4)["fid"] == bid
    whole.clock.advance(hours=23)
    # Durations are not in the state file: the second cloud has the defaults of a seed, too.
    assert (second.bids, second.spend) == (whole.bids, whole.spend)


def test_a_state_file_keeps_its_seed(cloud, tmp_path):
    """Another seed is rejected, and the file can be used afterwards."""
    cloud(seed=7, state=tmp_path / "state.db").close()
    with pytest.raises(ValueError, match="seed 7, not of 8"):
        cloud(seed=8, state=tmp_path / "state.db")
    assert cloud(state=tmp_path / "state.db").seed == 7


def test_a_month_passes_in_seconds(living):
    """Twenty thousand auctions of one pool, and none of pools without bids."""
    mithril = living()
    mithril.add_bid(limit_price="$13.00", instance_quantity=4)
    mithril.clock.advance(hours=30 * 24)
    assert mithril.spend > 1000
    # One price for each auction that the bid took part in: not while it is under notice, and only in its own pool.
    assert 20_000 < mithril._store.value("SELECT count(*) FROM prices") < 30 * 24 * 30
    assert mithril._store.value("SELECT count(DISTINCT instance_type || region) FROM prices") == 1


def test_some_machines_fail_to_boot_and_the_seed_says_which(living):
    """About as many as the rate; the same ones for the same seed."""

    def failed(seed):
        mithril = living(seed, boot_failure_rate=0.25)
        for n in range(6):
            mithril.add_bid(f"b{n}", limit_price="$400.00", instance_quantity=10)
        mithril.clock.advance(minutes=10)
        return [machine["fid"] for machine in mithril.instances if machine["status"] == "STATUS_ERROR"]

    assert failed(7) == failed(7) != failed(8)
    assert 5 <= len(failed(7)) <= 25


def test_the_least_price_is_a_share_of_the_catalogs(living, connect):
    """35 %, as the contract tells."""
    client = connect(living())
    parameters = {"instance_type": "it_Sg1nDx1I8NFep60J", "region": "us-central5-a"}
    assert client.get("/v2/pricing/current", params=parameters).json()["minimum_price_cents"] == 420


def test_demand_swings_with_the_day():
    """Over eighty days the mean price depends on the hour."""
    competing = CompetingBids(7, ("it_a", "us-central5-a"), 1200, CAPACITY)
    by_hour = [[math.log(competing.level(720 * day + 30 * hour)) for day in range(80)] for hour in range(24)]
    means = [sum(levels) / len(levels) for levels in by_hour]
    assert max(means) - min(means) > 0.35


def test_demand_surges_now_and_then():
    """By at least four tenths from one tick to the next, about twice a day, for less than an hour."""
    competing = CompetingBids(7, ("it_a", "us-central5-a"), 1200, CAPACITY)
    steps = [competing.level(tick + 1) / competing.level(tick) for tick in range(40 * 720)]
    ups, downs = ([tick for tick, step in enumerate(steps) if far(step)] for far in ((1.3).__lt__, (0.77).__gt__))
    assert 40 <= len(ups) <= 160
    assert all(1 <= down - up <= 24 for up, down in zip(ups, downs, strict=True))


def test_winners_wait_for_machines_under_notice_beside_those_of_the_others(living):
    """Machines that competitors have won are not free either."""
    mithril = living(preemption_notice_seconds=600)
    first = mithril.add_bid("first", limit_price="$400.00", instance_quantity=30)["fid"]
    mithril.clock.advance(minutes=2)
    mithril.preempt(first)
    second = mithril.add_bid("second", limit_price="$400.00", instance_quantity=20)["fid"]
    mithril.clock.advance(minutes=8)
    assert (mithril.bid(first)["status"], mithril.bid(second)["status"]) == ("Preempting", "Open")
    mithril.clock.advance(minutes=4)
    assert (mithril.bid(first)["status"], mithril.bid(second)["status"]) == ("Open", "Allocated")
