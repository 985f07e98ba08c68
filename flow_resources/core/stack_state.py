"""What the stored state of one stack records: ids, marks, the URNs that are being created, services and projects.

`recorded_things` and `with_service` are for a service whose address changes its name.

Read from what `pulumi stack export` prints. What cannot be read is an error, never an empty state: a decision to cancel
or delete depends on it.
"""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flow_resources.core.answer import Answer
from flow_resources.core.hidden import CREATE_ID, IS_OURS, MARK, SERVICE
from flow_resources.core.job_status import is_finished
from flow_resources.core.models import Named
from flow_resources.core.moments import moment_of
from flow_resources.core.naming import Mark, kind_of, take_apart
from flow_resources.core.recorded import Index, index_of

_FLEET_STATUS = "FleetStatus"
SIGNATURE = "4dabf18193072939515e22adb298388d"
"""The key that marks a value as special, such as secret: in a stored state, and between the engine and a plugin."""


@dataclass(frozen=True)
class Holder:
    """What a state has an id in: a resource, also one that is still to be deleted, or a create that is to adopt it."""

    provider: str
    """The reference of its provider resource; empty where the state does not say."""
    create_id: str | None
    """The id of the create that recorded it; None where none did, as what is only read."""

    def is_served_by(self, provider: str) -> bool:
        """Whether a provider resource serves it, by its id, or by its type where one process serves all of that."""
        return f"::{provider}::" in f"{self.provider}::"


@dataclass(frozen=True)
class StackState:
    """What the state of one stack records."""

    ids: frozenset[str] = frozenset()
    """The ids of all its resources, including those that are still to be deleted."""
    created_at: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    """When what carries each mark was created; None where the state does not say."""
    making: frozenset[str] = frozenset()
    """The URNs that an `up` is creating, or was creating when it died."""
    places: frozenset[tuple[str, str]] = frozenset()
    """API URL and project of its resources."""
    owned: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    """By URN, id and region of what the stack owns of this package, but for what is deleted or waits for it."""
    max_costs: Mapping[str, Decimal] | None = field(default_factory=dict)
    """By URN, the most that each of its bids can cost, in USD per hour; None where it does not say so of each."""
    interrupted: frozenset[str] = frozenset()
    """The URNs that an `up` is creating, and an earlier one was creating when it died: Pulumi keeps both."""
    index: Index = field(default_factory=dict)
    """What it holds, by URN and by mark, but for what is still to be deleted."""
    made: frozenset[str] = frozenset()
    """The ids of the SSH keys that it records as made by the stack."""
    holders: Mapping[str, tuple[Holder, ...]] = field(default_factory=dict)
    """By id, what has it."""

    @property
    def marks(self) -> frozenset[str]:
        """The marks in the names of its resources."""
        return frozenset(self.created_at)

    def may_record(self, thing: Named) -> bool:
        """Whether it records a bid or volume, or its stack may be creating it."""
        return thing.id in self.ids or self._may_be_making(thing.name)

    def _may_be_making(self, name: str) -> bool:
        marked = take_apart(name) if self.making else None
        return marked is not None and marked.mark.urn in {Mark.of("", urn).urn for urn in self.making}


def recorded_by(states: Mapping[str, StackState], thing: Named) -> str:
    """Return the stack whose state records a bid or volume, or that may be creating it; empty where there is none."""
    return next((stack for stack, state in states.items() if state.may_record(thing)), "")


def read_state(export: Any) -> StackState:
    """Read what `pulumi stack export` prints; raise ValueError for what is not a state."""
    if not isinstance(export, dict) or not isinstance(export.get("deployment"), dict):
        raise ValueError("it has no deployment")  # noqa: TRY004 - one exception for everything that can be wrong
    deployment = export["deployment"]
    pending = [_mapping(row, "a pending operation") for row in _rows(deployment, "pending_operations")]
    interrupted = [(_resource(operation.get("resource")), operation.get("type")) for operation in pending]
    ids, made, places = set[str](), set[str](), set[tuple[str, str]]()
    created_at: dict[str, tuple[str | None, ...]] = {}
    owned: dict[str, tuple[str, str | None]] = {}
    holders = defaultdict[str, tuple[Holder, ...]](tuple)
    for resource in [*map(_resource, _rows(deployment, "resources")), *(resource for resource, _ in interrupted)]:
        outputs = _mapping(resource.get("outputs") or {}, f"the record of {resource['urn']}")
        known = (_text(resource, "id"), _text(outputs, "task_id"), _text(outputs, "volume_id"))
        ids |= {id_ for id_ in known if id_}
        if outputs.get(IS_OURS) is True:
            made.add(known[0] or "")
        mark = _text(outputs, MARK)
        if mark:
            created_at[mark] = (*created_at.get(mark, ()), _text(outputs, "created_at"))
        if service := _text(outputs, SERVICE):
            places.add((service, _text(outputs, "project") or ""))
        if mark and not (resource.get("delete") or resource.get("pendingReplacement")):
            owned[str(resource["urn"])] = (_text(resource, "id") or "", _text(outputs, "region"))
        holder = Holder(_text(resource, "provider") or "", _text(outputs, CREATE_ID))
        for id_ in {*known, *_adopted_by(resource)} - {None, ""}:
            holders[str(id_)] += (holder,)
    max_costs = _max_costs(map(_resource, _rows(deployment, "resources")))
    making = Counter(str(resource["urn"]) for resource, operation in interrupted if operation == "creating")
    twice = frozenset(urn for urn, count in making.items() if count > 1)
    return StackState(
        frozenset(ids),
        created_at,
        frozenset(making),
        frozenset(places),
        owned,
        max_costs,
        twice,
        index_of(
            {str(row["urn"]): row for row in map(_in_clear, _rows(deployment, "resources")) if not row.get("delete")}
        ),
        frozenset(made),
        dict(holders),
    )


def _adopted_by(resource: Mapping[str, Any]) -> set[str | None]:
    """Return what a create that has not finished is to adopt: the engine records its inputs before it begins."""
    inputs = {} if resource.get("id") else _mapping(resource.get("inputs") or {}, f"the inputs of {resource['urn']}")
    return {_text(inputs, "adopt_task_id"), _text(inputs, "adopt_volume_id")}


def _in_clear(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resource without the outputs that are secret, which are sealed: nothing is known of them."""
    outputs = {
        name: value
        for name, value in (row.get("outputs") or {}).items()
        if not (isinstance(value, dict) and SIGNATURE in value)
    }
    return {**row, "outputs": outputs}


_BIDS = ("GpuCluster", "Job")


def _max_costs(resources: Iterable[Mapping[str, Any]]) -> dict[str, Decimal] | None:
    """Return what the bids that the stack owns can cost; a paused one costs nothing, and neither does an ended job."""
    costs: dict[str, Decimal] = {}
    for resource in resources:
        outputs = resource.get("outputs") or {}
        type_ = "".join(str(resource["urn"]).split("::")[2:3])  # what follows is the name, which can have "::" too
        is_bid = kind_of(type_.rpartition("$")[2]) in _BIDS and not resource.get("external")
        if not is_bid or resource.get("delete") or is_finished(outputs):
            continue
        cost = 0 if outputs.get("paused") is True else outputs.get("max_cost_per_hour")
        if isinstance(cost, bool) or not isinstance(cost, (int, float)):
            return None
        costs[str(resource["urn"])] = Decimal(repr(cost))
    return costs


@dataclass(frozen=True)
class PastUpdate:
    """An operation of a stack that has ended, by its history."""

    started_at: datetime | None
    """None where the history does not say."""
    ended_at: datetime | None
    deletes: Answer
    """Whether it deleted anything, for a replacement too."""
    has_failed: bool

    def has_deleted_since(self, moment: datetime, grain: timedelta) -> Answer:
        """Whether it began after a moment and deleted anything."""
        if self.deletes is Answer.NO:
            return Answer.NO
        if self.started_at is None or abs(self.started_at - moment) <= grain:
            return Answer.NOT_KNOWN
        return self.deletes if self.started_at > moment else Answer.NO

    def contains(self, moment: datetime, grain: timedelta) -> bool:
        """Whether something that was made at a moment can have been made by it."""
        if self.started_at is None or self.started_at - grain > moment:
            return False
        return self.ended_at is None or moment <= self.ended_at + grain


def read_history(rows: Any) -> list[PastUpdate]:
    """Read what `pulumi stack history --json` prints, newest first; raise ValueError for what is no history."""
    if not isinstance(rows, list):
        raise ValueError("it is not a list")  # noqa: TRY004 - as above
    updates = [_mapping(row, "a row of it") for row in rows]
    return [
        PastUpdate(
            moment_of(_text(row, "startTime")),
            moment_of(_text(row, "endTime")),
            _deletes(row),
            row.get("result") == "failed",
        )
        for row in updates
        if row.get("result") not in ("in-progress", "not-started")  # of this very operation, the ledger knows more
    ]


def _deletes(row: Mapping[str, Any]) -> Answer:
    changes = row.get("resourceChanges")
    changed = _mapping({} if changes is None else changes, "its changes")
    if row.get("kind") == "refresh":  # it only tells what was gone
        return Answer.NO
    has_deleted = any(count and ("delete" in change or "replace" in change) for change, count in changed.items())
    return Answer.of(None if changes is None else has_deleted)


def is_deleted_since(
    updates: Sequence[PastUpdate], moment: datetime, grain: timedelta, *, is_whole: bool, is_interrupted: bool
) -> Answer:
    """Whether something that no state records was deleted since it was created at a moment, or never recorded.

    `grain` is how exact times are. Yes: an update that began after the moment deleted something. (The one in which
    something was created cannot have deleted it, whatever else it deleted.) No: the update that created it cannot have
    recorded it. It failed, or it died, which is in no history but in the state: `is_interrupted`. Neither is known of
    what a stack of the same name made that was removed since, nor of what a `destroy` deleted that died. `is_whole`:
    whether the history reaches back to the stack's first update; else it answers no only where it reaches back to the
    moment.
    """
    answers = [one.has_deleted_since(moment, grain) for one in updates]
    if Answer.YES in answers:
        return Answer.YES  # whatever the others are, such as the replacement that created it, moments before
    if Answer.NOT_KNOWN in answers:
        return Answer.NOT_KNOWN
    reaches_back = is_whole or any(one.started_at and one.started_at < moment - grain for one in updates)
    creating = [one for one in updates if one.contains(moment, grain)]
    is_lost = any(one.has_failed for one in creating) or (is_interrupted and not creating)
    return Answer.of(False if reaches_back and is_lost else None)


@dataclass(frozen=True)
class RecordedThing:
    """A resource of this package in a state, with what tells it at a service; None where the state does not say."""

    urn: str
    id: str
    name: str | None
    service: str | None
    project: str | None
    has_ended: bool = False
    """Whether it is recorded as ended for good, as a job is: the service may have forgotten it."""

    @property
    def kind(self) -> str:
        """The name of its class, the last part of its type token; empty where the URN has none."""
        return "".join(self.urn.split("::")[2:3]).rpartition(":")[2]


def recorded_things(export: Any) -> list[RecordedThing]:
    """Return the resources of this package, those that are still to be deleted included; raise ValueError as above.

    Without the status of a fleet, which stands for nothing at a service.
    """
    read_state(export)
    rows = _rows(export["deployment"], "resources")
    things = [_recorded_thing(row) for row in rows if _is_ours(row)]
    return [thing for thing in things if thing.kind != _FLEET_STATUS]


def has_pending_operations(export: Any) -> bool:
    """Whether an operation of the stack is under way, or died; raise ValueError as above."""
    read_state(export)
    return bool(export["deployment"].get("pending_operations"))


def with_service(export: Any, url: str) -> Any:
    """Return a copy of an export whose resources of this package record another API URL. Nothing else differs."""
    changed = copy.deepcopy(export)
    for row in _rows(changed["deployment"], "resources"):
        if _is_ours(row) and SERVICE in (row.get("outputs") or {}):
            row["outputs"][SERVICE] = url
    return changed


def _is_ours(row: Mapping[str, Any]) -> bool:
    if not row.get("id"):
        return False  # a component
    return bool(kind_of(str(row.get("type", "")))) or SERVICE in (row.get("outputs") or {})


def _recorded_thing(row: Mapping[str, Any]) -> RecordedThing:
    outputs = row.get("outputs") or {}
    name = _text(outputs, "task_name") or _text(outputs, "volume_name") or _text(outputs, "key_name")
    return RecordedThing(
        str(row["urn"]),
        str(row["id"]),
        name,
        _text(outputs, SERVICE),
        _text(outputs, "project"),
        has_ended=is_finished(outputs),
    )


def _rows(deployment: dict[str, Any], name: str) -> list[Any]:
    rows = deployment.get(name)
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise ValueError(f"its {name} are not a list")  # noqa: TRY004 - as above
    return rows


def _resource(row: Any) -> dict[str, Any]:
    resource = _mapping(row, "a resource of it")
    if not resource.get("urn"):
        raise ValueError("a resource of it has no URN")
    return resource


def _text(props: Mapping[str, Any], name: str) -> str | None:
    """Return a text; None where there is none: it can be a secret, which is sealed."""
    value = props.get(name)
    return value if isinstance(value, str) and value else None


def _mapping(row: Any, what: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError(f"{what} is not a mapping")  # noqa: TRY004 - as above
    return row
