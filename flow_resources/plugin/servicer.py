"""The calls of the provider protocol, which become verbs: nothing is decided here.

The engine calls a verb in a thread of its own, as many at once as it likes; each ends with an answer, with one line, or
as "made, but not ready". A preview of a create or update changes nothing: it answers with what is known.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NoReturn

import grpc
import pulumi
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from flow_resources import backend
from flow_resources.clock import Clock, InterruptibleClock
from flow_resources.core.config_keys import setting_of
from flow_resources.core.hidden import INPUTS
from flow_resources.core.imports import said_since
from flow_resources.core.inputs import UNKNOWN, Failure
from flow_resources.core.naming import plugin_type
from flow_resources.errors import RejectedError, one_line
from flow_resources.host import STATUS_DETAILS, EngineLink, EngineReport, error_line, not_ready_status
from flow_resources.lifecycle import verbs
from flow_resources.lifecycle.budget import OF_PROVIDER
from flow_resources.lifecycle.fleet_status import FLEET_STATUS
from flow_resources.lifecycle.kinds import KINDS
from flow_resources.lifecycle.operation import CHECK, Deployment, Operation
from flow_resources.lifecycle.resource import Resource
from flow_resources.lifecycle.stored_states import Backend
from flow_resources.plugin import settings, wire
from flow_resources.plugin.declared import OWNER_NOT_KNOWN, owner_of, with_facts
from flow_resources.plugin.details import detailed_diff

AnyResource = Resource[Any, Any, Any]
_KINDS: dict[str, AnyResource] = {plugin_type(kind.name): kind for kind in (*KINDS, FLEET_STATUS)}
_STABLE = ("task_id", "task_name", "volume_id", "ssh_key_id", "project", "created_at")
"""The outputs that no update changes."""


class FlowServicer(provider_pb2_grpc.ResourceProviderServicer):
    """One provider resource of one operation: the engine starts a process for each."""

    def __init__(self, link: EngineLink, states: Backend = backend, clock: Clock | None = None) -> None:
        self._link, self._clock = link, clock or InterruptibleClock()
        self.deployment = Deployment(lambda _key: None, states, self._clock, OWNER_NOT_KNOWN)
        """What the verbs of this provider share."""
        self.deployment.tells_options = False
        self.deployment.ledger.provider = ""

    # -- the plugin ---------------------------------------------------------------------------------------------------

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802 - the protocol's name, as below
        """Say what is understood."""
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Serve an engine that did not start this process, as a debugger wants it."""
        self._link = EngineLink(request.address)
        self._link.end_with_the_engine()
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Tell the version."""
        return plugin_pb2.PluginInfo(version=settings.plugin_version())

    def GetSchema(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Return the schema of the package."""
        return provider_pb2.GetSchemaResponse(schema=json.dumps(_schema()))

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Let every verb that waits end at once: what was made is recorded, and nothing is ended."""
        self._clock.interrupt()
        return empty_pb2.Empty()

    # -- the provider resource ----------------------------------------------------------------------------------------

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Report every bad setting."""
        news = wire.read(request.news)
        inputs, failures = settings.check(request.urn, wire.read(request.olds).values, news.values)
        secrets = settings.SECRETS | {one.name for name in news.secrets if (one := setting_of(name))}
        return provider_pb2.CheckResponse(inputs=wire.write(inputs, secrets), failures=_failures(failures))

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Say which settings change. None replaces the provider, which would replace all that it has made."""
        names = settings.changed(wire.read(request.olds).values, wire.read(request.news).values)
        kind = provider_pb2.PropertyDiff(kind=provider_pb2.PropertyDiff.UPDATE, inputDiff=True)
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if names else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=names,
            detailedDiff=dict.fromkeys(names, kind),
            hasDetailedDiff=bool(names),
        )

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Take the settings."""
        inputs = wire.read(request.args)
        with self._operation(None, request, context):
            settings.require_readable(inputs.values)
        for name in inputs.secrets:
            self.deployment.redactor.register(inputs.values.get(name))
        self.deployment.config = settings.config_of(inputs.values)
        if request.urn and not settings.is_default(request.urn):
            self.deployment.spending.words = OF_PROVIDER
        if wire.is_unknown(request.id):  # an `up` knows it by now
            self.deployment.ledger.is_preview = True
        elif request.id:
            self.deployment.ledger.add_told_by_engine(request.id)
            self.deployment.ledger.provider = request.id
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    # -- the verbs ----------------------------------------------------------------------------------------------------

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Report every bad input at once; see `verbs.check`."""
        with self._operation(CHECK, request, context) as op:
            resource, olds, news = _kind(request), self._read(request.olds), self._read(request.news)
            result = verbs.check(
                op, resource, olds.values, with_facts(op, resource, request.urn, olds.values, news.values)
            )
            inputs = _write(resource, result.inputs, news.secrets)
            failures = [self._without_secret(failure, news.secrets) for failure in result.failures]
            return provider_pb2.CheckResponse(inputs=inputs, failures=_failures(failures))

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Say what a change does, part by part; see `verbs.diff`."""
        with self._operation("diff", request, context) as op:
            resource, olds, news = _kind(request), self._read(request.olds).values, self._read_new(request).values
            self.deployment.ledger.add_told_by_engine(request.id)
            old_inputs = self._read(request.old_inputs).values
            diff = verbs.diff(op, resource, request.id, olds, news, old_inputs)
            details = detailed_diff(resource.fields, {**olds, **said_since(olds, old_inputs)}, news, diff)
            return provider_pb2.DiffResponse(
                changes=provider_pb2.DiffResponse.DIFF_SOME if diff.changes else provider_pb2.DiffResponse.DIFF_NONE,
                replaces=diff.replaces,
                diffs=dict.fromkeys([*diff.changed, *diff.replaces]),
                detailedDiff=details,
                hasDetailedDiff=bool(details),
                deleteBeforeReplace=resource.is_deleted_first(news),
            )

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Make it, or take over what an earlier create left; see `verbs.create`."""
        with self._operation("create", request, context) as op:
            resource, props = _kind(request), self._read(request.properties)
            if request.preview:
                known = _unknown_outputs(resource) | resource.known_outputs(props.values) | props.values
                return provider_pb2.CreateResponse(properties=_write(resource, known, props.secrets))
            self._require_time()
            result = verbs.create(op, resource, props.values)
        outputs = _write(resource, result.outputs, props.secrets)
        if result.not_ready:
            self._fail_initialisation(context, result, outputs, request.properties)
        return provider_pb2.CreateResponse(id=result.id, properties=outputs)

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Tell what is true now; see `verbs.read`."""
        with self._operation("read", request, context) as op:
            resource, recorded, inputs = _kind(request), self._read(request.properties), self._read(request.inputs)
            if request.HasField("inputs"):  # an import alone has none
                result = verbs.read(op, resource, request.id, recorded.values or inputs.values, inputs.values)
            else:
                result = verbs.read_import(op, resource, request.id, owner_of(op, request.urn, {}))
            if result is None:
                return provider_pb2.ReadResponse()
            secrets = recorded.secrets | inputs.secrets
            return provider_pb2.ReadResponse(
                id=result.id,
                properties=_write(resource, result.outputs, secrets),
                inputs=_write(resource, result.inputs, secrets),
            )

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Change it in place; see `verbs.update`."""
        with self._operation("update", request, context) as op:
            resource, olds, news = _kind(request), self._read(request.olds), self._read_new(request)
            if request.preview:
                stable = {name: olds.values[name] for name in _STABLE if name in olds.values}
                known = _unknown_outputs(resource) | stable | news.values
                secrets = news.secrets | (olds.secrets & set(stable))
                return provider_pb2.UpdateResponse(properties=_write(resource, known, secrets))
            self._require_time()
            result = verbs.update(op, resource, request.id, olds.values, news.values)
        outputs = _write(resource, result.outputs, news.secrets)
        if result.not_ready:
            self._fail_initialisation(context, result, outputs, request.news)
        return provider_pb2.UpdateResponse(properties=outputs)

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """End it and see it gone; see `verbs.delete`."""
        with self._operation("delete", request, context) as op:
            self._require_time()
            verbs.delete(op, _kind(request), request.id, self._read(request.properties).values)
            return empty_pb2.Empty()

    # -- functions and components -------------------------------------------------------------------------------------

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Read what a data function returns."""
        from flow_resources.plugin.functions import invoke

        with self._operation(None, request, context) as op:
            response = provider_pb2.InvokeResponse()
            result = wire.write(invoke(op, request.tok, self._read(request.args).values))
            getattr(response, "return").CopyFrom(result)  # a word of Python
            return response

    async def Construct(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Construct a ResilientCluster; its children are registered with the engine, which calls their verbs."""
        from flow_resources.plugin.component import construct  # the SDK's server of components takes a while

        try:
            return await construct(request, self._link.address)
        except pulumi.RunError as error:
            line = one_line(str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the user reads one line
            line = error_line(error, self.deployment.redactor, EngineReport("", self._link))
        return await context.abort(grpc.StatusCode.UNKNOWN, line)

    # -- what they share ----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _operation(self, verb: str | None, request: Any, context: Any) -> Iterator[Operation]:
        """Make the operation of a verb; its errors reach the user as one line with a remedy."""
        urn = getattr(request, "urn", "")  # a function has none
        report = EngineReport(urn, self._link)
        timeout = getattr(request, "timeout", 0) or None
        ignored = tuple(getattr(request, "ignoreChanges", ()))
        try:
            yield Operation(self.deployment, report, verb, urn or None, timeout, ignored)
        except Exception as error:  # noqa: BLE001 - whatever it is, the user reads one line
            context.abort(grpc.StatusCode.UNKNOWN, error_line(error, self.deployment.redactor, report))

    def _read(self, struct: Any) -> wire.Properties:
        """Read properties; what is secret in them is repeated nowhere."""
        properties = wire.read(struct)
        for name in properties.secrets:
            self.deployment.redactor.register(properties.values.get(name))
        return properties

    def _without_secret(self, failure: Failure, secrets: Collection[str]) -> Failure:
        """Return a failure that shows no value of a property that came in secret; the engine shows that of a path."""
        if re.split(r"[.\[]", failure.path)[0] not in secrets:
            return failure
        return Failure("", self.deployment.redactor.redact(failure.text))

    def _read_new(self, request: Any) -> wire.Properties:
        """Read the new inputs of a diff or update; what the program ignores is as it is recorded, whatever check said.

        The engine has put the recorded values in the place of the program's before the check, which it does not tell of
        it.
        """
        news, recorded = self._read(request.news), self._read(request.old_inputs).values
        kept = [name for name in request.ignoreChanges if name in recorded and name in news.values]
        return wire.Properties({**news.values, **{name: recorded[name] for name in kept}}, news.secrets)

    def _require_time(self) -> None:
        """Raise RejectedError where a person has asked to end before a verb began."""
        if self._clock.is_interrupted:
            raise RejectedError("interrupted before it began: nothing was touched", "run the same command again")

    def _fail_initialisation(self, context: Any, result: verbs.Result, outputs: Any, inputs: Any) -> NoReturn:
        reason = f"interrupted: {result.not_ready}" if self._clock.is_interrupted else result.not_ready
        status = not_ready_status(result.id, outputs, inputs, reason)
        context.set_trailing_metadata(((STATUS_DETAILS, status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, status.message)
        raise AssertionError("abort raises")


def _kind(request: Any) -> AnyResource:
    """Return the kind that a call is about. Raises RejectedError where there is no such kind."""
    token = request.type or request.urn.split("::")[2].rpartition("$")[2]
    if token not in _KINDS:
        raise RejectedError(f"there is no resource {token}", f"there are {', '.join(_KINDS)}")
    return _KINDS[token]


def _write(resource: AnyResource, values: Mapping[str, Any], secrets: frozenset[str]) -> Any:
    """Write properties: secret is what came in secret under the same name, and what always is."""
    names = secrets | {field.name for field in resource.fields if field.secret}
    hidden = {INPUTS} if names & set(values.get(INPUTS) or ()) else set[str]()
    return wire.write(values, names | hidden)


def _failures(failures: list[Failure]) -> list[Any]:
    return [provider_pb2.CheckFailure(property=one.path, reason=one.text) for one in failures]


def _unknown_outputs(resource: AnyResource) -> dict[str, Any]:
    """Return the outputs of a kind, all of them not known yet."""
    return dict.fromkeys(_schema()["resources"][plugin_type(resource.name)]["properties"], UNKNOWN)


@functools.cache
def _schema() -> dict[str, Any]:
    from flow_resources.plugin.schema import schema  # takes a third of a second, and a refresh needs none

    return schema()
