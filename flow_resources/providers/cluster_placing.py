"""Coming by the one bid of a cluster: adopted, taken over from a lost create, or placed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flow_resources import engine
from flow_resources.cloud import Cloud, Launch
from flow_resources.core import naming
from flow_resources.core.cluster_fields import SPEC
from flow_resources.core.inputs import normalised
from flow_resources.core.models import Bid
from flow_resources.core.naming import Mark
from flow_resources.errors import OwnershipError, RejectedError
from flow_resources.providers import session
from flow_resources.providers.base import (
    MARK,
    adopts,
    owner_is_shared,
    still_recorded,
    taking_over,
    warn_of_other_owner,
)
from flow_resources.providers.claiming import (
    CLEAR_WITHIN,
    TAKE_OVER_WITHIN,
    Claim,
    claim,
    is_young,
    too_old,
    warn_of_surplus,
)
from flow_resources.providers.cluster_check import bid_line, differences, launch_of
from flow_resources.providers.cluster_progress import describe_cost, end
from flow_resources.providers.waiting import Deadline


def adopted(cloud: Cloud, props: Mapping[str, Any]) -> Bid | None:
    """Return the task that the program wants adopted; the first create alone asks for it."""
    id_ = props.get("adopt_task_id")
    if not id_ or not adopts(str(props.get(MARK)), str(id_)):
        return None
    bid = cloud.bid(str(id_))
    if bid is None:
        raise RejectedError(f"adopt_task_id: there is no task {id_}", "take the line out to place a new bid")
    if problem := differences(bid, props, cloud.market(), cloud.project().id):
        raise RejectedError(
            f"adopt_task_id: the task {id_} {problem}", "make the program say the same, or take the line out"
        )
    warn_of_other_owner(bid, Mark.parse(str(props[MARK])))
    engine.row(f"adopting {bid.name} ({bid.id})")
    return bid


def claimed(cloud: Cloud, props: Mapping[str, Any], deadline: Deadline) -> Bid:
    """Return the one bid of this resource: a leftover of ours, or a new one."""
    mark = Mark.parse(str(props[MARK]))
    spec = _digest(props, cloud.settings.api_key)
    with session.current().turns[str(mark)]:
        live = cloud.live_bids(session.current().clock.now()).values()
        found = claim(live, mark, spec)
        for leftover in found.clear:  # before any is ended: a create that is refused ends nothing
            _refuse_to_end(leftover)
        if found.take:
            _refuse_to_take(cloud, found.take, props)
        for leftover in found.clear:
            engine.info(f"ending {leftover.name} ({leftover.id}), which an earlier, interrupted `up` left running")
            end(cloud, leftover, deadline)
        warn_of_surplus(found.unsure, mark, still_recorded(str(mark)), describe_cost)
        if found.take:
            engine.info(taking_over(found.take))
            return found.take
        return _placed(cloud, props, found, mark, spec)


def _placed(cloud: Cloud, props: Mapping[str, Any], found: Claim[Bid], mark: Mark, spec: str) -> Bid:
    """Place a bid under a name that was never used."""
    prefix = str(props.get("name_prefix") or naming.fit(naming.logical_name(engine.current().urn or "cluster")))
    generation = found.generation
    while namesakes := cloud.bids_named(name := naming.compose(prefix, mark, spec, generation)):
        for one in namesakes:
            if not one.ended and one.id not in still_recorded(str(mark)):
                raise OwnershipError(
                    f"the bid {one.id} has the name {name!r} already and is not ours",
                    f"`flow cancel {one.id}` ends it; adopt_task_id={one.id!r} takes it over",
                )
        generation += 1
    launch = _launch(cloud, name, props)
    engine.row(f"placing: {bid_line(props, None)}")
    placed = cloud.place(launch)
    session.current().placed.add(placed.bid.id)
    for key in placed.new_keys:
        engine.info(f"the Flow SDK made the platform SSH key {key.name!r}; its private half is {key}")
    return placed.bid


def _launch(cloud: Cloud, name: str, props: Mapping[str, Any]) -> Launch:
    region, mounts = str(props["region"]), props.get("volumes") or []
    market = cloud.market(volumes=bool(mounts))
    offer = market.offer(str(props["instance_type"]), region)
    if offer is None:
        raise RejectedError(
            f"{props['instance_type']} is not on offer in {region} now", "choose another region or instance type"
        )
    keys = {} if not props.get("ssh_keys") else cloud.ssh_keys()
    ssh_keys = tuple(keys[key] for key in props.get("ssh_keys") or ())
    return launch_of(name, naming.sending(cloud.project().id, name), props, offer, market, ssh_keys)


def _refuse_to_take(cloud: Cloud, bid: Bid, props: Mapping[str, Any]) -> None:
    """Raise OwnershipError for a leftover that is not what its name says, or may be another stack's."""
    if bid.quantity != int(props.get("num_instances") or 1) or bid.region != props.get("region"):
        raise OwnershipError(
            f"the bid {bid.id} has our name {bid.name!r} but is not what the program says",
            f"`flow cancel {bid.id}` ends it; adopt_task_id={bid.id!r} takes it over",
        )
    if too_old(bid, TAKE_OVER_WITHIN) or (owner_is_shared() and bid.created_by not in ("", cloud.user())):
        raise _not_sure(bid)


def _refuse_to_end(bid: Bid) -> None:
    """Raise OwnershipError for a leftover that may be another stack's: ending a cluster that runs cannot be undone."""
    if not is_young(bid, CLEAR_WITHIN) or owner_is_shared():
        raise _not_sure(bid)


def _not_sure(bid: Bid) -> OwnershipError:
    return OwnershipError(
        f"the bid {bid.id} ({bid.name}, of {bid.created_at}) carries this resource's mark, "
        "but this stack's state does not record it",
        f"`flow cancel {bid.id}` ends it; adopt_task_id={bid.id!r} takes it over",
    )


def _digest(props: Mapping[str, Any], key: str) -> str:
    spec = {one.name: normalised(one, props.get(one.name)) for one in SPEC if not one.sensitive}
    sealed = {
        one.name: value for one in SPEC if one.sensitive and (value := props.get(one.name)) not in (None, one.default)
    }
    return naming.spec_digest(spec, sealed, key)
