"""Two provider resources of one stack are two processes: what one of them makes, the other sees in the stored state."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import json_format
from pulumi.runtime.proto import provider_pb2
from support.plugin_host import configured
from support.stack import Aborted, Context, SkippingClock, settings_of

from flow_resources.plugin import wire
from flow_resources.plugin.servicer import FlowServicer
from flow_resources.testing import FakeMithril

STACK = "urn:pulumi:dev::training::"
OURS, THEIRS = str(uuid.uuid4()), str(uuid.uuid4())


def urn_of_provider(id_: str) -> str:
    return f"{STACK}pulumi:providers:flow::{'ours' if id_ == OURS else 'theirs'}"


class Backend:
    """The backend of the stack: two provider resources, and what the test adds."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = [{"urn": urn_of_provider(id_), "id": id_} for id_ in (OURS, THEIRS)]
        self.pending: list[dict[str, Any]] = []

    def stack_names(self, _report: Any) -> list[str]:
        return ["acme/training/dev"]

    def state(self, _stack: str, _report: Any) -> Any:
        pending = [{"type": "creating", "resource": row} for row in self.pending]
        return {"deployment": {"resources": self.rows, "pending_operations": pending}}

    def history(self, _stack: str, _report: Any) -> Any:
        return None


def row(name: str, provider: str, **more: Any) -> dict[str, Any]:
    reference = f"{urn_of_provider(provider)}::{provider}"
    return {"urn": f"{STACK}flow:index:Volume::{name}", "type": "flow:index:Volume", "provider": reference, **more}


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def plugin(cloud: FakeMithril, backend: Backend) -> Iterator[FlowServicer]:
    """The process of one of the two."""
    servicer = configured(settings_of(cloud), backend, SkippingClock(), urn_of_provider(OURS), OURS, Context())
    yield servicer
    servicer.deployment.close()


def check(plugin: FlowServicer, id_: str) -> Any:
    """Check a volume that adopts."""
    news = json_format.ParseDict({"size_gb": 10, "region": "us-central5-a", "adopt_volume_id": id_}, wire.write({}))
    return plugin.Check(provider_pb2.CheckRequest(urn=f"{STACK}flow:index:Volume::data", news=news), Context())


def create(plugin: FlowServicer, backend: Backend, inputs: Any) -> Any:
    """Create it, as the engine does: it records first that it begins."""
    urn = f"{STACK}flow:index:Volume::data"
    backend.pending.append(row("data", OURS, inputs=json_format.MessageToDict(inputs)))
    return plugin.Create(provider_pb2.CreateRequest(urn=urn, properties=inputs), Context())


def test_what_another_provider_records_is_not_adopted(
    plugin: FlowServicer, backend: Backend, cloud: FakeMithril
) -> None:
    """A destroy of either would delete the data of both."""
    id_ = cloud.add_volume("by-hand", size_gb=10)["fid"]
    backend.rows.append(row("theirs", THEIRS, id=id_, outputs={"volume_id": id_}))
    assert "not adopted: a resource of another provider" in str(check(plugin, id_).failures)
    backend.rows[-1] = row("before", OURS, id=id_, outputs={"volume_id": id_})
    plugin.deployment.ledger.stored._own.clear()
    assert not check(plugin, id_).failures


def test_what_another_provider_is_about_to_adopt_is_not_adopted(
    plugin: FlowServicer, backend: Backend, cloud: FakeMithril
) -> None:
    """Both were checked before either was made; the engine records each create before it begins."""
    id_ = cloud.add_volume("by-hand", size_gb=10)["fid"]
    response = check(plugin, id_)
    assert not response.failures
    backend.pending.append(row("theirs", THEIRS, inputs={"adopt_volume_id": id_}))
    with pytest.raises(Aborted, match="not adopted: a resource of another provider"):
        create(plugin, backend, response.inputs)
    backend.pending.clear()
    assert len(cloud.volumes) == 1


def test_what_could_not_be_found_out_of_other_providers_adopts_nothing(
    plugin: FlowServicer, backend: Backend, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state could be read at the check, and cannot be by now."""
    id_ = cloud.add_volume("by-hand", size_gb=10)["fid"]
    response = check(plugin, id_)
    monkeypatch.setattr(backend, "state", lambda *_: None)
    with pytest.raises(Aborted, match="whether a resource of another provider of this stack has it could not be found"):
        create(plugin, backend, response.inputs)


def test_what_nobody_else_has_is_adopted(plugin: FlowServicer, backend: Backend, cloud: FakeMithril) -> None:
    id_ = cloud.add_volume("by-hand", size_gb=10)["fid"]
    assert create(plugin, backend, check(plugin, id_).inputs).id == id_
    assert len(cloud.volumes) == 1
