"""Volume: storage that outlives the machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flow_resources.core import volume_fields
from flow_resources.core.answer import Answer
from flow_resources.core.hidden import NAMED, Identity, Record, recorded_inputs
from flow_resources.core.imports import Imported
from flow_resources.core.inputs import Checked
from flow_resources.core.market import check_regions
from flow_resources.core.models import STORAGE, StoredVolume
from flow_resources.core.spec import VolumeSpec
from flow_resources.errors import (
    RejectedError,
    TerminatedError,
)
from flow_resources.lifecycle import storage
from flow_resources.lifecycle.doubles import end_doubles
from flow_resources.lifecycle.operation import LISTING_SECONDS, Operation, region_sources_of
from flow_resources.lifecycle.quota import Claim
from flow_resources.lifecycle.resource import Resource, Update, Words
from flow_resources.lifecycle.takeover import ADOPTION_REMEDY, may_adopt


class Volume(Resource[VolumeSpec, StoredVolume, StoredVolume]):
    """The kind; `VOLUME` is its one instance."""

    name = "Volume"
    id_prefix = "vol_"
    fields = volume_fields.FIELDS
    words = Words(
        noun="volume",
        managed="volume",
        end_command="flow volume delete",
        ends="deletes",
        adopt_input="adopt_volume_id",
        conflict_remedy="adopt_volume_id='{id}' takes it over; `flow volume delete {id}` deletes it",
        lost_by_replacement="the data on it is lost",
        list_command="flow volume list",
    )

    def check(self, op: Operation, found: Checked, olds: Mapping[str, Any], identity: Identity) -> None:
        """Resolve and pin the region; refuse to lose data unless the program allows it."""
        default, regions = None, list[str]()
        with op.collecting_failures(found):
            default = op.settings.region
            op.cloud.project()
            regions = list(op.cloud.market().regions)
        volume_fields.resolve_region(found, region_sources_of(op, found, olds, default), regions)
        check_regions(found, regions)
        volume_fields.guard_data(found, olds)
        if not olds and found.inputs.get("allow_replace") is not True:
            volume_fields.guard_forced_replacement(found, op.own_record.exists, op.own_record.id)
        with op.collecting_failures(found):
            self._check_adoption(op, found, identity)

    def check_replaced_with(self, found: Checked) -> None:
        """Refuse it, unless the program allows that the data is lost."""
        volume_fields.guard_replace_with(found)

    def is_deleted_first(self, news: Mapping[str, Any]) -> bool:
        """Whether its name is the program's, which two cannot have: else data can be copied to the new one."""
        return "volume_name" in news

    def parse(self, props: Mapping[str, Any]) -> VolumeSpec:
        """Parse the inputs."""
        return VolumeSpec.parse(props)

    def adopted_id(self, spec: VolumeSpec) -> str | None:
        """Return `adopt_volume_id`."""
        return spec.adopt_volume_id

    def find_adoptable(self, op: Operation, spec: VolumeSpec, id_: str) -> StoredVolume:
        """Return the volume to adopt."""
        volume = storage.find(op.cloud, id_, op.clock.now())
        problem = storage.differences(volume, size_gb=spec.size_gb, interface=spec.interface, region=spec.region)
        if volume is None or problem:
            raise RejectedError(f"adopt_volume_id: {id_} {problem}", ADOPTION_REMEDY)
        return volume

    def list_live(self, op: Operation, begun_after: float) -> Sequence[StoredVolume]:
        """List the volumes that are there."""
        return op.cloud.volumes(begun_after)

    def list_before_create(self, op: Operation, spec: VolumeSpec) -> Sequence[StoredVolume]:  # noqa: ARG002
        """List the deleted volumes too: their names and idempotency keys are used up."""
        return op.cloud.volumes(op.begun, with_deleted=True)

    def is_live(self, thing: StoredVolume) -> bool:
        """Whether it is not deleted."""
        return not thing.deleted

    def is_of_another_user(self, op: Operation, thing: StoredVolume) -> Answer:  # noqa: ARG002
        """Whether a bid mounts it: an orphan is never mounted: clusters mount recorded volumes."""
        return Answer.of(None if thing.bids is None else bool(thing.bids))

    def place(self, op: Operation, spec: VolumeSpec, generation: int, listed: Sequence[StoredVolume]) -> StoredVolume:
        """Make a volume."""
        op.report.progress(f"creating {spec.size_gb:,} GB of {spec.interface} storage in {spec.region}")
        begun = op.cloud.service_now()
        made = storage.make(op, spec, generation, listed)
        end_doubles(op, self, spec, made.doubles, begun)
        return made.volume

    def describe_cost(self, thing: StoredVolume) -> str:
        """Return how large it is."""
        return "of unknown size" if thing.size_gb is None else f"{thing.size_gb:,} GB"

    def claim(self, op: Operation, spec: VolumeSpec) -> Claim:  # noqa: ARG002
        """Return its size."""
        return Claim(STORAGE, spec.size_gb, "size_gb", "storage")

    def holding(self, thing: StoredVolume) -> tuple[str, int | None]:
        """Return its size."""
        return STORAGE, thing.size_gb

    def holders(self, thing: StoredVolume) -> Sequence[str]:
        """Return the bids that mount it, as far as the service says."""
        return thing.bids or ()

    def describe_import(self, op: Operation, thing: StoredVolume) -> Imported:  # noqa: ARG002
        """Return what a volume tells, which is all of it; its name only where a program could choose it."""
        inputs = {"size_gb": thing.size_gb, "interface": thing.interface, "region": thing.region}
        missing = " and ".join(name for name, value in inputs.items() if value is None)
        if missing:
            raise RejectedError(
                f"{thing.id} is not imported: the service does not say its {missing}", "run the same command again"
            )
        if not volume_fields.is_name(thing.name):
            return Imported(inputs)
        return Imported({**inputs, "volume_name": thing.name})

    def snapshot(self, thing: StoredVolume) -> StoredVolume:
        """Return it as it is."""
        return thing

    def observe(self, op: Operation, id_: str, record: Record) -> StoredVolume | None:  # noqa: ARG002
        """Return the volume. Only absence from two whole listings of the recorded project is gone."""
        return storage.find_live(op, id_, op.fresh_since)

    def observe_for_update(self, op: Operation, id_: str, record: Record) -> StoredVolume:  # noqa: ARG002
        """Return the volume."""
        volume = storage.find_live(op, id_, op.clock.now())
        if volume is None:
            raise TerminatedError(f"the volume {id_} is gone", "`pulumi up --refresh` makes a new one")
        return volume

    def converge(
        self,
        op: Operation,
        seen: StoredVolume,
        spec: VolumeSpec,
        record: Record,  # noqa: ARG002
        update: Update | None,
    ) -> StoredVolume:
        """Rename: the only thing that the service can change on a volume."""
        if update is None:
            storage.warn_of_differences(op, seen, spec.inputs)
        elif "volume_name" not in update.inputs:
            return seen
        if not spec.volume_name or seen.name == spec.volume_name:
            return seen
        op.cloud.rename_volume(seen.id, spec.volume_name)
        return storage.find(op.cloud, seen.id, op.clock.now()) or seen

    def outputs(self, seen: StoredVolume, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs that the service decides."""
        return {
            "volume_id": seen.id,
            "volume_name": seen.name or None,
            "project": seen.project,
            "size_gb": seen.size_gb,
            "interface": seen.interface,
            "region": seen.region,
            "attached_to": None if seen.bids is None else list(seen.bids),
            "created_at": seen.created_at or None,
            **({NAMED: True} if "volume_name" in inputs else {}),
        }

    def live_inputs(self, seen: StoredVolume, inputs: Mapping[str, Any], record: Record) -> dict[str, Any]:
        """Return the inputs with the name as the service holds it, where the program chose it.

        What only a replacement can change stays the program's: else a size that the service rounds would be a change.
        """
        unnamed = {name: value for name, value in inputs.items() if name != "volume_name"}
        name = seen.name or record.name
        return {**unnamed, **({"volume_name": name} if record.is_named and name else {})}

    def report_drift(self, op: Operation, seen: StoredVolume, record: Record) -> None:
        """Warn of what the service has otherwise than the program says, and only a replacement can change."""
        storage.warn_of_differences(op, seen, recorded_inputs(record.outputs or {}))

    def delete(self, op: Operation, id_: str, record: Record) -> None:
        """Wait until no bid holds the volume, delete it and see it gone.

        Silence ends it before anything has begun; after that the limit does, as with clusters.
        """
        storage.delete(op, self.words, id_, record)

    def _check_adoption(self, op: Operation, found: Checked, identity: Identity) -> None:
        """Report at preview what would keep the volume from being adopted."""
        id_ = found.known("adopt_volume_id")
        if not id_ or found.failures or not may_adopt(op, id_, identity.mark):
            return
        volume = storage.find(op.cloud, id_, op.begun - LISTING_SECONDS)
        known = {name: found.known(name) for name in ("size_gb", "interface", "region")}
        if problem := storage.differences(volume, **known):
            found.fail("adopt_volume_id", problem, id_, ADOPTION_REMEDY)


VOLUME = Volume()
