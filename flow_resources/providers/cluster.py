"""The verbs of GpuCluster: one bid, one Flow task, `num_instances` machines."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, UpdateResult

from flow_resources import engine
from flow_resources.cloud import Cloud, Launch
from flow_resources.core import cluster_inputs, money, naming
from flow_resources.core.changes import decide, touched
from flow_resources.core.cluster_inputs import FIELDS, SPEC, WAIT_FOR, Market
from flow_resources.core.inputs import Checked, has_unknown
from flow_resources.core.naming import Mark
from flow_resources.core.rows import Bid
from flow_resources.core.status import Sighting, outputs
from flow_resources.errors import (
    AccountError,
    EndedError,
    FlowResourcesError,
    NamesakeError,
    NotReadyError,
    RefusedError,
    SettingsError,
    UnheardError,
)
from flow_resources.providers import session
from flow_resources.providers.base import (
    MARK,
    URN,
    FlowProvider,
    checked,
    fail_with,
    guard_account,
    hidden,
    is_first_create,
    not_ready,
    service_of,
    update_not_ready,
    visible,
)
from flow_resources.providers.claiming import Claim, claim, parts_of
from flow_resources.providers.waiting import Deadline

_SELF_MANAGED = "organization/"  # the owner's organization on a self-managed backend, the same for everyone


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
        try:
            settings = session.current().settings()
            region, budget = settings.region, settings.max_cost_per_hour
            market = _market(found, mark)
        except (SettingsError, AccountError) as error:
            fail_with(found, error)
        except UnheardError as error:
            session.current().warn_once(f"the inputs are not checked against the market: {error}", about="")
        cluster_inputs.settle_region(found, _pinned(olds, news), region, market)
        if market:
            cluster_inputs.against_market(found, market)
        cluster_inputs.drop_hints(found.inputs)
        _check_costs(found, str(news.get(URN)), market, budget)
        return checked(found, mark, FIELDS)

    @engine.verb
    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Say what a change does; nothing is asked of the service."""
        olds, news = engine.unknowns_in(_olds), engine.unknowns_in(_news)
        decision = decide(FIELDS, olds, news)
        if decision.replaces:
            session.current().warn_once(f"replaced because of {', '.join(decision.replaces)}: what is on the machines' own disks is lost")
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
            raise RefusedError("the region could not be settled while the service was out of reach", "run `pulumi up` again")
        bid = self._adopted(cloud, props) or self._claimed(cloud, props, deadline)
        seen = Sighting(bid, ())
        try:
            seen = _bring_about(cloud, bid, props, deadline)
        except Exception as error:  # noqa: BLE001 - whatever it is, the bid is rented and its id must be recorded
            return not_ready(bid.id, _outs(cloud, _latest(cloud, seen), props), props, error)
        return CreateResult(bid.id, _outs(cloud, seen, props))

    @engine.verb
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Tell what is true now. Only a 404 or a terminal bid, in the recorded account, is gone."""
        cloud = session.current().cloud()
        guard_account(cloud, props)
        seen = cloud.sight(id_, session.current().clock.now() - 2)
        if seen is None or seen.bid.ended:
            return ReadResult(id_="", outs={})
        seen = Sighting(seen.bid, seen.machines, cloud.history(id_))
        _warn_of_detached(seen, props)
        inputs = {one.name: props[one.name] for one in FIELDS if props.get(one.name) is not None}
        if inputs:  # none for a `GpuCluster.get`
            inputs |= _drifted(seen, inputs) | {MARK: props.get(MARK)}
        return ReadResult(id_, _outs(cloud, seen, {**props, **inputs}), inputs)

    @engine.verb
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Change price and pause in place, one PATCH each; go on waiting where an earlier `up` had to stop."""
        deadline, cloud = Deadline.of_verb(), session.current().cloud()
        guard_account(cloud, _olds)
        seen = cloud.sight(_id, session.current().clock.now())
        if seen is None or seen.bid.ended:
            raise EndedError(f"the bid {_id} has ended", "`pulumi up --refresh` places a new one")
        changes = touched(FIELDS, _olds, _news)
        decision = decide(FIELDS, _olds, _news)
        if decision.changes and not changes:  # state only
            return UpdateResult(_outs(cloud, seen, _news))
        try:
            seen = _bring_about(cloud, seen.bid, _news, deadline)
        except Exception as error:  # noqa: BLE001 - as in create
            return update_not_ready(_id, _outs(cloud, _latest(cloud, seen), _news), _news, error)
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
        _end(cloud, bid, deadline)

    # -- create ---------------------------------------------------------------------------------------------------

    def _adopted(self, cloud: Cloud, props: Mapping[str, Any]) -> Bid | None:
        """Return the task that the program wants adopted; the first create alone asks for it."""
        id_ = props.get("adopt_task_id")
        if not id_ or not is_first_create(str(props.get(MARK)), str(id_)):
            return None
        bid = cloud.bid(str(id_))
        if bid is None:
            raise RefusedError(f"adopt_task_id: there is no task {id_}", "take the line out to place a new bid")
        if problem := _differences(bid, props, cloud.market()):
            raise RefusedError(f"adopt_task_id: the task {id_} {problem}", "make the program say the same, or take the line out")
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
                engine.info(f"ending {leftover.name} ({leftover.id}), which an earlier, interrupted `up` left running")
                _end(cloud, leftover, deadline)
            if found.take:
                return _taken(found.take, props)
            return self._placed(cloud, props, found, mark, spec)

    def _placed(self, cloud: Cloud, props: Mapping[str, Any], found: Claim[Bid], mark: Mark, spec: str) -> Bid:
        """Place a bid under a name that was never used."""
        prefix = str(props.get("name_prefix") or naming.fit(naming.logical_name(engine.current().urn or "cluster")))
        generation = found.generation
        while namesakes := cloud.bids_named(name := naming.compose(prefix, mark, spec, generation)):
            for one in namesakes:
                if not one.ended and session.current().recorded.get(str(mark)) != one.id:
                    raise NamesakeError(
                        f"the bid {one.id} has the name {name!r} already and is not ours",
                        f"`flow cancel {one.id}` ends it; adopt_task_id={one.id!r} takes it over",
                    )
            generation += 1
        launch = _launch(cloud, name, props)
        engine.row(f"placing the bid: {_bid_line(props, None)}")
        placed = cloud.place(launch)
        for key in placed.new_keys:
            engine.info(f"the Flow SDK made the platform SSH key {key.name!r}; its private half is {key}")
        return placed.bid


# -- bringing a bid to what the program says ---------------------------------------------------------------------------


def _bring_about(cloud: Cloud, bid: Bid, props: Mapping[str, Any], deadline: Deadline) -> Sighting:
    """Set price and pause where they differ, then wait as far as `wait_for` asks."""
    price, paused = money.price(props["max_price_per_hour"]), bool(props.get("paused"))
    if bid.price != price:
        cloud.set_price(bid.id, price)
    if paused != (bid.status == "Paused"):
        cloud.set_paused(bid.id, paused=paused)
    return _wait(cloud, bid, props, deadline)


def _wait(cloud: Cloud, bid: Bid, props: Mapping[str, Any], deadline: Deadline) -> Sighting:
    goal, paused = str(props.get("wait_for") or WAIT_FOR[-1]), bool(props.get("paused"))
    seen: Sighting | None = None
    for moment in deadline.looks():
        seen = cloud.sight(bid.id, moment)
        if seen is None or seen.bid.ended:
            raise EndedError(f"the bid {bid.id} ended while it was waited for", "`pulumi up --refresh` places a new one")
        if seen.status == "paused" if paused else seen.reached(goal):
            engine.row(f"{seen.message}, max {money.usd(money.price(props['max_price_per_hour']) * bid.quantity)}/h")
            return Sighting(seen.bid, seen.machines, cloud.history(bid.id))
        waits = seen.status in ("pending", "preempted")
        engine.row(f"{seen.message}: {deadline.minute()}" if waits else seen.message)
    raise NotReadyError(_unready(cloud, bid, seen, props), "raise the bid or wait; run `pulumi up` again to go on")


def _unready(cloud: Cloud, bid: Bid, seen: Sighting | None, props: Mapping[str, Any]) -> str:
    price = money.usd(money.price(props["max_price_per_hour"]))
    up = seen.up if seen else 0
    market = ""
    with contextlib.suppress(FlowResourcesError):  # the message is worth more than its last detail
        offer = cloud.market().offer(str(props["instance_type"]), str(bid.region))
        market = f", market {money.usd(offer.price)}" if offer and offer.price else ""
    return f"{up}/{bid.quantity} machines running, bid {price}{market}"


def _end(cloud: Cloud, bid: Bid, deadline: Deadline) -> None:
    """Cancel a bid and see it ended."""
    cloud.cancel(bid.id)
    for _ in deadline.looks():
        now = cloud.bid(bid.id)
        if now is None or now.ended:
            return
        engine.row(f"ending: the service still calls it {now.status}")
    raise NotReadyError(f"the bid {bid.id} was cancelled but is not ended yet", "run the same command again to go on")


def _latest(cloud: Cloud, seen: Sighting) -> Sighting:
    """Return the newest sighting that can be had, for the state of something that is not ready."""
    with contextlib.suppress(FlowResourcesError):
        return cloud.sight(seen.bid.id, session.current().clock.now() - 10) or seen
    return seen


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
    for gone in sorted(mounted - set(seen.bid.volumes)):
        session.current().warn_once(f"the volume {gone} is not attached to {seen.bid.id} any more; nothing is replaced because of that")


# -- check -------------------------------------------------------------------------------------------------------------


def _market(found: Checked, mark: str) -> Market:
    cloud = session.current().cloud()
    market = cloud.market(volumes=bool(found.inputs.get("volumes")))
    if not found.inputs.get("volumes"):
        cloud.project()  # a key of the wrong account is a failure of the preview, not of the `up`
    keys = found.known("ssh_keys")
    if keys:
        known = cloud.ssh_keys()
        for place, key in enumerate(keys):
            if key not in known:
                names = ", ".join(sorted(name for name in known if not name.startswith("sshkey_"))) or "none"
                found.fail(f"ssh_keys[{place}]", "is no platform SSH key of the project", key, f"it has {names}")
    _check_adoption(found, mark, cloud, market)
    return market


def _check_adoption(found: Checked, mark: str, cloud: Cloud, market: Market) -> None:
    id_ = found.known("adopt_task_id")
    if not id_ or not is_first_create(mark, id_):
        return
    bid = cloud.bid(id_)
    if bid is None:
        found.fail("adopt_task_id", "is no task of this account", id_, "take the line out to place a new bid")
    elif problem := _differences(bid, found.inputs, market):
        found.fail("adopt_task_id", f"names a task that {problem}", id_, "make the program say the same, or take the line out")


def _differences(bid: Bid, props: Mapping[str, Any], market: Market) -> str:
    """Say how a task differs from the program in what only a replacement can change; empty where it does not."""
    problems = ["has ended"] if bid.ended else []
    spelling = props.get("instance_type")
    if isinstance(spelling, str) and bid.instance_type not in {one.id for one in cluster_inputs.named(spelling, market.types)}:
        is_a = next((one.spelling for one in market.types if one.id == bid.instance_type), bid.instance_type)
        problems.append(f"is of type {is_a}, the program says {spelling}")
    if isinstance(props.get("num_instances"), int) and bid.quantity != props["num_instances"]:
        problems.append(f"has {bid.quantity} machines, the program says {props['num_instances']}")
    if isinstance(props.get("region"), str) and bid.region != props["region"]:
        problems.append(f"is in {bid.region}, the program says {props['region']}")
    return " and ".join(problems)


def _check_costs(found: Checked, urn: str, market: Market | None, budget: Decimal | None) -> None:
    """Enter the cluster into the budget, and show on its row what it can cost."""
    price, count, region = found.known("max_price_per_hour"), found.known("num_instances"), found.known("region")
    if price is None or count is None:
        return
    bid = money.price(price)
    paused = found.inputs.get("paused") is True
    session.charge(found, urn, naming.logical_name(urn), Decimal(0) if paused else bid * count, budget)
    spelling = found.known("instance_type")
    offer = market.offer(spelling, region) if market and region and spelling else None
    going = offer.price if offer else None
    engine.row(_bid_line(found.inputs, going))
    if going is not None and bid < going and not paused:
        session.current().warn_once(
            f"the bid {money.usd(bid)}/h is under the market {money.usd(going)}/h: the cluster waits in the auction until the price falls"
        )
    if paused:
        engine.row(f"{_bid_line(found.inputs, going)}; paused, after it may have run for moments")


def _bid_line(props: Mapping[str, Any], going: Decimal | None) -> str:
    bid, count = money.price(props["max_price_per_hour"]), int(props.get("num_instances") or 1)
    region = "" if has_unknown(props.get("region")) else f" in {props.get('region')}"
    market = f", market {money.usd(going)}/h" if going is not None else ""
    return f"bid {money.usd(bid)}/h x {count} (max {money.usd(bid * count)}/h){region}{market}"


def _pinned(olds: Mapping[str, Any], news: Mapping[str, Any]) -> str | None:
    """Return the region that an earlier check settled on, where the program still names none."""
    return str(olds["region"]) if olds.get("region") and not news.get("region") else None


# -- launching ---------------------------------------------------------------------------------------------------------


def _launch(cloud: Cloud, name: str, props: Mapping[str, Any]) -> Launch:
    region, mounts = str(props["region"]), props.get("volumes") or []
    market = cloud.market(volumes=bool(mounts))
    offer = market.offer(str(props["instance_type"]), region)
    if offer is None:
        raise RefusedError(f"{props['instance_type']} is not on offer in {region} now", "choose another region or instance type")
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
    parts = parts_of(bid.name)
    if bid.quantity != int(props.get("num_instances") or 1) or bid.region != props.get("region"):
        raise NamesakeError(
            f"the bid {bid.id} has our name {bid.name!r} but is not what the program says",
            f"`flow cancel {bid.id}` ends it; adopt_task_id={bid.id!r} takes it over",
        )
    engine.info(f"taking over {bid.name} ({bid.id}), which an earlier, interrupted `up` left running (generation {parts.generation if parts else '?'})")
    return bid


def _digest(props: Mapping[str, Any], key: str) -> str:
    spec = {one.name: props.get(one.name) for one in SPEC if not one.secret}
    sealed = {one.name: props.get(one.name) for one in SPEC if one.secret}
    return naming.spec_digest(spec, sealed, key)
