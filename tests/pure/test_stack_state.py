"""What a stored state records, read from what `pulumi stack export` prints."""

from __future__ import annotations

from decimal import Decimal

import pytest

from flow_resources.core.stack_state import (
    Holder,
    RecordedThing,
    StackState,
    has_pending_operations,
    read_state,
    recorded_things,
    with_service,
)

URN = "urn:pulumi:dev::training::pulumi-python:dynamic/flow:GpuCluster::trainer"


def resource(**more):
    return {"urn": URN, "type": "t", **more}


def state(*resources, pending=()):
    return {"version": 3, "deployment": {"resources": list(resources), "pending_operations": list(pending)}}


def test_a_state_says_ids_marks_places_and_what_is_being_made():
    """As `pulumi stack export` prints it, sealed secrets among the outputs."""
    outputs = {"__mark": "aaaaaabbbbbbbb", "__service": "http://x", "project": "proj_1", "env": {"4dabf18": "sealed"}}
    read = read_state(
        state(resource(id="bid_1", outputs=outputs), resource(), pending=[{"type": "creating", "resource": resource()}])
    )
    assert read == StackState(
        frozenset({"bid_1"}),
        {"aaaaaabbbbbbbb": (None,)},
        frozenset({URN}),
        frozenset({("http://x", "proj_1")}),
        {URN: ("bid_1", None)},
        max_costs=None,
        holders={"bid_1": (Holder("", None),)},
    )
    assert read.marks == {"aaaaaabbbbbbbb"}


@pytest.mark.parametrize("host", ["pulumi-python:dynamic/flow", "flow:index", "flow:index:ResilientCluster$flow:index"])
def test_a_state_says_what_its_bids_can_cost(host):
    """Unless one of them has a cost that is not known; in either host, and inside of a component."""
    type_ = f"urn:pulumi:dev::training::{host}"
    rows = [
        {"urn": f"{type_}:GpuCluster::a", "outputs": {"max_cost_per_hour": 32.5}},
        {"urn": f"{type_}:GpuCluster::paused", "outputs": {"max_cost_per_hour": 50, "paused": True}},
        {"urn": f"{type_}:GpuCluster::replaced", "outputs": {"max_cost_per_hour": 9}, "delete": True},
        {"urn": f"{type_}:GpuCluster::read", "outputs": {"max_cost_per_hour": 9}, "external": True},
        {"urn": f"{type_}:Job::b", "outputs": {"max_cost_per_hour": 1}},
        {"urn": f"{type_}:GpuCluster::team::c", "outputs": {"max_cost_per_hour": 2}},
        {"urn": f"{type_}:Volume::flow:Job::d", "outputs": {}},
        {"urn": f"{type_}:Job::ended", "outputs": {"__ended": "ended"}},
        {"urn": f"{type_}:Volume::data", "outputs": {}},
    ]
    costs = read_state(state(*rows)).max_costs
    by_name = {urn.split("::", 3)[3]: cost for urn, cost in costs.items()}
    assert by_name == {"a": Decimal("32.5"), "paused": 0, "b": 1, "team::c": 2}
    for unknown in (None, "32.5", {"ciphertext": "x"}, True):
        more = {"urn": f"{type_}:GpuCluster::c", "outputs": {"max_cost_per_hour": unknown}}
        assert read_state(state(*rows, more)).max_costs is None


def test_a_create_that_died_is_kept_beside_the_one_that_runs():
    """The engine writes down what it creates, and never takes away what an earlier one was creating as it died."""
    creating, updating = ({"type": one, "resource": resource()} for one in ("creating", "updating"))
    assert read_state(state(pending=[creating])).interrupted == frozenset()
    assert read_state(state(pending=[creating, updating])).interrupted == frozenset()
    assert read_state(state(pending=[creating, creating])).interrupted == {URN}


def test_what_is_sealed_is_not_known():
    """A program can have any output secret: its cipher text is no region, no time and no id."""
    sealed = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x"}
    names = ("task_id", "region", "created_at", "project")
    outputs = {"__mark": "aaaaaabbbbbbbb", "__service": "http://x", **dict.fromkeys(names, sealed)}
    read = read_state(state(resource(id="bid_1", outputs=outputs)))
    assert read.ids == {"bid_1"}
    assert read.owned == {URN: ("bid_1", None)}
    assert read.created_at == {"aaaaaabbbbbbbb": (None,)}
    assert read.places == {("http://x", "")}


def test_what_is_recorded_is_read_with_what_tells_it_at_the_service():
    """Of this package alone, what is still to be deleted included; what is not told, or sealed, is not known."""
    ours = "pulumi-python:dynamic/flow:GpuCluster"
    outputs = {"__service": "http://x", "project": "proj_1", "task_name": "a"}
    rows = [
        {"urn": "stack", "type": "pulumi:pulumi:Stack"},
        {"urn": "u1", "type": ours, "id": "bid_1", "outputs": outputs, "delete": True},
        {"urn": "u2", "type": ours, "id": "bid_2", "outputs": {"task_name": {"ciphertext": "x"}}},
        {"urn": "u3", "type": "aws:s3:Bucket", "id": "b", "outputs": {"project": "p"}},
    ]
    export = state(*rows)
    assert recorded_things(export) == [
        RecordedThing("u1", "bid_1", "a", "http://x", "proj_1"),
        RecordedThing("u2", "bid_2", None, None, None),
    ]
    changed = with_service(export, "http://y")
    assert [row.get("outputs", {}).get("__service") for row in changed["deployment"]["resources"]] == [
        None,
        "http://y",
        None,
        None,
    ]
    assert outputs["__service"] == "http://x"


def test_pending_operations_are_seen():
    """An `up` is under way, or died."""
    assert not has_pending_operations(state(resource()))
    assert has_pending_operations(state(pending=[{"type": "updating", "resource": resource()}]))


def test_a_stack_that_was_never_updated_records_nothing():
    """Its deployment has no resources."""
    assert read_state({"version": 3, "deployment": {"manifest": {}, "metadata": {}}}) == StackState()


@pytest.mark.parametrize(
    ("export", "said"),
    [
        ([], "it has no deployment"),
        ({}, "it has no deployment"),
        ({"deployment": None}, "it has no deployment"),
        ({"deployment": {"resources": None}}, None),
        ({"deployment": {"resources": {}}}, "its resources are not a list"),
        ({"deployment": {"resources": "x"}}, "its resources are not a list"),
        ({"deployment": {"resources": [{}]}}, "a resource of it has no URN"),
        ({"deployment": {"resources": ["x"]}}, "a resource of it is not a mapping"),
        (state(resource(outputs=["x"])), f"the record of {URN} is not a mapping"),
        (state(pending=["x"]), "a pending operation is not a mapping"),
        (state(pending=[{"type": "creating"}]), "a resource of it is not a mapping"),
    ],
)
def test_what_is_not_a_state_is_refused(export, said):
    """By it, everything would look like an orphan."""
    if said is None:
        assert read_state(export) == StackState()
        return
    with pytest.raises(ValueError, match="^" + said):
        read_state(export)


def test_what_a_state_holds_is_found_by_urn_and_mark_but_for_what_is_sealed_or_to_be_deleted():
    """As a program reads it: of a secret output nothing is known."""
    mark, name = "aaaaaaaaaaaabbbbbbbb", "it-aaaaaaaaaaaabbbbbbbb-cccccc-1"
    outputs = {"__mark": mark, "task_id": "bid_1", "task_name": name, "region": "us-east1-a"}
    sealed = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x"}
    (own,) = read_state(state(resource(id="bid_1", outputs=outputs))).index[URN]
    assert (own.id, own.region) == ("bid_1", "us-east1-a")
    assert list(read_state(state(resource(id="bid_1", outputs=outputs))).index) == [URN, mark]
    assert not read_state(state(resource(id="bid_1", outputs={**outputs, "task_id": sealed}))).index
    assert not read_state(state(resource(id="bid_1", outputs=outputs, delete=True))).index
    (own,) = read_state(state(resource(id="bid_1", outputs={**outputs, "region": sealed}))).index[URN]
    assert own.region == ""
