"""The detailed diff: each part that changes, by its path, with what the change does to it."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from flow_resources.core import cluster_fields, volume_fields
from flow_resources.core.diff import Diff, diff_inputs
from flow_resources.core.inputs import UNKNOWN
from flow_resources.plugin.details import detailed_diff

CLUSTER = {"instance_type": "8xa100", "max_price_per_hour": 50.0, "region": "us-central5-a", "num_instances": 1}
MOUNTS = [{"volume_id": "vol_1", "mount_path": "/data"}, {"volume_id": "vol_2", "mount_path": "/mnt/b"}]


def kinds(
    olds: dict[str, Any], news: dict[str, Any], fields: Any = cluster_fields.FIELDS, diff: Diff | None = None
) -> dict[str, str]:
    found = detailed_diff(fields, olds, news, diff or diff_inputs(fields, olds, news))
    assert all(one.inputDiff for one in found.values())
    return {path: provider_pb2.PropertyDiff.Kind.Name(one.kind) for path, one in found.items()}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"max_price_per_hour": 45.0}, {"max_price_per_hour": "UPDATE"}),
        ({}, {"paused": True}, {"paused": "ADD"}),
        ({"paused": True}, {}, {"paused": "DELETE"}),
        ({}, {"region": "us-east1-a"}, {"region": "UPDATE_REPLACE"}),
        ({}, {"image": "pytorch"}, {"image": "ADD_REPLACE"}),
        ({"image": "pytorch"}, {}, {"image": "DELETE_REPLACE"}),
        ({"env": {"A": "1", "B": "2"}}, {"env": {"A": "1", "B": "3"}}, {"env.B": "UPDATE_REPLACE"}),
        ({"env": {"A": "1"}}, {"env": {"A": "1", "a.b": "2"}}, {'env["a.b"]': "ADD_REPLACE"}),
        ({"command": ["a", "b"]}, {"command": ["a", "c"]}, {"command[1]": "UPDATE_REPLACE"}),
        ({"command": ["a", "b"]}, {"command": ["a"]}, {"command[1]": "DELETE_REPLACE"}),
        ({"command": "a"}, {"command": ["a"]}, {"command": "UPDATE_REPLACE"}),
        ({"image": "a"}, {"image": UNKNOWN}, {"image": "UPDATE_REPLACE"}),
        ({}, {}, {}),
    ],
)
def test_each_part_has_its_path(before: dict[str, Any], after: dict[str, Any], expected: dict[str, str]) -> None:
    """And whether it is added, updated or deleted, and replaces."""
    assert kinds(CLUSTER | before, CLUSTER | after) == expected


def test_a_list_without_order_changes_as_a_whole() -> None:
    """Its indices mean nothing; the hints of a mount are no part of it."""
    moved = [MOUNTS[1], {**MOUNTS[0], "__region": "us-central5-a"}]
    assert kinds({**CLUSTER, "volumes": MOUNTS}, {**CLUSTER, "volumes": moved}) == {}
    assert kinds({**CLUSTER, "volumes": MOUNTS}, {**CLUSTER, "volumes": moved[:1]}) == {"volumes": "UPDATE_REPLACE"}


def test_what_the_service_has_otherwise_is_compared_as_an_input() -> None:
    """A size that it rounded: the outputs have another one than the inputs."""
    olds = {"size_gb": 1024.0, "region": "us-central5-a", "__inputs": {"size_gb": 1000.0}}
    news = {"size_gb": 2000.0, "region": "us-central5-a", "allow_replace": True}
    assert kinds(olds, news, volume_fields.FIELDS) == {"size_gb": "UPDATE_REPLACE", "allow_replace": "ADD"}


def test_an_input_that_replaces_without_a_change_is_named() -> None:
    """A policy does."""
    diff = Diff(changes=True, replaces=("on_preemption",))
    inputs = {**CLUSTER, "on_preemption": "replace"}
    assert kinds(inputs, inputs, diff=diff) == {"on_preemption": "UPDATE_REPLACE"}


def test_what_goes_on_has_no_part() -> None:
    """An earlier verb had to stop; the inputs are the same."""
    assert kinds(CLUSTER, CLUSTER, diff=Diff(changes=True)) == {}
