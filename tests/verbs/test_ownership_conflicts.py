"""Where a guess would cost money or data: names that others hold, marks that others share, answers that lie."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from support.crashes import crash_after_create
from support.stack import CheckError, FakeClock, Stack, VerbError, cluster, settings_of, volume

from flow_resources.cloud import Cloud
from flow_resources.lifecycle import takeover
from flow_resources.providers import base
from flow_resources.testing import FakeMithril

BIDS, VOLUMES = r"/v2/spot/bids$", r"/v2/volumes$"


@pytest.fixture
def a_day_later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make everything that exists look so many hours older."""

    def pass_hours(hours: float) -> None:
        class Later(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return datetime.now(tz or timezone.utc) + timedelta(hours=hours)

        monkeypatch.setattr(takeover, "datetime", Later)

    return pass_hours


# -- names that others hold ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"status": 500}, {"kind": "reset"}], ids=["500", "reset"])
def test_a_strangers_volume_is_never_taken_for_a_lost_answer(
    stack: Stack, cloud: FakeMithril, fault: dict[str, Any]
) -> None:
    """It was there before the request was sent."""
    theirs = cloud.add_volume("corpus", size_gb=999)
    cloud.faults.add(method="POST", path=VOLUMES, when="before", **fault)
    with pytest.raises(VerbError, match=theirs["fid"]):
        stack.up({"data": volume(volume_name="corpus")})
    assert not stack.state
    assert [volume["fid"] for volume in cloud.volumes] == [theirs["fid"]]


def test_an_old_volume_that_a_key_still_answers_with_is_never_deleted(stack: Stack, cloud: FakeMithril) -> None:
    """Renamed since, forgotten by the state, with data on it."""
    stack.up({"data": volume(volume_name="corpus")})
    kept = stack.state["data"].id
    stack.up({"data": volume(volume_name="corpus-old")})
    stack.state.clear()
    theirs = cloud.add_volume("corpus")
    with pytest.raises(VerbError, match=theirs["fid"]):
        stack.up({"data": volume(volume_name="corpus")})
    assert {volume["fid"] for volume in cloud.volumes} == {kept, theirs["fid"]}


def test_a_replayed_key_does_not_pass_for_a_new_volume(stack: Stack, cloud: FakeMithril) -> None:
    """Made under a marked name, renamed, and then replaced: the new one is another volume."""
    stack.up({"data": volume()})
    stack.up({"data": volume(volume_name="corpus")})
    first = stack.state["data"].id
    stack.up({"data": volume()}, force={"data"})
    assert [volume["fid"] for volume in cloud.volumes] == [stack.state["data"].id] != [first]


def test_a_leftover_that_a_listing_missed_is_found_by_its_name(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It went from one status to another between two pages: no second one is placed, and the next `up` goes on."""
    crash_after_create(stack, cloud, {"trainer": cluster()})
    (left,) = cloud.live_bids
    with monkeypatch.context() as patch:
        patch.setattr(Cloud, "live_bids", lambda *_: {})
        with pytest.raises(VerbError, match=left["fid"]):
            stack.up({"trainer": cluster()})
    assert [bid["fid"] for bid in cloud.live_bids] == [left["fid"]]
    stack.up({"trainer": cluster()})
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id] == [left["fid"]]


def test_a_leftover_that_another_resource_adopts_is_that_ones(stack: Stack, cloud: FakeMithril) -> None:
    """Its mark is the old resource's, which makes one of its own: neither taken twice nor ended."""
    crash_after_create(stack, cloud, {"trainer": cluster()})
    (left,) = cloud.live_bids
    for spec in ({}, {"command": "sleep 1"}):
        stack.up({"kept": cluster(adopt_task_id=left["fid"]), "trainer": cluster(**spec)})
        assert stack.state["kept"].id == left["fid"] != stack.state["trainer"].id
        assert {bid["fid"] for bid in cloud.live_bids} == {saved.id for saved in stack.state.values()}
        cloud.terminate(stack.state["trainer"].id)
        stack.state.clear()


# -- marks that others share -----------------------------------------------------------------------------------------


def test_what_another_resource_of_the_stack_became_by_a_rename_is_left_alone(stack: Stack, cloud: FakeMithril) -> None:
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
def test_an_old_bid_with_our_mark_is_for_a_person_to_judge(
    stack: Stack, cloud: FakeMithril, a_day_later: Any, spec: dict[str, str], hours: float
) -> None:
    """It may be the cluster of a stack that was renamed: neither ended nor taken over, and no second one placed."""
    crash_after_create(stack, cloud, {"trainer": cluster()})
    (theirs,) = cloud.live_bids
    a_day_later(hours)
    with pytest.raises(VerbError, match=rf"{theirs['fid']}.*flow cancel.*adopt_task_id"):
        stack.up({"trainer": cluster(**spec)})
    assert [bid["fid"] for bid in cloud.live_bids] == [theirs["fid"]]
    stack.up({"trainer": cluster(adopt_task_id=theirs["fid"])})
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id] == [theirs["fid"]]


@pytest.mark.parametrize("hours", [-2, None], ids=["of tomorrow", "unreadable"])
def test_a_bid_whose_age_nobody_can_tell_is_not_ended(
    stack: Stack, cloud: FakeMithril, a_day_later: Any, hours: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of this machine is hours behind, or the service says no time."""
    crash_after_create(stack, cloud, {"trainer": cluster()})
    (theirs,) = cloud.live_bids
    if hours is None:
        monkeypatch.setattr(takeover, "age_of", lambda *_: None)
    else:
        a_day_later(hours)
    with pytest.raises(VerbError, match=rf"{theirs['fid']}.*flow cancel.*adopt_task_id"):
        stack.up({"trainer": cluster(command="sleep 1")})
    assert [bid["fid"] for bid in cloud.live_bids] == [theirs["fid"]]


def test_a_create_that_is_refused_has_ended_nothing(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two leftovers the one may be ended and the other not: a person judges both."""
    crash_after_create(stack, cloud, {"trainer": cluster()})
    (young,) = cloud.live_bids
    old = cloud.add_bid(young["name"].removesuffix("1") + "2")
    seen = takeover.age_of

    def age(created_at: str, now: datetime) -> timedelta | None:
        return timedelta(hours=30) if created_at == old["created_at"] else seen(created_at, now)

    monkeypatch.setattr(takeover, "age_of", age)
    for spec in ({}, {"command": "sleep 1"}):
        with pytest.raises(VerbError, match=old["fid"]):
            stack.up({"trainer": cluster(**spec)})
        assert {bid["fid"] for bid in cloud.live_bids} == {young["fid"], old["fid"]}


def test_on_a_self_managed_backend_nothing_is_ended_by_its_mark(stack: Stack, cloud: FakeMithril) -> None:
    """There two people's stacks can have one owner."""
    stack.owner = "organization/training/dev"
    crash_after_create(stack, cloud, {"trainer": cluster()})
    (theirs,) = cloud.live_bids
    with pytest.raises(VerbError, match=theirs["fid"]):
        stack.up({"trainer": cluster(command="sleep 1")})
    assert [bid["fid"] for bid in cloud.live_bids] == [theirs["fid"]]


def test_on_a_self_managed_backend_what_another_user_made_is_not_taken_over(stack: Stack, cloud: FakeMithril) -> None:
    """Two people, one account, and a project and a stack of the same names: the bid says who placed it."""
    cloud.add_key("bens-key", [cloud.project])
    ben = Stack({**stack.config, "flow:apiKey": "bens-key"}, owner="organization/training/dev")
    stack.owner = ben.owner
    stack.up({"trainer": cluster()})
    with pytest.raises(VerbError, match=f"{stack.state['trainer'].id} .* this stack's state does not record it"):
        ben.up({"trainer": cluster()})
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id]


def test_on_a_self_managed_backend_a_volume_that_a_cluster_mounts_is_not_taken_over(
    stack: Stack, cloud: FakeMithril
) -> None:
    """A crash leaves none: a cluster is placed when its volumes are recorded. And a destroy would delete the data."""
    ada, ben = (Stack(stack.config, owner="organization/training/dev") for _ in range(2))
    ada.up({"data": volume()})
    mounted = ada.state["data"].id
    ada.up({"data": volume(), "trainer": cluster(volumes=[{"volume_id": mounted, "mount_path": "/data"}])})
    with pytest.raises(VerbError, match=f"adopt_volume_id='{mounted}' takes it over"):
        ben.up({"data": volume()})
    assert [volume["fid"] for volume in cloud.volumes] == [mounted]


def test_an_old_volume_with_our_mark_is_for_a_person_to_judge(
    stack: Stack, cloud: FakeMithril, a_day_later: Any
) -> None:
    """Taking it over would let a destroy delete it."""
    crash_after_create(stack, cloud, {"data": volume()})
    a_day_later(25)
    with pytest.raises(VerbError, match="adopt_volume_id"):
        stack.up({"data": volume()})
    assert len(cloud.volumes) == 1


def test_adopting_what_another_stack_made_warns(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its name says so."""
    other = Stack(stack.config, owner="acme/training/prod")
    other.up({"trainer": cluster()})
    stack.up({"trainer": cluster(adopt_task_id=other.state["trainer"].id)})
    assert "was made by another stack" in capsys.readouterr().err


def test_two_resources_cannot_adopt_one_task(stack: Stack, cloud: FakeMithril) -> None:
    """Said at preview."""
    theirs = cloud.add_bid("by-hand")["fid"]
    with pytest.raises(CheckError, match="two resources adopt"):
        stack.preview({"a": cluster(adopt_task_id=theirs), "b": cluster(adopt_task_id=theirs)})


def test_a_task_of_another_project_is_not_adopted(stack: Stack, cloud: FakeMithril) -> None:
    """Its machines would never be seen."""
    cloud.add_project("second", keys=[cloud.key])
    theirs = cloud.add_bid("by-hand", project="second")["fid"]
    with pytest.raises(CheckError, match="is in project"):
        stack.preview({"trainer": cluster(adopt_task_id=theirs)})


# -- answers that lie, or do not come --------------------------------------------------------------------------------


def test_a_volume_whose_size_the_service_moved_is_never_replaced_for_it(stack: Stack, cloud: FakeMithril) -> None:
    """Refused at preview, as a change of the program would be."""
    stack.up({"data": volume()})
    first = stack.state["data"]
    first.outputs["size_gb"] = 128.0  # rounded up at create
    assert stack.preview({"data": volume()}) == {"data": "same"}
    first.inputs["size_gb"] = 128.0  # and then read by a refresh
    with pytest.raises(CheckError, match="allow_replace=True"):
        stack.preview({"data": volume()})


def test_a_made_volume_is_recorded_even_when_nothing_can_be_listed_afterwards(stack: Stack, cloud: FakeMithril) -> None:
    """The answer to the POST is enough."""
    cloud.faults.add(
        method="POST", path=VOLUMES, kind="pass", when="after",
        then=lambda _: cloud.faults.add(method="GET", kind="reset", when="before", times=None),
    )  # fmt: skip
    stack.up({"data": volume()})
    assert [volume["fid"] for volume in cloud.volumes] == [stack.state["data"].id]


def test_a_refresh_does_not_make_an_unready_cluster_look_ready(cloud: FakeMithril, clock: FakeClock) -> None:
    """The next `up` goes on waiting."""
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


def test_a_history_that_cannot_be_read_decides_nothing(stack: Stack, cloud: FakeMithril) -> None:
    """The count of preemptions is absent, everything else is there."""
    cloud.faults.add(method="GET", path="/history$", status=500, times=None)
    stack.up({"trainer": cluster()})
    cloud.preempt(stack.state["trainer"].id)
    cloud.release(stack.state["trainer"].id)
    stack.refresh()
    assert stack.state["trainer"].outputs["status"] == "running"
    assert "preemptions" not in stack.state["trainer"].outputs


def test_one_bad_poll_does_not_end_a_wait(cloud: FakeMithril, clock: FakeClock) -> None:
    """The limit does."""
    stack = Stack(settings_of(cloud), clock=clock)
    cloud.set_price("8xa100", "us-central5-a", 61.0)

    def meanwhile() -> None:
        if len(clock.slept) == 2:
            cloud.faults.add(method="GET", path=BIDS, status=504, times=4)
        if len(clock.slept) == 8:
            cloud.set_price("8xa100", "us-central5-a", 12.0)

    clock.on_sleep = meanwhile
    stack.up({"trainer": cluster()})
    assert stack.state["trainer"].outputs["status"] == "running"
    base.current().close()


def test_a_price_set_on_a_preempted_cluster_does_not_wait_for_the_auction(stack: Stack, cloud: FakeMithril) -> None:
    """One PATCH; the auction takes its course."""
    stack.up({"trainer": cluster()})
    cloud.preempt(stack.state["trainer"].id)
    stack.up({"trainer": cluster(max_price_per_hour=49.0)})
    assert cloud.live_bids[0]["limit_price"] == "$49.00"


# -- a market that moves on ------------------------------------------------------------------------------------------


def test_what_runs_is_not_judged_by_a_market_that_moved_on(stack: Stack, cloud: FakeMithril) -> None:
    """A key or volume that was deleted since stops neither a preview nor a higher bid."""
    cloud.add_ssh_key("team", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 team")
    stack.up({"data": volume()})
    mounts = [{"volume_id": stack.state["data"].id, "mount_path": "/data"}]
    stack.up({"data": volume(), "trainer": cluster(ssh_keys=["team"], volumes=mounts)})
    cloud.delete_volume(stack.state.pop("data").id, force=True)
    assert stack.preview({"trainer": cluster(ssh_keys=["team"], volumes=mounts)}) == {"trainer": "same"}
    stack.up({"trainer": cluster(ssh_keys=["team"], volumes=mounts, max_price_per_hour=60)})


def test_the_order_of_mounts_means_nothing(stack: Stack, cloud: FakeMithril) -> None:
    """No cluster is replaced for it."""
    stack.up({"a": volume(), "b": volume()})
    mounts = [{"volume_id": stack.state[name].id, "mount_path": f"/mnt/{name}"} for name in ("a", "b")]
    stack.up({"a": volume(), "b": volume(), "trainer": cluster(volumes=mounts, ports=[8080, 9090])})
    turned = cluster(volumes=mounts[::-1], ports=[9090, 8080])
    assert stack.preview({"a": volume(), "b": volume(), "trainer": turned})["trainer"] == "same"


def test_a_bad_budget_blocks_neither_refresh_nor_destroy(stack: Stack, cloud: FakeMithril) -> None:
    """It is a matter of the preview."""
    stack.up({"trainer": cluster()})
    stack.config["flow:maxCostPerHour"] = "plenty"
    stack.refresh()
    stack.destroy()
    assert not cloud.live_bids


def test_a_refusal_of_the_market_does_not_hide_the_other_failures(stack: Stack, cloud: FakeMithril) -> None:
    """All of them together."""
    cloud.faults.add(method="GET", path="/v2/instance-types", status=404, times=None)
    with pytest.raises(CheckError) as failed:
        stack.preview({"trainer": cluster(max_price_per_hour=-1)})
    assert set(failed.value.failures) == {"", "max_price_per_hour"}
