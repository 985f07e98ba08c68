"""The verbs of GpuCluster: one bid, one Flow task, `num_instances` machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, UpdateResult

from flow_resources import engine
from flow_resources.cloud import Cloud
from flow_resources.core import cluster_fields
from flow_resources.core.cluster_fields import FIELDS, WAIT_FOR
from flow_resources.core.diff import diff_inputs, fields_to_update
from flow_resources.core.market import drop_hints, resolve_region
from flow_resources.core.naming import Mark
from flow_resources.core.status import ClusterSnapshot, outputs
from flow_resources.errors import (
    OwnershipError,
    RejectedError,
    TerminatedError,
)
from flow_resources.providers import session
from flow_resources.providers.base import (
    MARK,
    UNREADY,
    URN,
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
from flow_resources.providers.cluster_check import check_against, check_costs, read_market
from flow_resources.providers.cluster_placing import adopted, claimed
from flow_resources.providers.cluster_progress import converge, describe_cost, end, latest, with_history
from flow_resources.providers.records import holds, is_held_by_another, new_record, record_of


class GpuClusterProvider(FlowProvider):
    """GpuCluster's verbs. The class holds nothing; its import path is written into states."""

    @engine.verb
    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Report every bad input at once, each with its path; rent nothing; settle and pin the region.

        A service that cannot be reached costs one warning, never the preview.
        """
        olds, news = engine.unknowns_in(_olds), engine.unknowns_in(news)
        _keep_quiet(olds, news)
        mark = hidden(olds, news)
        found = cluster_fields.check_cluster(visible(news))
        region, market, budget = None, None, None
        with asking_the_service(found):
            settings = session.current().settings()
            region, budget = settings.region, settings.budget()
            market = read_market(found)
        resolve_region(found, previously_resolved_region(olds, news), region, market)
        if market:
            with asking_the_service(found):
                check_against(found, market, olds, mark)
        drop_hints(found.inputs)
        check_costs(found, str(news.get(URN)), market, budget)
        return checked(found, mark, FIELDS)

    @engine.verb
    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Say what a change does; nothing is asked of the service."""
        olds, news = engine.unknowns_in(_olds), engine.unknowns_in(_news)
        _keep_quiet(olds, news)
        guard_preview(olds)
        holds(_id, olds)
        diff = diff_inputs(FIELDS, olds, news)
        if olds.get(UNREADY) and not diff.changes:
            return DiffResult(changes=True, replaces=[])
        if diff.replaces:
            session.current().warn_once(
                f"replaced because of {', '.join(diff.replaces)}: what is on the machines' own disks is lost"
            )
        elif "paused" in fields_to_update(FIELDS, olds, news) and news.get("paused"):
            session.current().warn_once("pausing loses what is on the machines' own disks")
        return DiffResult(changes=diff.changes, replaces=list(diff.replaces))

    @engine.verb
    def create(self, props: dict[str, Any]) -> CreateResult:
        """Place the bid, or take over what a lost create of ours left, and wait as far as `wait_for` asks.

        Once the service may have accepted the bid this ends in one of three ways: the id is returned; it is recorded
        by a failed initialisation; or the bid is proven absent.
        """
        _keep_quiet(props)
        deadline, cloud = session.current().deadline(), session.current().cloud()
        if not props.get("region"):
            raise RejectedError(
                "the region could not be settled while the service was out of reach", "run `pulumi up` again"
            )
        bid = adopted(cloud, props) or claimed(cloud, props, deadline)
        seen, record = ClusterSnapshot(bid, ()), new_record()
        holds(bid.id, record)
        try:
            seen = converge(cloud, bid, props, deadline, {})
        except Exception as error:  # noqa: BLE001 - whatever it is, the bid is rented and its id must be recorded
            return not_ready(bid.id, _outs(cloud, latest(cloud, seen), props, record), props, error)
        return CreateResult(bid.id, _outs(cloud, seen, props, record))

    @engine.verb
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Tell what is true now. Only a 404 or a terminal bid, in the recorded account, is gone."""
        _keep_quiet(props)
        cloud = session.current().cloud()
        guard_account(cloud, props)
        moment = session.current().clock.now() - 2
        seen = cloud.observe(id_, moment)
        if seen is None or seen.bid.ended:
            return gone(id_, "task", props)
        seen = with_history(cloud, seen, props)
        _warn_of_detached(seen, props)
        if mark := props.get(MARK):
            warn_of_surplus(cloud.live_bids(moment).values(), Mark.parse(str(mark)), {id_}, describe_cost)
        if props.get("status") not in (None, seen.status):
            engine.info(f"was {props['status']}, now {seen.message}")
        inputs = {one.name: props[one.name] for one in FIELDS if props.get(one.name) is not None}
        if inputs:  # none for a `GpuCluster.get`
            inputs |= _drifted(seen, inputs) | {MARK: props.get(MARK)}
            unready = props.get(UNREADY) and not seen.reached(str(props.get("wait_for") or WAIT_FOR[-1]))
            more: dict[str, Any] = {UNREADY: True} if unready else {}
        else:
            more = {
                "num_instances": seen.bid.quantity,
                "instance_type": seen.bid.instance_type,
                "paused": seen.bid.status == "Paused",
            }
        return ReadResult(id_, _outs(cloud, seen, {**props, **inputs}, props) | more, inputs)

    @engine.verb
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Change price and pause in place, one PATCH each; go on waiting where an earlier `up` had to stop."""
        _keep_quiet(_olds, _news)
        deadline, cloud = session.current().deadline(), session.current().cloud()
        guard_account(cloud, _olds)
        seen = cloud.observe_while_waiting(_id, session.current().clock.now() - 2)
        if seen is None or seen.bid.ended:
            raise TerminatedError(f"the bid {_id} has ended", "`pulumi up --refresh` places a new one")
        changes, unready = fields_to_update(FIELDS, _olds, _news), bool(_olds.get(UNREADY))
        if diff_inputs(FIELDS, _olds, _news).changes and not changes and not unready:  # state only
            return UpdateResult(_outs(cloud, seen, _news, _olds))
        waits = unready or changes != {"max_price_per_hour"}  # a price alone is set, and the auction takes its course
        try:
            seen = converge(cloud, seen.bid, _news, deadline, _olds, waits=waits)
        except Exception as error:  # noqa: BLE001 - as in create
            return update_not_ready(_id, _outs(cloud, latest(cloud, seen), _news, _olds), _news, error)
        return UpdateResult(_outs(cloud, seen, _news, _olds))

    @engine.verb
    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """End the bid and see it ended. Absent counts as deleted; a stranger under the recorded id is refused."""
        _keep_quiet(_props)
        deadline, cloud = session.current().deadline(), session.current().cloud()
        guard_account(cloud, _props)
        if is_held_by_another(_id, _props):
            return
        bid = cloud.recently_allocated(_id) or cloud.bid(_id)
        recorded = _props.get("task_name")
        if bid and not bid.ended and recorded and bid.name != recorded:
            raise OwnershipError(
                f"the bid {_id} is named {bid.name!r} but the state records {recorded!r}",
                f"it is not ours to cancel: `pulumi state delete` forgets it, `flow cancel {_id}` ends it",
            )
        if bid and not bid.ended:
            end(cloud, bid, deadline)
        session.current().deleted.add(_id)


def _keep_quiet(*bags: Mapping[str, Any]) -> None:
    """Remember what may be secret before anybody is asked who could repeat it."""
    for bag in bags:
        for one in FIELDS:
            if one.sensitive and bag.get(one.name) != one.default:
                engine.redactor.register(bag.get(one.name))


# -- what goes into the state ------------------------------------------------------------------------------------------


def _outs(cloud: Cloud, seen: ClusterSnapshot, props: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Return all outputs: the inputs as they are, what the service says, and the word of the record."""
    inputs = {one.name: props[one.name] for one in FIELDS if props.get(one.name) is not None}
    mark = {MARK: props[MARK]} if props.get(MARK) else {}
    return {**inputs, **outputs(seen), **mark, **record_of(record), **service_of(cloud.settings)}


def _drifted(seen: ClusterSnapshot, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs as the service holds them now, so that drift shows as a diff."""
    live: dict[str, Any] = {"paused": seen.bid.status == "Paused"}
    if seen.bid.price is not None:
        live["max_price_per_hour"] = float(seen.bid.price)
    return {name: value for name, value in live.items() if name in inputs}


def _warn_of_detached(seen: ClusterSnapshot, props: Mapping[str, Any]) -> None:
    mounted = {str(mount.get("volume_id")) for mount in props.get("volumes") or []}
    for detached in sorted(mounted - set(seen.bid.volumes)):
        session.current().warn_once(
            f"the volume {detached} is not attached to {seen.bid.id} any more; nothing is replaced because of that"
        )
