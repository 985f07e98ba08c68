"""Which live things carry an owner's mark in their names and are recorded in no state.

A crash can leave such orphans. Their names carry the mark of their owner (see `naming`), but a mark is not a proof:
stacks with the same `flow:owner` share it, and a renamed stack leaves its marks to the next stack of that name. So
whatever the state of any stack of the backend records, or is creating now, is not an orphan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from flow_resources.core.models import Named
from flow_resources.core.moments import TIME_GRAIN, age_of
from flow_resources.core.naming import Mark, MarkedName, take_apart
from flow_resources.core.stack_state import StackState, recorded_by

T = TypeVar("T", bound=Named)
OTHER_OWNER, TOO_YOUNG = "made under another owner", "too young"
AGE_NOT_KNOWN = "its age is not known"


@dataclass(frozen=True)
class Owners:
    """The owners, as digits of their marks, whose orphans are searched for."""

    now: str
    """The owner that a create would use today: only its orphans may be cancelled or deleted."""
    earlier: frozenset[str] = frozenset()
    """Owners that the stack had before: their orphans are listed."""

    @classmethod
    def of(cls, owner: str, stack: str, own: StackState) -> Owners:
        """Return the owners of a stack: today's, the one by the stack's name, and those in the marks of its state."""
        now = Mark.of(owner, "").owner
        known = {Mark.of(stack, "").owner, *(Mark.parse(mark).owner for mark in own.marks)}
        return cls(now, frozenset(known - {now}))


@dataclass(frozen=True)
class Orphan(Generic[T]):
    """Something live with a mark."""

    thing: T
    age: timedelta | None
    """By the service's clock. None where its own time, or the service's, cannot be read."""
    note: str = ""
    """Why it must not be cancelled or deleted; empty where it may be."""


def find_orphans(
    live: Iterable[T],
    owners: Owners,
    own: StackState,
    others: Sequence[StackState],
    now: datetime | None,
    min_age: timedelta,
    recorded_as: Callable[[T], Named] = lambda thing: thing,
) -> list[Orphan[T]]:
    """Return the live things with a mark of the owners that no state records, oldest first.

    `recorded_as` returns what a state records in place of a thing: an API key is recorded with its bid. `own` is the
    state of the swept stack: what it was creating when an `up` died is an orphan. What another stack is creating is
    that stack's. `now` is the service's time; None: not known.
    """
    orphans = []
    for thing in live:
        name = take_apart(thing.name)
        if name is None or name.mark.owner not in {owners.now, *owners.earlier}:
            continue
        recorded = recorded_as(thing)
        if recorded.id in own.ids or any(other.may_record(recorded) for other in others):
            continue
        age = age_of(thing.created_at, now)
        orphans.append(Orphan(thing, age, _note(name, age, owners, min_age)))
    return _oldest_first(orphans)


def find_marked(
    live: Iterable[T],
    states: Mapping[str, StackState],
    now: datetime | None,
    recorded_as: Callable[[T], Named] = lambda thing: thing,
) -> list[Orphan[T]]:
    """Return the live things with any mark of this package, oldest first, with the stack whose state records each."""
    marked = []
    for thing in live:
        if take_apart(thing.name) is None:
            continue
        stack = recorded_by(states, recorded_as(thing))
        marked.append(Orphan(thing, age_of(thing.created_at, now), f"recorded by {stack}" if stack else ""))
    return _oldest_first(marked)


def _note(name: MarkedName, age: timedelta | None, owners: Owners, min_age: timedelta) -> str:
    if name.mark.owner != owners.now:
        return OTHER_OWNER
    if age is None:
        return AGE_NOT_KNOWN
    return TOO_YOUNG if age + TIME_GRAIN < min_age else ""


def _oldest_first(orphans: list[Orphan[T]]) -> list[Orphan[T]]:
    return sorted(orphans, key=lambda orphan: (orphan.thing.created_at, orphan.thing.id))
