"""What an editor completes: every argument of what a program calls is there by name, with its type."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any

import pytest

from flow_resources import (
    ClusterReference,
    GpuCluster,
    Instance,
    Volume,
    VolumeMount,
    VolumeReference,
    export_cluster,
    export_volume,
)
from flow_resources.core import cluster_fields, volume_fields
from flow_resources.testing import FakeMithril, FlowMocks

DECLARED: dict[Callable[..., Any], list[str]] = {
    GpuCluster: [one.name for one in cluster_fields.FIELDS],
    Volume: [one.name for one in volume_fields.FIELDS],
}
READ = [ClusterReference, VolumeReference, export_cluster, export_volume, GpuCluster.get, Volume.get]
CALLED = [*DECLARED, *READ, VolumeMount, Instance, FakeMithril, FlowMocks]


@pytest.mark.parametrize("called", CALLED, ids=lambda one: one.__qualname__)
def test_every_argument_is_named_and_typed(called: Callable[..., Any]) -> None:
    """No `*args` and no `**kwargs` hide what may be given, and nothing is left for a type checker to guess."""
    parameters = inspect.signature(called).parameters.values()
    assert parameters
    for one in parameters:
        assert one.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD), one
        assert one.annotation is not Parameter.empty, one


@pytest.mark.parametrize(("resource", "inputs"), DECLARED.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_a_resource_takes_its_inputs_by_keyword_alone(resource: Callable[..., Any], inputs: list[str]) -> None:
    """Those of the table, no other, so that an input can be added anywhere in the list."""
    name, *others = inspect.signature(resource).parameters.values()
    assert (name.name, name.kind) == ("name", Parameter.POSITIONAL_OR_KEYWORD)
    assert {one.kind for one in others} == {Parameter.KEYWORD_ONLY}
    assert sorted(one.name for one in others) == sorted([*inputs, "opts"])
