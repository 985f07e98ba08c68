"""Which bids count to which resource of a stack."""

from __future__ import annotations

from typing import Any

from flow_resources.core.bids_of_stack import bid_resources, bids_of_stack, name_of_ended
from flow_resources.core.models import Bid
from flow_resources.core.naming import Mark, compose

OWNER = "acme/training/dev"
CLUSTER = "pulumi-python:dynamic/flow:GpuCluster"


def urn(name: str, type_: str = CLUSTER) -> str:
    return f"urn:pulumi:dev::training::{type_}::{name}"


def bid(id_: str, name: str = "trainer", *, owner: str = OWNER, generation: int = 1, **more: Any) -> Bid:
    """Return a bid with the mark of a resource."""
    marked = compose(name, Mark.of(owner, urn(name)), "9c01d2", generation)
    return Bid.read({"fid": id_, "name": marked, "status": "Open", **more})


def row(name: str, id_: str, type_: str = CLUSTER, **more: Any) -> dict[str, Any]:
    outputs = {"__mark": str(Mark.of(OWNER, urn(name, type_))), "task_id": id_, "status": "running"}
    return {"urn": urn(name, type_), "id": id_, "outputs": outputs, **more}


def export(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"deployment": {"resources": list(rows)}}


def ids(groups: Any) -> dict[str, list[str]]:
    return {key.rpartition("::")[2]: [one.id for one in group] for key, group in groups.items()}


def test_earlier_bids_of_a_resource_count_to_it() -> None:
    """Whatever their generation; strangers' and those without a mark do not count."""
    listed = [
        bid("bid_2", generation=2),
        bid("bid_1"),
        bid("bid_x", owner="acme/training/prod"),
        Bid.read({"fid": "bid_y", "name": "by-hand"}),
    ]
    found = bids_of_stack(listed, bid_resources(export(row("trainer", "bid_2"))), Mark.of(OWNER, "").owner)
    assert ids(found.recorded) == {"trainer": ["bid_2", "bid_1"]}
    assert not found.unrecorded


def test_an_adopted_bid_counts_by_its_id() -> None:
    """Its name has no mark, or that of the stack that made it."""
    listed = [Bid.read({"fid": "bid_1", "name": "by-hand"}), bid("bid_2", "other", owner="somebody/else/dev")]
    resources = bid_resources(export(row("trainer", "bid_1"), row("second", "bid_2")))
    found = bids_of_stack(listed, resources, Mark.of(OWNER, "").owner)
    assert ids(found.recorded) == {"trainer": ["bid_1"], "second": ["bid_2"]}


def test_bids_of_destroyed_resources_are_groups_of_their_own() -> None:
    """By mark, under the prefix of their names."""
    listed = [bid("bid_3", "gone"), bid("bid_2", "gone", generation=2), bid("bid_1")]
    found = bids_of_stack(listed, bid_resources(export(row("trainer", "bid_1"))), Mark.of(OWNER, "").owner)
    (group,) = found.unrecorded.values()
    assert [one.id for one in group] == ["bid_3", "bid_2"]
    assert name_of_ended(group) == "gone"


def test_what_waits_for_its_deletion_counts_to_the_resource_that_replaced_it() -> None:
    """Whichever comes first in the state."""
    rows = [row("trainer", "bid_2"), row("trainer", "bid_1", delete=True)]
    for order in (rows, rows[::-1]):
        (resource,) = bid_resources(export(*order))
        assert (resource.id, resource.ids, resource.status) == ("bid_2", {"bid_1", "bid_2"}, "running")


def test_jobs_and_members_of_fleets_are_resources_and_volumes_and_what_is_only_read_are_not() -> None:
    """By the last part of the type; in either host."""
    member = f"flow:index:ResilientCluster${CLUSTER}"
    only_read = row("read", "bid_5")
    del only_read["outputs"]["__mark"]
    rows = [
        row("job", "bid_1", "pulumi-python:dynamic/flow:Job"),
        row("fleet-0", "bid_2", member),
        row("plugin", "bid_3", "flow:index:GpuCluster"),
        row("data", "vol_1", "pulumi-python:dynamic/flow:Volume"),
        row("external", "bid_4", external=True),
        only_read,
    ]
    kinds = {resource.name: resource.kind for resource in bid_resources(export(*rows))}
    assert kinds == {"job": "Job", "fleet-0": "GpuCluster", "plugin": "GpuCluster"}
