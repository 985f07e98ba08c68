"""What an editor completes: every argument of what a program calls is there by name, with its type."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from inspect import Parameter
from typing import Any

import pytest

from flow_resources import (
    Bid,
    ClusterReference,
    GpuCluster,
    Instance,
    Placement,
    Volume,
    VolumeMount,
    VolumeReference,
    export_cluster,
    export_volume,
)
from flow_resources.core import cluster_fields, volume_fields
from flow_resources.core.inputs import Field
from flow_resources.testing import FakeMithril, FlowMocks

DECLARED: dict[Callable[..., Any], Sequence[Field]] = {
    GpuCluster: cluster_fields.FIELDS,
    Volume: volume_fields.FIELDS,
}
WRITTEN_AS = {"bid_policy": "max_price_per_hour"}
"""The inputs that a program says by another argument."""
DECLARED[GpuCluster] = [one for one in cluster_fields.FIELDS if one.name not in WRITTEN_AS]
FIELDS = [(resource, field) for resource, fields in DECLARED.items() for field in fields]
# The Python type of each type of the tables; a Literal is a string.
TYPES = {
    "string": r"Input\[(str|RunOn|Restart|WaitFor|Interface|OnPreemption|Choose|Literal\[.*\])\]",
    "integer": r"Input\[int\]",
    "number": r"Input\[float \| Decimal\](?: \| Bid)?",
    "boolean": r"Input\[bool\]",
    "string | list of strings": r"Input\[str\] \| pulumi.Input\[Sequence\[pulumi.Input\[str\]\]\]",
    "mapping of strings": r"Input\[Mapping\[str, pulumi.Input\[str\]\]\]",
    "list of integers": r"Input\[Sequence\[pulumi.Input\[int\]\]\]",
    "list of SshKey | string": r"Input\[Sequence\[pulumi.Input\[str\] \| SshKey\]\]",
    "list of Placement": r"Input\[Sequence\[pulumi.Input\[Placement \| PlacementDict\]\]\]",
    "list of VolumeMount": r"Input\[Sequence\[pulumi.Input\[VolumeMount \| VolumeMountDict\]\]\]",
}
READ = [
    Bid.per_gpu,
    Bid.infrastructure,
    Bid.workload,
    Bid.market,
    Bid.uptime,
    ClusterReference,
    VolumeReference,
    export_cluster,
    export_volume,
    GpuCluster.get,
    Volume.get,
]
CALLED = [*DECLARED, *READ, Placement, VolumeMount, Instance, FakeMithril, FlowMocks]


@pytest.mark.parametrize("called", CALLED, ids=lambda one: one.__qualname__)
def test_every_argument_is_named_and_typed(called: Callable[..., Any]) -> None:
    """No `*args` and no `**kwargs` hide what may be given, and nothing is left for a type checker to guess."""
    parameters = inspect.signature(called).parameters.values()
    assert parameters
    for one in parameters:
        assert one.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD), one
        assert one.annotation is not Parameter.empty, one


@pytest.mark.parametrize(("resource", "fields"), DECLARED.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_a_resource_takes_its_inputs_by_keyword_alone(resource: Callable[..., Any], fields: Sequence[Field]) -> None:
    """Those of the table, no other, so that an input can be added anywhere in the list."""
    name, *others = inspect.signature(resource).parameters.values()
    assert (name.name, name.kind) == ("name", Parameter.POSITIONAL_OR_KEYWORD)
    assert {one.kind for one in others} == {Parameter.KEYWORD_ONLY}
    assert sorted(one.name for one in others) == sorted([*(field.name for field in fields), "opts"])


def documented(resource: Callable[..., Any]) -> dict[str, str]:
    """Return the text about each argument in the docstring of a resource's constructor."""
    arguments = inspect.getdoc(resource.__init__).partition("Args:\n")[2]
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", arguments, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


@pytest.mark.parametrize("resource", DECLARED, ids=lambda one: one.__name__)
def test_the_docstring_and_the_table_describe_the_same_inputs(resource: Callable[..., Any]) -> None:
    """Each input has both texts, and both are sentences."""
    texts = documented(resource)
    assert set(texts) - {"name", "opts"} == {field.name for field in DECLARED[resource]}
    for text in (*texts.values(), *(field.doc for field in DECLARED[resource])):
        assert text[0] in f'{text[0].upper()}`"', text
        assert text.endswith("."), text


@pytest.mark.parametrize(("resource", "field"), FIELDS, ids=lambda one: getattr(one, "name", ""))
def test_the_signature_and_the_docstring_say_what_the_table_says(resource: Callable[..., Any], field: Field) -> None:
    """The same type and default; the docstring names no number and no setting that the table does not name."""
    parameter = inspect.signature(resource).parameters[field.name]
    assert (field.required and not field.unless) == (parameter.default is Parameter.empty)
    assert field.required or parameter.default == field.default
    assert re.fullmatch(rf"pulumi\.{TYPES[field.type]}( \| None)?", parameter.annotation)
    text = documented(resource)[field.name]
    facts = set(re.findall(r"\b\d[\d,]*\b|flow:\w+|custom_timeouts", text))
    assert facts <= set(re.findall(r"\b\d[\d,]*\b|flow:\w+|custom_timeouts", field.doc))
    assert ("Default:" in text) <= ("Default:" in field.doc)


@pytest.mark.parametrize(("resource", "field"), FIELDS, ids=lambda one: getattr(one, "name", ""))
def test_a_default_is_in_its_normal_form_and_a_limit_of_the_text_is_the_rules(
    resource: Callable[..., Any], field: Field
) -> None:
    """What is left out is what the rule would make of it; the numbers of "1 to 100" pass, their neighbours do not."""
    assert field.default is None or field.rule(field.default) == field.default
    limits = re.search(r"([\d,]+) to ([\d,]+)\.", field.doc) if "integer" in field.type else None
    if not limits:
        return
    low, high = (int(limit.replace(",", "")) for limit in limits.groups())
    many = (lambda value: [value]) if field.type.startswith("list") else (lambda value: value)
    assert [field.rule(many(value)) for value in (low, high)] == [many(low), many(high)]
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError, match="must be"):
            field.rule(many(value))
