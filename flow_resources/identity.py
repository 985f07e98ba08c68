"""What the program passes along unseen, because the plugin cannot know it: whose the resource is.

The owner and the URN make the mark in the service's names (see `core.naming`). The ids that the stack's state already
holds under that mark go along too, so that a create never takes over, or clears away, what the state records: neither
what a replacement is about to delete nor what another resource of the stack became by a rename.
"""

from __future__ import annotations

from typing import Any

import pulumi

from flow_resources import engine
from flow_resources.core.naming import Mark, take_apart

_states: list[tuple[Any, pulumi.Output[Any]]] = []  # one entry: the engine of this program, what it said


def owner() -> str:
    """Return the owner of the stack's bids: `flow:owner`, else organization/project/stack."""
    own = pulumi.Config("flow").get("owner")
    return own or f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"


def hidden(type_token: str, name: str, opts: pulumi.ResourceOptions) -> dict[str, Any]:
    """Return the hidden inputs of a resource."""
    # Not the Output itself: it depends on the parent, and a child's input must not.
    future: Any = pulumi.create_urn(name, type_token, opts.parent).future()
    urn: pulumi.Output[str] = pulumi.Output.from_input(future)
    own = owner()
    recorded = pulumi.Output.all(urn, _state()).apply(lambda both: _recorded(own, *both))
    return {"__owner": own, "__urn": urn, "__recorded": recorded}


def _recorded(owner_: str, urn: str, state: dict[str, Any] | None) -> str:
    """Return the ids that this stack's state holds for a resource: under its URN, or under a name with its mark."""
    if state is None:
        return "?"
    mark = Mark.of(owner_, urn)
    found = []
    for other, resource in state.items():
        outputs = resource.get("outputs") or {}
        parts = take_apart(str(outputs.get("task_name") or outputs.get("volume_name") or ""))
        if other == urn or (parts and parts.mark == mark):
            found.append(str(outputs.get("task_id") or outputs.get("volume_id") or ""))
    return ",".join(filter(None, found))


def _state() -> pulumi.Output[Any]:
    """Ask the backend, once a program, what the stack holds; None when it does not say."""
    monitor = pulumi.runtime.settings.get_monitor()
    if not _states or _states[0][0] is not monitor:
        _states[:] = [(monitor, pulumi.Output.from_input(_read_state()))]
    return _states[0][1]


async def _read_state() -> Any:
    if engine.is_mocked():
        return None
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    try:
        answer = await pulumi.runtime.invoke_async("pulumi:pulumi:readStackResourceOutputs", {"stackName": stack})
    except Exception as error:  # noqa: BLE001 - whatever it is, not knowing is safe: nothing is taken over then
        pulumi.log.debug(f"flow_resources: the stack's own state could not be read: {error}")
        return None
    outputs = (answer or {}).get("outputs")
    return outputs if isinstance(outputs, dict) else None
