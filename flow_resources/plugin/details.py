"""The detailed diff: which parts of which inputs change, so that a preview shows the old and the new value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pulumi.runtime.proto import provider_pb2

from flow_resources.core.diff import Diff
from flow_resources.core.hidden import recorded_inputs
from flow_resources.core.inputs import Field

_ADD, _DELETE, _UPDATE = "ADD", "DELETE", "UPDATE"
_PLAIN_KEY = re.compile(r"[A-Za-z_]\w*")


def detailed_diff(
    fields: Sequence[Field], olds: Mapping[str, Any], news: Mapping[str, Any], diff: Diff
) -> dict[str, provider_pb2.PropertyDiff]:
    """Return what changes by its path, such as `volumes[1].mount_path`. The values themselves the engine has.

    Empty where no input changes: what is left to do then is to go on with what an earlier verb has begun.
    """
    by_name, before = {field.name: field for field in fields}, recorded_inputs(olds)
    changes: dict[str, provider_pb2.PropertyDiff] = {}
    for name in dict.fromkeys([*diff.changed, *diff.replaces]):
        is_list_of_parts = name in by_name and not by_name[name].unordered
        parts = list(_parts(before.get(name), news.get(name), name)) if is_list_of_parts else []
        for path, kind in parts or [(name, _kind(before.get(name), news.get(name)))]:
            suffix = "_REPLACE" if name in diff.replaces else ""
            changes[path] = provider_pb2.PropertyDiff(
                kind=provider_pb2.PropertyDiff.Kind.Value(kind + suffix), inputDiff=True
            )
    return changes


def _kind(before: Any, after: Any) -> str:
    return _ADD if before is None else _DELETE if after is None else _UPDATE


def _parts(before: Any, after: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the kind of each part that differs."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            if not str(key).startswith("__"):  # a hint for check
                yield from _parts(before.get(key), after.get(key), f"{path}{_step(str(key))}")
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old, new = (parts[index] if index < len(parts) else None for parts in (before, after))
            yield from _parts(old, new, f"{path}[{index}]")
    elif before != after:
        yield path, _kind(before, after)


def _step(key: str) -> str:
    return f".{key}" if _PLAIN_KEY.fullmatch(key) else f"[{json.dumps(key)}]"
