"""Pending deletions that are found by their name and taken over: kept, recorded once, and never duplicated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.stack import Declared, FakeClock, Stack, VerbError, cluster, settings_of, volume

from flow_resources.testing import MANUAL, FakeMithril

Program = dict[str, Declared]
Make = Callable[..., Program]


def trainer(version: int, **more: Any) -> Program:
    return {"it": cluster(create_first=True, command=f"echo {version}", **more)}


def data(version: int, **more: Any) -> Program:
    return {"it": volume(size_gb=100 * version, allow_replace=True, **more)}


def live(cloud: FakeMithril) -> list[str]:
    return sorted(item["fid"] for item in [*cloud.live_bids, *cloud.volumes])


def end(cloud: FakeMithril, id_: str) -> None:
    """Cancel or delete a resource without the stack."""
    (cloud.terminate if id_.startswith("bid") else cloud.delete_volume)(id_)


def leave_pending_deletion(stack: Stack, cloud: FakeMithril, make: Make) -> tuple[str, str]:
    """Replace a resource whose delete is refused: the state keeps it, pending deletion; return the ids of both."""
    stack.up(make(1))
    first = stack.state["it"].id
    cloud.faults.add(method="DELETE", status=403, times=None)
    with pytest.raises(VerbError):
        stack.up(make(2))
    cloud.faults.clear()
    assert [saved.id for _, saved in stack.pending_deletes] == [first]
    return first, stack.state["it"].id


each_kind = pytest.mark.parametrize("make", [trainer, data])


@each_kind
@pytest.mark.parametrize("refreshes", ["none", "before", "with it"])
def test_a_pending_deletion_that_is_taken_over_is_kept(
    stack: Stack, cloud: FakeMithril, make: Make, refreshes: str
) -> None:
    """Its replacement is gone, and the program declares it again: it continues, and the state records it."""
    first, second = leave_pending_deletion(stack, cloud, make)
    end(cloud, second)
    if refreshes == "before":
        stack.refresh()
    if refreshes == "none":
        del stack.state["it"]
    stack.up(make(1), refresh=refreshes == "with it")
    assert live(cloud) == [first] == [stack.state["it"].id]
    assert not stack.pending_deletes
    cloud.clear_requests()
    stack.up(make(1), refresh=True)
    assert not cloud.mutations
    stack.destroy()
    assert live(cloud) == []


def test_a_pending_deletion_that_is_taken_over_by_a_create_that_is_not_ready_is_kept(
    cloud: FakeMithril, clock: FakeClock
) -> None:
    """The next `up` continues with it, and then reaches the pending deletion."""
    stack = Stack(settings_of(cloud), clock=clock)
    first, second = leave_pending_deletion(stack, cloud, trainer)
    end(cloud, second)
    stack.refresh()
    cloud.set_options(boot_seconds=MANUAL)
    cloud.preempt(first)
    pending, stack.pending_deletes = stack.pending_deletes, []  # after a failure the engine deletes nothing
    with pytest.raises(VerbError, match="run `pulumi up` again to go on"):
        stack.up(trainer(1, timeout=60))
    stack.pending_deletes = pending
    assert stack.state["it"].id == first
    cloud.release(first)
    cloud.finish("boot", first)
    stack.up(trainer(1))
    assert live(cloud) == [first] == [stack.state["it"].id]
    assert not stack.pending_deletes


@each_kind
def test_what_was_taken_over_and_is_removed_later_is_deleted(stack: Stack, cloud: FakeMithril, make: Make) -> None:
    """By a removal, a replacement or a destroy, also while the older deletion is still pending."""
    for remove in (lambda: stack.up({}), lambda: stack.up(make(3)), stack.destroy):
        first, second = leave_pending_deletion(stack, cloud, make)
        end(cloud, second)
        stack.refresh()
        pending = list(stack.pending_deletes)
        stack.up(make(1))
        stack.pending_deletes = pending
        remove()
        assert first not in live(cloud)
        assert live(cloud) == [saved.id for saved in stack.state.values()]
        assert not stack.pending_deletes
        stack.destroy()
        assert live(cloud) == []


def test_a_cluster_moves_to_another_name_by_adoption(stack: Stack, cloud: FakeMithril) -> None:
    """The old resource leaves the program in the same `up`: its delete does not cancel the adopted bid."""
    stack.up({"old": cluster()})
    cluster_id = stack.state["old"].id
    stack.up({"new": cluster(adopt_task_id=cluster_id)})
    assert live(cloud) == [cluster_id] == [stack.state["new"].id]
    assert list(stack.state) == ["new"]
    stack.destroy()
    assert live(cloud) == []


@pytest.mark.both_hosts
@each_kind
def test_what_is_taken_over_records_who_did(stack: Stack, cloud: FakeMithril, make: Make) -> None:
    """Through an update and a refresh; what is placed has no other record."""
    _, second = leave_pending_deletion(stack, cloud, make)
    assert "__taken_over_by" not in stack.state["it"].outputs
    end(cloud, second)
    stack.refresh()
    stack.up(make(1))
    own = stack.plugin.provider_id if stack.host == "plugin" else "pulumi:providers:pulumi-python"
    assert stack.state["it"].outputs["__taken_over_by"] == own
    stack.up(make(1), refresh=True)
    assert stack.state["it"].outputs["__taken_over_by"] == own


@pytest.mark.parametrize(
    ("make", "change"),
    [(trainer, {"max_price_per_hour": 60.0}), (data, {"volume_name": "corpus"})],
    ids=["bid", "volume"],
)
def test_the_create_id_stays_through_an_update_and_a_refresh(stack: Stack, make: Make, change: Program) -> None:
    """Only a create makes another one."""
    stack.up(make(1))
    first = stack.state["it"].outputs["__create_id"]
    stack.up(make(1, **change))
    stack.refresh()
    assert stack.state["it"].outputs["__create_id"] == first
    stack.up(make(2))
    assert stack.state["it"].outputs["__create_id"] != first
