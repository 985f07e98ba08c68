"""Consistent results across restarts, changes of options, steps of the clock, and errors."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from flow_resources.testing import MANUAL, Clock, FakeMithril, RemoteMithril
from flow_resources.testing.service.accounts import OPERATOR
from flow_resources.testing.service.auction import Bidder, clear
from flow_resources.testing.service.catalog import CAPACITY
from flow_resources.testing.service.competing_bids import CompetingBids
from flow_resources.testing.service.formats import write_price
from flow_resources.testing.service.schedule import Schedule

START = 1_700_000_000.0
TYPE, REGION = "8xa100", "us-central5-a"


@pytest.fixture
def living(cloud):
    """Return a function that starts a cloud with a seed and a stopped clock of its own."""

    def start(seed=7, **options):
        return cloud(**{"seed": seed, "clock": Clock(START, speed=0), **options})

    return start


# --- restarts --------------------------------------------------------------------------------------------------------


def test_a_restart_happens_under_the_switches_of_the_cloud_and_not_at_once(cloud, tmp_path):
    """A bid that waits for the next auction still waits for it after the restart, also with another option."""
    clock = Clock(START, speed=0)
    first = cloud(seed=7, clock=clock, state=tmp_path / "s.db")
    bid = first.add_bid(limit_price="$900.00")["fid"]
    first.close()
    second = cloud(seed=7, clock=clock, state=tmp_path / "s.db", auction_seconds=MANUAL)
    assert second.bid(bid)["status"] == "Open"
    second.close()
    assert cloud(clock=clock, state=tmp_path / "s.db").bid(bid)["status"] == "Open"


@pytest.mark.parametrize("gentle", [True, False], ids=["closed", "killed"])
def test_time_and_bills_never_go_back_over_a_restart(cloud, tmp_path, gentle):
    """A stopped clock continues from the last time that was read."""
    first = cloud(clock=Clock(START, speed=0), state=tmp_path / "s.db")
    first.add_bid()
    first.clock.advance(hours=10)
    spent = first.spend
    if gentle:
        first.close()
    else:
        first.stop()
        first._store.close()
        first._closed = True
    second = cloud(clock=Clock(START, speed=0), state=tmp_path / "s.db")
    assert (second.clock.now(), second.spend, spent) == (START + 36_000, 120.0, 120.0)


def test_a_closed_cloud_is_closed(cloud):
    """Closing twice is fine; serving from a closed state is not."""
    mithril = cloud()
    mithril.close()
    mithril.close()
    with pytest.raises(RuntimeError, match="closed"):
        mithril.start()


@pytest.mark.parametrize("seed", [-1, 2**70, "7", 7.5])
def test_a_seed_is_a_whole_number(seed):
    """An invalid one is named."""
    with pytest.raises(ValueError, match="seed must be a whole number"):
        FakeMithril(seed=seed)


# --- switches --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["set_options", "attribute"])
def test_a_switch_counts_from_when_it_is_set_and_not_from_when_somebody_looks(cloud, way):
    """The hour after the change is billed, although it was not read before its end."""
    mithril = cloud(clock=Clock(START, speed=0), auction_seconds=MANUAL)
    mithril.add_bid()
    mithril.clock.advance(hours=1)
    if way == "attribute":
        mithril.options.auction_seconds = 0
    else:
        mithril.set_options(auction_seconds=0)
    mithril.clock.advance(hours=1)
    assert mithril.spend == 12.0


def test_the_hour_before_a_change_goes_by_the_old_switch(cloud):
    """A boot that was complete before the option was set stays complete."""
    mithril = cloud(clock=Clock(START, speed=0), auction_seconds=600)
    mithril.add_bid(limit_price="$20.00")
    mithril.clock.advance(hours=1)
    mithril.options.auction_seconds = MANUAL
    assert mithril.live_bids[0]["status"] == "Allocated"
    assert mithril.spend == pytest.approx(12.0 * 50 / 60)


def test_prices_of_the_past_stay_whatever_is_changed(living):
    """Neither another time between auctions nor fewer machines change past costs."""
    mithril = living()
    mithril.add_bid(limit_price="$90.00")
    mithril.clock.advance(hours=10)
    before = mithril.price_history(TYPE, REGION, hours=24)
    mithril.set_capacity(TYPE, REGION, CAPACITY // 2)
    mithril.set_options(auction_seconds=60)
    end = mithril.clock.now()
    assert [point for point in mithril.price_history(TYPE, REGION, hours=24) if point[0] < end] == before[:-1] + [
        point for point in before[-1:] if point[0] < end
    ]


def test_prices_move_with_the_clock_and_not_with_the_rhythm_of_auctions(living):
    """Without bids, a seed has one price path, regardless of the time between auctions."""
    paths = []
    for seconds in (0, 10, 120, 600, MANUAL):
        mithril = living(auction_seconds=seconds)
        mithril.clock.advance(hours=5)
        paths.append(mithril.price_history(TYPE, REGION, hours=5))
    assert all(path == paths[0] for path in paths)


@pytest.mark.parametrize("seconds", [0, 10, 120, 600, MANUAL])
def test_what_is_shown_is_what_is_paid(living, seconds):
    """With any time between auctions, while machines are held; never more than the limit."""
    mithril = living(auction_seconds=seconds, preemption_notice_seconds=0)
    mithril.add_bid(limit_price="$15.00", instance_quantity=2)
    mithril.hold_auction()
    mithril.clock.advance(minutes=10)
    mithril.hold_auction()
    for _ in range(60):
        before, price, held = mithril.spend, mithril.price(TYPE, REGION), mithril.live_bids[0]["status"] == "Allocated"
        mithril.clock.advance(seconds=1)
        paid = (mithril.spend - before) * 3600 / 2
        assert paid == pytest.approx(min(price, 15.0) if held else 0.0, abs=0.01)
        mithril.clock.advance(seconds=119)


def test_a_price_by_hand_is_paid_at_once_and_decides_at_the_next_auction(cloud):
    """In a static market with scheduled auctions."""
    mithril = cloud(clock=Clock(START, speed=0), auction_seconds=600)
    bid = mithril.add_bid(limit_price="$16.00")["fid"]
    mithril.clock.advance(seconds=600)
    mithril.set_price(TYPE, REGION, 15.0)
    mithril.clock.advance(seconds=100)
    assert mithril.spend == pytest.approx(15.0 * 100 / 3600)
    mithril.set_price(TYPE, REGION, 50.0)
    mithril.clock.advance(seconds=499)
    assert (mithril.bid(bid)["status"], mithril.spend) == (
        "Allocated",
        pytest.approx((1500 + 16 * 499) / 3600, abs=1e-4),
    )
    mithril.clock.advance(seconds=1)
    assert mithril.bid(bid)["status"] == "Open"


# --- the auction -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.7, 1.1, 7.3, 120.0])
@pytest.mark.parametrize("start", [0.0, START, START + 0.1])
def test_a_tick_begins_when_it_says(start, seconds):
    """Despite rounding, every time is in one tick, and the next tick is later."""
    schedule = Schedule(start, seconds)
    for tick in (*range(2000), 10**6, 10**7 + 3):
        begins = schedule.start_of(tick)
        assert (schedule.tick_at(begins), schedule.includes(begins)) == (tick, True)
        assert schedule.next_after(begins) == schedule.start_of(tick + 1) > begins


def test_looking_just_before_an_auction_skips_none(living):
    """Half a microsecond before it, and at any other time."""
    mithril = living(boot_seconds=0)
    bid = mithril.add_bid(limit_price="$90.00")["fid"]
    mithril.clock.advance(seconds=119.9999995)
    assert mithril.bid(bid)["status"] == "Open"
    mithril.clock.advance(seconds=0.000001)
    assert mithril.bid(bid)["status"] == "Allocated"


def test_a_story_in_odd_steps_is_the_same_story(living):
    """Steps that floats cannot represent, compared to a single step."""
    stories = []
    for steps in (3000, 1):
        mithril = living(auction_seconds=1.7)
        mithril.add_bid(limit_price="$13.00", instance_quantity=4)
        for _ in range(steps):
            mithril.clock.advance(seconds=3000 * 0.1 / steps)
            _ = mithril.live_bids
        mithril.clock.advance(seconds=START + 400 - mithril.clock.now())
        stories.append((mithril.bids, mithril.instances, mithril.spend))
    assert stories[0] == stories[1]


def test_the_price_falls_back_when_our_bid_leaves(living):
    """At once, if auctions are held at once."""
    mithril = living(auction_seconds=0)
    before = mithril.price(TYPE, REGION)
    bid = mithril.add_bid(limit_price="$500.00", instance_quantity=40)["fid"]
    assert mithril.price(TYPE, REGION) > before
    mithril.terminate(bid)
    assert mithril.price(TYPE, REGION) == before


def test_the_history_after_our_bid_has_left_is_what_the_prices_were(living):
    """Every two minutes, with the bid and without it."""
    mithril = living()
    bid = mithril.add_bid(limit_price="$500.00", instance_quantity=40)["fid"]
    seen = []
    for minute in range(0, 30, 2):
        if minute == 10:
            mithril.terminate(bid)
        mithril.clock.advance(minutes=2)
        seen.append((mithril.clock.now(), mithril.price(TYPE, REGION)))
    history = mithril.price_history(TYPE, REGION, hours=1)
    assert [[price for at, price in history if at <= moment][-1] for moment, _ in seen] == [price for _, price in seen]


def test_the_history_has_the_moment_at_which_machines_went(living):
    """Between two ticks, without bids of accounts."""
    mithril = living()
    mithril.clock.advance(seconds=30)
    mithril.set_capacity(TYPE, REGION, 4)
    mithril.clock.advance(seconds=30)
    assert mithril.price_history(TYPE, REGION, hours=0.1)[-1] == (START + 30, mithril.price(TYPE, REGION))


def test_the_fewer_machines_the_dearer(living):
    """Down to none."""
    mithril = living(auction_seconds=0)
    prices = []
    for machines in (64, 32, 8, 4, 2, 1, 0):
        mithril.set_capacity(TYPE, REGION, machines)
        prices.append(mithril.price(TYPE, REGION))
    assert prices == sorted(prices)
    assert prices[0] < prices[2] < prices[-1]


def test_competing_bids_alone_come_to_what_the_auction_says():
    """The fast computation equals the general one."""
    competing = CompetingBids(7, ("it_a", "us-central5-a"), 1200, CAPACITY)
    for tick in range(0, 5000, 13):
        for machines in (0, 1, 5, 40, 64, 200):
            bidders = [Bidder(None, index, *bid) for index, bid in enumerate(competing.bids(tick))]
            outcome = clear(bidders, competing.floor, machines)
            assert competing.price(tick, machines) == outcome.price_cents
            assert competing.taken(tick, machines) == outcome.competitor_machines


def test_what_would_win_leaves_out_who_is_leaving_and_is_null_where_nobody_can(cloud, connect):
    """A bid that is being cancelled, and more machines than the capacity."""
    mithril = cloud(cancel_seconds=60, auction_seconds=MANUAL)
    client = connect(mithril)
    mithril.set_capacity(TYPE, REGION, 1)
    client.delete(f"/v2/spot/bids/{client.bid(limit_price='$19.00')['fid']}")
    parameters = {"instance_type": "it_Sg1nDx1I8NFep60J", "region": REGION}
    assert client.get("/v2/pricing/current", params=parameters).json()["dynamic_win_price_cents"] == 1200
    parameters["instance_quantity"] = 2
    assert client.get("/v2/pricing/current", params=parameters).json()["dynamic_win_price_cents"] is None


# --- machines --------------------------------------------------------------------------------------------------------


def test_machines_that_are_won_back_have_not_ended(cloud, connect, clock):
    """With keep_instance_ids: no end time, and a bill for each hour that was paid."""
    mithril = cloud(keep_instance_ids=True)
    client = connect(mithril)
    bid = client.bid()
    clock.advance(hours=1)
    mithril.preempt(bid["fid"])
    assert client.get(f"/v2/instances/{bid['instances'][0]}/status").json()["end_time"] is not None
    client.patch(f"/v2/spot/bids/{bid['fid']}", json={"paused": True})
    assert client.machines(bid)[0]["status"] == "STATUS_PREEMPTED"
    client.patch(f"/v2/spot/bids/{bid['fid']}", json={"paused": False})
    clock.advance(hours=1)
    assert client.get(f"/v2/instances/{bid['instances'][0]}/status").json()["end_time"] is None
    query = {"project": mithril.project_id, "bid_fid": bid["fid"]}
    (machine,) = client.get("/v2/instances/pricing/history", params=query).json()["instances"]
    assert (len(machine["events"]), mithril.spend) == (2, 24.0)


def test_only_machines_that_are_held_can_fail(mithril, client):
    """Those of a bid that has ended stay as they ended."""
    bid = client.bid()
    mithril.terminate(bid["fid"])
    with pytest.raises(ValueError, match="only an Allocated bid"):
        mithril.fail_boot(bid["fid"])
    assert client.machines(bid)[0]["status"] == "STATUS_TERMINATED"


def test_a_notice_may_be_without_an_end(mithril, client, clock):
    """In this process and in another one."""
    first, second = client.bid(name="one"), client.bid(name="two")
    mithril.preempt(first["fid"], notice_seconds=MANUAL)
    RemoteMithril(mithril.url).preempt(second["fid"], notice_seconds=MANUAL)
    clock.advance(hours=1000)
    assert {client.read(bid)["status"] for bid in (first, second)} == {"Preempting"}
    mithril.finish("notice")
    assert {client.read(bid)["status"] for bid in (first, second)} == {"Open"}


# --- reset -----------------------------------------------------------------------------------------------------------


def test_a_story_that_is_begun_anew_is_that_of_a_new_cloud(living, cloud):
    """It has the default durations of its market, except explicit ones; rates of faults restart."""

    def struck(mithril):
        rule = mithril.faults.add(rate=0.5)
        draws = [mithril.faults._draw(rule) for _ in range(20)]
        return rule.id, draws

    fresh, still = living(), cloud(boot_seconds=3)
    still.faults.add(rate=0.5)
    still.set_latency(5.0)
    still.reset(seed=7)
    assert struck(still) == struck(fresh)
    assert still.options.wire() == {**fresh.options.wire(), "boot_seconds": 3}
    assert still._server._latency == 0
    still.reset()
    assert still.options.wire() == cloud(boot_seconds=3).options.wire()


# --- what gets in the way --------------------------------------------------------------------------------------------


def steps_of(look, interrupted_at=None):
    """Count the calls of the service during a read; raise KeyboardInterrupt at one of them, if given."""
    steps = 0

    def count(frame, event, _):
        nonlocal steps
        if event == "call" and "/testing/service/" in Path(frame.f_code.co_filename).as_posix():
            steps += 1
            if steps == interrupted_at:
                raise KeyboardInterrupt

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        look()
    finally:
        sys.setprofile(before)
    return steps


def test_a_catching_up_that_is_interrupted_is_done_again(living):
    """Ctrl-C during a step of a month does not change the result."""
    undisturbed, disturbed = living(), living()
    for mithril in (undisturbed, disturbed):
        mithril.add_bid(limit_price="$13.00", instance_quantity=4)
        mithril.clock.advance(hours=24)

    whole = steps_of(lambda: undisturbed.bids)
    with pytest.raises(KeyboardInterrupt):
        steps_of(lambda: disturbed.bids, interrupted_at=whole // 2)
    for mithril in (undisturbed, disturbed):
        mithril.clock.advance(hours=1)
    assert (disturbed.bids, disturbed.spend) == (undisturbed.bids, undisturbed.spend)


def test_an_auction_that_was_undone_half_way_is_held_when_it_is_due(cloud):
    """The bid has not won, and still exists."""
    mithril = cloud(clock=Clock(START, speed=0), auction_seconds=600)
    bid = mithril.add_bid()["fid"]
    backend = mithril._backend

    def break_off():
        with backend.session() as now:
            backend.lifecycle.finish("auction", None, now)
            assert backend.bids.show(OPERATOR, bid)["status"] == "Allocated"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert mithril.bid(bid)["status"] == "Open"
    mithril.clock.advance(seconds=600)
    assert mithril.bid(bid)["status"] == "Allocated"


def test_an_auction_by_hand_has_no_time(cloud):
    """MANUAL has neither a time between auctions nor a next one; at once has no next one either."""
    for seconds, expected in ((MANUAL, None), (0, 0.0)):
        overview = cloud(auction_seconds=seconds)._perform("overview")
        assert overview["auction"] == {"seconds": expected, "next": None}


def test_the_control_api_answers_while_faults_wait(mithril, client):
    """However many `then` are in progress."""
    let_go = threading.Event()
    mithril.faults.add(times=None, then=lambda _: let_go.wait(120))
    askers = [threading.Thread(target=client.get, args=("/v2/me",)) for _ in range(8)]
    for asker in askers:
        asker.start()
    try:
        assert RemoteMithril(mithril.url, timeout=60).clock.now() > 0
    finally:
        let_go.set()
        for asker in askers:
            asker.join()


def test_a_history_of_all_prices_keeps_nobody_waiting_for_long(living):
    """A week of every pool, or everything of one: far below a client's timeout of thirty seconds."""
    mithril = living()
    headers = {"Authorization": f"Bearer {mithril.key}"}
    whole = {"num_samples": -1, "start_time": "1970-01-01T00:00:00Z", "instance_types": "it_7RHoQUztab9lU9Ne"}
    for query, limit in (({}, 5), (whole, 15)):
        started = time.process_time()  # of the cloud, too, which runs in a thread; not of what else the machine does
        # Not the client that validates responses: that takes longer than the response.
        url = f"{mithril.url}/v2/pricing/history"
        answer = httpx.get(url, params=query, headers=headers, timeout=240, trust_env=False)
        assert answer.status_code == 200
        assert time.process_time() - started < limit
    assert answer.json()["series"][0]["timestamps"][0] > "2023-10-10"


def test_the_services_time_is_the_clouds(mithril, client, clock):
    """Clients read it from the Date of any response."""
    clock.advance(hours=5)
    assert client.get("/v2/me").headers["Date"] == "Fri, 15 Jan 2027 13:00:00 GMT"


def test_the_date_of_a_faulty_response_is_the_clouds(mithril, client, clock):
    """Unless the rule says otherwise."""
    clock.advance(hours=5)
    mithril.faults.add(path="/v2/me", status=503)
    mithril.faults.add(path="/v2/me", status=503, headers={"Date": "yesterday"})
    assert client.get("/v2/me").headers["Date"] == "Fri, 15 Jan 2027 13:00:00 GMT"
    assert client.get("/v2/me").headers["Date"] == "yesterday"


def test_a_body_that_is_too_large_is_refused_in_the_envelope_and_noted(mithril):
    """Fault rules apply to it as to any other request."""
    body = b'"' + b"x" * 2_000_000 + b'"'
    headers = {"Authorization": f"Bearer {mithril.key}"}
    answer = httpx.post(f"{mithril.url}/v2/volumes", content=body, headers=headers, trust_env=False)
    assert (answer.status_code, list(answer.json())) == (413, ["detail"])
    assert (mithril.requests[0].status, mithril.requests[0].effect) == (413, False)
    mithril.faults.add(status=503)
    assert httpx.post(f"{mithril.url}/v2/volumes", content=body, headers=headers, trust_env=False).status_code == 503


def test_the_journal_does_not_grow_without_end(mithril):
    """It drops the oldest requests, by number and by size."""
    from flow_resources.testing.web import journal

    log = journal.Journal()
    for n in range(70):
        log.record(journal.Request("POST", f"/{n}", {}, None, None), 1_000_000)
    assert [request.path for request in log.latest(2)] == ["/69", "/68"]
    assert len(log.all()) == 64


def test_a_thousand_bids_can_be_seen_and_placed(cloud):
    """In one page, on any SQLite, and in linear time."""
    mithril = cloud(auction_seconds=MANUAL)
    if sys.version_info >= (3, 11):  # what SQLite allowed until 2020
        mithril._store._db.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
    mithril.set_capacity(TYPE, REGION, 5000)
    mithril.set_quota(TYPE, 5000)
    for n in range(1000):
        mithril.add_bid(f"b{n}")
    mithril.set_options(auction_seconds=0)
    for n in range(1000, 1100):
        mithril.add_bid(f"b{n}")
    assert len(mithril.live_bids) == len(mithril.instances) == 1100


@pytest.mark.parametrize("cents", [1, 99, 100, 123456])
def test_prices_are_written_as_the_service_writes_them(cents):
    """Dollars and cents."""
    assert write_price(cents) == f"${cents / 100:.2f}"
