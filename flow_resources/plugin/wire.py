"""Properties as they travel between the engine and a plugin, and as the verbs have them.

The wire has no integers, and marks secret and unknown values by signatures. The verbs get plain values with UNKNOWN in
the place of what only the coming `up` will know; which properties are secret is kept beside them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import struct_pb2

from flow_resources.core.inputs import UNKNOWN, Unknown
from flow_resources.core.stack_state import SIGNATURE

# From Pulumi's sdk/go/common/resource/sig and properties.go.
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a signature
UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS = frozenset(
    {
        UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # a boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # a number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # a list
        "030794c1-ac77-496b-92df-f27374a8bd58",  # an asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # an archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # an object
    }
)


@dataclass(frozen=True)
class Properties:
    """Properties that came over the wire."""

    values: dict[str, Any] = field(repr=False)
    """In clear. What is null is left out."""
    secrets: frozenset[str] = frozenset()
    """The names of those that are secret, or have a part that is."""


def read(struct: struct_pb2.Struct) -> Properties:
    """Read properties."""
    secrets = set[str]()
    values = {}
    for name, value in struct.fields.items():
        read_value, is_secret = _read(value)
        if read_value is not None:
            values[name] = read_value
        if is_secret:
            secrets.add(name)
    return Properties(values, frozenset(secrets))


def is_unknown(text: str) -> bool:
    """Whether a text, such as an id, stands for what only the coming `up` will know."""
    return text in _UNKNOWNS


def _read(value: struct_pb2.Value) -> tuple[Any, bool]:
    """Return a value, and whether it, or a part of it, is secret."""
    kind = value.WhichOneof("kind")
    if kind == "list_value":
        parts = [_read(part) for part in value.list_value.values]
        return [part for part, _ in parts], any(is_secret for _, is_secret in parts)
    if kind == "struct_value":
        fields = value.struct_value.fields
        if SIGNATURE in fields and fields[SIGNATURE].string_value == SECRET:
            return _read(fields["value"])[0], True
        named = {name: _read(part) for name, part in fields.items()}
        known = {name: part for name, (part, _) in named.items() if part is not None}
        return known, any(is_secret for _, is_secret in named.values())
    if kind is None or kind == "null_value":
        return None, False
    plain = getattr(value, kind)
    return (UNKNOWN if kind == "string_value" and plain in _UNKNOWNS else plain), False


def write(values: Mapping[str, Any], secrets: Collection[str] = ()) -> struct_pb2.Struct:
    """Write properties; those of these names are secret. What is None is left out."""
    struct = struct_pb2.Struct()
    for name, value in values.items():
        if value is None:
            continue
        target = struct.fields[name]
        if name in secrets and not isinstance(value, Unknown):  # an unknown value shows nothing
            target.struct_value.fields[SIGNATURE].string_value = SECRET
            target = target.struct_value.fields["value"]
        _write(target, value)
    return struct


def _write(target: struct_pb2.Value, value: Any) -> None:
    if value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, Unknown):
        target.string_value = UNKNOWN_STRING
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, (int, float)):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        for name, part in value.items():
            _write(target.struct_value.fields[name], part)
    elif isinstance(value, Iterable):
        target.list_value.SetInParent()
        for part in value:
            _write(target.list_value.values.add(), part)
    else:
        raise TypeError(f"a value of type {type(value).__name__} cannot be sent to the engine")
