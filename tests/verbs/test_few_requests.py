"""How many requests the verbs send: what all need is read once, and what cannot have changed is not read at all."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from support.stack import PROVIDERS, Context, Create, FakeClock, Stack, cluster, operation, settings_of, wire

from flow_resources.clock import Clock as RealClock
from flow_resources.cloud import Cloud, Launch
from flow_resources.core import takeover
from flow_resources.core.models import Offer
from flow_resources.core.status import ClusterSnapshot
from flow_resources.providers import base
from flow_resources.testing import Clock, FakeMithril, Request

MANY = {f"c{number:02d}": cluster() for number in range(12)}


def requests_of(cloud: FakeMithril, action: Callable[[], object]) -> Counter[str]:
    """Return how often each kind of request was sent during an action."""
    cloud.clear_requests()
    action()
    return Counter(f"{request.method} {re.sub('/bid_[0-9]+', '/ID', request.path)}" for request in cloud.requests)


def client_of(stack: Stack) -> Cloud:
    """Return the client of a new operation."""
    stack.operation()
    return operation().cloud


def offer_price(client: Cloud) -> Any:
    """Return what a machine costs."""
    offer = client.market().offer("8xa100", "us-central5-a")
    return offer and offer.price


def test_a_refresh_sends_no_more_requests_for_many_than_for_one(stack: Stack, cloud: FakeMithril) -> None:
    """One listing per live status, one of the instances, one of the projects; none per cluster."""
    stack.up(MANY)
    assert requests_of(cloud, stack.refresh) == {"GET /v2/projects": 1, "GET /v2/spot/bids": 4, "GET /v2/instances": 1}


def test_the_catalogue_is_parsed_once_for_all_checks(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the same answers serve them, and anew when one of them is read again."""
    stack.up(MANY)
    parsed: Counter[str] = Counter()
    read = Offer.read

    def count(row: Any) -> Offer:
        parsed[f"{row['instance_type']} in {row['region']}"] += 1
        return read(row)

    monkeypatch.setattr(Offer, "read", count)
    stack.preview(MANY)
    assert set(parsed.values()) == {1}
    clock = stack.clock = FakeClock()
    cloud.set_price("8xa100", "us-central5-a", 17)
    client = client_of(stack)
    assert offer_price(client) == 17
    cloud.set_price("8xa100", "us-central5-a", 18)
    clock.sleep(11.0)
    assert offer_price(client) == 18


def test_a_refresh_parses_few_names(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that can carry the mark of the resource, and not those of all bids for each of them."""
    stack.up(MANY)
    parsed = list[str]()
    take_apart = takeover.take_apart
    monkeypatch.setattr(takeover, "take_apart", lambda name: parsed.append(name) or take_apart(name))
    stack.refresh()
    assert 1 <= len(parsed) <= len(MANY)


def test_a_refresh_reads_the_history_of_a_cluster_with_other_instances(stack: Stack, cloud: FakeMithril) -> None:
    """Once: the count is known as long as the instances stay."""
    stack.up(MANY)
    back = stack.state["c03"].id
    cloud.preempt(back)
    cloud.release(back)
    assert requests_of(cloud, stack.refresh)["GET /v2/spot/bids/ID/history"] == 1
    assert [saved.outputs["preemptions"] for saved in stack.state.values()] == [0] * 3 + [1] + [0] * 8
    assert "GET /v2/spot/bids/ID/history" not in requests_of(cloud, stack.refresh)
    assert stack.state["c03"].outputs["preemptions"] == 1


def used_names(stack: Stack, cloud: FakeMithril, generations: Iterable[int]) -> None:
    """Leave ended bids behind that had the names of these generations of the cluster, the first one among them."""
    stack.up({"trainer": cluster()})
    name = stack.state["trainer"].outputs["task_name"]
    stack.destroy()
    for generation in generations:
        cloud.terminate(cloud.add_bid(f"{name.rpartition('-')[0]}-{generation}")["fid"])


def test_the_sixtieth_up_after_as_many_destroys_sends_a_few_requests_more_than_the_first(
    stack: Stack, cloud: FakeMithril
) -> None:
    """The names of ended bids are not tried one by one: twelve tries find the sixtieth."""
    first = requests_of(cloud, lambda: stack.up({"trainer": cluster()}))
    stack.destroy()
    used_names(stack, cloud, range(3, 60))
    assert len({bid["name"] for bid in cloud.bids}) == 59
    sixtieth = requests_of(cloud, lambda: stack.up({"trainer": cluster()}))
    assert stack.state["trainer"].outputs["task_name"].endswith("-60")
    assert sixtieth["GET /v2/spot/bids"] - first["GET /v2/spot/bids"] <= 12
    assert sum(sixtieth.values()) - sum(first.values()) <= 12


@pytest.mark.parametrize(
    "used", [[2, 3, 5, 6, 9], [4, 8, 16], [2, 4, 8, 16, 32], [3, 7, 15, 31], [2], [], range(2, 41), [100]], ids=repr
)
def test_no_name_is_used_twice_whatever_was_used_in_between(
    stack: Stack, cloud: FakeMithril, used: Iterable[int]
) -> None:
    """Somebody can have taken a later name: the one that is chosen was used by nobody, and each `up` gets another."""
    used_names(stack, cloud, used)
    for _ in range(3):
        stack.up({"trainer": cluster()})
        stack.destroy()
    names = [bid["name"] for bid in cloud.bids]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("what", ["preempt", "fail_boot"])
def test_a_refresh_reads_the_history_of_a_cluster_that_is_not_as_recorded(
    stack: Stack, cloud: FakeMithril, what: str
) -> None:
    """Also where it has the recorded instances, or none."""
    stack.up({"trainer": cluster()})
    getattr(cloud, what)(stack.state["trainer"].id)
    assert requests_of(cloud, stack.refresh)["GET /v2/spot/bids/ID/history"] == 1
    assert requests_of(cloud, stack.refresh)["GET /v2/spot/bids/ID/history"] == 1


def test_a_create_that_goes_well_reads_no_history(stack: Stack, cloud: FakeMithril) -> None:
    """No auction preempts within moments what it has just allocated."""
    assert "GET /v2/spot/bids/ID/history" not in requests_of(cloud, lambda: stack.up({"trainer": cluster()}))
    assert stack.state["trainer"].outputs["preemptions"] == 0


@pytest.mark.parametrize(("boot", "lost", "preemptions"), [(30.0, True, 1), (30.0, False, 0), (90.0, False, 0)])
def test_a_create_reads_the_history_where_instances_were_lost_or_it_took_long(
    clean_environment: None, clock: FakeClock, boot: float, lost: bool, preemptions: int
) -> None:
    """A real auction preempts after a minute at the earliest; a loss that was seen counts at once."""
    time = Clock(speed=0)
    with FakeMithril(boot_seconds=boot, clock=time) as cloud:
        stack = Stack(settings_of(cloud), clock=clock)

        def meanwhile() -> None:
            time.advance(clock.slept[-1])
            bid = cloud.bids[0]["fid"]
            if lost and len(clock.slept) == 3:
                cloud.preempt(bid)
            if lost and len(clock.slept) == 5:
                cloud.release(bid)

        clock.on_sleep = meanwhile
        found = requests_of(cloud, lambda: stack.up({"trainer": cluster()}))
        assert found["GET /v2/spot/bids/ID/history"] == (lost or boot > 60)
        assert stack.state["trainer"].outputs["preemptions"] == preemptions
        base.current().close()


def test_no_listing_from_before_a_change_answers_for_the_bid(stack: Stack, cloud: FakeMithril) -> None:
    """Whatever age is accepted, and whatever grain the clock has."""
    stack.clock = FakeClock()  # it stands still
    stack.up({"trainer": cluster()})
    client, id_, now = client_of(stack), stack.state["trainer"].id, base.current().clock.now()
    assert list(client.live_bids(now - 60)) == [id_]
    placed = client.place(Launch("another", "another", "8xa100", 1, Decimal(50), "us-central5-a", "true"))
    assert placed.bid.id in client.live_bids(now - 60)
    for look in (client.observe, client.observe_while_waiting):
        before = look(id_, now - 60)
        assert before
        assert before.bid.price
        client.set_price(id_, before.bid.price + 1)
        after = look(id_, now - 60)
        assert after
        assert after.bid.price == before.bid.price + 1
    assert id_ in client.live_bids(now - 60)
    client.cancel(id_)
    assert id_ not in client.live_bids(now - 60)


def test_a_wait_lists_the_newest_bids_and_their_instances(stack: Stack, cloud: FakeMithril) -> None:
    """The instances only while it has some; a bid that is not there any more is read once more by its id."""
    stack.up({"trainer": cluster()})
    client, id_ = client_of(stack), stack.state["trainer"].id
    client.project()

    def look() -> ClusterSnapshot | None:
        return client.observe_while_waiting(id_, base.current().clock.now())

    assert requests_of(cloud, look) == {"GET /v2/spot/bids": 1, "GET /v2/instances": 1}
    cloud.preempt(id_)
    assert requests_of(cloud, look) == {"GET /v2/spot/bids": 1}
    cloud.terminate(id_)
    assert requests_of(cloud, look) == {"GET /v2/spot/bids": 1}


def test_a_name_is_looked_up_once_whatever_is_placed_in_between(stack: Stack, cloud: FakeMithril) -> None:
    """The SDK reads what the verb has just read; a bid of another name in between changes nothing."""
    client = client_of(stack)

    def place(name: str) -> None:
        client.place(Launch(name, name, "8xa100", 1, Decimal(50), "us-central5-a", "true"))

    def two() -> None:
        assert not client.bids_named("one")
        assert not client.bids_named("two")
        place("two")
        place("one")

    place("first")  # what every launch reads is read now
    cloud.clear_requests()
    two()
    assert Counter(map(kind_of, cloud.requests))["name"] == 2
    assert len(client.bids_named("one")) == 1


def test_a_destroy_sends_two_requests_per_cluster(stack: Stack, cloud: FakeMithril) -> None:
    """One to cancel, one to see that it has ended; one listing for all says whose they are."""
    stack.up(MANY)
    assert requests_of(cloud, stack.destroy) == {
        "GET /v2/projects": 1,
        "GET /v2/spot/bids": 1,
        "DELETE /v2/spot/bids/ID": 12,
        "GET /v2/spot/bids/ID": 12,
    }
    assert not cloud.live_bids


def test_a_destroy_goes_on_where_the_listing_fails(stack: Stack, cloud: FakeMithril) -> None:
    """Each bid is then read by its id."""
    stack.up({"trainer": cluster()})
    cloud.faults.add(method="GET", path="/v2/spot/bids$", status=500, times=None)
    stack.destroy()
    assert not cloud.live_bids


@pytest.mark.parametrize("broken", ["GET", "DELETE"])
def test_a_listing_that_fails_costs_a_destroy_no_retry_budget(
    clean_environment: None, clock: FakeClock, broken: str
) -> None:
    """What follows may fail as well, and is retried for as long as ever."""
    with FakeMithril() as cloud:
        stack = Stack(settings_of(cloud), clock=clock)
        stack.up({"trainer": cluster()})
        cloud.faults.add(method="GET", path="/v2/spot/bids$", status=503, times=None)
        cloud.faults.add(method=broken, path="/v2/spot/bids/", status=503, times=4)
        began = clock.now()
        stack.destroy()
        assert not cloud.live_bids
        assert clock.now() - began < 30
        base.current().close()


def test_instances_without_a_private_address_are_as_recorded_too(stack: Stack, cloud: FakeMithril) -> None:
    """What is not known is not in the state."""
    stack.up({"trainer": cluster()})
    stack.state["trainer"].outputs["instances"][0].pop("private_ip")
    seen = client_of(stack).observe(stack.state["trainer"].id, base.current().clock.now())
    assert seen
    assert not seen.is_same_run_as(stack.state["trainer"].outputs)
    without = replace(seen, instances=tuple(replace(one, private_ip=None) for one in seen.instances))
    assert without.is_same_run_as(stack.state["trainer"].outputs)


def test_a_preview_sends_the_same_few_requests_for_any_number(stack: Stack, cloud: FakeMithril) -> None:
    """The project, the catalogue and the market; the live bids, the quotas, the prices where something is made."""
    few = {"GET /v2/projects": 1, "GET /v2/instance-types": 1, "GET /v2/spot/availability": 1}
    prices = {"GET /v2/pricing/current": 1}
    made = {"GET /v2/spot/bids": 4, "GET /v2/quotas": 1}
    assert requests_of(cloud, lambda: stack.preview(MANY)) == few | made | prices
    stack.up(MANY)
    assert requests_of(cloud, lambda: stack.preview(MANY)) == few
    dearer = {name: cluster(max_price_per_hour=51.0) for name in MANY}
    assert requests_of(cloud, lambda: stack.preview(dearer)) == few | prices
    elsewhere = {**dearer, "new": cluster(region="eu-central1-a", num_instances=2)}
    assert requests_of(cloud, lambda: stack.preview(elsewhere))["GET /v2/pricing/current"] == 2


def test_a_stack_that_tells_nothing_of_the_market_asks_no_prices(stack: Stack, cloud: FakeMithril) -> None:
    """With flow:marketLines: false."""
    stack.config["flow:marketLines"] = "false"
    assert not [one for one in requests_of(cloud, lambda: stack.up(MANY)) if "pricing" in one]


@pytest.mark.parametrize(("clusters", "at_once"), [(1, 1), (12, 1), (30, 8), (30, 30)])
@pytest.mark.parametrize("others", [0, 120])
def test_a_create_sends_three_requests_per_cluster(
    stack: Stack, cloud: FakeMithril, clusters: int, at_once: int, others: int
) -> None:
    """Whether its name is free, the bid, and a page of the newest bids, which shows it under the id of its answer.

    Who is about to create reads that page too, for what was placed since the pages of live bids were read, which is
    once. One page serves all who asked before it was read, and so does a reading of instances.
    """
    cloud.set_capacity("8xa100", "us-central5-a", clusters + others)
    for number in range(others):
        cloud.add_bid(f"other-{number}")
    cloud.clock.advance(60)
    stack.operation()
    stack.clock = RealClock()
    cloud.clear_requests()
    create_together(stack, [f"c{number}" for number in range(clusters)], at_once)
    asked = Counter(kind_of(request) for request in cloud.requests)
    assert len(cloud.live_bids) == clusters + others
    assert asked.pop("name") == asked.pop("POST bid") == clusters
    assert "bid" not in asked
    assert asked.pop("live bids") == 4 + others // 100
    assert 1 <= asked.pop("newest bids") <= (2 * clusters if at_once == 1 else clusters)
    assert 1 <= asked.pop("instances of bids") <= clusters
    assert sum(asked.values()) <= 14, asked


class PausingClock(RealClock):
    """The time of this machine, whose pauses are noted; from `begin` on they last until they are over."""

    def __init__(self) -> None:
        self.pauses, self.is_pausing, self.begun = list[float](), threading.Event(), False

    def begin(self) -> None:
        """Let pauses last."""
        self.pauses.clear()
        self.begun = True

    def pause(self, seconds: float, is_over: Callable[[], bool]) -> None:
        self.pauses.append(seconds)
        until = self.now() + 60.0 * self.begun
        if self.begun:
            self.is_pausing.set()
        while not is_over() and self.now() < until:
            self.sleep(0.001)


def test_who_has_created_looks_together_with_who_is_about_to(stack: Stack, cloud: FakeMithril) -> None:
    """One page shows both what was placed first and what was placed while the first waited for the second."""
    clock = stack.clock = PausingClock()
    stack.operation()
    both = threading.Barrier(2, clock.begin)

    def answer(_: Request) -> None:
        if both.wait(60.0) == 0:  # this one's answer comes when the other looks for what it has placed
            clock.is_pausing.wait(10.0)

    cloud.faults.add(method="POST", path="/v2/spot/bids$", times=2, then=answer)
    create_together(stack, ["c0", "c1"], 2)
    kinds = [kind_of(request) for request in cloud.requests]
    last_bid = max(place for place, kind in enumerate(kinds) if kind == "POST bid")
    assert kinds[last_bid:].count("newest bids") == 1
    assert len(clock.pauses) == 1
    assert 0.0 < clock.pauses[0] <= 0.02


def test_a_create_alone_waits_for_nobody(stack: Stack, cloud: FakeMithril) -> None:
    """Nor does one after another."""
    clock = stack.clock = PausingClock()
    stack.operation()
    create_together(stack, ["c0", "c1", "c2"], 1)
    assert len(cloud.live_bids) == 3
    assert not clock.pauses


def kind_of(request: Request) -> str:
    """Return what a request is for."""
    if request.path == "/v2/spot/bids" and request.method == "GET":
        kinds = {"name": "name", "status": "live bids", "sort_by": "newest bids"}
        return next(kind for key, kind in kinds.items() if key in request.query)
    if request.path == "/v2/instances" and request.query.get("bid_fid_in"):
        return "instances of bids"
    if request.path.startswith("/v2/spot/bids/"):
        return "bid"
    return "POST bid" if request.path == "/v2/spot/bids" else f"{request.method} {request.path}"


def create_together(stack: Stack, names: Iterable[str], at_once: int) -> None:
    """Check and create clusters, so many at once."""

    def create(name: str) -> None:
        news = stack.check(name, cluster(), None)
        request = SimpleNamespace(urn=stack.urn(name, "GpuCluster"), timeout=0)
        Create(PROVIDERS["GpuCluster"](), lambda provider: provider.create(wire(news)), request, Context())

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(create, names))


def test_an_update_of_a_price_sends_one_request_per_cluster(stack: Stack, cloud: FakeMithril) -> None:
    """The answer to it tells what the bid is now; what was there before is listed for all."""
    stack.up(MANY)
    found = requests_of(cloud, lambda: stack.up({name: cluster(max_price_per_hour=51.0) for name in MANY}))
    assert found["PATCH /v2/spot/bids/ID"] == 12
    assert sum(found.values()) <= 12 + 12
    assert {saved.outputs["max_price_per_hour"] for saved in stack.state.values()} == {51.0}
    assert {len(saved.outputs["instances"]) for saved in stack.state.values()} == {1}


@pytest.mark.parametrize("answer", [{}, {"fid": "bid_999999", "limit_price": "$51.00"}, {"limit_price": "$50.00"}])
def test_an_answer_that_does_not_tell_the_new_price_is_not_believed(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch, answer: dict[str, str]
) -> None:
    """Of another bid, or of another price: the bid is read."""
    stack.up({"trainer": cluster()})
    row = {**cloud.bids[0], **answer} if answer else {}
    monkeypatch.setattr("flow.sdk.clients.bids.BidsClient.update_limit_price", lambda *_: row)
    client = client_of(stack)
    assert client.set_price(stack.state["trainer"].id, Decimal(51)) is None


@pytest.mark.parametrize("before", ["ended", "live", "strangers"])
def test_what_a_create_judges_is_as_it_is_now(stack: Stack, cloud: FakeMithril, before: str) -> None:
    """What matters to it and was read before is read again; what does not is not."""
    stack.operation()
    id_ = cloud.add_bid("it")["fid"]
    cloud.clock.advance(60)
    client = operation().cloud
    asked_at = base.current().clock.now
    assert [bid.id for bid in client.live_bids_before_create(lambda _: True, asked_at())] == [id_]
    if before == "ended":
        cloud.terminate(id_)

    def judge() -> None:
        found = client.live_bids_before_create(lambda bid: before != "strangers" and bid.name == "it", asked_at())
        assert [bid.id for bid in found] == ([id_] if before == "live" else [])

    assert requests_of(cloud, judge)["GET /v2/spot/bids/ID"] == (before != "strangers")
