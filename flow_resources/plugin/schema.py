"""The package schema: what Pulumi's languages know of the package, made from what the package is made of.

Inputs come from the tables that check and diff read, types from `core.value_types`, settings from `core.config_keys`,
and outputs and descriptions from the classes that Python programs use, whose texts are read from their source. Nothing
is written down twice, and names are those of the state: property keys have underscores in every language.

`willReplaceOnChanges` says that a change replaces, for readers. `replaceOnChanges` would make each generated SDK ask
the engine for a replacement by itself, also where the provider has decided that nothing is to be replaced.
"""

from __future__ import annotations

import ast
import collections.abc
import dataclasses
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

import pulumi

import flow_resources
from flow_resources import cluster, costs, data, job, resilient, ssh_key, volume
from flow_resources.core import (
    cluster_fields,
    config_keys,
    fleet_fields,
    job_fields,
    ssh_key_fields,
    volume_fields,
)
from flow_resources.core.inputs import Change, Field
from flow_resources.core.value_types import (
    ANY,
    BOOLEAN,
    INTEGER,
    MEMBER_VOLUME,
    OBJECTS,
    Either,
    ListOf,
    MapOf,
    Object,
    Part,
    ValueType,
    type_of,
)
from flow_resources.plugin.settings import plugin_version

PACKAGE = config_keys.NAMESPACE
REPLACING = (Change.REPLACE, Change.GUARDED)
Spec = dict[str, Any]
"""A part of the schema, as JSON has it."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of resource: its class, the table of its inputs, and the outputs that no input is."""

    python: type[Any]
    fields: Sequence[Field]
    computed: Sequence[str]


KINDS: Mapping[str, Kind] = {
    "GpuCluster": Kind(cluster.GpuCluster, cluster_fields.FIELDS, cluster.COMPUTED),
    "Job": Kind(job.Job, job_fields.FIELDS, job.COMPUTED),
    "SshKey": Kind(ssh_key.SshKey, ssh_key_fields.FIELDS, ssh_key.COMPUTED),
    "Volume": Kind(volume.Volume, volume_fields.FIELDS, volume.COMPUTED),
    "FleetStatus": Kind(resilient.FleetStatus, fleet_fields.FIELDS, resilient.COMPUTED),
}
COMPONENT = "ResilientCluster"
OF_PYTHON_ALONE = ("clusters", "volumes")
"""The attributes that are lists of resources: an output cannot hold one."""
OBJECTS_OF_PYTHON = (cluster.Instance, resilient.FleetMember, data.InstanceTypeInfo)
"""The classes of values inside outputs."""
FUNCTIONS: Mapping[str, tuple[Callable[..., Any], type[Any] | str]] = {
    "getMarket": (data.get_market, data.MarketResult),
    "getInstanceTypes": (data.get_instance_types, "instance_types"),
    "getRegions": (data.get_regions, "names"),
    "getCosts": (costs.get_costs, costs.CostsResult),
}
"""The data functions, each with the class of its result; of one that returns a list, the name that the list has."""
_ENUM_NAMES = {("Job", "wait_for"): "WaitForJob", ("BidPolicy", "kind"): "BidPolicyKind"}
"""The names of the types of strings, where they are not those of the input."""
OF_FLEETS: Mapping[str, ValueType] = {
    "size": INTEGER,
    "min_running": INTEGER,
    "skip": ListOf(INTEGER),
    "volume_per_member": MEMBER_VOLUME,
    "allow_data_loss": BOOLEAN,
}
"""The inputs of a ResilientCluster that no GpuCluster has."""
_DESCRIBED_ANEW = ("max_price_per_hour", "region", "volumes", "paused")
"""The inputs of each member of which a fleet says more."""
_SCALARS: Mapping[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


def schema() -> Spec:
    """Return the package schema."""
    inputs = {name: kind.fields for name, kind in KINDS.items()}
    return {
        "name": PACKAGE,
        "displayName": "Flow on Mithril",
        "version": plugin_version(),
        "description": "Spot GPU clusters, jobs and volumes on Mithril.",
        "keywords": ["pulumi", "gpu", "spot", "mithril", "flow", "category/cloud", "kind/native"],
        "license": "Apache-2.0",
        "config": {"variables": {one.spelling: _setting(one) for one in config_keys.SETTINGS}},
        "provider": {
            "description": _description(flow_resources.Provider),
            "inputProperties": {one.name: _setting(one) for one in config_keys.OF_PROVIDERS},
        },
        "types": dict(sorted({**dict(_enums(inputs)), **dict(_objects())}.items())),
        "resources": {
            **{token(name): _resource(name, kind) for name, kind in KINDS.items()},
            token(COMPONENT): _component(),
        },
        "functions": {token(name): _function(*one) for name, one in FUNCTIONS.items()},
        "language": {
            # A property is called in a program what it is called in the state.
            "nodejs": {"packageName": "@mithril/flow", "respectSchemaVersion": True},
            "go": {"respectSchemaVersion": True, "generateResourceContainerTypes": False},
        },
    }


def token(name: str) -> str:
    """Return the token of a type, a resource or a function."""
    return f"{PACKAGE}:index:{name}"


# -- resources ---------------------------------------------------------------------------------------------------------


def _resource(name: str, kind: Kind) -> Spec:
    inputs = {one.name: _field(name, one) for one in kind.fields}
    outputs = dict(_outputs(kind.python, kind.computed, inputs))
    return {
        "description": _description(kind.python),
        "properties": {one: spec for one, (spec, _) in outputs.items()},
        "required": sorted(one for one, (_, is_required) in outputs.items() if is_required),
        "inputProperties": inputs,
        "requiredInputs": sorted(one.name for one in kind.fields if one.required and not one.unless),
    }


def _field(owner: str, field: Field) -> Spec:
    """Return an input of a table."""
    spec = {**_named(owner, field.name, type_of(field.type), field.choices), "description": field.doc}
    if field.default is not None and "oneOf" in spec:  # Pulumi's generator of Go fails at a default of several types
        spec["description"] += f" Default: `{field.default}`."
    elif field.default is not None:
        spec["default"] = field.default
    if field.secret:
        spec["secret"] = True
    if field.change in REPLACING:
        spec["willReplaceOnChanges"] = True
    return spec


def _outputs(python: type[Any], computed: Sequence[str], inputs: Spec) -> Iterator[tuple[str, tuple[Spec, bool]]]:
    """Yield the outputs of a class, each with whether it is always there; one that is an input has the input's type."""
    attributes = _attributes(python)
    for name in sorted({*attributes} & {*computed, *inspect.get_annotations(python)} - {*OF_PYTHON_ALONE}):
        hint, doc = attributes[name]
        spec, is_required = _from_hint(hint)
        given = {key: value for key, value in inputs.get(name, {}).items() if key != "default"}
        yield name, ({**spec, **given, **({"description": doc} if doc else {})}, is_required)


def _component() -> Spec:
    """Return the component: what a GpuCluster takes, for each member, and what is the fleet's own."""
    python = resilient.ResilientCluster
    parameters, docs = inspect.signature(python).parameters, _arguments(python.__init__)
    fields = {one.name: one for one in cluster_fields.FIELDS}
    inputs: Spec = {}
    for name in [*parameters, "bid_policy"]:  # in Python that is a `Bid`, in the place of the number
        if name in OF_FLEETS:
            inputs[name] = {
                **_type(OF_FLEETS[name]),
                **({"plain": True} if name in fleet_fields.SAID_BY_PROGRAM else {}),
            }
            if (default := parameters[name].default) not in (None, inspect.Parameter.empty):
                inputs[name]["default"] = default
        elif name in fields:
            # A change replaces members, and never the component.
            inputs[name] = {**_field("GpuCluster", fields[name])}
            inputs[name].pop("willReplaceOnChanges", None)
        if name in OF_FLEETS or name in _DESCRIBED_ANEW:
            inputs[name]["description"] = docs[name]
    outputs = dict(_outputs(python, (), {}))
    return {
        "description": _description(python),
        "isComponent": True,
        "properties": {name: spec for name, (spec, _) in outputs.items()},
        "required": sorted(name for name, (_, is_required) in outputs.items() if is_required),
        "inputProperties": inputs,
        "requiredInputs": [name for name in inputs if _is_required(parameters.get(name))],
    }


def _is_required(parameter: inspect.Parameter | None) -> bool:
    return parameter is not None and parameter.default is inspect.Parameter.empty


# -- settings and functions --------------------------------------------------------------------------------------------


def _setting(setting: config_keys.Setting) -> Spec:
    """Return a setting. The environment is not named: what an SDK read there would be in the state."""
    spec: Spec = {"type": setting.type, "description": setting.doc}
    if setting.default is not None:
        spec["default"] = setting.default
    return {**spec, "secret": True} if setting.secret else spec


def _function(python: Callable[..., Any], result: type[Any] | str) -> Spec:
    """Return a data function. One that returns a list answers an object, in which the list has a name."""
    docs, hints = _arguments(python), typing.get_type_hints(python)
    arguments = {
        name: {**_from_hint(hints[name])[0], "description": docs[name]}
        for name in inspect.signature(python).parameters
        if name != "opts"
    }
    if isinstance(result, str):
        answer: Spec = {"type": "object", "properties": {result: _from_hint(hints["return"])[0]}, "required": [result]}
    else:
        answer = _object_of(result)
    inputs = {"inputs": {"type": "object", "properties": arguments, "required": [*arguments]}} if arguments else {}
    return {"description": _summary(python), **inputs, "outputs": answer}


# -- types -------------------------------------------------------------------------------------------------------------


def _objects() -> Iterator[tuple[str, Spec]]:
    """Yield the types of objects, by token."""
    for one in OBJECTS:
        properties = {part.name: _part(one, part) for part in one.parts}
        required = [part.name for part in one.parts if part.required]
        yield (
            token(one.name),
            {
                "type": "object",
                "description": one.doc,
                "properties": properties,
                "required": required,
            },
        )
    for python in OBJECTS_OF_PYTHON:
        yield token(python.__name__), _object_of(python)


def _part(owner: Object, part: Part) -> Spec:
    return {**_named(owner.name, part.name, part.type, part.choices), "description": part.doc}


def _object_of(python: type[Any]) -> Spec:
    """Return the type of the values of a Python class."""
    properties, required = {}, []
    for name, (hint, doc) in _attributes(python).items():
        spec, is_required = _from_hint(hint)
        properties[name] = {**spec, **({"description": doc} if doc else {})}
        required += [name] if is_required else []
    return {"type": "object", "description": _description(python), "properties": properties, "required": required}


def _enums(inputs: Mapping[str, Sequence[Field]]) -> Iterator[tuple[str, Spec]]:
    """Yield the types of strings of which only some are allowed, by token."""
    named = [(owner, one.name, one.choices) for owner, fields in inputs.items() for one in fields]
    named += [(one.name, part.name, part.choices) for one in OBJECTS for part in one.parts]
    for owner, name, choices in named:
        if choices:
            yield token(_enum_name(owner, name)), {"type": "string", "enum": [{"value": one} for one in choices]}


def _enum_name(owner: str, name: str) -> str:
    return _ENUM_NAMES.get((owner, name)) or "".join(map(str.capitalize, name.split("_")))


def _named(owner: str, name: str, type_: ValueType, choices: Sequence[str]) -> Spec:
    """Return the type of an input or a part: of one that has only some strings, the type that lists them."""
    return {"$ref": f"#/types/{token(_enum_name(owner, name))}"} if choices else _type(type_)


def _type(one: ValueType) -> Spec:
    if isinstance(one, ListOf):
        return {"type": "array", "items": _type(one.item)}
    if isinstance(one, MapOf):
        return {"type": "object", "additionalProperties": _type(one.value)}
    if isinstance(one, Either):
        return {"oneOf": [_type(each) for each in one.types]}
    if isinstance(one, Object):
        return {"$ref": f"#/types/{token(one.name)}"}
    return {"$ref": "pulumi.json#/Any"} if one is ANY else {"type": one.name}


def _from_hint(hint: Any) -> tuple[Spec, bool]:
    """Return the type that an annotation of Python says, and whether the value is always there."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is pulumi.Output:
        return _from_hint(arguments[0])
    if origin in (typing.Union, types.UnionType):
        (some,) = (one for one in arguments if one is not types.NoneType)
        return _from_hint(some)[0], False
    if origin in (list, collections.abc.Sequence):
        return {"type": "array", "items": _from_hint(arguments[0])[0]}, True
    if origin is collections.abc.Mapping:
        return {"type": "object", "additionalProperties": _from_hint(arguments[1])[0]}, True
    if hint in OBJECTS_OF_PYTHON:
        return {"$ref": f"#/types/{token(hint.__name__)}"}, True
    return {"type": "string" if origin is Literal else _SCALARS[hint]}, True


# -- what the source of a class says -----------------------------------------------------------------------------------


def _attributes(python: type[Any]) -> Mapping[str, tuple[Any, str]]:
    """Return the annotation and the text of each attribute and property that a class declares, in its order."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(python))).body
    hints = inspect.get_annotations(python, eval_str=True)
    found: dict[str, tuple[Any, str]] = {}
    body = typing.cast("ast.ClassDef", tree).body
    for one, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            found[one.target.id] = (hints[one.target.id], _text(following))
    for name, value in vars(python).items():
        if isinstance(value, property):
            found[name] = (typing.get_type_hints(value.fget)["return"], _description(value))
    return found


def _text(statement: ast.stmt | None) -> str:
    """Return the text that stands after an attribute, which no class keeps."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    text = value.value if isinstance(value, ast.Constant) else None
    return " ".join(text.split()) if isinstance(text, str) else ""


def _description(python: Any) -> str:
    return inspect.getdoc(python) or ""


def _summary(python: Callable[..., Any]) -> str:
    """Return the docstring of a function but for its arguments and errors."""
    return _description(python).partition("\n\nArgs:")[0].partition("\n\nRaises:")[0]


def _arguments(python: Callable[..., Any]) -> dict[str, str]:
    """Return the text of each argument in the docstring of a function."""
    described = _description(python).partition("Args:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", described, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}
