"""The dynamic host's side of the verbs: Pulumi's types in, Pulumi's types out, and nothing decided in between.

A provider object is pickled into the state as the name of its class and holds nothing. What the verbs of one Pulumi
operation share is therefore kept here, once per plugin process: the engine starts one for each operation.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    UpdateResult,
)

from flow_resources import backend, engine
from flow_resources.clock import Clock
from flow_resources.core.hidden import TOKEN
from flow_resources.host import EngineReport, error_line
from flow_resources.lifecycle import verbs
from flow_resources.lifecycle.operation import Deployment, Operation
from flow_resources.lifecycle.resource import Resource
from flow_resources.lifecycle.stored_states import Backend

_OWNER_NOT_KNOWN = (
    "whose resource this is is not known, because what the program passes along did not arrive: let transformations "
    "keep the inputs whose names begin with two underscores"
)
_deployment = Deployment(lambda _key: None, backend, owner_not_known=_OWNER_NOT_KNOWN)


def begin(config: Callable[[str], Any], clock: Clock | None = None, states: Backend = backend) -> Deployment:
    """Begin a Pulumi operation: forget the one before, as a new plugin process does."""
    global _deployment  # noqa: PLW0603 - a process serves one operation, and the host keeps no object of ours
    _deployment.close()
    _deployment = Deployment(config, states, clock, _OWNER_NOT_KNOWN)
    return _deployment


def current() -> Deployment:
    """Return the operation that this process serves."""
    return _deployment


@dataclass(frozen=True)
class Verbs:
    """The verbs of a kind of resource, as the host calls them."""

    resource: Resource[Any, Any, Any]

    def configure(self, req: ConfigureRequest) -> None:
        """Take the stack's config; called once per class and process."""
        current().config = req.config.get
        engine.widen_pool(engine.READERS_AT_ONCE)
        engine.end_with_the_engine()

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Report every bad input at once; see `verbs.check`."""
        with _operation("check") as (op, _):
            result = verbs.check(op, self.resource, engine.unknowns_in(_olds), engine.unknowns_in(news))
            failures = [CheckFailure(failure.path, failure.text) for failure in result.failures]
            inputs = engine.secrets_out(engine.unknowns_out(result.inputs), self._secret_inputs())
            return CheckResult(inputs, failures)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Say what a change does; see `verbs.diff`."""
        with _operation("diff") as (op, _):
            result = verbs.diff(op, self.resource, _id, engine.unknowns_in(_olds), engine.unknowns_in(_news))
            # A stack that comes from the plugin has no provider in its outputs, by which this host finds its verbs.
            is_moved = TOKEN in _news and TOKEN not in _olds
            return DiffResult(changes=result.changes or is_moved, replaces=list(result.replaces))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make it, or take over what an earlier create left; see `verbs.create`."""
        engine.widen_pool_for_changes()
        with _operation("create") as (op, call):
            result = verbs.create(op, self.resource, props)
            _record_if_not_ready(op, call, result, props)
            return CreateResult(result.id, result.outputs)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Tell what is true now; see `verbs.read`."""
        with _operation("read") as (op, _):
            result = verbs.read(op, self.resource, id_, props)
            return ReadResult(result.id, result.outputs, result.inputs) if result else ReadResult(id_="", outs={})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Change it in place; see `verbs.update`."""
        engine.widen_pool_for_changes()
        with _operation("update") as (op, call):
            result = verbs.update(op, self.resource, _id, _olds, _news)
            _record_if_not_ready(op, call, result, _news)
            return UpdateResult(result.outputs)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """End it and see it gone; see `verbs.delete`."""
        engine.widen_pool_for_changes()
        with _operation("delete") as (op, _):
            verbs.delete(op, self.resource, _id, _props)

    def _secret_inputs(self) -> set[str]:
        return {field.name for field in self.resource.fields if field.secret}


@contextlib.contextmanager
def _operation(verb: str) -> Iterator[tuple[Operation, engine.Call]]:
    """Make the operation of a verb; its errors reach the user as one line with a remedy."""
    call = engine.find_call()
    report, deployment = EngineReport(call.urn, engine.link()), current()
    try:
        yield Operation(deployment, report, verb, call.urn, call.timeout, call.ignore_changes), call
    except engine.InitialisationFailed:
        raise
    except Exception as error:
        engine.set_error_line(call, error_line(error, deployment.redactor, report))
        raise


def _record_if_not_ready(op: Operation, call: engine.Call, result: verbs.Result, props: Mapping[str, Any]) -> None:
    """End the verb as "made, but not ready", where it is; with a warning where the host has no way to say it."""
    if not result.not_ready:
        return
    token = {TOKEN: props[TOKEN]} if TOKEN in props else {}
    inputs = {name: value for name, value in props.items() if value is not None}
    engine.fail_initialisation(call, result.id, {**result.outputs, **token}, inputs, result.not_ready)
    op.report.warn(f"{result.not_ready} (recorded as {result.id})")
