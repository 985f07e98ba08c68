"""Reading from the service what was paid for bids: one paged read per bid, eight bids at a time.

A bid that cannot be read has costs that are not known; the others are told all the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from flow_resources.core.costs import NO_REFERENCE, NOT_KNOWN, PaidPeriod, Reference, Spending, spending_of
from flow_resources.core.models import Bid, BidEvent, InstanceType, moment_of
from flow_resources.core.status import ClusterSnapshot
from flow_resources.errors import FlowResourcesError, UnavailableError, one_line
from flow_resources.lifecycle.market_prices import MarketPrices
from flow_resources.lifecycle.operation import Operation

_AT_ONCE = 8


@dataclass(frozen=True)
class BidCosts:
    """What was paid for one bid."""

    bid: Bid
    status: str
    """In the words of `GpuCluster.status`."""
    spending: Spending
    problem: str = ""
    """Why it could not be read; empty where it could."""


@dataclass(frozen=True)
class _Reading:
    bid: Bid
    status: str
    periods: Sequence[PaidPeriod] | None
    events: Sequence[BidEvent] | None
    problem: str = ""

    def preemptions(self, since: datetime | None) -> int | None:
        """Return how often it was preempted since a moment; None: not known."""
        if self.events is None:
            return None
        preempted = [moment_of(event.at) for event in self.events if event.type == "Preempted"]
        if since is None:
            return len(preempted)
        known = [moment for moment in preempted if moment]
        return sum(moment >= since for moment in known) if len(known) == len(preempted) else None


def read_costs(
    op: Operation, bids: Sequence[Bid], now: datetime | None, since: datetime | None = None
) -> list[BidCosts]:
    """Return what was paid for bids up to now (the time of the service), in their order.

    `now` is a moment before this is called: all bids are counted up to the same one.
    """
    begun, failures = op.clock.now(), list[UnavailableError]()
    with ThreadPoolExecutor(_AT_ONCE, "costs") as pool:
        readings = list(pool.map(lambda bid: _read(op, bid, begun, failures), bids))
    references = References(op) if any(reading.periods for reading in readings) else None
    return [_costs(reading, references, now, since) for reading in readings]


class References:
    """What the costs of bids are compared with: one request per instance type and region."""

    def __init__(self, op: Operation) -> None:
        self._prices = MarketPrices(op)
        self._types = {type_.id: type_ for type_ in _instance_types(op)}

    def of(self, bid: Bid) -> Reference:
        """Return the reference of a bid; what is not known of it says so."""
        type_ = self._types.get(bid.instance_type)
        current = self._prices.current(bid.instance_type, bid.region, 1) if bid.instance_type and bid.region else None
        on_demand = (current.on_demand if current else None) or (type_.hourly_price if type_ else None)
        return Reference(type_.gpus if type_ else 0, on_demand)


def _instance_types(op: Operation) -> Sequence[InstanceType]:
    try:
        return op.deployment.once("the catalogue", lambda: op.cloud.market().types)
    except FlowResourcesError as error:
        op.warn_once(f"the instance types are not known: {error.message}", about="the catalogue")
        return ()


def _read(op: Operation, bid: Bid, begun: float, failures: list[UnavailableError]) -> _Reading:
    """Read a bid; none after `_AT_ONCE` failures in all, so that a service that is down costs seconds."""
    if len(failures) >= _AT_ONCE:
        return _Reading(bid, ClusterSnapshot(bid, ()).status, None, None, one_line(failures[-1].message))
    periods, problem = None, ""
    try:
        periods = op.cloud.paid_periods(bid.id)
    except FlowResourcesError as error:
        problem = one_line(error.message)
        if isinstance(error, UnavailableError):
            failures.append(error)
    events = op.cloud.events(bid.id)
    return _Reading(bid, _status(op, bid, events, begun), periods, events, problem)


def _status(op: Operation, bid: Bid, events: Sequence[BidEvent] | None, begun: float) -> str:
    history = None if events is None else tuple(event.type for event in events)
    seen = ClusterSnapshot(bid, (), history)
    with contextlib.suppress(FlowResourcesError):  # then it is as its bid alone says
        seen = dataclasses.replace(op.cloud.with_instances(bid, begun), history=history)
    return seen.status


def _costs(reading: _Reading, references: References | None, now: datetime | None, since: datetime | None) -> BidCosts:
    if reading.periods is None:
        return BidCosts(reading.bid, reading.status, NOT_KNOWN, reading.problem)
    reference = references.of(reading.bid) if references and reading.periods else NO_REFERENCE
    spending = spending_of(reading.periods, now, reference, reading.preemptions(since), since)
    return BidCosts(reading.bid, reading.status, spending)
