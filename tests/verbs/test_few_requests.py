"""What the verbs ask of the service: what all need is asked once, and what cannot have changed not at all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from support.stack import FakeClock, Stack, cluster, settings_of

from flow_resources.cloud import Cloud, Launch
from flow_resources.providers import session
from flow_resources.testing import Clock, FakeMithril

MANY = {f"c{number:02d}": cluster() for number in range(12)}


def asked(cloud: FakeMithril, deed: Callable[[], object]) -> Counter[str]:
    """Return how often each kind of request was sent during a deed."""
    cloud.clear_requests()
    deed()
    return Counter(f"{one.method} {re.sub('/bid_[0-9]+', '/ID', one.path)}" for one in cloud.requests)


def door_of(stack: Stack) -> Cloud:
    """Return the door of a new operation."""
    stack.operation()
    return session.current().cloud()


def test_a_refresh_asks_no_more_for_many_than_for_one(stack: Stack, cloud: FakeMithril) -> None:
    """One listing a live status, one of the machines, one of the projects; nothing for each."""
    stack.up(MANY)
    assert asked(cloud, stack.refresh) == {"GET /v2/projects": 1, "GET /v2/spot/bids": 4, "GET /v2/instances": 1}


def test_a_refresh_reads_the_history_of_what_has_other_machines(stack: Stack, cloud: FakeMithril) -> None:
    """Once: what was counted is known as long as the machines stay."""
    stack.up(MANY)
    back = stack.state["c03"].id
    cloud.preempt(back)
    cloud.release(back)
    assert asked(cloud, stack.refresh)["GET /v2/spot/bids/ID/history"] == 1
    assert [saved.outputs["preemptions"] for saved in stack.state.values()] == [0] * 3 + [1] + [0] * 8
    assert "GET /v2/spot/bids/ID/history" not in asked(cloud, stack.refresh)
    assert stack.state["c03"].outputs["preemptions"] == 1


@pytest.mark.parametrize("what", ["preempt", "fail_boot"])
def test_a_refresh_reads_the_history_of_what_is_not_as_recorded(stack: Stack, cloud: FakeMithril, what: str) -> None:
    """Also where it has the recorded machines, or none."""
    stack.up({"trainer": cluster()})
    getattr(cloud, what)(stack.state["trainer"].id)
    assert asked(cloud, stack.refresh)["GET /v2/spot/bids/ID/history"] == 1
    assert asked(cloud, stack.refresh)["GET /v2/spot/bids/ID/history"] == 1


def test_a_create_that_goes_well_reads_no_history(stack: Stack, cloud: FakeMithril) -> None:
    """No auction takes back within moments what it has just given."""
    assert "GET /v2/spot/bids/ID/history" not in asked(cloud, lambda: stack.up({"trainer": cluster()}))
    assert stack.state["trainer"].outputs["preemptions"] == 0


@pytest.mark.parametrize(("boot", "lost", "preemptions"), [(30.0, True, 1), (30.0, False, 0), (90.0, False, 0)])
def test_a_create_reads_the_history_where_machines_were_lost_or_it_took_long(
    clean_environment: None, clock: FakeClock, boot: float, lost: bool, preemptions: int
) -> None:
    """The first loss that a real auction can bring comes after a minute; one that was seen counts at once."""
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

        clock.meanwhile = meanwhile
        found = asked(cloud, lambda: stack.up({"trainer": cluster()}))
        assert found["GET /v2/spot/bids/ID/history"] == (lost or boot > 60)
        assert stack.state["trainer"].outputs["preemptions"] == preemptions
        session.current().close()


def test_what_a_bid_was_before_this_process_changed_it_answers_nobody(stack: Stack, cloud: FakeMithril) -> None:
    """Whatever age is accepted, and whatever grain the clock has."""
    stack.clock = FakeClock()  # it stands still
    stack.up({"trainer": cluster()})
    door, id_, now = door_of(stack), stack.state["trainer"].id, session.current().clock.now()
    assert list(door.live_bids(now - 60)) == [id_]
    placed = door.place(Launch("another", "another", "8xa100", 1, Decimal(50), "us-central5-a", "true"))
    assert placed.bid.id in door.live_bids(now - 60)
    for look in (door.observe, door.observe_while_waiting):
        before = look(id_, now - 60)
        assert before
        assert before.bid.price
        door.set_price(id_, before.bid.price + 1)
        after = look(id_, now - 60)
        assert after
        assert after.bid.price == before.bid.price + 1
    assert id_ in door.live_bids(now - 60)
    door.cancel(id_)
    assert id_ not in door.live_bids(now - 60)


def test_a_wait_for_machines_asks_for_the_bids_that_have_some(stack: Stack, cloud: FakeMithril) -> None:
    """And for the others only while it is not among them."""
    stack.up({"trainer": cluster()})
    door, id_ = door_of(stack), stack.state["trainer"].id
    door.project()
    assert asked(cloud, lambda: door.observe_while_waiting(id_, session.current().clock.now())) == {
        "GET /v2/spot/bids": 1,
        "GET /v2/instances": 1,
    }
    cloud.preempt(id_)
    assert asked(cloud, lambda: door.observe_while_waiting(id_, session.current().clock.now())) == {
        "GET /v2/spot/bids": 2
    }
    cloud.terminate(id_)
    assert asked(cloud, lambda: door.observe_while_waiting(id_, session.current().clock.now())) == {
        "GET /v2/spot/bids": 2,
        "GET /v2/spot/bids/ID": 1,
    }


def test_a_name_is_asked_for_once_whatever_others_place_meanwhile(stack: Stack, cloud: FakeMithril) -> None:
    """The SDK asks what the verb has just asked; a bid of another name in between changes nothing."""
    door = door_of(stack)

    def place(name: str) -> None:
        door.place(Launch(name, name, "8xa100", 1, Decimal(50), "us-central5-a", "true"))

    def two() -> None:
        assert not door.bids_named("one")
        assert not door.bids_named("two")
        place("two")
        place("one")

    place("first")  # what every launch asks is asked now
    assert asked(cloud, two)["GET /v2/spot/bids"] == 2
    assert len(door.bids_named("one")) == 1


def test_a_destroy_asks_for_each_to_end_and_whether_it_has(stack: Stack, cloud: FakeMithril) -> None:
    """Whose they are, one listing tells."""
    stack.up(MANY)
    assert asked(cloud, stack.destroy) == {
        "GET /v2/projects": 1,
        "GET /v2/spot/bids": 1,
        "DELETE /v2/spot/bids/ID": 12,
        "GET /v2/spot/bids/ID": 12,
    }
    assert not cloud.live_bids


def test_a_destroy_goes_on_where_no_listing_comes(stack: Stack, cloud: FakeMithril) -> None:
    """Each bid is then asked for by its id."""
    stack.up({"trainer": cluster()})
    cloud.faults.add(method="GET", path="/v2/spot/bids$", status=500, times=None)
    stack.destroy()
    assert not cloud.live_bids


@pytest.mark.parametrize("broken", ["GET", "DELETE"])
def test_a_listing_that_does_not_come_costs_a_destroy_no_patience(
    clean_environment: None, clock: FakeClock, broken: str
) -> None:
    """What follows may fail in passing, too, and is asked again for as long as ever."""
    with FakeMithril() as cloud:
        stack = Stack(settings_of(cloud), clock=clock)
        stack.up({"trainer": cluster()})
        cloud.faults.add(method="GET", path="/v2/spot/bids$", status=503, times=None)
        cloud.faults.add(method=broken, path="/v2/spot/bids/", status=503, times=4)
        began = clock.now()
        stack.destroy()
        assert not cloud.live_bids
        assert clock.now() - began < 30
        session.current().close()


def test_machines_without_a_private_address_are_as_recorded_too(stack: Stack, cloud: FakeMithril) -> None:
    """What is not known does not go into the state."""
    stack.up({"trainer": cluster()})
    stack.state["trainer"].outputs["instances"][0].pop("private_ip")
    seen = door_of(stack).observe(stack.state["trainer"].id, session.current().clock.now())
    assert seen
    assert not seen.is_same_run_as(stack.state["trainer"].outputs)
    without = replace(seen, instances=tuple(replace(one, private_ip=None) for one in seen.instances))
    assert without.is_same_run_as(stack.state["trainer"].outputs)


def test_a_preview_asks_the_same_few_questions_for_any_number(stack: Stack, cloud: FakeMithril) -> None:
    """The project, the catalogue and the market."""
    assert asked(cloud, lambda: stack.preview(MANY)) == {
        "GET /v2/projects": 1,
        "GET /v2/instance-types": 1,
        "GET /v2/spot/availability": 1,
    }
