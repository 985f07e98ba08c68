"""Bringing a bid to what the program says, and to its end: the effects, then the waiting."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flow_resources import engine
from flow_resources.cloud import Cloud
from flow_resources.core import money
from flow_resources.core.cluster_fields import WAIT_FOR
from flow_resources.core.models import Bid
from flow_resources.core.status import ClusterSnapshot
from flow_resources.errors import FlowResourcesError, NotReadyError, TerminatedError
from flow_resources.providers import session
from flow_resources.providers.waiting import Deadline

_FIRST_LOSS = 60.0
"""No bid loses its machines sooner, in seconds: auctions are minutes apart, and a loss has a notice of minutes."""


def converge(
    cloud: Cloud,
    bid: Bid,
    props: Mapping[str, Any],
    deadline: Deadline,
    recorded: Mapping[str, Any],
    *,
    waits: bool = True,
) -> ClusterSnapshot:
    """Set price and pause where they differ, then wait as far as `wait_for` asks."""
    price, paused = money.price(props["max_price_per_hour"]), bool(props.get("paused"))
    if bid.price != price:
        cloud.set_price(bid.id, price)
    if paused != (bid.status == "Paused"):
        cloud.set_paused(bid.id, paused=paused)
    seen = _wait(cloud, bid, props, deadline) if waits else _look(cloud, bid, session.current().clock.now())
    return with_history(cloud, seen, recorded)


def _wait(cloud: Cloud, bid: Bid, props: Mapping[str, Any], deadline: Deadline) -> ClusterSnapshot:
    goal, paused = str(props.get("wait_for") or WAIT_FOR[-1]), bool(props.get("paused"))
    seen: ClusterSnapshot | None = None
    calm, first = bid.id in session.current().placed, list[str]()
    for seen in deadline.watch(lambda moment: _look(cloud, bid, moment)):
        machines = [one.id for one in seen.present]
        first = first or machines
        calm = calm and machines == first and deadline.spent < _FIRST_LOSS
        if seen.status == "paused" if paused else seen.reached(goal):
            cost = money.usd(money.price(props["max_price_per_hour"]) * bid.quantity)
            engine.row(seen.message if paused else f"{seen.message}, max {cost}/h")
            return replace(seen, known_preemptions=0) if calm else seen
        waits = seen.status in ("pending", "preempted")
        engine.row(f"{seen.message}: {deadline.minute()}" if waits else seen.message)
    raise NotReadyError(_unready(cloud, bid, seen, props), "raise the bid or wait; run `pulumi up` again to go on")


def _look(cloud: Cloud, bid: Bid, moment: float) -> ClusterSnapshot:
    seen = cloud.observe_while_waiting(bid.id, moment)
    if seen is None or seen.bid.ended:
        raise TerminatedError(
            f"the bid {bid.id} ended while it was waited for", "`pulumi up --refresh` places a new one"
        )
    return seen


def with_history(cloud: Cloud, seen: ClusterSnapshot, recorded: Mapping[str, Any]) -> ClusterSnapshot:
    """Add how often it was preempted; its history is asked for only where it can have gone on since the record."""
    if seen.known_preemptions is not None:
        return seen
    if "preemptions" in recorded and seen.is_same_run_as(recorded):
        return replace(seen, known_preemptions=int(recorded["preemptions"]))
    return replace(seen, history=cloud.history(seen.bid.id))


def _unready(cloud: Cloud, bid: Bid, seen: ClusterSnapshot | None, props: Mapping[str, Any]) -> str:
    price = money.usd(money.price(props["max_price_per_hour"]))
    up = seen.up if seen else 0
    market = ""
    with contextlib.suppress(FlowResourcesError):  # the message is worth more than its last detail
        offer = cloud.market().offer(str(props["instance_type"]), str(bid.region))
        market = f", market {money.usd(offer.price)}" if offer and offer.price else ""
    return f"{up}/{bid.quantity} machines running, bid {price}{market}"


def end(cloud: Cloud, bid: Bid, deadline: Deadline) -> None:
    """Cancel a bid and see it ended."""
    cloud.cancel(bid.id)
    for now in deadline.watch(lambda _: cloud.bid(bid.id)):
        if now is None or now.ended:
            return
        engine.row(f"ending: the service still calls it {now.status}")
    raise NotReadyError(f"the bid {bid.id} was cancelled but is not ended yet", "run the same command again to go on")


def describe_cost(bid: Bid) -> str:
    """Say what a bid can cost at most."""
    return "at an unknown price" if bid.max_cost is None else f"up to {money.usd(bid.max_cost)}/h"


def latest(cloud: Cloud, seen: ClusterSnapshot) -> ClusterSnapshot:
    """Return the newest sighting that can be had, for the state of something that is not ready; never raises."""
    try:
        return cloud.observe(seen.bid.id, session.current().clock.now() - 10) or seen
    except Exception:  # noqa: BLE001 - the id must be recorded, whatever else goes wrong
        return seen
