"""The verbs of Volume: storage that outlives the machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, UpdateResult

from flow_resources import engine
from flow_resources.cloud import Cloud
from flow_resources.core import volume_fields
from flow_resources.core.diff import diff_inputs
from flow_resources.core.market import check_regions
from flow_resources.core.models import StoredVolume
from flow_resources.core.naming import Mark
from flow_resources.core.volume_fields import FIELDS
from flow_resources.errors import (
    NotReadyError,
    OwnershipError,
    RejectedError,
    TerminatedError,
    UnavailableError,
)
from flow_resources.providers import session
from flow_resources.providers.base import (
    MARK,
    NAMED,
    FlowProvider,
    asking_the_service,
    checked,
    gone,
    guard_account,
    guard_preview,
    hidden,
    not_ready,
    previously_resolved_region,
    service_of,
    update_not_ready,
    visible,
)
from flow_resources.providers.claiming import warn_of_surplus
from flow_resources.providers.holders import named_holders
from flow_resources.providers.records import holds, is_held_by_another, new_record, record_of
from flow_resources.providers.volume_making import adopted, check_adoption, claimed, describe_cost, find
from flow_resources.providers.waiting import Deadline

_HELD = (400, 409, 422)  # what the service may answer while something holds a volume


class VolumeProvider(FlowProvider):
    """Volume's verbs. The class holds nothing; its import path is written into states."""

    @engine.verb
    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Report every bad input at once; refuse to lose data unless the program allows it."""
        olds, news = engine.unknowns_in(_olds), engine.unknowns_in(news)
        mark = hidden(olds, news)
        found = volume_fields.check_volume(visible(news))
        region, regions = None, []
        with asking_the_service(found):
            region = session.current().settings().region
            session.current().cloud().project()
            regions = list(session.current().cloud().market().regions)
        volume_fields.resolve_region(found, previously_resolved_region(olds, news), region, regions)
        check_regions(found, regions)
        volume_fields.guard_data(found, olds)
        with asking_the_service(found):
            check_adoption(found, mark)
        return checked(found, mark, FIELDS)

    @engine.verb
    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Say what a change does; nothing is asked of the service."""
        guard_preview(_olds)
        holds(_id, _olds)
        diff = diff_inputs(FIELDS, engine.unknowns_in(_olds), engine.unknowns_in(_news))
        if diff.replaces:
            session.current().warn_once(f"replaced because of {', '.join(diff.replaces)}: the data on it is lost")
        return DiffResult(changes=diff.changes, replaces=list(diff.replaces))

    @engine.verb
    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the volume, or take over what a lost create of ours left."""
        cloud = session.current().cloud()
        volume = adopted(cloud, props) or claimed(cloud, props)
        record = new_record()
        holds(volume.id, record)
        try:
            volume = _renamed(cloud, volume, props)
        except Exception as error:  # noqa: BLE001 - the volume exists, and its id must be recorded
            return not_ready(volume.id, _outs(cloud, volume, props, record), props, error)
        return CreateResult(volume.id, _outs(cloud, volume, props, record))

    @engine.verb
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Tell what is true now. Only absence from a whole listing of the recorded project is gone."""
        cloud = session.current().cloud()
        guard_account(cloud, props)
        moment = session.current().clock.now() - 2
        volume = find(cloud, id_, moment)
        if volume is None:
            return gone(id_, "volume", props)
        if mark := props.get(MARK):
            warn_of_surplus(cloud.volumes(moment), Mark.parse(str(mark)), {id_}, describe_cost)
        inputs = {one.name: props[one.name] for one in FIELDS if props.get(one.name) is not None}
        inputs.pop("volume_name", None)
        if inputs:  # none for a `Volume.get`
            inputs |= {"size_gb": volume.size_gb, "interface": volume.interface, "region": volume.region}
            inputs |= {MARK: props.get(MARK)} | ({"volume_name": volume.name} if props.get(NAMED) else {})
        return ReadResult(id_, _outs(cloud, volume, inputs, props), inputs)

    @engine.verb
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Rename in place: the only thing that the service can change on a volume."""
        cloud = session.current().cloud()
        guard_account(cloud, _olds)
        volume = find(cloud, _id, session.current().clock.now())
        if volume is None:
            raise TerminatedError(f"the volume {_id} is gone", "`pulumi up --refresh` makes a new one")
        try:
            volume = _renamed(cloud, volume, _news)
        except Exception as error:  # noqa: BLE001 - as in create
            return update_not_ready(_id, _outs(cloud, volume, _news, _olds), _news, error)
        return UpdateResult(_outs(cloud, volume, _news, _olds))

    @engine.verb
    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Wait until no bid holds the volume, delete it and see it gone. Absent counts as deleted.

        Silence ends it before anything has begun; after that the limit does, as with clusters.
        """
        deadline, cloud = session.current().deadline(), session.current().cloud()
        guard_account(cloud, _props)
        if is_held_by_another(_id, _props):
            return
        if held := _delete(cloud, _id, _props):
            wait_until_deleted(held, deadline, cloud, _id, _props)
        session.current().deleted.add(_id)


def _delete(cloud: Cloud, id_: str, props: Mapping[str, Any], tell: Callable[[Sequence[str]], str] = ", ".join) -> str:
    """Delete a volume that nothing holds; return what is in the way, nothing where the volume is gone.

    `tell` says who the bids are that hold it.
    """
    volume, recorded = find(cloud, id_, session.current().clock.now()), props.get("volume_name")
    if volume is None:
        return ""
    if recorded and volume.name != recorded:
        raise OwnershipError(
            f"the volume {id_} is named {volume.name!r} but the state records {recorded!r}",
            "if it is still this stack's, `pulumi refresh` records the new name; "
            "one that only waits for its deletion is not refreshed, and needs the recorded name back",
        )
    if volume.bids:
        return f"held by {tell(volume.bids)}"
    try:
        cloud.delete_volume(id_)
    except RejectedError as error:
        if error.status not in _HELD:
            raise
        return str(error)
    return "it is still listed" if find(cloud, id_, session.current().clock.now()) else ""


def wait_until_deleted(held: str, deadline: Deadline, cloud: Cloud, id_: str, props: Mapping[str, Any]) -> None:
    """Go on until a volume is gone. Raises NotReadyError at the limit, saying what held it last."""
    failed, again = f"the volume {id_} could not be deleted", "end what holds it, then run the same command again"
    engine.row(f"waiting: {held}")
    # Most are this stack's own clusters, which end in moments: only who holds it longer is looked up.
    tell = partial(named_holders, cloud, own=str(props.get(MARK) or ""))
    try:
        for held in deadline.watch(lambda _: _delete(cloud, id_, props, tell)):  # noqa: PLR1704 - the newest word counts
            if not held:
                return
            engine.row(f"waiting: {held}")
    except UnavailableError as silence:
        raise NotReadyError(f"{failed}: {held}; then {silence.message}", again) from silence
    raise NotReadyError(f"{failed}: {held}", again)


def _renamed(cloud: Cloud, volume: StoredVolume, props: Mapping[str, Any]) -> StoredVolume:
    name = props.get("volume_name")
    if not name or volume.name == name:
        return volume
    cloud.rename_volume(volume.id, str(name))
    return find(cloud, volume.id, session.current().clock.now()) or volume


def _outs(cloud: Cloud, volume: StoredVolume, props: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Return all outputs: the inputs as they are, what the service says, and the word of the record."""
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
        **record_of(record),
        **service_of(cloud.settings),
    }
