"""Where a guess would cost money or data: foreign names, shared marks, wrong or missing answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from support.crashes import crash_after_create
from support.stack import CheckError, FakeClock, Stack, VerbError, cluster, settings_of, volume

from flow_resources.cloud import Cloud
from flow_resources.core import moments
from flow_resources.providers import base
from flow_resources.testing import FakeMithril

BIDS, VOLUMES = r"/v2/spot/bids$", r"/v2/volumes$"


@pytest.fixture
def age_by(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes everything that exists this many hours older, by the service's clock."""
    service_now = Cloud.service_now

    def add_hours(hours: float) -> None:
        def later(cloud: Cloud) -> datetime | None:
            now = service_now(cloud)
            return now and now + timedelta(hours=hours)

        monkeypatch.setattr(Cloud, "service_now", later)

    return add_hours


# -- foreign names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"status": 500}, {"kind": "reset"}], ids=["500", "reset"])
def test_a_foreign_volume_is_not_taken_for_a_lost_answer(
    stack: Stack, cloud: FakeMithril, fault: dict[str, Any]
) -> None:
    """It existed before the request was sent."""
    existing = cloud.add_volume("corpus", size_gb=999)
    cloud.faults.add(method="POST", path=VOLUMES, when="before", **fault)
    with pytest.raises(VerbError, match=existing["fid"]):
        stack.up({"data": volume(volume_name="corpus")})
    assert not stack.state
    assert [volume["fid"] for volume in cloud.volumes] == [existing["fid"]]


def test_an_old_volume_of_the_same_idempotency_key_is_not_deleted(stack: Stack, cloud: FakeMithril) -> None:
    """It was renamed, is not in the state any more, and holds data."""
    stack.up({"data": volume(volume_name="corpus")})
    old_id = stack.state["data"].id
    stack.up({"data": volume(volume_name="corpus-old")})
    stack.state.clear()
    existing = cloud.add_volume("corpus")
    with pytest.raises(VerbError, match=existing["fid"]):
        stack.up({"data": volume(volume_name="corpus")})
    assert {volume["fid"] for volume in cloud.volumes} == {old_id, existing["fid"]}


def test_a_replayed_answer_is_not_taken_for_a_new_volume(stack: Stack, cloud: FakeMithril) -> None:
    """The volume got a marked name, was renamed, and then replaced: the new one is another volume."""
    stack.up({"data": volume()})
    stack.up({"data": volume(volume_name="corpus")})
    first = stack.state["data"].id
    stack.up({"data": volume(allow_replace=True)}, force={"data"})
    assert [volume["fid"] for volume in cloud.volumes] == [stack.state["data"].id] != [first]


def test_an_orphan_that_a_listing_missed_is_found_by_its_name(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its status changed between two pages: no second bid is placed, and the next `up` takes it over."""
    crash_after_create(stack, cloud, {"trainer": cluster()})
    (orphan,) = cloud.live_bids
    with monkeypatch.context() as patch:
        patch.setattr(Cloud, "live_bids", lambda *_: {})
        patch.setattr(Cloud, "live_bids_before_create", lambda *_: [])
        with pytest.raises(VerbError, match=orphan["fid"]):
            stack.up({"trainer": cluster()})
    assert [bid["fid"] for bid in cloud.live_bids] == [orphan["fid"]]
    stack.up({"trainer": cluster()})
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id] == [orphan["fid"]]


def test_an_orphan_that_another_resource_adopts_belongs_to_that_one(stack: Stack, cloud: FakeMithril) -> None:
    """The resource of its mark places a bid of its own: the orphan is neither taken over twice nor cancelled."""
    crash_after_create(stack, cloud, {"trainer": cluster()})
    (orphan,) = cloud.live_bids
    for spec in ({}, {"command": "sleep 1"}):
        stack.up({"adopter": cluster(adopt_task_id=orphan["fid"]), "trainer": cluster(**spec)})
        assert stack.state["adopter"].id == orphan["fid"] != stack.state["trainer"].id
        assert {bid["fid"] for bid in cloud.live_bids} == {saved.id for saved in stack.state.values()}
        cloud.terminate(stack.state["trainer"].id)
        stack.state.clear()


# -- shared marks ----------------------------------------------------------------------------------------------------


def test_a_bid_that_was_renamed_in_the_stack_is_left_alone(stack: Stack, cloud: FakeMithril) -> None:
    """An alias moved the bid to another name in the program; a new resource takes the old name."""
    stack.up({"trainer": cluster()})
    stack.state = {"train-a": stack.state["trainer"]}
    first = stack.state["train-a"].id
    for spec in ({}, {"command": "sleep 1"}):
        stack.up({"train-a": cluster(), "trainer": cluster(**spec)})
        assert {bid["fid"] for bid in cloud.live_bids} == {first, stack.state["trainer"].id}
        assert stack.state["trainer"].id != first
        del stack.state["trainer"]
        [cloud.terminate(bid["fid"]) for bid in cloud.live_bids if bid["fid"] != first]


@pytest.mark.parametrize(("spec", "hours"), [({"command": "sleep 1"}, 2), ({}, 25)], ids=["other spec", "same spec"])
def test_an_old_bid_with_our_mark_is_refused(
    stack: Stack, cloud: FakeMithril, age_by: Any, spec: dict[str, str], hours: float
) -> None:
    """It may belong to a renamed stack: it is neither cancelled nor taken over, and no second bid is placed."""
    crash_after_create(stack, cloud, {"trainer": cluster()})
    (existing,) = cloud.live_bids
    age_by(hours)
    with pytest.raises(VerbError, match=rf"{existing['fid']}.*flow cancel.*adopt_task_id"):
        stack.up({"trainer": cluster(**spec)})
    assert [bid["fid"] for bid in cloud.live_bids] == [existing["fid"]]
    stack.up({"trainer": cluster(adopt_task_id=existing["fid"])})
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id] == [existing["fid"]]


@pytest.mark.parametrize("hours", [-2, None], ids=["in the future", "unreadable"])
def test_a_bid_of_unknown_age_is_not_cancelled(
    stack: Stack, cloud: FakeMithril, age_by: Any, hours: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of this machine is hours behind, or the service returns no time."""
    crash_after_create(stack, cloud, {"trainer": cluster()})
    (existing,) = cloud.live_bids
    if hours is None:
        monkeypatch.setattr("flow_resources.lifecycle.takeover.age_of", lambda *_: None)
    else:
        age_by(hours)
    with pytest.raises(VerbError, match=rf"{existing['fid']}.*flow cancel.*adopt_task_id"):
        stack.up({"trainer": cluster(command="sleep 1")})
    assert [bid["fid"] for bid in cloud.live_bids] == [existing["fid"]]


def test_a_refused_create_has_cancelled_nothing(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two orphans one may be cancelled and the other not: the user decides about both."""
    crash_after_create(stack, cloud, {"trainer": cluster()})
    (young,) = cloud.live_bids
    old = cloud.add_bid(young["name"].removesuffix("1") + "2")

    def age(created_at: str, now: datetime) -> timedelta | None:
        return timedelta(hours=30) if created_at == old["created_at"] else moments.age_of(created_at, now)

    monkeypatch.setattr("flow_resources.lifecycle.takeover.age_of", age)
    for spec in ({}, {"command": "sleep 1"}):
        with pytest.raises(VerbError, match=old["fid"]):
            stack.up({"trainer": cluster(**spec)})
        assert {bid["fid"] for bid in cloud.live_bids} == {young["fid"], old["fid"]}


def test_on_a_self_managed_backend_nothing_is_cancelled_by_its_mark(stack: Stack, cloud: FakeMithril) -> None:
    """There the stacks of two users can have one owner."""
    stack.owner = "organization/training/dev"
    crash_after_create(stack, cloud, {"trainer": cluster()})
    (existing,) = cloud.live_bids
    with pytest.raises(VerbError, match=existing["fid"]):
        stack.up({"trainer": cluster(command="sleep 1")})
    assert [bid["fid"] for bid in cloud.live_bids] == [existing["fid"]]


def test_on_a_self_managed_backend_the_bid_of_another_user_is_not_taken_over(stack: Stack, cloud: FakeMithril) -> None:
    """Two users, one account, and the same names of project and stack: the bid records who placed it."""
    cloud.add_key("bens-key", [cloud.project])
    ben = Stack({**stack.config, "flow:apiKey": "bens-key"}, owner="organization/training/dev")
    stack.owner = ben.owner
    stack.up({"trainer": cluster()})
    with pytest.raises(VerbError, match=f"{stack.state['trainer'].id} .* this stack's state does not record it"):
        ben.up({"trainer": cluster()})
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id]


def test_on_a_self_managed_backend_a_mounted_volume_is_not_taken_over(stack: Stack, cloud: FakeMithril) -> None:
    """It is not an orphan of a crash: clusters are placed after their volumes are recorded."""
    ada, ben = (Stack(stack.config, owner="organization/training/dev") for _ in range(2))
    ada.up({"data": volume()})
    mounted = ada.state["data"].id
    ada.up({"data": volume(), "trainer": cluster(volumes=[{"volume_id": mounted, "mount_path": "/data"}])})
    with pytest.raises(VerbError, match=f"adopt_volume_id='{mounted}' takes it over"):
        ben.up({"data": volume()})
    assert [volume["fid"] for volume in cloud.volumes] == [mounted]


def test_an_old_volume_with_our_mark_is_refused(stack: Stack, cloud: FakeMithril, age_by: Any) -> None:
    """After a takeover a destroy would delete it."""
    crash_after_create(stack, cloud, {"data": volume()})
    age_by(25)
    with pytest.raises(VerbError, match="adopt_volume_id"):
        stack.up({"data": volume()})
    assert len(cloud.volumes) == 1


def test_adopting_a_resource_of_another_stack_warns(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its name contains the mark of the other stack."""
    other = Stack(stack.config, owner="acme/training/prod")
    other.up({"trainer": cluster()})
    stack.up({"trainer": cluster(adopt_task_id=other.state["trainer"].id)})
    assert "was made by another stack" in capsys.readouterr().err


def test_what_another_stack_records_is_not_adopted(stack: Stack, cloud: FakeMithril) -> None:
    """Also what was made by hand, whose name tells of nobody: a destroy of either stack would end it."""
    by_hand = cloud.add_bid("by-hand")["fid"]
    other = Stack(stack.config, owner="acme/training/prod")
    other.up({"trainer": cluster(adopt_task_id=by_hand)})
    stack.other_states["acme/training/prod"] = other.export()
    for run in (stack.preview, stack.up):
        with pytest.raises(
            (CheckError, VerbError), match=f"{by_hand} is not adopted: the state of the stack acme/training/prod"
        ):
            run({"trainer": cluster(adopt_task_id=by_hand)})
    volume_id = cloud.add_volume("by-hand", size_gb=100)["fid"]
    other.up({"trainer": cluster(adopt_task_id=by_hand), "data": volume(adopt_volume_id=volume_id)})
    stack.other_states["acme/training/prod"] = other.export()
    with pytest.raises(CheckError, match=f"{volume_id} is not adopted: .* `pulumi state delete`, which ends nothing"):
        stack.preview({"data": volume(adopt_volume_id=volume_id)})
    stack.other_states["acme/training/prod"] = Stack(stack.config, owner="acme/training/prod").export()
    stack.up({"trainer": cluster(adopt_task_id=by_hand)})
    assert stack.state["trainer"].id == by_hand
    assert not [one for one in cloud.mutations if one.method == "DELETE"]


def test_where_another_stack_is_not_known_an_adoption_goes_on_with_a_warning(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """The person has named the id."""
    by_hand = cloud.add_bid("by-hand")["fid"]
    stack.other_states["acme/training/prod"] = None
    stack.up({"trainer": cluster(adopt_task_id=by_hand)})
    assert stack.state["trainer"].id == by_hand
    assert f"whether the state of another stack records {by_hand} could not be found out" in capsys.readouterr().err
    stack.up({"trainer": cluster(adopt_task_id=by_hand)})
    assert "could not be found out" not in capsys.readouterr().err


def test_two_resources_cannot_adopt_one_task(stack: Stack, cloud: FakeMithril) -> None:
    """A failure of the preview."""
    existing = cloud.add_bid("by-hand")["fid"]
    with pytest.raises(CheckError, match="two resources adopt"):
        stack.preview({"a": cluster(adopt_task_id=existing), "b": cluster(adopt_task_id=existing)})


def test_a_task_of_another_project_is_not_adopted(stack: Stack, cloud: FakeMithril) -> None:
    """Its machines would not be listed."""
    cloud.add_project("second", keys=[cloud.key])
    existing = cloud.add_bid("by-hand", project="second")["fid"]
    with pytest.raises(CheckError, match="is in project"):
        stack.preview({"trainer": cluster(adopt_task_id=existing)})


# -- wrong or missing answers ----------------------------------------------------------------------------------------


def test_a_volume_is_not_replaced_for_a_size_that_the_service_changed(stack: Stack, cloud: FakeMithril) -> None:
    """It is refused at preview, like a change of the program."""
    stack.up({"data": volume()})
    first = stack.state["data"]
    first.outputs["size_gb"] = 128.0  # rounded up at create
    assert stack.preview({"data": volume()}) == {"data": "same"}
    first.inputs["size_gb"] = 128.0  # and then read by a refresh
    with pytest.raises(CheckError, match="allow_replace=True"):
        stack.preview({"data": volume()})


def test_a_created_volume_is_recorded_even_if_later_listings_fail(stack: Stack, cloud: FakeMithril) -> None:
    """The answer to the POST is enough."""
    cloud.faults.add(
        method="POST", path=VOLUMES, kind="pass", when="after",
        then=lambda _: cloud.faults.add(method="GET", kind="reset", when="before", times=None),
    )  # fmt: skip
    stack.up({"data": volume()})
    assert [volume["fid"] for volume in cloud.volumes] == [stack.state["data"].id]


def test_a_refresh_does_not_make_a_cluster_ready(cloud: FakeMithril, clock: FakeClock) -> None:
    """The next `up` continues to wait."""
    stack = Stack(settings_of(cloud), clock=clock)
    cloud.set_price("8xa100", "us-central5-a", 61.0)
    with pytest.raises(VerbError):
        stack.up({"trainer": cluster(timeout=10.0)})
    stack.refresh()
    stack.state["trainer"].init_error = None  # what the engine makes of a refresh that succeeds
    assert stack.preview({"trainer": cluster()}) == {"trainer": "update"}
    cloud.set_price("8xa100", "us-central5-a", 12.0)
    stack.up({"trainer": cluster()})
    assert stack.preview({"trainer": cluster()}) == {"trainer": "same"}
    base.current().close()


def test_without_a_history_only_the_preemptions_are_missing(stack: Stack, cloud: FakeMithril) -> None:
    """All other outputs are there."""
    cloud.faults.add(method="GET", path="/history$", status=500, times=None)
    stack.up({"trainer": cluster()})
    cloud.preempt(stack.state["trainer"].id)
    cloud.release(stack.state["trainer"].id)
    stack.refresh()
    assert stack.state["trainer"].outputs["status"] == "running"
    assert "preemptions" not in stack.state["trainer"].outputs


def test_a_failed_poll_does_not_end_a_wait(cloud: FakeMithril, clock: FakeClock) -> None:
    """Only the time limit does."""
    stack = Stack(settings_of(cloud), clock=clock)
    cloud.set_price("8xa100", "us-central5-a", 61.0)

    def on_sleep() -> None:
        if len(clock.slept) == 2:
            cloud.faults.add(method="GET", path=BIDS, status=504, times=4)
        if len(clock.slept) == 8:
            cloud.set_price("8xa100", "us-central5-a", 12.0)

    clock.on_sleep = on_sleep
    stack.up({"trainer": cluster()})
    assert stack.state["trainer"].outputs["status"] == "running"
    base.current().close()


def test_a_price_set_on_a_preempted_cluster_does_not_wait_for_the_auction(stack: Stack, cloud: FakeMithril) -> None:
    """One PATCH, and no wait."""
    stack.up({"trainer": cluster()})
    cloud.preempt(stack.state["trainer"].id)
    stack.up({"trainer": cluster(max_price_per_hour=49.0)})
    assert cloud.live_bids[0]["limit_price"] == "$49.00"


# -- a service that has changed --------------------------------------------------------------------------------------


def test_a_running_cluster_is_not_checked_against_the_market_again(stack: Stack, cloud: FakeMithril) -> None:
    """A key or volume that was deleted since fails neither a preview nor a higher bid."""
    cloud.add_ssh_key("team", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 team")
    stack.up({"data": volume()})
    mounts = [{"volume_id": stack.state["data"].id, "mount_path": "/data"}]
    stack.up({"data": volume(), "trainer": cluster(ssh_keys=["team"], volumes=mounts)})
    cloud.delete_volume(stack.state.pop("data").id, force=True)
    assert stack.preview({"trainer": cluster(ssh_keys=["team"], volumes=mounts)}) == {"trainer": "same"}
    stack.up({"trainer": cluster(ssh_keys=["team"], volumes=mounts, max_price_per_hour=60)})


def test_the_order_of_mounts_and_ports_is_no_change(stack: Stack, cloud: FakeMithril) -> None:
    """It replaces no cluster."""
    stack.up({"a": volume(), "b": volume()})
    mounts = [{"volume_id": stack.state[name].id, "mount_path": f"/mnt/{name}"} for name in ("a", "b")]
    stack.up({"a": volume(), "b": volume(), "trainer": cluster(volumes=mounts, ports=[8080, 9090])})
    reordered = cluster(volumes=mounts[::-1], ports=[9090, 8080])
    assert stack.preview({"a": volume(), "b": volume(), "trainer": reordered})["trainer"] == "same"


def test_an_invalid_budget_blocks_neither_refresh_nor_destroy(stack: Stack, cloud: FakeMithril) -> None:
    """Only the preview checks it."""
    stack.up({"trainer": cluster()})
    stack.config["flow:maxCostPerHour"] = "plenty"
    stack.refresh()
    stack.destroy()
    assert not cloud.live_bids


def test_a_failure_of_the_market_check_does_not_hide_other_failures(stack: Stack, cloud: FakeMithril) -> None:
    """All of them are reported."""
    cloud.faults.add(method="GET", path="/v2/instance-types", status=404, times=None)
    with pytest.raises(CheckError) as failed:
        stack.preview({"trainer": cluster(max_price_per_hour=-1)})
    assert set(failed.value.failures) == {"", "max_price_per_hour"}
