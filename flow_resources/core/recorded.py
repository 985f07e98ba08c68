"""What a state holds for each resource, by its URN and by its mark: whoever reads the state needs the same of it.

In the dynamic host the program reads the state, and passes along what it holds for a resource; a plugin reads what the
backend has stored.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from flow_resources.core.hidden import ENDED, MARK, RecordedId, recorded_inputs
from flow_resources.core.naming import Mark, take_apart
from flow_resources.core.price_lines import Terms

Index = dict[str, list[RecordedId]]
"""What a stack's state holds, by URN and by mark."""


def index_of(state: Mapping[str, Any]) -> Index:
    """Index the outputs of a state's resources, as the engine gives them."""
    index: Index = {}
    for urn, resource in state.items():
        outputs = resource.get("outputs") or {}
        id_ = outputs.get("task_id") or outputs.get("volume_id") or outputs.get("ssh_key_id")
        if id_:
            created_at, region = (str(outputs.get(name) or "") for name in ("created_at", "region"))
            terms = Terms.recorded(recorded_inputs(outputs))
            entry = RecordedId(id_, created_at, region=region, has_ended=bool(outputs.get(ENDED)), terms=terms)
            if MARK in outputs:  # what is only read (`get`) is not Pulumi's to replace
                index.setdefault(urn, []).append(entry)
            name = outputs.get("task_name") or outputs.get("volume_name") or outputs.get("key_name")
            if parts := take_apart(str(name or "")):
                index.setdefault(str(parts.mark), []).append(entry)
    return index


def find_in(index: Index, mark: Mark, urn: str, aliases: Iterable[str] = ()) -> list[RecordedId]:
    """Look a resource up in the index: what is its own, and what has a name with its mark."""
    entries = [entry for one in dict.fromkeys((urn, *aliases)) for entry in index.get(one, [])]
    own = [dataclasses.replace(entry, is_own=True) for entry in entries]
    return [*own, *index.get(str(mark), [])]
