"""A lost answer, a killed plugin: one bid, never two, never one that is recorded nowhere."""

from __future__ import annotations

from typing import Any

import pytest
from support.stack import SkippingClock, Stack, VerbError, cluster, settings_of, volume

from flow_resources.providers import base
from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.both_hosts(plugin="languages")

BIDS, VOLUMES = r"/v2/spot/bids$", r"/v2/volumes$"
LOST: list[dict[str, Any]] = [
    {"status": 500, "when": "after"},
    {"status": 504, "when": "after"},
    {"status": 500, "when": "before"},
    {"status": 504, "when": "before"},
    {"kind": "reset", "when": "after"},
    {"kind": "reset", "when": "before"},
    {"kind": "truncate", "when": "after"},
    {"kind": "malformed", "when": "after"},
]


def name_of(fault: dict[str, Any]) -> str:
    return f"{fault.get('kind', fault.get('status'))}-{fault['when']}"


@pytest.fixture(params=["dedupe", "ignore"])
def either_cloud(request: pytest.FixtureRequest, clean_environment: None) -> Any:
    """A service that respects the Idempotency-Key, and one that ignores it."""
    with FakeMithril(idempotency=request.param) as fake:
        yield fake


@pytest.fixture
def either(either_cloud: FakeMithril) -> Any:
    """A stack on either service."""
    yield Stack(settings_of(either_cloud), clock=SkippingClock())
    base.current().close()


@pytest.mark.parametrize("fault", LOST, ids=name_of)
def test_a_lost_answer_to_the_bid_leaves_exactly_one(
    either: Stack, either_cloud: FakeMithril, fault: dict[str, Any]
) -> None:
    """Whether the service took the request or not, the same `up` ends with one bid and its id."""
    either_cloud.faults.add(method="POST", path=BIDS, **fault)
    either.up({"trainer": cluster()})
    assert [bid["fid"] for bid in either_cloud.bids] == [either.state["trainer"].id]


@pytest.mark.parametrize("fault", LOST, ids=name_of)
def test_a_lost_answer_to_the_volume_leaves_exactly_one(
    either: Stack, either_cloud: FakeMithril, fault: dict[str, Any]
) -> None:
    """The same for volumes."""
    either_cloud.faults.add(method="POST", path=VOLUMES, **fault)
    either.up({"data": volume()})
    assert [one["fid"] for one in either_cloud.volumes] == [either.state["data"].id]


def become_unavailable_after(cloud: FakeMithril, path: str) -> None:
    def fail_everything(_request: object) -> None:
        cloud.faults.add(kind="reset", when="before", times=None)

    cloud.faults.add(method="POST", path=path, kind="reset", when="after", then=fail_everything)


def test_a_bid_whose_create_was_cut_off_is_taken_over_by_the_next_up(either: Stack, either_cloud: FakeMithril) -> None:
    """Nothing is in the state; the mark in the name finds it."""
    become_unavailable_after(either_cloud, BIDS)
    with pytest.raises(VerbError, match="run `pulumi up` again"):
        either.up({"trainer": cluster()})
    either_cloud.faults.clear()
    assert not either.state
    assert len(either_cloud.live_bids) == 1
    either.up({"trainer": cluster()})
    assert [bid["fid"] for bid in either_cloud.bids] == [either.state["trainer"].id]


def test_a_volume_whose_create_was_cut_off_is_taken_over_by_the_next_up(
    either: Stack, either_cloud: FakeMithril
) -> None:
    """The same for volumes."""
    become_unavailable_after(either_cloud, VOLUMES)
    with pytest.raises(VerbError):
        either.up({"data": volume()})
    either_cloud.faults.clear()
    either.up({"data": volume()})
    assert [one["fid"] for one in either_cloud.volumes] == [either.state["data"].id]


def test_a_volume_with_a_fixed_name_is_recognised_by_its_key(stack: Stack, cloud: FakeMithril) -> None:
    """A chosen name carries no mark; the Idempotency-Key says whose it is."""
    become_unavailable_after(cloud, VOLUMES)
    with pytest.raises(VerbError):
        stack.up({"data": volume(volume_name="corpus")})
    cloud.faults.clear()
    stack.up({"data": volume(volume_name="corpus")})
    assert [one["fid"] for one in cloud.volumes] == [stack.state["data"].id]


def test_a_changed_program_after_a_cut_off_create_leaves_no_first_bid_behind(stack: Stack, cloud: FakeMithril) -> None:
    """The orphan has another specification: it is ended and proven gone before the new bid is placed."""
    become_unavailable_after(cloud, BIDS)
    with pytest.raises(VerbError):
        stack.up({"trainer": cluster()})
    cloud.faults.clear()
    cloud.clear_requests()
    stack.up({"trainer": cluster(num_instances=2)})
    assert [one.method for one in cloud.mutations] == ["DELETE", "POST"]
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id]


def test_a_changed_price_after_a_cut_off_create_takes_the_bid_over_and_sets_it(
    stack: Stack, cloud: FakeMithril
) -> None:
    """What can change in place is not part of the specification."""
    become_unavailable_after(cloud, BIDS)
    with pytest.raises(VerbError):
        stack.up({"trainer": cluster()})
    cloud.faults.clear()
    cloud.clear_requests()
    stack.up({"trainer": cluster(max_price_per_hour=60.0)})
    assert [one.method for one in cloud.mutations] == ["PATCH"]
    assert cloud.live_bids[0]["limit_price"] == "$60.00"


def test_duplicates_of_one_resource_are_ended_and_the_oldest_stays(stack: Stack, cloud: FakeMithril) -> None:
    """Other clients can have sent a POST twice where the service ignores keys."""
    become_unavailable_after(cloud, BIDS)
    with pytest.raises(VerbError):
        stack.up({"trainer": cluster()})
    cloud.faults.clear()
    first = cloud.live_bids[0]
    cloud.add_bid(first["name"])
    stack.up({"trainer": cluster()})
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id] == [first["fid"]]


def test_an_ended_bids_name_is_never_used_again(stack: Stack, cloud: FakeMithril) -> None:
    """Other tools address bids by name and take the first row."""
    for _ in range(3):
        stack.up({"trainer": cluster()})
        stack.destroy()
    names = [bid["name"] for bid in cloud.bids]
    assert len(set(names)) == 3
    assert [name.rpartition("-")[2] for name in names] == ["1", "2", "3"]


def test_a_price_change_whose_answer_is_lost_says_so_and_the_next_up_converges(
    stack: Stack, cloud: FakeMithril
) -> None:
    """However often it is sent; the id stays in the state, and nothing is placed."""
    stack.up({"trainer": cluster()})
    cloud.faults.add(method="PATCH", status=500, when="after", times=None)
    with pytest.raises(VerbError, match="could not set the price"):
        stack.up({"trainer": cluster(max_price_per_hour=60.0)})
    cloud.faults.clear()
    stack.up({"trainer": cluster(max_price_per_hour=60.0)})
    assert len(cloud.bids) == 1
    assert cloud.live_bids[0]["limit_price"] == "$60.00"
    assert stack.preview({"trainer": cluster(max_price_per_hour=60.0)}) == {"trainer": "same"}


def test_a_refused_bid_places_nothing(stack: Stack, cloud: FakeMithril) -> None:
    """A 422 is a refusal: one line, nothing in the state, nothing live."""
    cloud.faults.add(method="POST", path=BIDS, status=422, when="before", body={"detail": "quota exceeded"})
    with pytest.raises(VerbError, match="quota exceeded"):
        stack.up({"trainer": cluster()})
    assert not cloud.bids
    assert not stack.state


def test_a_bid_held_for_approval_is_reported_and_not_adopted(stack: Stack, cloud: FakeMithril) -> None:
    """A 202 of the approval proxy: nothing exists yet."""
    held = {"proposal_id": "p1", "status": "pending"}
    cloud.faults.add(method="POST", path=BIDS, status=202, when="before", body=held)
    with pytest.raises(VerbError):
        stack.up({"trainer": cluster()})
    assert not cloud.bids
    assert not stack.state


def test_a_failed_delete_keeps_the_cluster_in_the_state(stack: Stack, cloud: FakeMithril) -> None:
    """Destroy fails in one line; the next one goes on."""
    stack.up({"trainer": cluster()})
    cloud.faults.add(method="DELETE", status=500, times=None)
    with pytest.raises(VerbError, match="could not cancel"):
        stack.destroy()
    assert "trainer" in stack.state
    cloud.faults.clear()
    stack.destroy()
    assert not cloud.live_bids


def test_a_delete_whose_answer_is_lost_is_proven_by_reading(stack: Stack, cloud: FakeMithril) -> None:
    """The next destroy finds that the bid has ended."""
    stack.up({"trainer": cluster()})
    cloud.faults.add(method="DELETE", kind="reset", when="after", times=None)
    with pytest.raises(VerbError):
        stack.destroy()
    cloud.faults.clear()
    stack.destroy()
    assert not stack.state
