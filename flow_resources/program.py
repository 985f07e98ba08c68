"""What runs in the user's program: how a resource is declared, and what the program passes along about it.

The plugin, which runs in another process, cannot know some facts, so they travel as hidden inputs (see `core.hidden`).
The owner and the URN make the mark in the service's names. The ids that the stack's state already holds under that mark
go along too, so that a create never takes over, or cancels, what the state records: neither what a replacement is about
to delete nor what another resource of the stack became by a rename. Their creation times go along too: what is older
than they are was released on purpose, and not left by a crash.

Two things of Pulumi's internals are used here, each with a fallback: `__provider`, serialised once per class, and the
monitor, which tells one program from another and mocks from an engine.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import pulumi
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider

from flow_resources.core.hidden import MARK, OWNER, RECORDED, TOKEN, URN, RecordedId, write_recorded
from flow_resources.core.naming import Mark, take_apart

R = TypeVar("R")
Index = dict[str, list[RecordedId]]
"""What the stack's state holds, by URN and by mark."""


# -- whose a resource is -----------------------------------------------------------------------------------------------


def stack_name() -> str:
    """Return the whole name of the program's stack: organization/project/stack."""
    return f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"


def owner_of(configured: str | None, stack: str) -> str:
    """Return the owner of a stack's bids: `flow:owner`, else its whole name."""
    return configured or stack


def hidden_inputs(type_token: str, name: str, opts: pulumi.ResourceOptions) -> dict[str, Any]:
    """Return the hidden inputs of a resource."""
    urn: Any = pulumi.create_urn(name, type_token, opts.parent)
    owner = owner_of(pulumi.Config("flow").get("owner"), stack_name())
    # Not the URN's Output itself: it depends on the parent, and a child's input must not.
    return {
        OWNER: owner,
        URN: pulumi.Output.from_input(urn.future()),
        RECORDED: pulumi.Output.from_input(_recorded(owner, urn, _aliases_of(type_token, name, opts))),
    }


def _aliases_of(type_token: str, name: str, opts: pulumi.ResourceOptions) -> list[Any]:
    """Return the other URNs under which the state can hold a resource: its aliases, and those of its parents.

    A Pulumi without this function knows none: what is recorded under an alias then counts as not recorded.
    """
    all_aliases = getattr(pulumi.runtime.resource, "all_aliases", None)
    return list(all_aliases(opts.aliases, name, type_token, opts.parent)) if all_aliases else []


async def _recorded(owner: str, urn: Any, aliases: Sequence[Any]) -> str:
    """Return what this stack's state holds for a resource: under its URN, or under a name with its mark."""
    index = await _index()
    if index is None:
        return write_recorded(None)
    known_urn, *other_urns = [await pulumi.Output.from_input(one).future() for one in (urn, *aliases)]
    return write_recorded(find_in(index, owner, str(known_urn), map(str, other_urns)))


def find_in(index: Index, owner: str, urn: str, aliases: Iterable[str] = ()) -> list[RecordedId]:
    """Look a resource up in the index."""
    entries = [entry for one in dict.fromkeys((urn, *aliases)) for entry in index.get(one, [])]
    own = [dataclasses.replace(entry, is_own=True) for entry in entries]
    return [*own, *index.get(str(Mark.of(owner, urn)), [])]


def index_of(state: Mapping[str, Any]) -> Index:
    """Index the outputs of a state's resources, as the engine gives them."""
    index: Index = {}
    for urn, resource in state.items():
        outputs = resource.get("outputs") or {}
        id_ = outputs.get("task_id") or outputs.get("volume_id")
        if id_:
            created_at, region = (str(outputs.get(name) or "") for name in ("created_at", "region"))
            entry = RecordedId(id_, created_at, region=region)
            if MARK in outputs:  # what is only read (`get`) is not Pulumi's to replace
                index.setdefault(urn, []).append(entry)
            if parts := take_apart(str(outputs.get("task_name") or outputs.get("volume_name") or "")):
                index.setdefault(str(parts.mark), []).append(entry)
    return index


async def _index() -> Index | None:
    """Ask the backend, once per program, what the stack holds; None when it does not say."""
    # A task and not an Output, which takes its value apart for everyone who asks (32 clusters: 7 s for an `up` without
    # changes instead of 3.5 s).
    task: asyncio.Task[Index | None] = once_per_program("state", lambda: asyncio.ensure_future(_read_state()))
    return await task


async def _read_state() -> Index | None:
    if is_mocked():
        return None
    try:
        answer = await pulumi.runtime.invoke_async(
            "pulumi:pulumi:readStackResourceOutputs", {"stackName": stack_name()}
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, not knowing is safe: nothing is taken over then
        pulumi.log.debug(f"flow_resources: the stack's own state could not be read: {error}")
        return None
    outputs = (answer or {}).get("outputs")
    return index_of(outputs) if isinstance(outputs, dict) else None


# -- how it is declared ------------------------------------------------------------------------------------------------


def declare(
    resource: pulumi.dynamic.Resource,
    provider: type[ResourceProvider],
    name: str,
    props: dict[str, Any],
    opts: pulumi.ResourceOptions | None,
) -> None:
    """Do what the constructor of a dynamic resource does, with its provider serialised once per class.

    No constructor in between: Pulumi takes the third one for the resource's own, and records the line that called it.
    """
    type_name = getattr(type(resource), "_resource_type_name", None)
    if type_name is None:  # a Pulumi with other internals: let it do what it does
        pulumi.dynamic.Resource.__init__(resource, provider(), name, props, opts)
        return
    props[TOKEN] = token(provider)
    pulumi.CustomResource.__init__(resource, f"pulumi-python:{type_name}", name, props, opts)


_tokens: dict[type[ResourceProvider], str] = {}


def token(provider: type[ResourceProvider]) -> str:
    """Serialise a provider once: the stock resource does it anew each time and fails at the 981st of a program."""
    if provider not in _tokens:
        _tokens[provider] = serialize_provider(provider())
    return _tokens[provider]


# -- the program itself ------------------------------------------------------------------------------------------------


def is_mocked() -> bool:
    """Whether the program runs under `pulumi.runtime.set_mocks`, where a refused invoke fails the whole program."""
    return type(pulumi.runtime.settings.get_monitor()).__module__ == "pulumi.runtime.mocks"


_made: list[tuple[Any, dict[str, Any]]] = []  # one entry: the monitor of the program that runs, and what it has made


def once_per_program(key: str, make: Callable[[], R]) -> R:
    """Return what is made once per program; another monitor is another program: a process can run several in turn."""
    monitor = pulumi.runtime.settings.get_monitor()
    if not _made or _made[0][0] is not monitor:
        _made[:] = [(monitor, {})]
    values = _made[0][1]
    if key not in values:
        values[key] = make()
    made: R = values[key]
    return made
