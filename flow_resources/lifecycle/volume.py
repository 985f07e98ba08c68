"""Volume: storage that outlives the machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from flow_resources.cloud import Cloud, MadeVolume
from flow_resources.core import naming, volume_fields
from flow_resources.core.answer import Answer
from flow_resources.core.hidden import NAMED, Identity, Record, recorded_inputs
from flow_resources.core.inputs import Checked, show
from flow_resources.core.market import check_regions
from flow_resources.core.models import STORAGE, StoredVolume
from flow_resources.core.spec import VolumeSpec
from flow_resources.errors import (
    FlowResourcesError,
    NotReadyError,
    OwnershipError,
    RejectedError,
    TerminatedError,
    UnavailableError,
)
from flow_resources.lifecycle.doubles import end_doubles
from flow_resources.lifecycle.holders import describe_holders
from flow_resources.lifecycle.operation import LISTING_SECONDS, Operation, region_sources_of
from flow_resources.lifecycle.quota import Claim
from flow_resources.lifecycle.resource import Resource, Update, Words, require_name
from flow_resources.lifecycle.takeover import ADOPTION_REMEDY, may_adopt

_ATTACHED = (400, 409, 422)  # what the service may answer while something holds a volume


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

    def parse(self, props: Mapping[str, Any]) -> VolumeSpec:
        """Parse the inputs."""
        return VolumeSpec.parse(props)

    def adopted_id(self, spec: VolumeSpec) -> str | None:
        """Return `adopt_volume_id`."""
        return spec.adopt_volume_id

    def find_adoptable(self, op: Operation, spec: VolumeSpec, id_: str) -> StoredVolume:
        """Return the volume to adopt."""
        volume = _find(op.cloud, id_, op.clock.now())
        problem = _differences(volume, size_gb=spec.size_gb, interface=spec.interface, region=spec.region)
        if volume is None or problem:
            raise RejectedError(f"adopt_volume_id: {id_} {problem}", ADOPTION_REMEDY)
        return volume

    def list_live(self, op: Operation, begun_after: float) -> Sequence[StoredVolume]:
        """List the volumes that are there."""
        return op.cloud.volumes(begun_after)

    def list_before_create(self, op: Operation) -> Sequence[StoredVolume]:
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
        if spec.volume_name:
            made = _with_fixed_name(op, spec, spec.volume_name, listed)
        else:
            made = _with_marked_name(op, spec, generation, listed)
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

    def snapshot(self, thing: StoredVolume) -> StoredVolume:
        """Return it as it is."""
        return thing

    def observe(self, op: Operation, id_: str, record: Record) -> StoredVolume | None:  # noqa: ARG002
        """Return the volume. Only absence from two whole listings of the recorded project is gone."""
        return _find_live(op, id_, op.fresh_since)

    def observe_for_update(self, op: Operation, id_: str, record: Record) -> StoredVolume:  # noqa: ARG002
        """Return the volume."""
        volume = _find_live(op, id_, op.clock.now())
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
            _warn_of_differences(op, seen, spec.inputs)
        elif "volume_name" not in update.inputs:
            return seen
        if not spec.volume_name or seen.name == spec.volume_name:
            return seen
        op.cloud.rename_volume(seen.id, spec.volume_name)
        return _find(op.cloud, seen.id, op.clock.now()) or seen

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
        _warn_of_differences(op, seen, recorded_inputs(record.outputs or {}))

    def delete(self, op: Operation, id_: str, record: Record) -> None:
        """Wait until no bid holds the volume, delete it and see it gone.

        Silence ends it before anything has begun; after that the limit does, as with clusters.
        """
        if obstacle := _delete(op, id_, record):
            _wait_until_deleted(op, obstacle, id_, record)

    def _check_adoption(self, op: Operation, found: Checked, identity: Identity) -> None:
        """Report at preview what would keep the volume from being adopted."""
        id_ = found.known("adopt_volume_id")
        if not id_ or found.failures or not may_adopt(op, id_, identity.mark):
            return
        volume = _find(op.cloud, id_, op.begun - LISTING_SECONDS)
        known = {name: found.known(name) for name in ("size_gb", "interface", "region")}
        if problem := _differences(volume, **known):
            found.fail("adopt_volume_id", problem, id_, ADOPTION_REMEDY)


def _find(cloud: Cloud, id_: str, begun_after: float) -> StoredVolume | None:
    """Return a volume from a whole listing of the project; the service has no GET for one."""
    return next((volume for volume in cloud.volumes(begun_after) if volume.id == id_), None)


def _find_with_deleted(cloud: Cloud, id_: str, begun_after: float) -> StoredVolume | None:
    """Return a volume from a listing that has the deleted ones too; None where nothing is known of it."""
    listed = cloud.volumes(begun_after, with_deleted=True)
    return next((volume for volume in listed if volume.id == id_), None)


def _find_live(op: Operation, id_: str, begun_after: float) -> StoredVolume | None:
    """Return a volume; None only where a second listing, which began later, does not have it as live either."""
    if volume := _find(op.cloud, id_, begun_after):
        return volume
    volume = _find_with_deleted(op.cloud, id_, op.clock.now())
    return None if volume is None or volume.deleted else volume


def _warn_of_differences(op: Operation, volume: StoredVolume, inputs: Mapping[str, Any]) -> None:
    """Warn of what the service has otherwise than the program says; what it does not say is not otherwise."""
    live = {"size_gb": volume.size_gb, "interface": volume.interface, "region": volume.region}
    known = {name: None if value is None else inputs.get(name) for name, value in live.items()}
    if problem := _differences(volume, **known):
        op.warn_once(f"the volume {volume.id} {problem}; nothing is replaced because of that")


def _differences(volume: StoredVolume | None, *, size_gb: int | None, interface: str | None, region: str | None) -> str:
    """Say how a volume differs from the program in what cannot be changed; empty where it does not."""
    if volume is None:
        return "is not a volume of the project"
    pairs = {
        "size_gb": (volume.size_gb, size_gb),
        "interface": (volume.interface, interface),
        "region": (volume.region, region),
    }
    return " and ".join(
        f"has {name} {live!r}, the program says {show(wanted)}"
        for name, (live, wanted) in pairs.items()
        if wanted is not None and wanted != live
    )


# -- making ------------------------------------------------------------------------------------------------------------


def _with_marked_name(op: Operation, spec: VolumeSpec, generation: int, listed: Sequence[StoredVolume]) -> MadeVolume:
    """Make a volume under a name that was never used."""
    prefix, digest = naming.fit(naming.logical_name(op.urn or "volume")), spec.digest(op.settings.api_key)
    known, used = {volume.id for volume in listed}, {volume.name for volume in listed}
    while True:
        name = naming.compose(prefix, spec.mark, digest, generation)
        if name not in used:
            made = _create(op.cloud, name, name, spec)
            if made.volume.id not in known:
                return made
        generation += 1  # of a volume that was renamed since, the service still knows the key


def _create(cloud: Cloud, name: str, key: str, spec: VolumeSpec) -> MadeVolume:
    key = naming.sending(cloud.project().id, key)
    return cloud.create_volume(name, spec.size_gb, spec.interface, spec.region, key)


def _with_fixed_name(op: Operation, spec: VolumeSpec, name: str, listed: Sequence[StoredVolume]) -> MadeVolume:
    """Make a volume whose name the user chose, which carries no mark of ours.

    A live namesake is a stranger's, unless the service knows our key for it: then a create of ours made it whose
    answer was lost. The key counts what the name was used for; an answer that was there before, under whatever name,
    is never deleted.
    """
    digest, known = spec.digest(op.settings.api_key), {volume.id for volume in listed}
    namesake = next((volume for volume in listed if volume.name == name and not volume.deleted), None)
    generation = 1 + sum(volume.deleted for volume in listed if volume.name == name)
    while True:
        try:
            made = _create(op.cloud, name, naming.compose(name, spec.mark, digest, generation), spec)
        except RejectedError as error:
            raise _taken_name(namesake, name, error) from error
        if namesake and made.volume.id == namesake.id:
            return made
        if made.volume.id in known:  # the service still knows the key of a volume that was renamed since
            generation += 1
        elif namesake:
            op.cloud.delete_volume(made.volume.id)  # the service takes a name twice; this one was made a moment ago
            raise _taken_name(namesake, name)
        else:
            return made


def _taken_name(namesake: StoredVolume | None, name: str, error: RejectedError | None = None) -> FlowResourcesError:
    if namesake is None:
        return error or OwnershipError(f"the project has a volume {name!r} already", "choose another volume_name")
    return OwnershipError(
        f"the project has a volume {name!r} already ({namesake.id})",
        f"choose another volume_name, or take it over with adopt_volume_id={namesake.id!r}",
    )


# -- deleting ----------------------------------------------------------------------------------------------------------


def _delete(op: Operation, id_: str, record: Record, describe: Callable[[Sequence[str]], str] = ", ".join) -> str:
    """Delete a volume that nothing holds; return what is in the way, nothing where the volume is gone.

    `describe` says who the bids are that hold it.
    """
    volume = _find(op.cloud, id_, op.clock.now())
    if volume is None:
        volume = _find_with_deleted(op.cloud, id_, op.clock.now())
    if volume and volume.deleted:
        return ""
    if volume:
        require_name(volume, VOLUME.words)
    if volume and volume.name != record.name:
        raise OwnershipError(
            f"the volume {id_} is named {volume.name!r} but the state records {record.name!r}",
            "if it is still this stack's, `pulumi refresh` records the new name; "
            "one that only waits for its deletion is not refreshed, and needs the recorded name back",
        )
    if volume and volume.bids:
        return f"held by {describe(volume.bids)}"
    try:
        is_known = op.cloud.delete_volume(id_)  # also where no listing has it: one can lag
    except RejectedError as error:
        if error.status not in _ATTACHED:
            raise
        return str(error)
    if not (volume or is_known):
        return ""
    return "it is still listed" if _find(op.cloud, id_, op.clock.now()) else ""


def _wait_until_deleted(op: Operation, obstacle: str, id_: str, record: Record) -> None:
    """Go on until a volume is gone. Raises NotReadyError at the limit, saying what held it last."""
    failed, remedy = f"the volume {id_} could not be deleted", "end what holds it, then run the same command again"
    op.report.progress(f"waiting: {obstacle}")
    # Most are this stack's own clusters, which end in moments: only who holds it longer is looked up.
    describe = partial(describe_holders, op, own=record.mark)
    try:
        for obstacle in op.deadline.watch(lambda _: _delete(op, id_, record, describe)):  # noqa: PLR1704
            if not obstacle:
                return
            op.report.progress(f"waiting: {obstacle}")
    except UnavailableError as silence:
        raise NotReadyError(f"{failed}: {obstacle}; then {silence.message}", remedy) from silence
    raise NotReadyError(f"{failed}: {obstacle}", remedy)


VOLUME = Volume()
