"""What is live with an owner's mark and recorded in no state: bids or volumes and states in, findings out.

A crash leaves what no state records. Its name still carries the mark of its owner (see `naming`), but the mark alone
proves little: stacks with the same `flow:owner` share it, and a renamed stack leaves it to the next one of its name.
So whatever the state of any stack of the backend records, or is making right now, is nobody's leftover.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, TypeVar

from flow_resources.core import money
from flow_resources.core.models import Bid, Named, StoredVolume, age_of
from flow_resources.core.naming import Mark, MarkedName, take_apart

T = TypeVar("T", Bid, StoredVolume)
OTHER_OWNER, TOO_YOUNG = "made under another owner", "too young"


@dataclass(frozen=True)
class StackState:
    """What the state of one stack says of the service."""

    ids: frozenset[str] = frozenset()
    """Of all its resources, those that are only waiting to be deleted too."""
    marks: frozenset[str] = frozenset()
    """The marks that its resources were made under."""
    making: frozenset[str] = frozenset()
    """The URNs that an `up` is making, or was when it died."""
    places: frozenset[tuple[str, str]] = frozenset()
    """API URL and project of its resources."""


@dataclass(frozen=True)
class Owners:
    """Whose leftovers are looked for."""

    now: str
    """Digits of the owner whose mark a create would use today: only his may be ended."""
    earlier: frozenset[str] = frozenset()
    """Digits of those that the stack had before: his things are listed."""

    @classmethod
    def of(cls, owner: str, stack: str, own: StackState) -> Owners:
        """Return the owners of a stack: today's, the one by its name, and those that its state was made under."""
        now = Mark.of(owner, "").owner
        known = {Mark.of(stack, "").owner, *(Mark.parse(mark).owner for mark in own.marks)}
        return cls(now, frozenset(known - {now}))


@dataclass(frozen=True)
class Orphan(Generic[T]):
    """Something live that carries a mark."""

    thing: T
    age: timedelta | None
    """None where the service's time cannot be read."""
    note: str = ""
    """Why it must not be ended; empty where it may be."""


@dataclass
class Found:
    """All that was found."""

    bids: list[Orphan[Bid]] = field(default_factory=list)
    volumes: list[Orphan[StoredVolume]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.bids or self.volumes)

    @property
    def cost(self) -> Decimal:
        """The most that the bids can cost together, USD per hour."""
        return sum((cost_of(one.thing) or Decimal(0) for one in self.bids), Decimal(0))


def cost_of(bid: Bid) -> Decimal | None:
    """Return the most that a bid can cost, USD per hour, in whole cents."""
    return None if bid.max_cost is None else bid.max_cost.quantize(money.CENT)


def read_state(export: Any) -> StackState:
    """Read what `pulumi stack export` prints; raise ValueError for what is no state: nothing may be ended by it."""
    if not isinstance(export, dict) or not isinstance(export.get("deployment"), dict):
        raise ValueError("it has no deployment")  # noqa: TRY004 - one kind of exception for all that can be wrong
    pending = [_mapping(one, "a pending operation") for one in _rows(export["deployment"], "pending_operations")]
    cut_off = [(_resource(one.get("resource")), one.get("type")) for one in pending]
    ids, marks, places = set[str](), set[str](), set[tuple[str, str]]()
    for one in [*map(_resource, _rows(export["deployment"], "resources")), *(one for one, _ in cut_off)]:
        outputs = _mapping(one.get("outputs") or {}, f"the record of {one['urn']}")
        ids |= {str(id_) for id_ in (one.get("id"), outputs.get("task_id"), outputs.get("volume_id")) if id_}
        if outputs.get("__mark"):
            marks.add(str(outputs["__mark"]))
        if outputs.get("__service"):
            places.add((str(outputs["__service"]), str(outputs.get("project") or "")))
    making = {str(one["urn"]) for one, doing in cut_off if doing == "creating"}
    return StackState(frozenset(ids), frozenset(marks), frozenset(making), frozenset(places))


def find_orphans(
    live: Iterable[T], owners: Owners, own: StackState, others: Sequence[StackState], now: datetime, min_age: timedelta
) -> list[Orphan[T]]:
    """Return what is live under a mark of the owners and recorded by no state, oldest first.

    `own` is the state of the stack that is swept: what it was making when it died is a leftover. What another stack is
    making is that stack's.
    """
    found = []
    for one in live:
        name = take_apart(one.name)
        if name is None or name.mark.owner not in {owners.now, *owners.earlier}:
            continue
        if one.id in own.ids or any(_has(other, one, name) for other in others):
            continue
        age = age_of(one.created_at, now)
        found.append(Orphan(one, age, _why_not(name, age, owners, min_age)))
    return _oldest_first(found)


def marked(live: Iterable[T], states: Mapping[str, StackState], now: datetime) -> list[Orphan[T]]:
    """Return what is live under any mark of this package, oldest first, with the stack whose state records it."""
    found = []
    for one in live:
        if take_apart(one.name) is None:
            continue
        stack = recorded_by(states, one)
        found.append(Orphan(one, age_of(one.created_at, now), f"recorded by {stack}" if stack else ""))
    return _oldest_first(found)


def recorded_by(states: Mapping[str, StackState], one: Named) -> str:
    """Return the stack whose state records something, or that may be making it; empty where there is none."""
    name = take_apart(one.name)
    return next((stack for stack, records in states.items() if _has(records, one, name)), "")


def _has(records: StackState, one: Named, name: MarkedName | None) -> bool:
    """Whether a state records something, or its stack may be making it."""
    return one.id in records.ids or (name is not None and _is_made(records, name))


def _is_made(records: StackState, name: MarkedName) -> bool:
    return name.mark.urn in {Mark.of("", urn).urn for urn in records.making}


def _why_not(name: MarkedName, age: timedelta | None, owners: Owners, min_age: timedelta) -> str:
    if name.mark.owner != owners.now:
        return OTHER_OWNER
    if age is None or age < min_age:
        return TOO_YOUNG
    return ""


def _oldest_first(found: list[Orphan[T]]) -> list[Orphan[T]]:
    return sorted(found, key=lambda one: (one.thing.created_at, one.thing.id))


def _rows(deployment: dict[str, Any], name: str) -> list[Any]:
    rows = deployment.get(name) or []
    if not isinstance(rows, list):
        raise ValueError(f"its {name} are no list")  # noqa: TRY004 - as above
    return rows


def _resource(row: Any) -> dict[str, Any]:
    if not _mapping(row, "a resource of it").get("urn"):
        raise ValueError("a resource of it has no URN")
    return _mapping(row, "a resource of it")


def _mapping(row: Any, what: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError(f"{what} is no mapping")  # noqa: TRY004 - as above
    return row
