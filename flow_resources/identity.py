"""What the program passes along unseen, because the plugin cannot know it: whose the resource is.

The owner and the URN make the mark in the service's names (see `core.naming`). Where the engine may create before it
deletes, the id that the state already holds goes along too, so that a create never takes over what is about to be
deleted; a forced replacement is otherwise not to be told from a first create.
"""

from __future__ import annotations

from typing import Any

import pulumi

from flow_resources import engine

_states: list[tuple[Any, pulumi.Output[Any]]] = []  # one entry: the engine of this program, what it said


def owner() -> str:
    """Return the owner of the stack's bids: `flow:owner`, else organization/project/stack."""
    own = pulumi.Config("flow").get("owner")
    return own or f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"


def hidden(type_token: str, name: str, opts: pulumi.ResourceOptions, *, ask_state: bool) -> dict[str, Any]:
    """Return the hidden inputs of a resource."""
    # Not the Output itself: it depends on the parent, and a child's input must not.
    future: Any = pulumi.create_urn(name, type_token, opts.parent).future()
    urn: pulumi.Output[str] = pulumi.Output.from_input(future)
    props: dict[str, Any] = {"__owner": owner(), "__urn": urn}
    if ask_state:
        props["__recorded"] = pulumi.Output.all(urn, _state()).apply(lambda both: _recorded(*both))
    return props


def _recorded(urn: str, state: dict[str, Any] | None) -> str:
    if state is None:
        return "?"
    outputs = (state.get(urn) or {}).get("outputs") or {}
    return str(outputs.get("task_id") or outputs.get("volume_id") or "")


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
