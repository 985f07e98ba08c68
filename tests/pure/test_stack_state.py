"""What a stored state records, read from what `pulumi stack export` prints."""

from __future__ import annotations

import pytest

from flow_resources.core.stack_state import StackState, read_state

URN = "urn:pulumi:dev::training::flow:GpuCluster::trainer"


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
        frozenset({"aaaaaabbbbbbbb"}),
        frozenset({URN}),
        frozenset({("http://x", "proj_1")}),
        {URN: ("bid_1", None)},
    )


def test_a_stack_that_was_never_updated_records_nothing():
    """Its deployment has no resources."""
    assert read_state({"version": 3, "deployment": {"manifest": {}, "metadata": {}}}) == StackState()


@pytest.mark.parametrize(
    ("export", "said"),
    [
        ([], "it has no deployment"),
        ({}, "it has no deployment"),
        ({"deployment": None}, "it has no deployment"),
        ({"deployment": {"resources": {}}}, None),
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
