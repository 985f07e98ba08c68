"""The package schema says what the tables, the classes and the frozen surface say."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from flow_resources import GpuCluster, Job, Provider, ResilientCluster, SshKey, Volume
from flow_resources.core import (
    bid_policy,
    cluster_fields,
    fleet_fields,
    job_fields,
    placements,
    ssh_key_fields,
    volume_fields,
)
from flow_resources.core.config_keys import OF_PROVIDERS, SETTINGS, setting_of
from flow_resources.core.inputs import Change, Field, Invalid, InvalidParts
from flow_resources.core.value_types import BID_POLICY, MEMBER_VOLUME, OBJECTS, PLACEMENT, VOLUME_MOUNT, type_of
from flow_resources.mounts import VolumeMountDict
from flow_resources.placement import PlacementDict
from flow_resources.plugin import schema as made
from flow_resources.resilient import FleetStatus, MemberVolumeDict

SCHEMA = made.schema()
FROZEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "frozen.json").read_text())
TABLES: dict[str, Sequence[Field]] = {
    "GpuCluster": cluster_fields.FIELDS,
    "Job": job_fields.FIELDS,
    "SshKey": ssh_key_fields.FIELDS,
    "Volume": volume_fields.FIELDS,
    "FleetStatus": fleet_fields.FIELDS,
}
CLASSES = {"GpuCluster": GpuCluster, "Job": Job, "SshKey": SshKey, "Volume": Volume, "FleetStatus": FleetStatus}
FIELDS = [(kind, field) for kind, fields in TABLES.items() for field in fields]
IN_PROGRAMS_ALONE = {"preempted_for_minutes"}
"""What a property of a class computes while the program runs; no state has it."""
each_field = pytest.mark.parametrize(("kind", "field"), FIELDS, ids=lambda one: getattr(one, "name", one))


def resource(kind: str) -> dict[str, Any]:
    """Return what the schema says of a kind of resource."""
    found: dict[str, Any] = SCHEMA["resources"][f"flow:index:{kind}"]
    return found


def every_spec(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each part of the schema that is an object, with where it stands."""
    if isinstance(value, dict):
        yield path, value
        for key, one in value.items():
            yield from every_spec(one, f"{path}/{key}")
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from every_spec(one, f"{path}/{index}")


# -- inputs ------------------------------------------------------------------------------------------------------------


@each_field
def test_an_input_is_described_as_in_its_table(kind: str, field: Field) -> None:
    """Text, default, secrecy, and whether a change replaces."""
    spec = resource(kind)["inputProperties"][field.name]
    if "oneOf" in spec:  # Pulumi's generator of an SDK in Go fails at a default of several types
        assert "default" not in spec
        assert spec["description"] == field.doc + (f" Default: `{field.default}`." if field.default else "")
    else:
        assert spec["description"] == field.doc
        assert spec.get("default") == field.default
    assert spec.get("secret", False) == field.secret
    assert spec.get("willReplaceOnChanges", False) == (field.change in (Change.REPLACE, Change.GUARDED))
    assert (field.name in resource(kind)["requiredInputs"]) == (field.required and not field.unless)


@each_field
def test_the_strings_that_a_type_lists_are_those_that_check_takes(kind: str, field: Field) -> None:
    """Each one, and one that is not listed is refused."""
    spec = resource(kind)["inputProperties"][field.name]
    reference = spec.get("$ref", "")
    listed = SCHEMA["types"].get(reference.removeprefix("#/types/"), {}).get("enum")
    assert bool(listed) == bool(field.choices)
    for one in listed or ():
        assert field.rule(one["value"]) == one["value"]
    if listed:
        with pytest.raises(Invalid):
            field.rule("no-such-word")


@pytest.mark.parametrize("kind", FROZEN["type tokens in the plugin"])
def test_the_inputs_are_the_frozen_ones(kind: str) -> None:
    """Those of the frozen surface; a component takes a policy as an input of its own, as clusters do."""
    policy = {"bid_policy"} if kind == "ResilientCluster" else set()
    assert set(resource(kind)["inputProperties"]) == {*FROZEN["inputs"][kind], *policy}


def test_a_name_of_strings_means_the_same_ones_everywhere() -> None:
    """Two inputs share a type only where they take the same strings."""
    taken: dict[str, tuple[str, ...]] = {}
    for owner, name, choices in [
        *((kind, field.name, field.choices) for kind, field in FIELDS),
        *((one.name, part.name, part.choices) for one in OBJECTS for part in one.parts),
    ]:
        if choices:
            assert taken.setdefault(made._enum_name(owner, name), choices) == choices


def test_a_component_takes_what_its_members_take() -> None:
    """All inputs of a cluster but those that the fleet decides, with the same types; it is replaced by none of them."""
    fleet, cluster = (resource(kind)["inputProperties"] for kind in ("ResilientCluster", "GpuCluster"))
    decided = {"num_instances", "wait_for", "adopt_task_id"}
    assert set(cluster) - set(fleet) == decided
    for name in set(cluster) - decided:
        kept = {
            key: value for key, value in cluster[name].items() if key not in ("description", "willReplaceOnChanges")
        }
        assert {key: value for key, value in fleet[name].items() if key != "description"} == kept
    own = {name: spec for name, spec in fleet.items() if name not in cluster}
    assert {name for name, spec in own.items() if spec.get("plain")} == {"size", "min_running", "skip"}
    signature = inspect.signature(ResilientCluster).parameters
    for name, spec in own.items():
        assert spec["description"]
        assert spec.get("default") in (None, signature[name].default)
    assert resource("ResilientCluster")["isComponent"]
    assert resource("ResilientCluster")["requiredInputs"] == ["size"]


# -- outputs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FROZEN["type tokens in the plugin"])
def test_the_outputs_are_the_frozen_ones(kind: str) -> None:
    """But for what is computed in a Python program, and for resources."""
    outputs = set(FROZEN["outputs"][kind]) - IN_PROGRAMS_ALONE
    outputs -= {"clusters", "volumes"} if kind == "ResilientCluster" else set()
    assert set(resource(kind)["properties"]) == outputs


@pytest.mark.parametrize("kind", CLASSES)
def test_an_output_is_typed_and_described_as_in_its_class(kind: str) -> None:
    """One that can be absent is not required; each has a text, of the class or of the input of that name."""
    annotations = {name: str(hint) for name, hint in inspect.get_annotations(CLASSES[kind]).items()}
    for name, spec in resource(kind)["properties"].items():
        assert spec["description"], name
        assert (name in resource(kind)["required"]) == ("None" not in annotations.get(name, "")), name
        if "Sequence[" in annotations.get(name, ""):
            assert spec["type"] == "array", name
        if "[float" in annotations.get(name, ""):
            assert spec["type"] == "number", name
        if "[int" in annotations.get(name, ""):
            assert spec["type"] == "integer", name


@pytest.mark.parametrize(
    ("name", "frozen"), [("Instance", "GpuCluster.instances"), ("FleetMember", "FleetStatus.members")]
)
def test_a_value_inside_an_output_has_the_frozen_keys(name: str, frozen: str) -> None:
    """And an address that can be absent is not required."""
    spec = SCHEMA["types"][f"flow:index:{name}"]
    assert sorted(spec["properties"]) == FROZEN["outputs"][frozen]
    assert not {"public_ip", "private_ip", "ssh_port"} & set(spec["required"])
    assert all(one["description"] for one in spec["properties"].values())


# -- values ------------------------------------------------------------------------------------------------------------


def keys(one: Any) -> tuple[set[str], set[str]]:
    """Return the keys of a TypedDict: the required ones, and the others."""
    return set(one.__required_keys__), set(one.__optional_keys__)


@pytest.mark.parametrize(
    ("object_", "python"),
    [(VOLUME_MOUNT, VolumeMountDict), (PLACEMENT, PlacementDict), (MEMBER_VOLUME, MemberVolumeDict)],
)
def test_a_value_has_the_keys_that_python_programs_write(object_: Any, python: Any) -> None:
    """The same ones are required. A policy has a key of its own: in Python a Bid stands in the place of the number."""
    required, optional = keys(python)
    assert {part.name for part in object_.parts if part.required} == required
    assert {part.name for part in object_.parts if not part.required} - {"bid_policy"} == optional


def test_the_keys_of_values_are_those_that_check_takes() -> None:
    """A policy with every key of one kind passes, and a placement with every key."""
    assert {part.name for part in BID_POLICY.parts} == {
        "kind",
        *(key for rules in bid_policy._RULES.values() for key in rules),
    }
    assert [part.name for part in PLACEMENT.parts] == list(placements._RULES)
    for kind in bid_policy.KINDS:
        given = {key: {"days": 3, "target": 0.5}.get(key, 2.0) for key in bid_policy._RULES[kind]}
        assert bid_policy.bid_policy({"kind": kind, **given}) == {"kind": kind, **given}
    with pytest.raises(InvalidParts):
        bid_policy.bid_policy({"kind": "market", "multiplier": 2.0, "cap": 2.0, "usd": 2.0})


def test_every_word_of_every_table_is_a_type() -> None:
    """A word that is not known stops the schema, and not a user's SDK."""
    for _, field in FIELDS:
        assert type_of(field.type)
    with pytest.raises(KeyError):
        type_of("list of no-such-thing")


# -- settings and functions --------------------------------------------------------------------------------------------


def test_the_settings_are_those_of_the_table() -> None:
    """The provider's and the stack's, each in its own spelling."""
    assert {f"flow:{name}" for name in SCHEMA["config"]["variables"]} == set(FROZEN["config keys"])
    provider = SCHEMA["provider"]["inputProperties"]
    assert sorted(provider) == FROZEN["settings of a provider"]
    assert [name for name, spec in provider.items() if spec.get("secret")] == ["api_key"]
    assert SCHEMA["config"]["variables"]["apiKey"]["secret"]
    for one in OF_PROVIDERS:
        assert provider[one.name] == SCHEMA["config"]["variables"][one.spelling]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.name)
def test_every_spelling_of_a_setting_is_found(setting: Any) -> None:
    """The one of properties, the one of stacks, and the whole key."""
    assert setting_of(setting.name) is setting_of(setting.spelling) is setting_of(setting.key) is setting
    assert setting_of("apikey") is None


def test_no_sdk_reads_a_key_from_the_environment() -> None:
    """It would be in the state: the plugin reads it, and no state has it."""
    assert not [path for path, spec in every_spec(SCHEMA) if "defaultInfo" in spec]


def test_a_provider_of_python_takes_what_the_schema_says() -> None:
    """By the names of the schema."""
    parameters = set(inspect.signature(Provider).parameters) - {"name", "opts"}
    assert parameters == set(SCHEMA["provider"]["inputProperties"])


@pytest.mark.parametrize("name", FROZEN["functions in the plugin"])
def test_a_function_is_that_of_python(name: str) -> None:
    """The same arguments, each described, and a result whose values have types."""
    spec = SCHEMA["functions"][name]
    python, result = made.FUNCTIONS[name.rpartition(":")[2]]
    arguments = set(inspect.signature(python).parameters) - {"opts"}
    assert set(spec.get("inputs", {}).get("properties", {})) == arguments
    assert all(one["description"] for one in spec.get("inputs", {}).get("properties", {}).values())
    answered = [result] if isinstance(result, str) else list(inspect.get_annotations(result))
    assert list(spec["outputs"]["properties"]) == answered
    assert "Args:" not in spec["description"]


# -- the whole ---------------------------------------------------------------------------------------------------------


def test_every_reference_leads_somewhere() -> None:
    """To a type of the schema, or to any value."""
    for path, spec in every_spec(SCHEMA):
        target = spec.get("$ref")
        if isinstance(target, str):
            assert target == "pulumi.json#/Any" or target.removeprefix("#/types/") in SCHEMA["types"], path


def test_a_change_is_not_made_a_replacement_by_an_sdk() -> None:
    """`replaceOnChanges` would let the engine replace what the provider keeps."""
    assert not [path for path, spec in every_spec(SCHEMA) if "replaceOnChanges" in spec]


def test_keys_are_those_of_the_state() -> None:
    """With underscores, in every language."""
    for kind in FROZEN["type tokens in the plugin"]:
        for name in [*resource(kind)["properties"], *resource(kind)["inputProperties"]]:
            assert re.fullmatch(r"[a-z][a-z0-9_]*", name)


@pytest.mark.parametrize(
    ("python", "pulumi"),
    [
        ("0.1.0", "0.1.0"),
        ("1.2", "1.2.0"),
        ("0.2.0.dev3", "0.2.0-dev3"),
        ("1.0rc1", "1.0.0-rc1"),
        ("1.0+ab", "1.0.0+ab"),
    ],
)
def test_a_version_is_written_as_pulumi_writes_them(monkeypatch: Any, python: str, pulumi: str) -> None:
    """Three numbers, and a hyphen before a pre-release."""
    monkeypatch.setattr("flow_resources.__version__", python, raising=False)
    assert made.plugin_version() == pulumi


def test_no_text_about_an_output_speaks_of_python_alone() -> None:
    """What is absent has a name of its own in each language."""
    outputs = [one["properties"] for one in SCHEMA["resources"].values()]
    outputs += [one["properties"] for one in SCHEMA["types"].values() if "properties" in one]
    outputs += [one["outputs"]["properties"] for one in SCHEMA["functions"].values()]
    for properties in outputs:
        for name, spec in properties.items():
            assert not re.search(r"\bNone\b", spec.get("description", "")), name
