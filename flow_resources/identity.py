"""What the program passes along unseen, because the plugin cannot know it: whose the resource is.

The owner and the URN make the mark in the service's names (see `core.naming`). The ids that the stack's state already
holds under that mark go along too, so that a create never takes over, or clears away, what the state records: neither
what a replacement is about to delete nor what another resource of the stack became by a rename. And when each was made
goes with it: what is older than that was let go of by somebody, and left by no crash.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pulumi

from flow_resources import engine
from flow_resources.core.naming import Mark, take_apart

Index = dict[str, list[str]]
"""What the stack's state holds, by URN and by mark: each id with when it was made, as `id@created_at`."""


def owner() -> str:
    """Return the owner of the stack's bids: `flow:owner`, else organization/project/stack."""
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    return owner_of(pulumi.Config("flow").get("owner"), stack)


def owner_of(said: str | None, stack: str) -> str:
    """Return the owner by what `flow:owner` says, if anything, and the stack's organization/project/stack."""
    return said or stack


def hidden(type_token: str, name: str, opts: pulumi.ResourceOptions) -> dict[str, Any]:
    """Return the hidden inputs of a resource."""
    urn: Any = pulumi.create_urn(name, type_token, opts.parent)
    own = owner()
    # Not the URN's Output itself: it depends on the parent, and a child's input must not.
    return {
        "__owner": own,
        "__urn": pulumi.Output.from_input(urn.future()),
        "__recorded": pulumi.Output.from_input(_recorded(own, urn)),
    }


async def _recorded(own: str, urn: Any) -> str:
    """Return what this stack's state holds for a resource: under its URN, or under a name with its mark."""
    index, known = await _index(), await urn.future()
    return "?" if index is None else found_in(index, own, known)


def found_in(index: Index, own: str, urn: str) -> str:
    """Look a resource up in the index; what stands under its very URN has a third part, `@own`."""
    return ",".join([*(f"{entry}@own" for entry in index.get(urn, [])), *index.get(str(Mark.of(own, urn)), [])])


def index_of(state: dict[str, Any]) -> Index:
    """Index the outputs of a state's resources, as the engine gives them."""
    index: Index = {}
    for urn, resource in state.items():
        outputs = resource.get("outputs") or {}
        id_ = outputs.get("task_id") or outputs.get("volume_id")
        if id_:
            entry = f"{id_}@{outputs.get('created_at') or ''}"
            index.setdefault(urn, []).append(entry)
            if parts := take_apart(str(outputs.get("task_name") or outputs.get("volume_name") or "")):
                index.setdefault(str(parts.mark), []).append(entry)
    return index


async def _index() -> Index | None:
    """Ask the backend, once a program, what the stack holds; None when it does not say."""
    # A task and no Output: an Output takes its value apart for everyone who asks (32 clusters: 7 s for an `up` without
    # changes instead of 3.5 s).
    asked: asyncio.Task[Index | None] = engine.once_a_program("state", lambda: asyncio.ensure_future(_read_state()))
    return await asked


async def _read_state() -> Index | None:
    if engine.is_mocked():
        return None
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    try:
        answer = await pulumi.runtime.invoke_async("pulumi:pulumi:readStackResourceOutputs", {"stackName": stack})
    except Exception as error:  # noqa: BLE001 - whatever it is, not knowing is safe: nothing is taken over then
        pulumi.log.debug(f"flow_resources: the stack's own state could not be read: {error}")
        return None
    outputs = (answer or {}).get("outputs")
    return index_of(outputs) if isinstance(outputs, dict) else None
