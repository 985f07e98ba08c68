"""The verbs of Volume: storage that outlives the machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, UpdateResult

from flow_resources import engine
from flow_resources.cloud import Cloud
from flow_resources.core import naming, volume_inputs
from flow_resources.core.changes import decide
from flow_resources.core.naming import Mark
from flow_resources.core.rows import StoredVolume
from flow_resources.core.volume_inputs import FIELDS, SPEC
from flow_resources.errors import (
    AccountError,
    EndedError,
    NamesakeError,
    NotReadyError,
    RefusedError,
    SettingsError,
    UnheardError,
)
from flow_resources.providers import session
from flow_resources.providers.base import (
    MARK,
    NAMED,
    FlowProvider,
    checked,
    fail_with,
    gone,
    guard_account,
    hidden,
    is_first_create,
    not_ready,
    pinned_region,
    service_of,
    taking_over,
    update_not_ready,
    visible,
    warn_of_other_owner,
    warn_unchecked,
)
from flow_resources.providers.claiming import claim, next_name
from flow_resources.providers.waiting import Deadline


class VolumeProvider(FlowProvider):
    """Volume's verbs. The class holds nothing; its import path is written into states."""

    @engine.verb
    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Report every bad input at once; refuse to lose data unless the program allows it."""
        olds, news = engine.unknowns_in(_olds), engine.unknowns_in(news)
        mark = hidden(olds, news)
        found = volume_inputs.check_volume(visible(news))
        region, regions = None, []
        try:
            region = session.current().settings().region
            cloud = session.current().cloud()
            cloud.project()
            regions = list(cloud.market().regions)
        except (SettingsError, AccountError) as error:
            fail_with(found, error)
        except UnheardError as error:
            warn_unchecked(error)
        volume_inputs.settle_region(found, pinned_region(olds, news), region, regions)
        volume_inputs.against_regions(found, regions)
        volume_inputs.guard_data(found, olds)
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
                refusal = str(error)
                engine.row(f"waiting: {refusal}")
        raise NotReadyError(f"the volume {_id} could not be deleted: {refusal or 'it is still listed'}",
                            "end what holds it, then run the same command again")  # fmt: skip

    def _adopted(self, cloud: Cloud, props: Mapping[str, Any]) -> StoredVolume | None:
        """Return the volume that the program wants adopted; the first create alone asks for it."""
        id_ = props.get("adopt_volume_id")
        if not id_ or not is_first_create(str(props.get(MARK)), str(id_)):
            return None
        volume = _find(cloud, str(id_), session.current().clock.now())
        if volume is None:
            raise RefusedError(
                f"adopt_volume_id: the project has no volume {id_}", "take the line out to make a new one"
            )
        for name, live in (("size_gb", volume.size_gb), ("interface", volume.interface), ("region", volume.region)):
            if props[name] != live:
                raise RefusedError(f"adopt_volume_id: {id_} has {name} {live!r}, the program says {props[name]!r}",
                                   "make the program say the same, or take the line out")  # fmt: skip
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
            if found.take:
                engine.info(taking_over(found.take))
                return found.take
            engine.row(f"creating {int(props['size_gb']):,} GB of {props['interface']} storage in {props['region']}")
            if props.get("volume_name"):
                return _with_fixed_name(cloud, every, mark, spec, props)
            prefix = naming.fit(naming.logical_name(engine.current().urn or "volume"))
            name = next_name(prefix, mark, spec, found.generation, (one.name for one in every))
            return _create(cloud, name, name, props)


def _create(cloud: Cloud, name: str, key: str, props: Mapping[str, Any]) -> StoredVolume:
    return cloud.create_volume(name, int(props["size_gb"]), str(props["interface"]), str(props["region"]), key)


def _with_fixed_name(
    cloud: Cloud, every: list[StoredVolume], mark: Mark, spec: str, props: Mapping[str, Any]
) -> StoredVolume:
    """Make a volume whose name the user chose, which carries no mark of ours.

    A live namesake is a stranger's, unless the service knows our key for it: then a create of ours made it whose
    answer was lost. The key counts the deleted volumes of the name, so that it is never used twice.
    """
    name = str(props["volume_name"])
    namesakes = [one for one in every if one.name == name]
    key = naming.compose(name, mark, spec, 1 + sum(one.deleted for one in namesakes))
    stranger = next((one for one in namesakes if not one.deleted), None)
    if stranger is None:
        return _create(cloud, name, key, props)
    refusal = NamesakeError(
        f"the project has a volume {name!r} already ({stranger.id})",
        f"choose another volume_name, or take it over with adopt_volume_id={stranger.id!r}",
    )
    try:
        made = _create(cloud, name, key, props)
    except RefusedError as error:
        raise refusal from error
    if made.id == stranger.id:
        return made
    cloud.delete_volume(made.id)  # the service takes a name twice: this one is new and empty
    raise refusal


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
