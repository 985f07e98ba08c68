"""Finding what was paid for a stack: the bids are listed first, and the state is read after it.

In this order a bid that an `up` places and records meanwhile is only missing from the listing, and is read by its id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flow_resources.cli.costs.report import CostReport, CostRow
from flow_resources.cli.stacks import SelectedStack, StackError, guard_recorded_account
from flow_resources.core.answer import Answer
from flow_resources.core.bids_of_stack import BidResource, BidsOfStack, bid_resources, bids_of_stack, name_of_ended
from flow_resources.core.costs import NOT_KNOWN, Spending
from flow_resources.core.hidden import Identity
from flow_resources.core.job_status import STATUS_OF_CLUSTER
from flow_resources.core.models import Bid
from flow_resources.core.naming import Mark, logical_name
from flow_resources.core.reference_prices import USUAL
from flow_resources.core.stack_state import read_state
from flow_resources.errors import FlowResourcesError
from flow_resources.lifecycle.account import is_elsewhere
from flow_resources.lifecycle.costs import BidCosts, read_costs
from flow_resources.lifecycle.operation import Operation

_ENDED, _UNKNOWN = "ended", "not known"


@dataclass(frozen=True)
class _Found:
    resources: Sequence[BidResource]
    bids: BidsOfStack
    missing: Mapping[str, Sequence[str]]
    """By the URN of a resource, why bids that its state records could not be found."""
    warnings: Sequence[str]


def find_costs(
    op: Operation, stack: SelectedStack, configured_owner: str | None, since: datetime | None = None
) -> CostReport:
    """Report what was paid for the bids of a stack up to now, from `since` on where it is given.

    Raises AccountMismatchError where the state records another service or project than the settings point at.
    """
    owner = stack.owner(configured_owner)
    listed = op.cloud.every_bid()
    found = _find_bids(op, stack, listed, owner, is_configured=bool(configured_owner))
    now = op.cloud.service_now()
    groups = [*found.bids.recorded.values(), *found.bids.unrecorded.values()]
    costs = {one.bid.id: one for one in read_costs(op, [bid for bids in groups for bid in bids], now, since)}
    rows = [*_rows_of_resources(found, costs), *_rows_of_ended(found.bids, costs, since)]
    sources = sorted({one.on_demand_source for one in costs.values() if one.on_demand_source and one.spending.ran})
    is_shared = Identity(Mark.of(owner, ""), owner).owner_is_shared is Answer.YES
    return CostReport(
        stack=stack.name,
        owner=owner,
        owner_is_shared=is_shared,
        service=op.settings.api_url,
        project=op.cloud.project().name,
        at=now,
        since=since,
        rows=rows,
        on_demand_sources=sources,
        warnings=[*found.warnings, *_warnings(found, costs, rows, sources, owner, now, is_shared=is_shared)],
    )


def _find_bids(
    op: Operation, stack: SelectedStack, listed: Sequence[Bid], owner: str, *, is_configured: bool
) -> _Found:
    export = stack.export()
    try:
        state, resources = read_state(export), bid_resources(export)
    except ValueError as error:
        raise StackError(
            f"the state of {stack.name} cannot be read: {error}", "`pulumi stack export` prints it"
        ) from error
    guard_recorded_account(op, state)
    known, missing, more = {bid.id for bid in listed}, defaultdict[str, list[str]](list), list[Bid]()
    for resource in resources:
        for id_ in sorted(resource.ids - known):
            if is_elsewhere(op.cloud, resource.place):
                missing[resource.urn].append(f"bid {id_} is of another account")
                continue
            try:
                bid = op.cloud.bid(id_)
                problem = "" if bid else "the service does not list it any more"
            except FlowResourcesError as error:
                bid, problem = None, error.message
            if bid:
                more.append(bid)
            else:
                missing[resource.urn].append(f"bid {id_}: {problem}")
    bids = bids_of_stack([*more, *listed], resources, Mark.of(owner, "").owner)
    warnings = list[str]()
    if bids.unrecorded and is_configured:
        bids, warnings = _without_other_stacks(stack, bids, owner)
    return _Found(resources, bids, missing, warnings)


def _without_other_stacks(stack: SelectedStack, bids: BidsOfStack, owner: str) -> tuple[BidsOfStack, list[str]]:
    """Leave out the bids of other stacks with the same `flow:owner`, which have the same digits in their marks."""
    try:
        others = stack.other_states().values()
    except StackError as error:
        return BidsOfStack(bids.recorded, {}), [f"bids that no state records are not counted: {error.message}"]
    marks = {mark for other in others for mark in other.marks}
    ids = {id_ for other in others for id_ in other.ids}
    unrecorded = {
        mark: rest
        for mark, group in bids.unrecorded.items()
        if mark not in marks and (rest := [bid for bid in group if bid.id not in ids])
    }
    note = f"other stacks with flow:owner {owner!r} can have made what no state records now"
    return BidsOfStack(bids.recorded, unrecorded), [note] if unrecorded else []


def _rows_of_resources(found: _Found, costs: Mapping[str, BidCosts]) -> Iterator[CostRow]:
    for resource in found.resources:
        bids = found.bids.recorded.get(resource.urn, ())
        parts = [costs[bid.id].spending for bid in bids]
        if resource.urn in found.missing:
            parts.append(NOT_KNOWN)
        yield CostRow(
            resource.name,
            _status(resource, bids, costs),
            Spending.total(parts),
            tuple(bid.id for bid in bids),
            resource.kind,
            resource.urn,
        )


def _rows_of_ended(bids: BidsOfStack, costs: Mapping[str, BidCosts], since: datetime | None) -> Iterator[CostRow]:
    rows = list[CostRow]()
    for group in bids.unrecorded.values():
        spending = Spending.total(costs[bid.id].spending for bid in group)
        status = next((costs[bid.id].status for bid in group if not bid.ended), _ENDED)
        if since is None or status != _ENDED or spending.ran or not spending.is_complete:
            rows.append(CostRow(name_of_ended(group), status, spending, tuple(bid.id for bid in group)))
    yield from sorted(rows, key=lambda row: (row.name, row.bids))


def _status(resource: BidResource, bids: Sequence[Bid], costs: Mapping[str, BidCosts]) -> str:
    current = next((bid for bid in bids if bid.id == resource.id), None)
    if resource.has_ended and resource.status:
        return resource.status
    if current is None:
        return _UNKNOWN
    status = costs[current.id].status
    if resource.kind != "Job":
        return status
    return _ENDED if current.ended else STATUS_OF_CLUSTER.get(status, status)


def _warnings(
    found: _Found,
    costs: Mapping[str, BidCosts],
    rows: Sequence[CostRow],
    sources: Sequence[str],
    owner: str,
    now: datetime | None,
    *,
    is_shared: bool,
) -> Iterator[str]:
    for urn, problems in found.missing.items():
        yield f"not all that {logical_name(urn)} cost is known: {'; '.join(problems)}"
    for one in costs.values():
        if one.problem:
            yield f"what was paid for bid {one.bid.id} is not known: {one.problem}"
        elif not one.spending.is_complete:
            yield f"what the service says of bid {one.bid.id} cannot all be read: it cost at least what is shown"
    if USUAL in sources:
        yield "ON-DEMAND is counted at the usual bid of a type where the service tells no on-demand price"
    if now is None:
        yield "the service's time is not known: what goes on is not counted"
    alive = [row.name for row in rows if row.urn is None and row.status != _ENDED]
    if alive:
        yield f"no state records {', '.join(alive)}, and it lives: `flow-resources sweep` ends what a crash left"
    if is_shared and any(row.bids for row in rows):
        yield (
            f"the owner of these bids, {owner!r}, can be another person's too, on another self-managed backend: then "
            "theirs are counted here (`pulumi config set flow:owner ...` tells them apart from now on)"
        )
