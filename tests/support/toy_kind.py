"""A kind of resource made by the recipe in CONTRIBUTING, "Adding a resource": a volume for a short time, with a note.

It has no line about checking, diffing, secrets, the account, lost answers or recording, and gets all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flow_resources.core import naming
from flow_resources.core.hidden import Record
from flow_resources.core.inputs import Change, Field, integer, string
from flow_resources.core.models import StoredVolume
from flow_resources.core.spec import Spec, declared_inputs, read_identity
from flow_resources.lifecycle.doubles import end_doubles
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.resource import Resource, Words
from flow_resources.providers.provider import FlowProvider

FIELDS = (
    Field("size_gb", "integer", integer(1, 100), Change.REPLACE, required=True, doc="Size in GB."),
    Field("note", "string", string, Change.STATE, sensitive=True, doc="What it is for."),
)


@dataclass(frozen=True)
class ScratchSpec(Spec):
    """What a program wants."""

    digest_fields = FIELDS[:1]
    size_gb: int = 0


class Scratch(Resource[ScratchSpec, StoredVolume, StoredVolume]):
    """The kind."""

    name, id_prefix, fields = "Scratch", "vol_", FIELDS
    words = Words("volume", "scratch", "flow volume delete", "deletes", "-", "delete {id}", "what is on it is lost")

    def parse(self, props: Mapping[str, Any]) -> ScratchSpec:
        inputs = declared_inputs(FIELDS, props)
        return ScratchSpec(read_identity(props), inputs, int(inputs["size_gb"]))

    def list_live(self, op: Operation, begun_after: float) -> Sequence[StoredVolume]:
        return op.cloud.volumes(begun_after)

    def place(self, op: Operation, spec: ScratchSpec, generation: int, listed: Sequence[StoredVolume]) -> StoredVolume:
        name = naming.compose("scratch", spec.mark, spec.digest(op.settings.api_key), generation)
        begun = op.cloud.service_now()
        made = op.cloud.create_volume(name, spec.size_gb, "file", "us-central5-a", name)
        end_doubles(op, self, spec, made.doubles, begun)
        return made.volume

    def describe_cost(self, thing: StoredVolume) -> str:
        return f"{thing.size_gb} GB"

    def snapshot(self, thing: StoredVolume) -> StoredVolume:
        return thing

    def observe(self, op: Operation, id_: str, record: Record) -> StoredVolume | None:
        return next((volume for volume in op.cloud.volumes(op.fresh_since) if volume.id == id_), None)

    def outputs(self, seen: StoredVolume, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {"volume_id": seen.id, "volume_name": seen.name, "project": seen.project, "created_at": seen.created_at}

    def delete(self, op: Operation, id_: str, record: Record) -> None:
        op.cloud.delete_volume(id_)


class ScratchProvider(FlowProvider):
    """Its verbs in the dynamic host."""

    resource = staticmethod(Scratch)
