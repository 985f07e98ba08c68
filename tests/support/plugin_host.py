"""The provider plugin under the model of the engine: calls on the wire, without a server in between."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, ReadResult, UpdateResult
from pulumi.runtime.proto import provider_pb2

from flow_resources.clock import Clock
from flow_resources.core.naming import plugin_type
from flow_resources.engine import unknowns_in, unknowns_out
from flow_resources.host import EngineLink
from flow_resources.lifecycle.stored_states import Backend
from flow_resources.plugin import wire
from flow_resources.plugin.servicer import FlowServicer


def configured(
    config: Mapping[str, Any], states: Backend, clock: Clock | None, urn: str, id_: str, context: Any
) -> FlowServicer:
    """Return a plugin that an engine has started and configured with the configuration of a stack."""
    servicer = FlowServicer(EngineLink(), states, clock)
    news = {key.removeprefix("flow:"): value for key, value in config.items()}
    checked = servicer.CheckConfig(provider_pb2.CheckRequest(urn=urn, news=wire.write(news, {"apiKey"})), context)
    arguments = checked.inputs if not checked.failures else wire.write(news, {"apiKey"})
    servicer.Configure(provider_pb2.ConfigureRequest(urn=urn, id=id_, args=arguments), context)
    return servicer


class PluginHost:
    """One plugin process, and what of each resource the engine has in its state as a secret."""

    def __init__(self, context: Callable[[], Any]) -> None:
        self._context = context
        self.provider_id = str(uuid.uuid4())
        self.servicer: FlowServicer
        self.secrets: dict[str, set[str]] = {}

    @property
    def row(self) -> dict[str, Any]:
        """The provider resource in the stored state."""
        return {"urn": self.urn, "id": self.provider_id, "outputs": {}}

    urn = "urn:pulumi:dev::training::pulumi:providers:flow::default"

    def begin(self, config: Mapping[str, Any], states: Backend, clock: Clock | None) -> None:
        """Start a process for an operation."""
        self.servicer = configured(config, states, clock, self.urn, self.provider_id, self._context())

    def call(self, type_: str, verb: Callable[[Any], Any], request: Any, context: Any) -> Any:
        """Call a verb as on a provider of the dynamic host."""
        return verb(Provider(self, plugin_type(type_), request, context))


class Provider:
    """The verbs of one resource, with the signatures of the dynamic host, each a call on the wire."""

    def __init__(self, host: PluginHost, type_: str, request: Any, context: Any) -> None:
        self._host, self._context = host, context
        self._secrets = host.secrets.setdefault(request.urn, set())
        self._common = {"urn": request.urn, "type": type_}
        self._timed = {**self._common, "timeout": request.timeout or 0}
        self._ignored = {"ignoreChanges": list(request.ignoreChanges)}
        self._old_inputs = request.old_inputs

    def _send(self, props: Mapping[str, Any]) -> Any:
        return wire.write(unknowns_in(dict(props)), self._secrets)

    def _receive(self, struct: Any) -> dict[str, Any]:
        properties = wire.read(struct)
        self._secrets |= properties.secrets
        received: dict[str, Any] = unknowns_out(properties.values)
        return received

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        request = provider_pb2.CheckRequest(**self._common, olds=self._send(olds), news=self._send(news))
        response = self._host.servicer.Check(request, self._context)
        failures = [CheckFailure(one.property, one.reason) for one in response.failures]
        return CheckResult(self._receive(response.inputs), failures)

    def diff(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        request = provider_pb2.DiffRequest(
            **self._common,
            **self._ignored,
            id=id_,
            olds=self._send(olds),
            news=self._send(news),
            old_inputs=self._send(self._old_inputs),
        )
        response = self._host.servicer.Diff(request, self._context)
        return DiffResult(response.changes == provider_pb2.DiffResponse.DIFF_SOME, list(response.replaces))

    def create(self, props: dict[str, Any]) -> CreateResult:
        request = provider_pb2.CreateRequest(**self._timed, properties=self._send(props))
        response = self._host.servicer.Create(request, self._context)
        return CreateResult(response.id, self._receive(response.properties))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        inputs = self._send(self._old_inputs)
        request = provider_pb2.ReadRequest(**self._common, id=id_, properties=self._send(props), inputs=inputs)
        response = self._host.servicer.Read(request, self._context)
        return ReadResult(response.id, self._receive(response.properties), self._receive(response.inputs))

    def update(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        request = provider_pb2.UpdateRequest(
            **self._timed,
            **self._ignored,
            id=id_,
            olds=self._send(olds),
            news=self._send(news),
            old_inputs=self._send(self._old_inputs),
        )
        return UpdateResult(self._receive(self._host.servicer.Update(request, self._context).properties))

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        request = provider_pb2.DeleteRequest(**self._timed, id=id_, properties=self._send(props))
        self._host.servicer.Delete(request, self._context)
