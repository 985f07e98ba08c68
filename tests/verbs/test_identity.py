"""Ownership: adoption, refusal, replacement in both orders, and what a name contains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.stack import CheckError, Stack, VerbError, cluster, volume

from flow_resources.core import naming
from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.both_hosts


def live(cloud: FakeMithril) -> list[str]:
    return [bid["fid"] for bid in cloud.live_bids]


def test_adopting_a_task_restarts_nothing_and_sets_another_price(stack: Stack, cloud: FakeMithril) -> None:
    """One PATCH for the price; the id is that of the running task; destroy cancels it like any other."""
    existing = cloud.add_bid("by-hand", instance_quantity=2, limit_price="$40.00")
    cloud.clear_requests()
    program = {
        "trainer": cluster(num_instances=2, adopt_task_id=existing["fid"], command="python train.py", env={"A": "b"})
    }
    stack.up(program)
    assert stack.state["trainer"].id == existing["fid"]
    assert [(request.method, request.body) for request in cloud.mutations] == [("PATCH", {"limit_price": "$50.00"})]
    assert stack.state["trainer"].outputs["command"] == "python train.py"
    assert stack.preview(program) == {"trainer": "same"}
    stack.destroy()
    assert not live(cloud)


@pytest.mark.parametrize(
    ("inputs", "difference"),
    [
        ({"instance_type": "8xh100"}, "is of type 8xa100, the program says 8xh100"),
        ({"num_instances": 3}, "has 2 machines, the program says 3"),
        ({"region": "us-central1-a"}, "is in us-central5-a, the program says us-central1-a"),
    ],
)
def test_a_task_that_differs_is_not_adopted(
    stack: Stack, cloud: FakeMithril, inputs: dict[str, object], difference: str
) -> None:
    """The preview reports the difference; nothing is changed."""
    existing = cloud.add_bid("by-hand", instance_quantity=2)
    cloud.clear_requests()
    with pytest.raises(CheckError) as failed:
        stack.preview({"trainer": cluster(**{"num_instances": 2, **inputs}, adopt_task_id=existing["fid"])})
    assert difference in failed.value.failures["adopt_task_id"]
    assert not cloud.mutations


def test_an_ended_or_unknown_task_is_not_adopted(stack: Stack, cloud: FakeMithril) -> None:
    """Both are failures of the preview."""
    existing = cloud.add_bid("by-hand")
    cloud.terminate(existing["fid"])
    for id_, words in ((existing["fid"], "has ended"), ("bid_404404", "is not a task")):
        with pytest.raises(CheckError, match=words):
            stack.preview({"trainer": cluster(adopt_task_id=id_)})


@pytest.mark.parametrize("create_first", [False, True])
@pytest.mark.parametrize("forced", [False, True])
def test_a_replacement_ignores_the_adoption(stack: Stack, cloud: FakeMithril, create_first: bool, forced: bool) -> None:
    """The adopted task is the one that is replaced."""
    existing = cloud.add_bid("by-hand")
    first = cluster(adopt_task_id=existing["fid"], create_first=create_first)
    stack.up({"trainer": first})
    changed = first if forced else cluster(adopt_task_id=existing["fid"], create_first=create_first, command="sleep 1")
    stack.up({"trainer": changed}, force={"trainer"} if forced else set())
    assert live(cloud) == [stack.state["trainer"].id] != [existing["fid"]]


@pytest.mark.parametrize("create_first", [False, True])
@pytest.mark.parametrize("retained", [False, True], ids=["ended", "retained"])
def test_every_later_replacement_ignores_the_adoption(
    stack: Stack, cloud: FakeMithril, create_first: bool, retained: bool
) -> None:
    """Also a forced one, where check gets no olds, and one that continues after a failed `up`."""
    existing = cloud.add_bid("by-hand")
    inputs: dict[str, Any] = {"adopt_task_id": existing["fid"], "create_first": create_first}
    stack.up({"trainer": cluster(**inputs)})
    stack.up({"trainer": cluster(**inputs, command="sleep 1")})
    if retained:
        existing = cloud.add_bid("by-hand")
        inputs["adopt_task_id"] = existing["fid"]
    stack.up({"trainer": cluster(**inputs, command="sleep 1")}, force={"trainer"})
    cloud.faults.add(method="POST", path=r"/v2/spot/bids$", status=400)
    with pytest.raises(VerbError):
        stack.up({"trainer": cluster(**inputs, command="sleep 2")})
    stack.up({"trainer": cluster(**inputs, command="sleep 2")})
    retained_ids = {existing["fid"]} if retained else set()
    assert set(live(cloud)) == {stack.state["trainer"].id} | retained_ids
    assert stack.state["trainer"].id != existing["fid"]


@pytest.mark.parametrize("at_once", [False, True])
def test_after_an_adopted_task_has_ended_another_is_adopted(stack: Stack, cloud: FakeMithril, at_once: bool) -> None:
    """By `up --refresh`, whose program still reads the first id, or by `refresh` and then `up`: nothing is placed."""
    first, second = (cloud.add_bid(name)["fid"] for name in ("first", "second"))
    stack.up({"trainer": cluster(adopt_task_id=first)})
    cloud.terminate(first)
    if not at_once:
        stack.refresh()
    stack.up({"trainer": cluster(adopt_task_id=second)}, refresh=at_once)
    assert live(cloud) == [stack.state["trainer"].id] == [second]


@pytest.mark.parametrize("changes", [{}, {"command": "sleep 1"}], ids=["forced", "by diff"])
def test_create_first_never_takes_over_what_it_is_about_to_delete(
    stack: Stack, cloud: FakeMithril, changes: dict[str, str]
) -> None:
    """A new bid is placed, and the old one is deleted after it."""
    stack.up({"trainer": cluster(create_first=True)})
    first = stack.state["trainer"].id
    cloud.clear_requests()
    stack.up({"trainer": cluster(create_first=True, **changes)}, force=set() if changes else {"trainer"})
    assert [request.method for request in cloud.mutations] == ["POST", "DELETE"]
    assert live(cloud) == [stack.state["trainer"].id] != [first]


def test_an_orphan_of_a_first_create_is_taken_over_with_create_first(stack: Stack, cloud: FakeMithril) -> None:
    """The state is empty, so the orphan is not a pending deletion."""
    cloud.faults.add(
        method="POST", path=r"/v2/spot/bids$", kind="reset", when="after",
        then=lambda _request: cloud.faults.add(kind="reset", when="before", times=None),
    )  # fmt: skip
    with pytest.raises(VerbError):
        stack.up({"trainer": cluster(create_first=True)})
    cloud.faults.clear()
    stack.up({"trainer": cluster(create_first=True)})
    assert live(cloud) == [stack.state["trainer"].id]


def test_a_forced_replacement_of_a_volume_makes_another_volume(stack: Stack, cloud: FakeMithril) -> None:
    """The new volume first, then the deletion of the old one."""
    stack.up({"data": volume(allow_replace=True)})
    first = stack.state["data"].id
    stack.up({"data": volume(allow_replace=True)}, force={"data"})
    assert [volume["fid"] for volume in cloud.volumes] == [stack.state["data"].id] != [first]


@pytest.mark.parametrize("other", [{"instance_quantity": 7}, {"region": "us-central1-b"}], ids=["machines", "region"])
def test_a_foreign_bid_with_our_name_is_refused_with_its_id_and_a_remedy(
    stack: Stack, cloud: FakeMithril, other: dict[str, Any]
) -> None:
    """The same name with other machines belongs to somebody else."""
    stack.up({"trainer": cluster()})
    name = stack.state["trainer"].outputs["task_name"]
    stack.destroy()
    parts = naming.take_apart(name)
    assert parts
    second = naming.compose("trainer", parts.mark, parts.spec, 2)
    foreign = cloud.add_bid(second, **other)
    with pytest.raises(VerbError, match=rf"{foreign['fid']}.*adopt_task_id"):
        stack.up({"trainer": cluster()})
    assert live(cloud) == [foreign["fid"]]


def test_a_volume_whose_chosen_name_is_taken_is_refused(stack: Stack, cloud: FakeMithril) -> None:
    """With the id, and the input that adopts it."""
    existing = cloud.add_volume("corpus")
    with pytest.raises(VerbError, match=f"adopt_volume_id='{existing['fid']}'"):
        stack.up({"data": volume(volume_name="corpus")})
    assert [volume["fid"] for volume in cloud.volumes] == [existing["fid"]]
    stack.up({"data": volume(volume_name="corpus", adopt_volume_id=existing["fid"])})
    assert stack.state["data"].id == existing["fid"]


def test_an_adopted_volume_must_equal_the_declared_one(stack: Stack, cloud: FakeMithril) -> None:
    """Size, interface and region cannot be changed, so they must be equal."""
    existing = cloud.add_volume("corpus", size_gb=200)
    with pytest.raises(CheckError, match="size_gb 200, the program says 100"):
        stack.preview({"data": volume(adopt_volume_id=existing["fid"])})
    assert not stack.state


def test_an_older_orphaned_volume_is_not_deleted(stack: Stack, cloud: FakeMithril) -> None:
    """It may hold data (retain_on_delete)."""
    stack.up({"data": volume()})
    orphan = stack.state.pop("data").id
    stack.up({"data": volume(size_gb=200)})
    assert {volume["fid"] for volume in cloud.volumes} == {orphan, stack.state["data"].id}


@pytest.mark.parametrize(
    "other_owner",
    ["acme/training/prod", "acme/serving/dev", "umbrella/training/dev", "organization/training/dev"],
    ids=["other stack", "other project", "other organization", "self-managed backend"],
)
def test_two_owners_with_the_same_names_never_change_each_others_resources(
    stack: Stack, cloud: FakeMithril, other_owner: str
) -> None:
    """The same program and account: every operation of one owner leaves the resources of the other unchanged."""
    other, program = Stack(stack.config, owner=other_owner), {"data": volume(allow_replace=True), "trainer": cluster()}
    other.up(program)
    foreign_ids = {saved.id for saved in other.state.values()}
    for action in (
        lambda: stack.up(program),
        lambda: stack.up({"data": volume(allow_replace=True), "trainer": cluster(num_instances=2)}),
        lambda: stack.up(program, force={"data", "trainer"}),
        lambda: stack.up(program, refresh=True),
        stack.destroy,
    ):
        cloud.clear_requests()
        action()
        assert not [request for request in cloud.mutations if any(id_ in request.path for id_ in foreign_ids)]
        own_ids = {saved.id for saved in stack.state.values()}
        assert not own_ids & foreign_ids
        assert {*live(cloud), *(item["fid"] for item in cloud.volumes)} == own_ids | foreign_ids
    assert other.preview(program) == {"data": "same", "trainer": "same"}


@pytest.mark.parametrize("keys", ["dedupe", "terminated", "ignore"])
def test_the_same_names_in_two_projects_of_one_account_are_separate(
    stack: Stack, cloud: FakeMithril, keys: str
) -> None:
    """Even with one owner: idempotency keys of one project do not apply to the other, however long they are kept."""
    cloud.set_options(idempotency=keys)
    cloud.add_project("second", keys=[cloud.key])
    program = {"data": volume(), "trainer": cluster()}
    other = Stack({**stack.config, "flow:project": "second"}, owner=stack.owner)
    stack.up(program)
    other.up(program)
    assert len(live(cloud)) == len(cloud.volumes) == 2
    other.destroy()
    assert live(cloud) == [stack.state["trainer"].id]
    assert [volume["fid"] for volume in cloud.volumes] == [stack.state["data"].id]


def test_a_stack_that_is_destroyed_and_moved_to_another_project_creates_anew(stack: Stack, cloud: FakeMithril) -> None:
    """Also where the service keeps keys for ever: it would answer with the ended resource of the first project."""
    cloud.set_options(idempotency="terminated")
    cloud.add_project("second", keys=[cloud.key])
    program = {"data": volume(), "trainer": cluster()}
    stack.up(program)
    stack.destroy()
    stack.config["flow:project"] = "second"
    stack.up(program)
    assert live(cloud) == [stack.state["trainer"].id]
    assert stack.preview(program) == {"data": "same", "trainer": "same"}


def rename_stack(stack: Stack) -> None:
    stack.owner = "acme/training/production"


def rename_project(stack: Stack) -> None:
    stack.owner = "acme/teaching/dev"


def use_alias(stack: Stack) -> None:
    stack.state = {f"{name}-2": saved for name, saved in stack.state.items()}


def add_parent(stack: Stack) -> None:
    original = stack.urn
    stack.urn = lambda name, kind: original(name, kind).replace("pulumi-python:", "acme:index:Team$pulumi-python:")  # type: ignore[method-assign]


@pytest.mark.parametrize("rename", [rename_stack, rename_project, use_alias, add_parent])
def test_after_a_rename_nothing_changes_and_every_operation_works(
    stack: Stack, cloud: FakeMithril, rename: Callable[[Stack], None]
) -> None:
    """A recorded id with its recorded name belongs to the stack, whatever the URN is now."""
    stack.up({"data": volume(), "trainer": cluster()})
    before = {saved.id for saved in stack.state.values()}
    rename(stack)
    data, trainer = stack.state
    program = {data: volume(), trainer: cluster()}
    cloud.clear_requests()
    assert set(stack.preview(program).values()) == {"same"}
    stack.refresh()
    stack.up(program)
    assert {saved.id for saved in stack.state.values()} == before
    assert not cloud.mutations
    stack.up({data: volume(), trainer: cluster(max_price_per_hour=60.0)})
    assert [request.method for request in cloud.mutations] == ["PATCH"]
    stack.up({data: volume(), trainer: cluster(num_instances=2)})
    assert live(cloud) == [stack.state[trainer].id]
    stack.destroy()
    assert not live(cloud)
    assert not cloud.volumes


def test_the_name_contains_the_mark_and_no_secret(stack: Stack, cloud: FakeMithril) -> None:
    """The mark of owner and URN, the specification, the generation."""
    stack.up({"My Trainer": cluster(env={"TOKEN": "canary"})})
    name = stack.state["My Trainer"].outputs["task_name"]
    parts = naming.take_apart(name)
    assert parts
    assert name.startswith("my-trainer-")
    assert parts.mark == naming.Mark.of(stack.owner, stack.urn("My Trainer", "GpuCluster"))
    assert "canary" not in name
