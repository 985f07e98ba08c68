"""Which bids of a project are a stack's: those that its state records, and those whose names carry its marks.

A replaced or lost bid of a resource counts to it, by the mark in its name. A bid with the stack's mark whose resource
no state records is of a resource that was destroyed. Bids without a mark of the stack are never counted.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flow_resources.core.hidden import ENDED, MARK, SERVICE, Record
from flow_resources.core.models import Bid
from flow_resources.core.naming import logical_name, prefix_of, take_apart
from flow_resources.core.stack_state import read_state

_KINDS = ("GpuCluster", "Job")


@dataclass(frozen=True)
class BidResource:
    """A cluster or job that a state records, with all bids that it records for it."""

    urn: str
    kind: str
    """"GpuCluster" or "Job"."""
    id: str
    """The bid that it records now; empty where it records only what is still to be deleted."""
    ids: frozenset[str]
    """That one, and those that are still to be deleted."""
    marks: frozenset[str]
    status: str | None = None
    """As it is recorded; None: not known."""
    has_ended: bool = False
    """Whether it is a job that is recorded as ended."""
    place: Record = dataclasses.field(default_factory=Record)
    """The service and the project that it is recorded at."""

    @property
    def name(self) -> str:
        """The logical name."""
        return logical_name(self.urn)


@dataclass(frozen=True)
class BidsOfStack:
    """The bids of a stack."""

    recorded: Mapping[str, Sequence[Bid]]
    """By the URN of the resource that they count to, newest first."""
    unrecorded: Mapping[str, Sequence[Bid]]
    """By the mark of a resource that the state does not record."""


def bid_resources(export: Any) -> list[BidResource]:
    """Return the clusters and jobs that a state records and Pulumi owns, by URN.

    Raises ValueError for what is not a state.
    """
    read_state(export)
    by_urn: dict[str, BidResource] = {}
    for row in export["deployment"].get("resources") or ():
        outputs = row.get("outputs") or {}
        kind = "".join(str(row["urn"]).split("::")[2:3]).rpartition(":")[2]
        if kind in _KINDS and isinstance(outputs.get(MARK), str) and not row.get("external"):
            resource = _bid_resource(row, kind, outputs)
            by_urn[resource.urn] = _joined(by_urn.get(resource.urn), resource)
    return [by_urn[urn] for urn in sorted(by_urn)]


def bids_of_stack(bids: Iterable[Bid], resources: Sequence[BidResource], owner: str) -> BidsOfStack:
    """Return which bids count to which resource; `owner` is the owner's digits of the stack's marks."""
    by_id = {id_: resource.urn for resource in resources for id_ in resource.ids}
    by_mark = {mark: resource.urn for resource in resources for mark in resource.marks}
    recorded, unrecorded = defaultdict[str, list[Bid]](list), defaultdict[str, list[Bid]](list)
    for bid in bids:
        name = take_apart(bid.name)
        mark = str(name.mark) if name else ""
        if urn := by_id.get(bid.id) or by_mark.get(mark):
            recorded[urn].append(bid)
        elif name and name.mark.owner == owner:
            unrecorded[mark].append(bid)
    return BidsOfStack(recorded, unrecorded)


def name_of_ended(bids: Sequence[Bid]) -> str:
    """Return what to call the resource of bids that no state records: the prefix of the newest one's name."""
    return prefix_of(bids[0].name)


def _bid_resource(row: Mapping[str, Any], kind: str, outputs: Mapping[str, Any]) -> BidResource:
    ids = {str(id_) for id_ in (row.get("id"), outputs.get("task_id")) if isinstance(id_, str) and id_}
    is_deleted = row.get("delete") or row.get("pendingReplacement")
    status = outputs.get("status")
    return BidResource(
        urn=str(row["urn"]),
        kind=kind,
        id="" if is_deleted else str(row.get("id") or ""),
        ids=frozenset(ids),
        marks=frozenset({str(outputs[MARK])}),
        status=status if isinstance(status, str) and not is_deleted else None,
        has_ended=ENDED in outputs and not is_deleted,
        place=Record(service=outputs.get(SERVICE), project=outputs.get("project")),
    )


def _joined(one: BidResource | None, other: BidResource) -> BidResource:
    if one is None:
        return other
    current = one if one.id else other
    return dataclasses.replace(current, ids=one.ids | other.ids, marks=one.marks | other.marks)
