"""Coming by the one volume of a resource: adopted, taken over from a lost create, or made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flow_resources import engine
from flow_resources.cloud import Cloud
from flow_resources.core import naming
from flow_resources.core.inputs import Checked, has_unknown, show
from flow_resources.core.models import StoredVolume
from flow_resources.core.naming import Mark
from flow_resources.core.volume_fields import SPEC
from flow_resources.errors import FlowResourcesError, OwnershipError, RejectedError
from flow_resources.providers import session
from flow_resources.providers.base import (
    MARK,
    adopts,
    owner_is_shared,
    still_recorded,
    taking_over,
    warn_of_other_owner,
)
from flow_resources.providers.claiming import TAKE_OVER_WITHIN, claim, next_name, too_old, warn_of_surplus


def adopted(cloud: Cloud, props: Mapping[str, Any]) -> StoredVolume | None:
    """Return the volume that the program wants adopted; the first create alone asks for it."""
    id_ = props.get("adopt_volume_id")
    if not id_ or not adopts(str(props.get(MARK)), str(id_)):
        return None
    volume = find(cloud, str(id_), session.current().clock.now())
    if problem := _differences(volume, props):
        raise RejectedError(f"adopt_volume_id: {id_} {problem}", "make the program say the same, or take the line out")
    assert volume is not None  # noqa: S101 - a difference otherwise
    warn_of_other_owner(volume, Mark.parse(str(props[MARK])))
    return volume


def claimed(cloud: Cloud, props: Mapping[str, Any]) -> StoredVolume:
    """Return the one volume of this resource: a leftover of ours, or a new one."""
    mark = Mark.parse(str(props[MARK]))
    spec = naming.spec_digest({one.name: props.get(one.name) for one in SPEC}, {}, cloud.settings.api_key)
    with session.current().turns[str(mark)]:
        every = cloud.volumes(session.current().clock.now(), with_deleted=True)
        live = [one for one in every if not one.deleted]
        found = claim(live, mark, spec)
        warn_of_surplus(found.unsure, mark, still_recorded(str(mark)), describe_cost)
        for leftover in found.clear:
            session.current().warn_once(
                f"{leftover.name} ({leftover.id}) is an older volume of this resource that no state records; "
                f"it is left as it is: "
                f"`flow volume delete {leftover.id}` deletes it, adopt_volume_id takes it over"
            )
        # A leftover is mounted by nobody: a cluster is placed when its volumes are recorded.
        if found.take and (too_old(found.take, TAKE_OVER_WITHIN) or (owner_is_shared() and found.take.bids)):
            raise OwnershipError(
                f"the volume {found.take.id} ({found.take.name}, of {found.take.created_at}) carries this "
                "resource's mark, but this stack's state does not record it",
                f"adopt_volume_id={found.take.id!r} takes it over; `flow volume delete {found.take.id}` deletes it",
            )
        if found.take:
            engine.info(taking_over(found.take))
            return found.take
        engine.row(f"creating {int(props['size_gb']):,} GB of {props['interface']} storage in {props['region']}")
        if props.get("volume_name"):
            return _with_fixed_name(cloud, every, mark, spec, props)
        return _with_marked_name(cloud, every, mark, spec, found.generation, props)


def _with_marked_name(
    cloud: Cloud, every: list[StoredVolume], mark: Mark, spec: str, generation: int, props: Mapping[str, Any]
) -> StoredVolume:
    """Make a volume under a name that was never used."""
    prefix, known = naming.fit(naming.logical_name(engine.current().urn or "volume")), {one.id for one in every}
    used = {one.name for one in every}
    while True:
        name = next_name(prefix, mark, spec, generation, used)
        made = _create(cloud, name, name, props)
        if made.id not in known:
            return made
        used.add(name)  # the service still knows the key of a volume that was renamed since


def _create(cloud: Cloud, name: str, key: str, props: Mapping[str, Any]) -> StoredVolume:
    key = naming.sending(cloud.project().id, key)
    return cloud.create_volume(name, int(props["size_gb"]), str(props["interface"]), str(props["region"]), key)


def _with_fixed_name(
    cloud: Cloud, every: list[StoredVolume], mark: Mark, spec: str, props: Mapping[str, Any]
) -> StoredVolume:
    """Make a volume whose name the user chose, which carries no mark of ours.

    A live namesake is a stranger's, unless the service knows our key for it: then a create of ours made it whose
    answer was lost. The key counts what the name was used for; an answer that was there before, under whatever name,
    is never deleted.
    """
    name, known = str(props["volume_name"]), {one.id for one in every}
    namesake = next((one for one in every if one.name == name and not one.deleted), None)
    generation = 1 + sum(one.deleted for one in every if one.name == name)
    while True:
        try:
            made = _create(cloud, name, naming.compose(name, mark, spec, generation), props)
        except RejectedError as error:
            raise _taken_name(namesake, name, error) from error
        if namesake and made.id == namesake.id:
            return made
        if made.id in known:  # the service still knows the key of a volume that was renamed since
            generation += 1
        elif namesake:
            cloud.delete_volume(made.id)  # the service takes a name twice; this one was made a moment ago
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


def check_adoption(found: Checked, mark: str) -> None:
    """Report at preview what would keep the volume from being adopted."""
    id_ = found.known("adopt_volume_id")
    if not id_ or found.failures or not adopts(mark, id_):
        return
    volume = find(session.current().cloud(), id_, session.current().clock.now() - 5)
    if problem := _differences(volume, found.inputs):
        found.fail("adopt_volume_id", problem, id_, "make the program say the same, or take the line out")


def _differences(volume: StoredVolume | None, props: Mapping[str, Any]) -> str:
    """Say how a volume differs from the program in what cannot be changed; empty where it does not."""
    if volume is None:
        return "is no volume of the project"
    live = {"size_gb": volume.size_gb, "interface": volume.interface, "region": volume.region}
    return " and ".join(
        f"has {name} {value!r}, the program says {show(props[name]) if name in props else 'nothing'}"
        for name, value in live.items()
        if name in props and not has_unknown(props[name]) and props[name] != value
    )


def find(cloud: Cloud, id_: str, begun_after: float) -> StoredVolume | None:
    """Return a volume from a whole listing of the project; the service has no GET for one."""
    return next((one for one in cloud.volumes(begun_after) if one.id == id_), None)


def describe_cost(volume: StoredVolume) -> str:
    """Say how large a volume is."""
    return f"{volume.size_gb:,} GB"
