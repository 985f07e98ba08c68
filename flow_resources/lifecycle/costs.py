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

from flow_resources.cloud import Cloud
from flow_resources.core.config_keys import PROJECT_PLACES
from flow_resources.core.costs import NO_COMPARISON, NOT_KNOWN, Comparison, PaidPeriod, Spending, spending_of
from flow_resources.core.models import ALLOCATED, Bid, BidEvent, InstanceType
from flow_resources.core.moments import moment_of
from flow_resources.core.prices import CurrentPrices
from flow_resources.core.reference_prices import reference_of
from flow_resources.core.status import ClusterSnapshot
from flow_resources.errors import AccountMismatchError, FlowResourcesError, UnavailableError, one_line
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
    on_demand_source: str = ""
    """Where the on-demand price comes from; empty where none was needed, or is known."""


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
    comparisons = _Comparisons(op) if any(reading.periods for reading in readings) else None
    return [_costs(reading, comparisons, now, since) for reading in readings]


def read_paid(op: Operation, bid_ids: Sequence[str]) -> dict[str, list[PaidPeriod]]:
    """Return what was paid for each instance of bids, by the bid's id; what cannot be read is left out."""
    failures = list[UnavailableError]()
    with ThreadPoolExecutor(_AT_ONCE, "costs") as pool:
        readings = pool.map(lambda id_: _read_periods(op, id_, failures)[0], bid_ids)
        return {id_: periods for id_, periods in zip(bid_ids, readings, strict=True) if periods is not None}


def read_costs_of(cloud: Cloud, bid_id: str, types: Sequence[InstanceType]) -> BidCosts | None:
    """Return what was paid for one bid of the project up to now; None where the service knows none of this id.

    Raises AccountMismatchError where it is another project's: nothing of it would be found.
    """
    bid, project = cloud.bid(bid_id), cloud.project()
    if bid is None:
        return None
    if bid.project != project.id:
        raise AccountMismatchError(
            f"the bid {bid_id} is in project {bid.project}, but the settings point at {project.name} ({project.id})",
            f"set {PROJECT_PLACES} to its project",
        )
    now = cloud.service_now()
    reading = _Reading(bid, ClusterSnapshot(bid, ()).status, cloud.paid_periods(bid_id), cloud.events(bid_id))
    current = None
    with contextlib.suppress(FlowResourcesError):  # then they are not known
        current = cloud.current_prices(bid.instance_type, bid.region, 1) if reading.periods and bid.region else None
    comparison, source = _comparison(bid, types, current)
    spending = _spending(reading, now, comparison)
    return BidCosts(bid, reading.status, spending, on_demand_source=source)


def _comparison(bid: Bid, types: Sequence[InstanceType], current: CurrentPrices | None) -> tuple[Comparison, str]:
    """Return what is known to compare a bid with, and whose word its on-demand price is; empty where it is none."""
    type_ = next((type_ for type_ in types if type_.id == bid.instance_type), None)
    reference = reference_of(None, current, type_)
    comparison = Comparison(type_.gpus if type_ else 0, reference.price if reference else None)
    return comparison, reference.source if reference else ""


class _Comparisons:
    """What the costs of bids are compared with: one request per instance type and region."""

    def __init__(self, op: Operation) -> None:
        self._prices = MarketPrices(op)
        self._types = _instance_types(op)

    def of(self, bid: Bid) -> tuple[Comparison, str]:
        """Return the same as `_comparison`."""
        current = self._prices.current(bid.instance_type, bid.region, 1) if bid.instance_type and bid.region else None
        return _comparison(bid, self._types, current)


def _instance_types(op: Operation) -> Sequence[InstanceType]:
    try:
        return op.deployment.once("the catalogue", lambda: op.cloud.market().types)
    except FlowResourcesError as error:
        op.warn_once(f"the instance types are not known: {error.message}", about="the catalogue")
        return ()


def _read(op: Operation, bid: Bid, begun: float, failures: list[UnavailableError]) -> _Reading:
    periods, problem = _read_periods(op, bid.id, failures)
    if len(failures) >= _AT_ONCE:
        return _Reading(bid, ClusterSnapshot(bid, ()).status, periods, None, problem)
    events = op.cloud.events(bid.id)
    return _Reading(bid, _status(op, bid, events, begun), periods, events, problem)


def _read_periods(op: Operation, bid_id: str, failures: list[UnavailableError]) -> tuple[list[PaidPeriod] | None, str]:
    """Return the periods of a bid, or None and why they cannot be read.

    Nothing is asked after `_AT_ONCE` failures in all, so that a service that is down costs seconds.
    """
    if len(failures) >= _AT_ONCE:
        return None, one_line(failures[-1].message)
    try:
        return op.cloud.paid_periods(bid_id), ""
    except FlowResourcesError as error:
        if isinstance(error, UnavailableError):
            failures.append(error)
        return None, one_line(error.message)


def _status(op: Operation, bid: Bid, events: Sequence[BidEvent] | None, begun: float) -> str:
    history = None if events is None else tuple(event.type for event in events)
    seen = ClusterSnapshot(bid, (), history)
    with contextlib.suppress(FlowResourcesError):  # then it is as its bid alone says
        seen = dataclasses.replace(op.cloud.with_instances(bid, begun), history=history)
    return seen.status


def _costs(
    reading: _Reading, comparisons: _Comparisons | None, now: datetime | None, since: datetime | None
) -> BidCosts:
    if reading.periods is None:
        return BidCosts(reading.bid, reading.status, NOT_KNOWN, reading.problem)
    comparison, source = comparisons.of(reading.bid) if comparisons and reading.periods else (NO_COMPARISON, "")
    spending = _spending(reading, now, comparison, since)
    return BidCosts(reading.bid, reading.status, spending, on_demand_source=source)


def _spending(
    reading: _Reading, now: datetime | None, comparison: Comparison, since: datetime | None = None
) -> Spending:
    """Return what was paid; not complete where a bid holds an instance of which no period is told."""
    periods = reading.periods or ()
    spending = spending_of(periods, now, comparison, reading.preemptions(since), since)
    held = set(reading.bid.instances or ()) if reading.bid.status == ALLOCATED else set[str]()
    is_told = held <= {period.instance for period in periods}
    return spending if is_told else dataclasses.replace(spending, is_complete=False, is_final=False)
