"""The storage behind a volume: found, made under a name that is free, deleted once nothing holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from flow_resources.cloud import Cloud, MadeVolume
from flow_resources.core import naming
from flow_resources.core.hidden import Record
from flow_resources.core.inputs import show
from flow_resources.core.models import StoredVolume
from flow_resources.core.spec import VolumeSpec
from flow_resources.errors import (
    FlowResourcesError,
    OwnershipError,
    RejectedError,
)
from flow_resources.lifecycle.holders import Describe, delete_when_free
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.resource import Words, require_name

_ATTACHED = (400, 409, 422)  # what the service may answer while something holds a volume


def find(cloud: Cloud, id_: str, begun_after: float) -> StoredVolume | None:
    """Return a volume from a whole listing of the project; the service has no GET for one."""
    return next((volume for volume in cloud.volumes(begun_after) if volume.id == id_), None)


def _find_with_deleted(cloud: Cloud, id_: str, begun_after: float) -> StoredVolume | None:
    """Return a volume from a listing that has the deleted ones too; None where nothing is known of it."""
    listed = cloud.volumes(begun_after, with_deleted=True)
    return next((volume for volume in listed if volume.id == id_), None)


def find_live(op: Operation, id_: str, begun_after: float) -> StoredVolume | None:
    """Return a volume; None only where a second listing, which began later, does not have it as live either."""
    if volume := find(op.cloud, id_, begun_after):
        return volume
    volume = _find_with_deleted(op.cloud, id_, op.clock.now())
    return None if volume is None or volume.deleted else volume


def warn_of_differences(op: Operation, volume: StoredVolume, inputs: Mapping[str, Any]) -> None:
    """Warn of what the service has otherwise than the program says; what it does not say is not otherwise."""
    live = {"size_gb": volume.size_gb, "interface": volume.interface, "region": volume.region}
    known = {name: None if value is None else inputs.get(name) for name, value in live.items()}
    if problem := differences(volume, **known):
        op.warn_once(f"the volume {volume.id} {problem}; nothing is replaced because of that")


def differences(volume: StoredVolume | None, *, size_gb: int | None, interface: str | None, region: str | None) -> str:
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


def make(op: Operation, spec: VolumeSpec, generation: int, listed: Sequence[StoredVolume]) -> MadeVolume:
    """Make a volume, under the name that the program chose or under one with the mark."""
    if spec.volume_name:
        return _make_with_fixed_name(op, spec, spec.volume_name, listed)
    return _make_with_marked_name(op, spec, generation, listed)


def _make_with_marked_name(
    op: Operation, spec: VolumeSpec, generation: int, listed: Sequence[StoredVolume]
) -> MadeVolume:
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


def _make_with_fixed_name(op: Operation, spec: VolumeSpec, name: str, listed: Sequence[StoredVolume]) -> MadeVolume:
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


def delete(op: Operation, words: Words, id_: str, record: Record) -> None:
    """Wait until no bid holds a volume, delete it and see it gone.

    Silence ends it before anything has begun; after that the limit does, as with clusters.
    """
    delete_when_free(op, f"the volume {id_}", record.mark, partial(_try_to_delete, op, words, id_, record))


def _try_to_delete(op: Operation, words: Words, id_: str, record: Record, describe: Describe) -> str:
    """Delete a volume that nothing holds; return what is in the way, nothing where the volume is gone.

    `describe` says who the bids are that hold it.
    """
    volume = find(op.cloud, id_, op.clock.now())
    if volume is None:
        volume = _find_with_deleted(op.cloud, id_, op.clock.now())
    if volume and volume.deleted:
        return ""
    if volume:
        require_name(volume, words)
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
    return "it is still listed" if find(op.cloud, id_, op.clock.now()) else ""
