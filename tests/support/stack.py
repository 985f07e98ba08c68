"""A model of the engine and the dynamic host, in-process: the verbs run as they do under Pulumi, in milliseconds.

Property bags cross a wire that makes numbers floats and drops None; a verb finds its call in the frames above it; a
failed initialisation is read from the trailing metadata; an operation starts with a fresh plugin process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, ClassVar

from google.protobuf import json_format
from pulumi.dynamic import ResourceProvider
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2, status_pb2

from flow_resources.clock import Clock
from flow_resources.core.hidden import write_recorded
from flow_resources.core.inputs import UNKNOWN, Unknown
from flow_resources.core.naming import Mark
from flow_resources.core.recorded import Index, find_in, index_of
from flow_resources.lifecycle.operation import Operation
from flow_resources.program import token
from flow_resources.providers import base
from flow_resources.providers.cluster import GpuClusterProvider
from flow_resources.providers.fleet_status import FleetStatusProvider
from flow_resources.providers.job import JobProvider
from flow_resources.providers.ssh_key import SshKeyProvider
from flow_resources.providers.volume import VolumeProvider
from flow_resources.testing import FakeMithril
from support.plugin_host import PluginHost

PROVIDERS: dict[str, type[ResourceProvider]] = {
    "GpuCluster": GpuClusterProvider,
    "Volume": VolumeProvider,
    "Job": JobProvider,
    "FleetStatus": FleetStatusProvider,
    "SshKey": SshKeyProvider,
}


HELD = ("Volume", "SshKey")
"""The kinds that others hold, which the engine therefore deletes last."""


class Context:
    """The part of a gRPC context that a verb uses."""

    def __init__(self) -> None:
        self.metadata: tuple[tuple[str, bytes], ...] = ()

    def set_trailing_metadata(self, metadata: Any) -> None:
        self.metadata = tuple(metadata)

    def abort(self, _code: Any, details: str) -> None:
        """End the call, as a plugin does."""
        raise Aborted(details)

    def status(self) -> Any:
        """Return the Status that overrides what the host prints."""
        for key, value in self.metadata:
            if key == "grpc-status-details-bin":
                return status_pb2.Status.FromString(value)
        return None


class Aborted(Exception):  # noqa: N818 - what gRPC does
    """A call has ended with an error."""


class VerbError(Exception):
    """A verb failed: the line that the user reads."""


class CheckError(Exception):
    """Check failed: property path to reason."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        super().__init__("\n".join(f"{path}: {text}" for path, text in failures.items()))
        self.failures = dict(failures)


class FakeClock(Clock):
    """A clock whose time passes only by sleeping, with a hook that runs after each sleep."""

    def __init__(self) -> None:
        self.time, self.slept, self.on_sleep = 1_000.0, [], lambda: None  # type: list[float]

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        self.on_sleep()

    def pause(self, seconds: float, is_over: Callable[[], bool]) -> None:
        self.sleep(seconds)

    def jitter(self) -> float:
        return 1.0


class SkippingClock(Clock):
    """The time of this machine, except that a sleep returns at once."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def now(self) -> float:
        return super().now() + self.skipped

    def sleep(self, seconds: float) -> None:
        self.skipped += seconds

    def pause(self, seconds: float, is_over: Callable[[], bool]) -> None:
        self.sleep(seconds)


def settings_of(cloud: FakeMithril) -> dict[str, str]:
    """Return the stack config that points at a fake."""
    return {
        "flow:apiKey": cloud.key,
        "flow:apiUrl": cloud.url,
        "flow:project": cloud.project,
        "flow:allowJobKeys": "true",
    }


@dataclass
class Saved:
    """A resource in the model's state."""

    type: str
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    init_error: str | None = None
    replacing: bool = False
    """Whether it was deleted for a replacement that is not created yet: the engine keeps it in the state until then."""


@dataclass
class Declared:
    """A resource in the model's program."""

    type: str
    inputs: dict[str, Any]
    create_first: bool = False
    timeout: float = 0.0
    ignore_changes: tuple[str, ...] = ()


def cluster(
    *, create_first: bool = False, timeout: float = 0.0, ignore_changes: tuple[str, ...] = (), **inputs: Any
) -> Declared:
    """Declare a cluster with the defaults that the resource class fills in."""
    inputs = {"instance_type": "8xa100", "max_price_per_hour": 50.0, "region": "us-central5-a", **inputs}
    return Declared("GpuCluster", inputs, create_first, timeout, ignore_changes)


def job(
    *, create_first: bool = False, timeout: float = 0.0, ignore_changes: tuple[str, ...] = (), **inputs: Any
) -> Declared:
    """Declare a job with the defaults that the resource class fills in."""
    inputs = {
        "instance_type": "8xa100",
        "max_price_per_hour": 50.0,
        "region": "us-central5-a",
        **({} if "script" in inputs else {"command": "python train.py"}),
        **inputs,
    }
    return Declared("Job", inputs, create_first, timeout, ignore_changes)


def with_policy(declared: Declared, **policy: Any) -> Declared:
    """Return a cluster or job with a policy in place of the number of its bid, as `Bid` writes it."""
    inputs = {name: value for name, value in declared.inputs.items() if name != "max_price_per_hour"}
    return replace(declared, inputs={**inputs, "bid_policy": policy})


def volume(
    *, create_first: bool = True, timeout: float = 0.0, ignore_changes: tuple[str, ...] = (), **inputs: Any
) -> Declared:
    """Declare a volume."""
    inputs = {"size_gb": 100, "region": "us-central5-a", **inputs}
    return Declared("Volume", inputs, create_first, timeout, ignore_changes)


def ssh_key(
    public_key: str,
    *,
    create_first: bool = True,
    timeout: float = 0.0,
    ignore_changes: tuple[str, ...] = (),
    **inputs: Any,
) -> Declared:
    """Declare an SSH key."""
    return Declared("SshKey", {"public_key": public_key, **inputs}, create_first, timeout, ignore_changes)


HOSTS = ("dynamic", "plugin")


@dataclass
class Stack:
    """A stack: a program, a state, and the operations of the engine."""

    host: ClassVar[str] = "dynamic"
    """In which of HOSTS the verbs run; the marker `both_hosts` sets it."""

    config: dict[str, Any]
    owner: str = "acme/training/dev"
    state: dict[str, Saved] = field(default_factory=dict)
    clock: Clock | None = None
    pending_deletes: list[tuple[str, Saved]] = field(default_factory=list)
    """The replaced resources that are not deleted yet: the state keeps them until then."""
    other_states: dict[str, Any] = field(default_factory=dict)
    """What `pulumi stack export` would print for each other stack of the backend, by name."""
    history: list[Any] | None = field(default_factory=list)
    """What `pulumi stack history --json` would print; None where it cannot be read."""
    index: Index | None = None
    """What the program has read of the state: once per operation, at its first check."""
    creating: str | None = None
    """The URN that an `up` creates now: the engine writes it into the stored state before it calls create."""
    interrupted: list[str] = field(default_factory=list)
    """The URNs that an `up` was creating when its engine died: the stored state keeps them."""
    init_errors: dict[str, str] = field(default_factory=dict)
    """The reason of each failed initialisation of the last operation, by name."""

    plugin: PluginHost = field(default_factory=lambda: PluginHost(Context))

    def operation(self) -> None:
        """Start a plugin process."""
        states = self.stored_states()
        base.begin(self.config.get, self.clock, states)
        if self.host == "plugin":
            self.plugin.begin(self.config, states, self.clock)
            base._deployment = self.plugin.servicer.deployment
        self.init_errors, self.index = {}, None

    def stored_states(self) -> ModelBackend:
        """Return the backend that the plugin process asks."""
        return ModelBackend(self)

    def export(self) -> dict[str, Any]:
        """Return what `pulumi stack export` would print, including the resources pending deletion."""
        saved = [*((one, {}) for one in self.state.items()), *((one, {"delete": True}) for one in self.pending_deletes)]
        rows = [
            {"urn": self.urn(name, resource.type), "id": resource.id, "outputs": resource.outputs, **more}
            for (name, resource), more in saved
        ]
        if self.host == "plugin":
            rows.append(self.plugin.row)
        creating = [*self.interrupted, *([self.creating] if self.creating else [])]
        pending = [{"type": "creating", "resource": {"urn": urn}} for urn in creating]
        return {"deployment": {"resources": rows, "pending_operations": pending}}

    # -- the operations -------------------------------------------------------------------------------------------

    def preview(self, program: Mapping[str, Declared]) -> dict[str, str]:
        """Return what an `up` would do: create, update, replace, same or delete."""
        self.operation()
        plan = {}
        for name, declared in program.items():
            saved = self.state.get(name)
            in_preview = replace(declared, inputs={**declared.inputs, "__preview": True})
            news = self.check(name, in_preview, saved)
            plan[name] = self._step(name, saved, news, declared)
        return plan | {name: "delete" for name in self.state if name not in program}

    def up(self, program: Mapping[str, Declared], *, refresh: bool = False, force: set[str] | None = None) -> None:
        """Converge every resource to the program; raise the first error, as the engine does."""
        self.operation()
        self.index = self._read_index()  # before the refresh: the program reads the state of the backend
        if refresh:
            self._refresh()
        for name, declared in program.items():
            self._converge(name, declared, forced=name in (force or set()))
        self._delete_all({name for name in self.state if name not in program})
        if self.init_errors:
            raise VerbError("; ".join(self.init_errors.values()))

    def refresh(self) -> None:
        """Read every resource."""
        self.operation()
        self._refresh()

    def destroy(self) -> None:
        """Delete every resource, in reverse order."""
        self.operation()
        self._delete_all(set(self.state))

    # -- the verbs ------------------------------------------------------------------------------------------------

    def urn(self, name: str, declared_type: str) -> str:
        """Return the URN of a resource of this stack."""
        _, project, stack = self.owner.split("/")
        namespace = "flow:index" if self.host == "plugin" else "pulumi-python:dynamic/flow"
        return f"urn:pulumi:{stack}::{project}::{namespace}:{declared_type}::{name}"

    def check(self, name: str, declared: Declared, saved: Saved | None) -> dict[str, Any]:
        """Call check; raise CheckError with all failures."""
        urn = self.urn(name, declared.type)
        news = {**declared.inputs, "__owner": self.owner, "__urn": urn, "__provider": token(PROVIDERS[declared.type])}
        if self.index is None:
            self.index = self._read_index()
        news["__recorded"] = write_recorded(find_in(self.index, Mark.of(self.owner, urn), urn))
        olds = dict(saved.inputs) if saved else {}
        if saved:
            news = ignoring(declared.ignore_changes, olds, news)
        result = self._call(declared.type, "Check", urn, lambda provider: provider.check(wire(olds), wire(news)))
        if result.failures:
            raise CheckError({failure.property: failure.reason for failure in result.failures})
        return wire({**result.inputs, "__provider": news["__provider"]})

    def _read_index(self) -> Index:
        return index_of({self.urn(name, saved.type): {"outputs": saved.outputs} for name, saved in self.state.items()})

    def _step(self, name: str, saved: Saved | None, news: dict[str, Any], declared: Declared) -> str:
        if saved is None:
            return "create"
        urn = self.urn(name, declared.type)
        result = self._call(
            declared.type,
            "Diff",
            urn,
            lambda provider: provider.diff(saved.id, wire(saved.outputs), wire(news)),
            ignore_changes=declared.ignore_changes,
        )
        if result.replaces or saved.replacing:
            return "replace"
        return "update" if result.changes or saved.init_error else "same"

    def _converge(self, name: str, declared: Declared, *, forced: bool) -> None:
        saved = None if forced else self.state.get(name)
        news = known_alone(self.check(name, declared, saved))
        step = "replace" if forced and name in self.state else self._step(name, saved, news, declared)
        if step == "replace":
            news = known_alone(self.check(name, declared, None))
            if declared.create_first:
                replaced = self.state[name]
                self._create(name, declared, news)
                self.pending_deletes.append((name, replaced))
                return
            self._delete_saved(name, self.state[name])
            self.state[name].replacing = True
            step = "create"
        if step == "create":
            self._create(name, declared, news)
        elif step == "update":
            self._update(name, declared, news)
        elif saved:
            saved.inputs = news

    def _create(self, name: str, declared: Declared, news: dict[str, Any]) -> None:
        self._create_or_update(name, declared, news, "Create", lambda provider: provider.create(wire(news)))

    def _update(self, name: str, declared: Declared, news: dict[str, Any]) -> None:
        saved = self.state[name]
        self._create_or_update(
            name,
            declared,
            news,
            "Update",
            lambda provider: provider.update(saved.id, wire(saved.outputs), wire(news)),
            saved.id,
        )

    def _create_or_update(
        self,
        name: str,
        declared: Declared,
        news: dict[str, Any],
        method: str,
        verb: Callable[[Any], Any],
        id_: str = "",
    ) -> None:
        urn = self.urn(name, declared.type)
        self.creating = urn if method == "Create" else None
        try:
            result = self._call(declared.type, method, urn, verb, declared.timeout, declared.ignore_changes)
        except NotInitialised as partial:
            self.state[name] = Saved(declared.type, partial.id, news, partial.outputs, partial.reason)
            self.init_errors[name] = partial.reason
            return
        finally:
            self.creating = None
        outputs = wire({**result.outs, "__provider": news["__provider"]})
        self.state[name] = Saved(declared.type, id_ or result.id, news, outputs)

    def _refresh(self) -> None:
        for name, saved in list(self.state.items()):
            if saved.replacing:
                continue
            urn = self.urn(name, saved.type)
            result = self._call(saved.type, "Read", urn, lambda provider, s=saved: provider.read(s.id, wire(s.outputs)))
            if not result.id:
                del self.state[name]
                continue
            provider = {"__provider": saved.inputs.get("__provider")}  # what the plugin wrote has none
            saved.outputs = wire({**result.outs, **provider})
            if result.inputs is not None:
                saved.inputs = wire({**result.inputs, **provider})

    def _deletion_order(self) -> list[str]:
        """Return the names in the order of deletion: clusters before the volumes and keys that they use."""
        reverse = list(self.state)[::-1]
        return sorted(reverse, key=lambda name: self.state[name].type in HELD)

    def _delete(self, name: str) -> None:
        self._delete_saved(name, self.state[name])
        del self.state[name]

    def _delete_all(self, names: set[str]) -> None:
        """Delete these and what is pending, clusters before volumes and keys: the engine deletes dependents first."""
        order = [name for name in self._deletion_order() if name in names]
        for held in (False, True):
            for name in order:
                if (self.state[name].type in HELD) is held:
                    self._delete(name)
            order = [name for name in order if name in self.state]
            self._delete_pending(held=held)

    def _delete_pending(self, *, held: bool) -> None:
        for pending in list(self.pending_deletes):
            if (pending[1].type in HELD) is held:
                self._delete_saved(*pending)
                self.pending_deletes.remove(pending)

    def _delete_saved(self, name: str, saved: Saved) -> None:
        if saved.replacing:
            return
        urn = self.urn(name, saved.type)
        self._call(saved.type, "Delete", urn, lambda provider: provider.delete(saved.id, wire(saved.outputs)))

    def _call(
        self,
        type_: str,
        method: str,
        urn: str,
        verb: Callable[[Any], Any],
        timeout: float = 0.0,
        ignore_changes: tuple[str, ...] = (),
    ) -> Any:
        request, context = SimpleNamespace(urn=urn, timeout=timeout, ignoreChanges=ignore_changes), Context()
        saved = self.state.get(urn.rpartition("::")[2])
        request.old_inputs = wire(saved.inputs) if saved else {}
        try:
            if self.host == "plugin":
                return self.plugin.call(type_, verb, request, context)
            return _METHODS[method](PROVIDERS[type_](), verb, request, context)
        except Exception as error:
            status = context.status()
            if status is None and isinstance(error, Aborted):
                raise VerbError(str(error)) from error
            if status is None:
                raise
            for detail in status.details:
                partial = provider_pb2.ErrorResourceInitFailed()
                if detail.Unpack(partial):
                    raise NotInitialised(partial) from error
            raise VerbError(status.message) from error


@dataclass
class ModelBackend:
    """The backend of a model stack."""

    stack: Stack

    def stack_names(self, report: Any) -> list[str] | None:
        return [self.stack.owner, *self.stack.other_states]

    def state(self, stack: str, report: Any) -> Any | None:
        return self.stack.export() if stack == self.stack.owner else self.stack.other_states[stack]

    def history(self, stack: str, report: Any) -> Any | None:
        return self.stack.history


class Reports:
    """A report port that records what verbs report."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.kept: list[str] = []
        self.warnings: list[str] = []

    def progress(self, message: str, *, keep: bool = False) -> None:
        (self.kept if keep else self.rows).append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def operation(verb: str | None = None) -> Operation:
    """Return an operation of the current deployment, whose reports are dropped."""
    return Operation(base.current(), Reports(), verb)


class NotInitialised(Exception):  # noqa: N818 - what the engine calls it
    """The verb ended as "created, but not ready"."""

    def __init__(self, partial: Any) -> None:
        super().__init__("; ".join(partial.reasons))
        self.id = partial.id
        self.outputs = json_format.MessageToDict(partial.properties)
        self.reason = "; ".join(partial.reasons)


def known_alone(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs of a check in an `up`, in which the engine accepts no unknown value."""
    for name, value in inputs.items():
        if value == rpc.UNKNOWN:
            raise VerbError(f'unexpected unknown property value for "{name}"')
    return inputs


def ignoring(names: tuple[str, ...], olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the engine sends to check where the program ignores changes: the old inputs of these names.

    With "*" these are all, and what the program passes along unseen does not arrive.
    """
    if "*" in names:
        return dict(olds)
    return {
        name: value
        for name in {**olds, **news}
        if (value := olds.get(name) if name in names else news.get(name)) is not None
    }


# The methods of the host, which `engine.find_call` looks for by name in the frames above a verb.
def Check(provider: Any, verb: Callable[[Any], Any], request: Any, context: Any) -> Any:  # noqa: N802
    return verb(provider)


def Diff(provider: Any, verb: Callable[[Any], Any], request: Any, context: Any) -> Any:  # noqa: N802
    return verb(provider)


def Create(provider: Any, verb: Callable[[Any], Any], request: Any, context: Any) -> Any:  # noqa: N802
    return verb(provider)


def Read(provider: Any, verb: Callable[[Any], Any], request: Any, context: Any) -> Any:  # noqa: N802
    return verb(provider)


def Update(provider: Any, verb: Callable[[Any], Any], request: Any, context: Any) -> Any:  # noqa: N802
    return verb(provider)


def Delete(provider: Any, verb: Callable[[Any], Any], request: Any, context: Any) -> Any:  # noqa: N802
    return verb(provider)


_METHODS = {"Check": Check, "Diff": Diff, "Create": Create, "Read": Read, "Update": Update, "Delete": Delete}


def wire(props: Mapping[str, Any]) -> dict[str, Any]:
    """Send properties over the wire: numbers become floats, a property that is None is dropped."""
    from pulumi.output import Unknown as PulumiUnknown

    def send(value: Any) -> Any:
        if isinstance(value, (PulumiUnknown, Unknown)) or value is UNKNOWN:
            return PulumiUnknown()
        if isinstance(value, Mapping):
            if rpc.is_rpc_secret(value):  # the engine keeps the mark; the host gets the value
                return send(rpc.unwrap_rpc_secret(value))
            return {key: send(element) for key, element in value.items()}
        if isinstance(value, (list, tuple)):
            return [send(element) for element in value]
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    return {key: send(value) for key, value in props.items() if value is not None}
