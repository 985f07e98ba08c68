"""What runs in the user's program: how a resource is declared, and what the program passes along about it.

A resource has one of two hosts, in which its verbs run: Pulumi's dynamic provider, or the provider plugin, as those of
programs in other languages. The classes are the same, and so are their outputs; `declare` registers what the host
expects.

The dynamic host, which runs in another process, cannot know some facts, so they travel as hidden inputs (see
`core.hidden`).
The owner and the URN make the mark in the service's names. The ids that the stack's state already holds under that mark
go along too, so that a create never takes over, or cancels, what the state records: neither what a replacement is about
to delete nor what another resource of the stack became by a rename. Their creation times go along too: what is older
than they are was released on purpose, and not left by a crash.

Three things of Pulumi's internals are used here: `__provider`, serialised once per class; the list of outputs that it
waits for at a program's end; and the monitor. Each program has its own, also of several that run in one process at the
same time; it tells mocks from an engine, and what a program makes once is kept with it.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import pulumi
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider

from flow_resources.core.config_keys import DYNAMIC, HOSTS, NAMESPACE, PLUGIN
from flow_resources.core.hidden import (
    DELETED_WITH,
    DELETED_WITH_REFUSED,
    IGNORED,
    OWNER,
    PREVIEW,
    RECORDED,
    REPLACED_WITH,
    RETAINED,
    TIMEOUT,
    TOKEN,
    URN,
    write_recorded,
)
from flow_resources.core.naming import Mark, dynamic_type, kind_of, plugin_type
from flow_resources.core.recorded import Index, find_in, index_of

R = TypeVar("R")


# -- which host a resource has -----------------------------------------------------------------------------------------

_OF_THE_PLUGIN = ContextVar("_OF_THE_PLUGIN", default=False)


@contextmanager
def inside_the_plugin() -> Iterator[None]:
    """Let all resources that are declared here be the plugin's: the plugin itself constructs a component."""
    token = _OF_THE_PLUGIN.set(True)
    try:
        yield
    finally:
        _OF_THE_PLUGIN.reset(token)


def is_of_the_plugin(opts: pulumi.ResourceOptions) -> bool:
    """Whether a resource with these options is the plugin's: it has a `Provider` of its own, or the whole stack is.

    Raises pulumi.RunError where `flow:host` is none of the hosts.
    """
    config = pulumi.Config(NAMESPACE)
    host = config.get("host") or DYNAMIC
    if host not in HOSTS:
        raise pulumi.RunError(
            f"flow:host is {host!r}: it is {' or '.join(map(repr, HOSTS))}; "
            f"`pulumi config set flow:host {PLUGIN}`, or `pulumi config rm flow:host` for {DYNAMIC!r}"
        )
    return host == PLUGIN or _OF_THE_PLUGIN.get() or _provider_of(opts) is not None


def _provider_of(opts: pulumi.ResourceOptions) -> pulumi.ProviderResource | None:
    """Return the provider of this package that a resource has by its options, or has from its parent."""
    listed = opts.providers.values() if isinstance(opts.providers, Mapping) else opts.providers or ()
    candidates: list[pulumi.ProviderResource | None] = [opts.provider, *listed]
    if opts.parent:
        candidates.append(opts.parent.get_provider(plugin_type("")))
    return next((one for one in candidates if one is not None and one.package == NAMESPACE), None)


def is_plugin_installed(folder: Path) -> bool:
    """Whether Pulumi finds the plugin: on PATH, among the plugins that it has installed, or by a project's settings."""
    name = f"pulumi-resource-{NAMESPACE}"
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    above = (folder, *folder.parents)
    projects = [one for parent in above for one in parent.glob("Pulumi.y*ml") if one.is_file()]
    return (
        bool(shutil.which(name))
        or any(home.glob(f"plugins/resource-{NAMESPACE}-v*/{name}*"))
        or any(
            re.search(r"^(plugins|packages):", one.read_text("utf-8", "replace"), re.MULTILINE) for one in projects[:1]
        )
    )


def _warn_without_plugin() -> None:
    """Say how to install the plugin: what the engine says where it finds none is about a download."""
    if not is_plugin_installed(Path.cwd()):
        pulumi.log.warn(
            "the provider plugin of flow_resources is neither installed nor on PATH: `flow-resources plugin install`"
        )


# -- whose a resource is -----------------------------------------------------------------------------------------------


def stack_name() -> str:
    """Return the whole name of the program's stack: organization/project/stack."""
    return f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"


def owner_of(configured: str | None, stack: str) -> str:
    """Return the owner of a stack's bids: `flow:owner`, else its whole name."""
    return configured or stack


def _hidden_inputs(
    type_token: str, name: str, opts: pulumi.ResourceOptions, *, is_of_the_plugin: bool
) -> dict[str, Any]:
    """Return the hidden inputs of a resource.

    The plugin is told the rest by the engine, or finds it out by itself.
    """
    options = {
        **({REPLACED_WITH: True} if opts.replace_with else {}),
        **({RETAINED: True} if opts.retain_on_delete else {}),
    }
    if is_of_the_plugin:
        return options
    owner = owner_of(pulumi.Config("flow").get("owner"), stack_name())
    urns = urns_of(type_token, name, opts)
    recorded: Any = _recorded(owner, urns)
    return {
        **options,
        **({TIMEOUT: opts.custom_timeouts.create} if opts.custom_timeouts and opts.custom_timeouts.create else {}),
        **({IGNORED: list(opts.ignore_changes)} if opts.ignore_changes else {}),
        **({PREVIEW: True} if pulumi.runtime.is_dry_run() else {}),
        OWNER: owner,
        # Not the URN's Output itself: it depends on the parent, and a child's input must not.
        URN: pulumi.Output.from_input(urns[0].future()) if isinstance(urns[0], pulumi.Output) else urns[0],
        RECORDED: pulumi.Output.from_input(recorded),
    }


def urns_of(type_token: str, name: str, opts: pulumi.ResourceOptions) -> list[Any]:
    """Return the URN of a resource, and the others under which the state can hold it: by aliases, its parents' too.

    Each is a text, or an Output where it depends on a parent. A Pulumi without `all_aliases` knows no aliases: what is
    recorded under one then counts as not recorded.
    """
    all_aliases = getattr(pulumi.runtime.resource, "all_aliases", None)
    aliases = list(opts.aliases or []) if all_aliases else []
    parts = [(type_token, name), *(_type_and_name(one, type_token, name) for one in aliases)]
    if opts.parent is None and None not in parts:
        # The same texts as those below, without the twenty Outputs that Pulumi makes of them and waits for.
        prefix = f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}"
        return ["::".join((prefix, *one)) for one in parts if one]
    others = all_aliases(aliases, name, type_token, opts.parent) if all_aliases else []
    return [pulumi.create_urn(name, type_token, opts.parent), *others]


def _type_and_name(alias: Any, type_token: str, name: str) -> tuple[str, str] | None:
    """Return the type and the name of an alias that changes nothing else of the URN; None for every other alias."""
    fields: dict[str, Any] = vars(alias) if isinstance(alias, pulumi.Alias) else {"urn": alias}
    changed = {field: value for field, value in fields.items() if value is not ...}
    alias_type, alias_name = changed.pop("type_", type_token), changed.pop("name", name)
    is_known = isinstance(alias_type, str) and isinstance(alias_name, str)
    return (alias_type, alias_name) if is_known and not changed else None


async def _recorded(owner: str, urns: Sequence[Any]) -> str:
    """Return what this stack's state holds for a resource: under its URN, or under a name with its mark."""
    index = await _index()
    if index is None:
        return write_recorded(None)
    urn, *others = await _known(urns)
    return write_recorded(find_in(index, Mark.of(owner, urn), urn, others))


async def _known(urns: Sequence[Any]) -> list[str]:
    return [str(await one.future() if isinstance(one, pulumi.Output) else one) for one in urns]


def recorded_siblings(
    type_token: str, name: str, opts: pulumi.ResourceOptions, sibling_type: str, sibling: re.Pattern[str]
) -> pulumi.Output[dict[str, str] | None]:
    """Return the ids of what this stack's state holds beside a resource, under the same parent.

    That is what has a type, in either host, and a name that matches, by the first group of the pattern. None: not
    known.
    """
    if is_of_the_plugin(opts):
        type_token = plugin_type(kind_of(type_token))
    return pulumi.Output.from_input(_siblings(urns_of(type_token, name, opts), sibling_type, sibling))


async def _siblings(urns: Sequence[Any], sibling_type: str, sibling: re.Pattern[str]) -> dict[str, str] | None:
    index = await _index()
    return None if index is None else find_siblings(index, await _known(urns), sibling_type, sibling)


def find_siblings(index: Index, urns: Iterable[str], sibling_type: str, sibling: re.Pattern[str]) -> dict[str, str]:
    """Look up in the index what stands beside one of these URNs, by the first group of the pattern of its name."""
    parents = {urn.rpartition("::")[0].rpartition("$")[0] for urn in urns}
    places = {f"{parent}${type_}" for parent in parents for type_ in (sibling_type, plugin_type(kind_of(sibling_type)))}
    found = {}
    for urn, entries in index.items():
        place, _, name = urn.rpartition("::")
        if place in places and (match := sibling.fullmatch(name)):
            found[match[1]] = entries[0].id
    return found


async def _index() -> Index | None:
    """Ask the backend, once per program, what the stack holds; None when it does not say."""
    # A task and not an Output, which takes its value apart for everyone who asks (32 clusters: 7 s for an `up` without
    # changes instead of 3.5 s).
    task: asyncio.Task[Index | None] = once_per_program("state", lambda: asyncio.ensure_future(_read_state()))
    return await task


async def _read_state() -> Index | None:
    if is_mocked():
        return None
    # In the old layout of a self-managed backend, a stack has neither an organization nor a project.
    for name in (stack_name(), pulumi.get_stack()):
        try:
            answer = await pulumi.runtime.invoke_async("pulumi:pulumi:readStackResourceOutputs", {"stackName": name})
        except Exception as error:  # noqa: BLE001 - whatever it is, not knowing is safe: nothing is taken over then
            pulumi.log.debug(f"flow_resources: the stack's own state could not be read as {name}: {error}")
            continue
        outputs = (answer or {}).get("outputs")
        if isinstance(outputs, dict) and all(map(_is_own_urn, outputs)):
            return index_of(outputs)
    return None


def _is_own_urn(urn: str) -> bool:
    return urn.startswith(f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::")


# -- how it is declared ------------------------------------------------------------------------------------------------


def declare(
    resource: pulumi.CustomResource,
    type_token: str,
    provider: type[ResourceProvider],
    name: str,
    inputs: Mapping[str, Any],
    outputs: Sequence[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Register a resource: the plugin's, or a dynamic one, with the frozen type and its provider serialised once.

    Not the type that Pulumi makes from the class: the class may be a subclass of the program's, and the type is part of
    the URN. No constructor in between: Pulumi takes the third one for the resource's own, and records the line that
    called it. An input that is not set and is no output is left out: Pulumi makes an Output of every property, and a
    program of a thousand resources waits for all of them.
    """
    vars(resource)[_ADDITIONAL] = frozenset(opts.additional_secret_outputs or ())
    of_the_plugin = is_of_the_plugin(opts)
    props = {**dict.fromkeys(outputs), **{key: value for key, value in inputs.items() if value is not None}}
    if opts.id is None:  # what is only read has no inputs
        props |= _hidden_inputs(type_token, name, opts, is_of_the_plugin=of_the_plugin)
    if of_the_plugin:
        type_token = plugin_type(kind_of(type_token))
        if not is_mocked() and not _OF_THE_PLUGIN.get():
            once_per_program("plugin", _warn_without_plugin)
    else:
        props[TOKEN] = token(provider)
    kind: Any = type(resource)
    _evaluate_output_types(kind)
    pulumi.CustomResource.__init__(resource, type_token, name, props, opts)
    _leave_to_registration(resource, props)
    if TOKEN in props and resource.get_provider(plugin_type("")):
        raise pulumi.RunError(
            f"{kind_of(type_token)} {name!r}: a transformation sets its provider, which comes too late, "
            "because its host is chosen before: set the provider in its options, or in those of its parent"
        )


def _leave_to_registration(resource: pulumi.Resource, outputs: Iterable[str]) -> None:
    """Take outputs of a resource from those that Pulumi waits for at the end of the program.

    Pulumi waits for all of them anew whenever one is known, which is N times N for N resources. The id and the URN stay
    among them, and are known no sooner than these; what a program makes of an output is waited for by itself.
    """
    untrack = vars(pulumi.Output).get(_UNTRACK)  # of an Output itself, each attribute can be asked for
    if untrack:
        for name in outputs:
            untrack(vars(resource)[name])


_UNTRACK = "_untrack"
_ADDITIONAL = "_additional_secret_outputs"


@functools.cache
def _evaluate_output_types(cls: type[Any]) -> None:
    """Evaluate the types of a class's outputs once, those of its base among them.

    Pulumi evaluates them again for each resource, and reads those of the class itself alone, also where that is a
    subclass of the program's.
    """
    above = cls.__mro__.index(next(one for one in cls.__mro__ if one.__module__.startswith(f"{__package__}.")))
    base, *subclasses = reversed(cls.__mro__[: above + 1])
    own = type(base.__name__, (), {})
    own.__annotations__ = inspect.get_annotations(base)
    types: dict[str, Any] = get_type_hints(own, vars(sys.modules[base.__module__]))
    for one in subclasses:
        types |= inspect.get_annotations(one)
    cls.__annotations__ = types


def id_as_output(resource: pulumi.CustomResource, name: str) -> pulumi.Output[str]:
    """Return the id of a resource as its output `name`, and secret where that is.

    The output itself is unknown in the preview of every update; the id is known as long as the resource stays.
    """
    output: pulumi.Output[str] = vars(resource)[name]
    value: Any = resource.id.future()
    id_ = pulumi.Output(resource.id.resources(), value, resource.id.is_known(), output.is_secret())
    # A preview does not tell of an unknown output whether it is secret; the program's options do.
    return pulumi.Output.secret(id_) if name in vars(resource)[_ADDITIONAL] else id_


def guarded_options(kind: str, name: str, opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    """Return the options of a resource, with a look at those that others add.

    Raises pulumi.RunError where it is to be deleted with another one: Pulumi would forget it and never end it.
    """
    if opts.deleted_with is not None:
        raise pulumi.RunError(f"{kind} {name!r}: {DELETED_WITH_REFUSED}")
    # What the state holds under the type of the other host is this resource: it moves, and nothing is made anew.
    other = dynamic_type(kind) if is_of_the_plugin(opts) else plugin_type(kind)
    opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(aliases=[pulumi.Alias(type_=other)]))
    root = pulumi.runtime.settings.get_root_resource()
    others = opts.parent or opts.transforms or opts.transformations or getattr(root, "_transformations", None)
    if not others or is_mocked():
        return opts
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(transforms=[_pass_options]))


async def _pass_options(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
    """Let check see options that the parent, a transformation or an own transform has set."""
    hidden = {
        **({} if args.opts.deleted_with is None else {DELETED_WITH: True}),
        **({RETAINED: True} if args.opts.retain_on_delete else {}),
    }
    return pulumi.ResourceTransformResult({**args.props, **hidden}, args.opts) if hidden else None


_tokens: dict[type[ResourceProvider], str] = {}
_serialising = threading.Lock()


def token(provider: type[ResourceProvider]) -> str:
    """Serialise a provider once: the stock resource does it anew each time and fails at the 981st of a program.

    One at a time: while Pulumi serialises, it exchanges the pickler of the whole process.
    """
    with _serialising:
        if provider not in _tokens:
            _tokens[provider] = serialize_provider(provider())
        return _tokens[provider]


# -- the program itself ------------------------------------------------------------------------------------------------


def is_mocked() -> bool:
    """Whether the program runs under `pulumi.runtime.set_mocks`, where a refused invoke fails the whole program."""
    return type(pulumi.runtime.settings.get_monitor()).__module__ == "pulumi.runtime.mocks"


_MEMORY = "_flow_resources"


def once_per_program(key: str, make: Callable[[], R]) -> R:
    """Return what is made once per program.

    It is kept with the program's monitor and goes when that goes. A process can run several programs, in turn or at the
    same time: the Automation API does.
    """
    monitor = pulumi.runtime.settings.get_monitor()
    values: dict[str, Any] = vars(monitor).setdefault(_MEMORY, {})
    if key not in values:
        values[key] = make()
    made: R = values[key]
    return made
