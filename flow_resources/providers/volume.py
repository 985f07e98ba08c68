"""The verbs of Volume: storage that outlives the machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, UpdateResult

from flow_resources import engine
from flow_resources.cloud import Cloud
from flow_resources.core import naming, volume_inputs
from flow_resources.core.changes import decide
from flow_resources.core.inputs import Checked, has_unknown, show
from flow_resources.core.naming import Mark
from flow_resources.core.rows import StoredVolume
from flow_resources.core.volume_inputs import FIELDS, SPEC
from flow_resources.errors import (
    EndedError,
    FlowResourcesError,
    NamesakeError,
    NotReadyError,
    RefusedError,
)
from flow_resources.providers import session
from flow_resources.providers.base import (
    MARK,
    NAMED,
    FlowProvider,
    adopts,
    asking_the_service,
    checked,
    gone,
    guard_account,
    hidden,
    not_ready,
    pinned_region,
    service_of,
    taking_over,
    update_not_ready,
    visible,
    warn_of_other_owner,
)
from flow_resources.providers.claiming import claim, next_name, too_old
from flow_resources.providers.waiting import Deadline

TAKE_OVER_WITHIN = 24  # hours; what is older may be the volume of a stack that was renamed
_HELD = (400, 409, 422)  # what the service may answer while something holds a volume


class VolumeProvider(FlowProvider):
    """Volume's verbs. The class holds nothing; its import path is written into states."""

    @engine.verb
    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Report every bad input at once; refuse to lose data unless the program allows it."""
        olds, news = engine.unknowns_in(_olds), engine.unknowns_in(news)
        mark = hidden(olds, news)
        found = volume_inputs.check_volume(visible(news))
        region, regions = None, []
        with asking_the_service(found):
            region = session.current().settings().region
            session.current().cloud().project()
            regions = list(session.current().cloud().market().regions)
        volume_inputs.settle_region(found, pinned_region(olds, news), region, regions)
        volume_inputs.against_regions(found, regions)
        volume_inputs.guard_data(found, olds)
        with asking_the_service(found):
            _check_adoption(found, mark)
        return checked(found, mark, FIELDS)

    @engine.verb
    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Say what a change does; nothing is asked of the service."""
        decision = decide(FIELDS, engine.unknowns_in(_olds), engine.unknowns_in(_news))
        if decision.replaces:
            session.current().warn_once(f"replaced because of {', '.join(decision.replaces)}: the data on it is lost")
        return DiffResult(changes=decision.changes, replaces=list(decision.replaces))

    @engine.verb
    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the volume, or take over what a lost create of ours left."""
        cloud = session.current().cloud()
        volume = self._adopted(cloud, props) or self._claimed(cloud, props)
        try:
            volume = _renamed(cloud, volume, props)
        except Exception as error:  # noqa: BLE001 - the volume exists, and its id must be recorded
            return not_ready(volume.id, _outs(cloud, volume, props), props, error)
        return CreateResult(volume.id, _outs(cloud, volume, props))

    @engine.verb
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Tell what is true now. Only absence from a whole listing of the recorded project is gone."""
        cloud = session.current().cloud()
        guard_account(cloud, props)
        volume = _find(cloud, id_, session.current().clock.now() - 2)
        if volume is None:
            return gone(id_, "volume", props)
        inputs = {one.name: props[one.name] for one in FIELDS if props.get(one.name) is not None}
        inputs.pop("volume_name", None)
        if inputs:  # none for a `Volume.get`
            inputs |= {"size_gb": volume.size_gb, "interface": volume.interface, "region": volume.region}
            inputs |= {MARK: props.get(MARK)} | ({"volume_name": volume.name} if props.get(NAMED) else {})
        return ReadResult(id_, _outs(cloud, volume, inputs), inputs)

    @engine.verb
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Rename in place: the only thing that the service can change on a volume."""
        cloud = session.current().cloud()
        guard_account(cloud, _olds)
        volume = _find(cloud, _id, session.current().clock.now())
        if volume is None:
            raise EndedError(f"the volume {_id} is gone", "`pulumi up --refresh` makes a new one")
        try:
            volume = _renamed(cloud, volume, _news)
        except Exception as error:  # noqa: BLE001 - as in create
            return update_not_ready(_id, _outs(cloud, volume, _news), _news, error)
        return UpdateResult(_outs(cloud, volume, _news))

    @engine.verb
    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Wait until no bid holds the volume, delete it and see it gone. Absent counts as deleted."""
        deadline, cloud = Deadline.of_verb(), session.current().cloud()
        guard_account(cloud, _props)
        session.current().deleted.add(_id)
        recorded, refusal = _props.get("volume_name"), ""
        for _ in deadline.looks():
            volume = _find(cloud, _id, session.current().clock.now())
            if volume is None:
                return
            if recorded and volume.name != recorded:
                raise NamesakeError(
                    f"the volume {_id} is named {volume.name!r} but the state records {recorded!r}",
                    "`pulumi refresh` records the new name, if the volume is still this stack's",
                )
            if volume.bids:
                refusal = f"held by {', '.join(volume.bids)}"
                engine.row(f"waiting: {refusal}")
                continue
            try:
                cloud.delete_volume(_id)
            except RefusedError as error:
                if error.status not in _HELD:
                    raise
                refusal = str(error)
                engine.row(f"waiting: {refusal}")
        raise NotReadyError(f"the volume {_id} could not be deleted: {refusal or 'it is still listed'}",
                            "end what holds it, then run the same command again")  # fmt: skip

    def _adopted(self, cloud: Cloud, props: Mapping[str, Any]) -> StoredVolume | None:
        """Return the volume that the program wants adopted; the first create alone asks for it."""
        id_ = props.get("adopt_volume_id")
        if not id_ or not adopts(str(props.get(MARK)), str(id_)):
            return None
        volume = _find(cloud, str(id_), session.current().clock.now())
        if problem := _differences(volume, props):
            raise RefusedError(
                f"adopt_volume_id: {id_} {problem}", "make the program say the same, or take the line out"
            )
        assert volume is not None  # noqa: S101 - a difference otherwise
        warn_of_other_owner(volume, Mark.parse(str(props[MARK])))
        return volume

    def _claimed(self, cloud: Cloud, props: Mapping[str, Any]) -> StoredVolume:
        """Return the one volume of this resource: a leftover of ours, or a new one."""
        mark = Mark.parse(str(props[MARK]))
        spec = naming.spec_digest({one.name: props.get(one.name) for one in SPEC}, {}, cloud.settings.api_key)
        with session.current().turns[str(mark)]:
            every = cloud.volumes(session.current().clock.now(), with_deleted=True)
            live = [one for one in every if not one.deleted]
            found = claim(live, mark, spec)
            for leftover in found.clear:
                session.current().warn_once(
                    f"{leftover.name} ({leftover.id}) is an older volume of this resource that no state records; "
                    f"it is left as it is: "
                    f"`flow volume delete {leftover.id}` deletes it, adopt_volume_id takes it over"
                )
            if found.take and too_old(found.take, TAKE_OVER_WITHIN):
                raise NamesakeError(
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
        except RefusedError as error:
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


def _taken_name(namesake: StoredVolume | None, name: str, error: RefusedError | None = None) -> FlowResourcesError:
    if namesake is None:
        return error or NamesakeError(f"the project has a volume {name!r} already", "choose another volume_name")
    return NamesakeError(
        f"the project has a volume {name!r} already ({namesake.id})",
        f"choose another volume_name, or take it over with adopt_volume_id={namesake.id!r}",
    )


def _check_adoption(found: Checked, mark: str) -> None:
    id_ = found.known("adopt_volume_id")
    if not id_ or found.failures or not adopts(mark, id_):
        return
    volume = _find(session.current().cloud(), id_, session.current().clock.now() - 5)
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


def _find(cloud: Cloud, id_: str, begun_after: float) -> StoredVolume | None:
    """Return a volume from a whole listing of the project; the service has no GET for one."""
    found = [one for one in cloud.volumes(begun_after) if one.id == id_ and not one.deleted]
    return found[0] if found else None


def _renamed(cloud: Cloud, volume: StoredVolume, props: Mapping[str, Any]) -> StoredVolume:
    name = props.get("volume_name")
    if not name or volume.name == name:
        return volume
    cloud.rename_volume(volume.id, str(name))
    return _find(cloud, volume.id, session.current().clock.now()) or volume


def _outs(cloud: Cloud, volume: StoredVolume, props: Mapping[str, Any]) -> dict[str, Any]:
    """Return all outputs: the inputs as they are, and what the service says."""
    inputs = {one.name: props[one.name] for one in FIELDS if props.get(one.name) is not None}
    kept = {MARK: props[MARK]} if props.get(MARK) else {}
    if "volume_name" in inputs:
        kept[NAMED] = True
    return {
        **inputs,
        "volume_id": volume.id,
        "volume_name": volume.name,
        "project": volume.project,
        "size_gb": volume.size_gb,
        "interface": volume.interface,
        "region": volume.region,
        "attached_to": list(volume.bids),
        "created_at": volume.created_at,
        **kept,
        **service_of(cloud.settings),
    }
