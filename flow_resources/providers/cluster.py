"""The verbs of GpuCluster: one bid, one Flow task, `num_instances` machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, UpdateResult

from flow_resources import engine
from flow_resources.cloud import Cloud, Launch
from flow_resources.core import cluster_inputs, money, naming
from flow_resources.core.changes import decide, touched
from flow_resources.core.cluster_inputs import FIELDS, SPEC, WAIT_FOR, Market
from flow_resources.core.naming import Mark
from flow_resources.core.rows import Bid
from flow_resources.core.status import Sighting, outputs
from flow_resources.errors import (
    EndedError,
    NamesakeError,
    RefusedError,
)
from flow_resources.providers import session
from flow_resources.providers.base import (
    MARK,
    UNREADY,
    URN,
    FlowProvider,
    adopts,
    asking_the_service,
    checked,
    gone,
    guard_account,
    hidden,
    not_ready,
    owner_is_shared,
    pinned_region,
    service_of,
    still_recorded,
    taking_over,
    update_not_ready,
    visible,
    warn_of_other_owner,
)
from flow_resources.providers.claiming import Claim, claim, too_old
from flow_resources.providers.cluster_check import bid_line, check_against, check_costs, differences, read_market
from flow_resources.providers.cluster_progress import bring_about, end, latest
from flow_resources.providers.waiting import Deadline

# Hours. What a cut-off `up` left is taken over within a day, and ended for another specification within an hour; what
# is older may be the cluster of a stack that was renamed, and is for a person to judge.
TAKE_OVER_WITHIN, CLEAR_WITHIN = 24, 1


class GpuClusterProvider(FlowProvider):
    """GpuCluster's verbs. The class holds nothing; its import path is written into states."""

    @engine.verb
    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Report every bad input at once, each with its path; rent nothing; settle and pin the region.

        A service that cannot be reached costs one warning, never the preview.
        """
        olds, news = engine.unknowns_in(_olds), engine.unknowns_in(news)
        mark = hidden(olds, news)
        found = cluster_inputs.check_cluster(visible(news))
        region, market, budget = None, None, None
        with asking_the_service(found):
            settings = session.current().settings()
            region, budget = settings.region, settings.budget()
            market = read_market(found)
        cluster_inputs.settle_region(found, pinned_region(olds, news), region, market)
        if market:
            with asking_the_service(found):
                check_against(found, market, olds, mark)
        cluster_inputs.drop_hints(found.inputs)
        check_costs(found, str(news.get(URN)), market, budget)
        return checked(found, mark, FIELDS)

    @engine.verb
    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Say what a change does; nothing is asked of the service."""
        olds, news = engine.unknowns_in(_olds), engine.unknowns_in(_news)
        decision = decide(FIELDS, olds, news)
        if olds.get(UNREADY) and not decision.changes:
            return DiffResult(changes=True, replaces=[])
        if decision.replaces:
            session.current().warn_once(
                f"replaced because of {', '.join(decision.replaces)}: what is on the machines' own disks is lost"
            )
        elif "paused" in touched(FIELDS, olds, news) and news.get("paused"):
            session.current().warn_once("pausing loses what is on the machines' own disks")
        return DiffResult(changes=decision.changes, replaces=list(decision.replaces))

    @engine.verb
    def create(self, props: dict[str, Any]) -> CreateResult:
        """Place the bid, or take over what a lost create of ours left, and wait as far as `wait_for` asks.

        Once the service may have accepted the bid this ends in one of three ways: the id is returned; it is recorded
        by a failed initialisation; or the bid is proven absent.
        """
        deadline, cloud = Deadline.of_verb(), session.current().cloud()
        if not props.get("region"):
            raise RefusedError(
                "the region could not be settled while the service was out of reach", "run `pulumi up` again"
            )
        bid = self._adopted(cloud, props) or self._claimed(cloud, props, deadline)
        seen = Sighting(bid, ())
        try:
            seen = bring_about(cloud, bid, props, deadline)
        except Exception as error:  # noqa: BLE001 - whatever it is, the bid is rented and its id must be recorded
            return not_ready(bid.id, _outs(cloud, latest(cloud, seen), props), props, error)
        return CreateResult(bid.id, _outs(cloud, seen, props))

    @engine.verb
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Tell what is true now. Only a 404 or a terminal bid, in the recorded account, is gone."""
        cloud = session.current().cloud()
        guard_account(cloud, props)
        seen = cloud.sight(id_, session.current().clock.now() - 2)
        if seen is None or seen.bid.ended:
            return gone(id_, "task", props)
        seen = Sighting(seen.bid, seen.machines, cloud.history(id_))
        _warn_of_detached(seen, props)
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
        return ReadResult(id_, _outs(cloud, seen, {**props, **inputs}) | more, inputs)

    @engine.verb
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Change price and pause in place, one PATCH each; go on waiting where an earlier `up` had to stop."""
        deadline, cloud = Deadline.of_verb(), session.current().cloud()
        guard_account(cloud, _olds)
        seen = cloud.sight(_id, session.current().clock.now())
        if seen is None or seen.bid.ended:
            raise EndedError(f"the bid {_id} has ended", "`pulumi up --refresh` places a new one")
        changes, unready = touched(FIELDS, _olds, _news), bool(_olds.get(UNREADY))
        if decide(FIELDS, _olds, _news).changes and not changes and not unready:  # state only
            return UpdateResult(_outs(cloud, seen, _news))
        waits = unready or changes != {"max_price_per_hour"}  # a price alone is set, and the auction takes its course
        try:
            seen = bring_about(cloud, seen.bid, _news, deadline, waits=waits)
        except Exception as error:  # noqa: BLE001 - as in create
            return update_not_ready(_id, _outs(cloud, latest(cloud, seen), _news), _news, error)
        return UpdateResult(_outs(cloud, seen, _news))

    @engine.verb
    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """End the bid and see it ended. Absent counts as deleted; a stranger under the recorded id is refused."""
        deadline, cloud = Deadline.of_verb(), session.current().cloud()
        guard_account(cloud, _props)
        session.current().deleted.add(_id)
        bid = cloud.bid(_id)
        if bid is None or bid.ended:
            return
        recorded = _props.get("task_name")
        if recorded and bid.name != recorded:
            raise NamesakeError(
                f"the bid {_id} is named {bid.name!r} but the state records {recorded!r}",
                f"it is not ours to cancel: `pulumi state delete` forgets it, `flow cancel {_id}` ends it",
            )
        end(cloud, bid, deadline)

    # -- create ---------------------------------------------------------------------------------------------------

    def _adopted(self, cloud: Cloud, props: Mapping[str, Any]) -> Bid | None:
        """Return the task that the program wants adopted; the first create alone asks for it."""
        id_ = props.get("adopt_task_id")
        if not id_ or not adopts(str(props.get(MARK)), str(id_)):
            return None
        bid = cloud.bid(str(id_))
        if bid is None:
            raise RefusedError(f"adopt_task_id: there is no task {id_}", "take the line out to place a new bid")
        if problem := differences(bid, props, cloud.market(), cloud.project().id):
            raise RefusedError(
                f"adopt_task_id: the task {id_} {problem}", "make the program say the same, or take the line out"
            )
        warn_of_other_owner(bid, Mark.parse(str(props[MARK])))
        engine.row(f"adopting {bid.name} ({bid.id})")
        return bid

    def _claimed(self, cloud: Cloud, props: Mapping[str, Any], deadline: Deadline) -> Bid:
        """Return the one bid of this resource: a leftover of ours, or a new one."""
        mark = Mark.parse(str(props[MARK]))
        spec = _digest(props, cloud.settings.api_key)
        with session.current().turns[str(mark)]:
            live = cloud.live_bids(session.current().clock.now()).values()
            found = claim(live, mark, spec)
            for leftover in found.clear:
                _refuse_to_end(leftover)
                engine.info(f"ending {leftover.name} ({leftover.id}), which an earlier, interrupted `up` left running")
                end(cloud, leftover, deadline)
            if found.take:
                return _taken(found.take, props)
            return self._placed(cloud, props, found, mark, spec)

    def _placed(self, cloud: Cloud, props: Mapping[str, Any], found: Claim[Bid], mark: Mark, spec: str) -> Bid:
        """Place a bid under a name that was never used."""
        prefix = str(props.get("name_prefix") or naming.fit(naming.logical_name(engine.current().urn or "cluster")))
        generation = found.generation
        while namesakes := cloud.bids_named(name := naming.compose(prefix, mark, spec, generation)):
            for one in namesakes:
                if not one.ended and one.id not in still_recorded(str(mark)):
                    raise NamesakeError(
                        f"the bid {one.id} has the name {name!r} already and is not ours",
                        f"`flow cancel {one.id}` ends it; adopt_task_id={one.id!r} takes it over",
                    )
            generation += 1
        launch = _launch(cloud, name, props)
        engine.row(f"placing: {bid_line(props, None)}")
        placed = cloud.place(launch)
        for key in placed.new_keys:
            engine.info(f"the Flow SDK made the platform SSH key {key.name!r}; its private half is {key}")
        return placed.bid


# -- what goes into the state ------------------------------------------------------------------------------------------


def _outs(cloud: Cloud, seen: Sighting, props: Mapping[str, Any]) -> dict[str, Any]:
    """Return all outputs: the inputs as they are, and what the service says."""
    inputs = {one.name: props[one.name] for one in FIELDS if props.get(one.name) is not None}
    mark = {MARK: props[MARK]} if props.get(MARK) else {}
    return {**inputs, **outputs(seen), **mark, **service_of(cloud.settings)}


def _drifted(seen: Sighting, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs as the service holds them now, so that drift shows as a diff."""
    live: dict[str, Any] = {"paused": seen.bid.status == "Paused"}
    if seen.bid.price is not None:
        live["max_price_per_hour"] = float(seen.bid.price)
    return {name: value for name, value in live.items() if name in inputs}


def _warn_of_detached(seen: Sighting, props: Mapping[str, Any]) -> None:
    mounted = {str(mount.get("volume_id")) for mount in props.get("volumes") or []}
    for detached in sorted(mounted - set(seen.bid.volumes)):
        session.current().warn_once(
            f"the volume {detached} is not attached to {seen.bid.id} any more; nothing is replaced because of that"
        )


# -- launching ---------------------------------------------------------------------------------------------------------


def _launch(cloud: Cloud, name: str, props: Mapping[str, Any]) -> Launch:
    region, mounts = str(props["region"]), props.get("volumes") or []
    market = cloud.market(volumes=bool(mounts))
    offer = market.offer(str(props["instance_type"]), region)
    if offer is None:
        raise RefusedError(
            f"{props['instance_type']} is not on offer in {region} now", "choose another region or instance type"
        )
    keys = {} if not props.get("ssh_keys") else cloud.ssh_keys()
    return Launch(
        name=name,
        instance_type=offer.instance_type,
        num_instances=int(props.get("num_instances") or 1),
        price=money.price(props["max_price_per_hour"]),
        region=region,
        command=props.get("command") or "sleep infinity",
        image=props.get("image"),
        env=props.get("env") or {},
        ports=tuple(int(port) for port in props.get("ports") or ()),
        volumes=tuple(
            (mount["volume_id"], mount["mount_path"], _interface(market, mount["volume_id"])) for mount in mounts
        ),
        ssh_keys=tuple(keys[key] for key in props.get("ssh_keys") or ()),
    )


def _interface(market: Market, volume_id: str) -> str:
    stored = market.volumes.get(volume_id)
    return stored.interface if stored else "file"


def _taken(bid: Bid, props: Mapping[str, Any]) -> Bid:
    """Check that a leftover is what its name says, and say that it is taken over."""
    if bid.quantity != int(props.get("num_instances") or 1) or bid.region != props.get("region"):
        raise NamesakeError(
            f"the bid {bid.id} has our name {bid.name!r} but is not what the program says",
            f"`flow cancel {bid.id}` ends it; adopt_task_id={bid.id!r} takes it over",
        )
    if too_old(bid, TAKE_OVER_WITHIN):
        raise _not_sure(bid)
    engine.info(taking_over(bid))
    return bid


def _refuse_to_end(bid: Bid) -> None:
    """Raise NamesakeError for a leftover that may be another stack's: ending a cluster that runs cannot be undone."""
    if too_old(bid, CLEAR_WITHIN) or owner_is_shared():
        raise _not_sure(bid)


def _not_sure(bid: Bid) -> NamesakeError:
    return NamesakeError(
        f"the bid {bid.id} ({bid.name}, of {bid.created_at}) carries this resource's mark, "
        "but this stack's state does not record it",
        f"`flow cancel {bid.id}` ends it; adopt_task_id={bid.id!r} takes it over",
    )


def _digest(props: Mapping[str, Any], key: str) -> str:
    spec = {one.name: props.get(one.name) for one in SPEC if not one.quiet}
    sealed = {
        one.name: value for one in SPEC if one.quiet and (value := props.get(one.name)) not in (None, one.default)
    }
    return naming.spec_digest(spec, sealed, key)
