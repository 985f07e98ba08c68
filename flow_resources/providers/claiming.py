"""What already stands where something new should: ours to take over, ours to clear away, or nobody's business.

A create that was cut off (a lost answer, a killed plugin, a killed engine) leaves something that no state records; the
mark in its name says whose it is. The rules, for bids and volumes alike:

* while the state records anything live under the mark, or nobody knows what it records, this is a replacement that
  makes the new one first, and what stands there may wait for its deletion, of which a program is not told. So the whole
  state is asked for. What it does not hold, has the same specification and is younger than all that it holds was left
  by a crash, and is taken over: what a person let go of (`retain_on_delete`, `pulumi state delete`) is older. The rest
  is named (`warn_of_surplus`), and `flow-resources sweep` finds it; so is all of it where the state cannot be had, or
  the owner can be other people's too. (The engine keeps what it deleted first recorded until the new one is made: what
  a cut-off `up` left after that is a leftover like any other.)
* else what is older than what the state went on from was let go of, and is named as well;
* a leftover with the same specification is taken over, the oldest of several;
* any other leftover is for the caller to judge: `clear`.

A mark is only as good as the owner in it: a stack that was renamed, or two people's stacks on self-managed backends,
can share one. So what the state of another stack of the backend records is left out of all this, and what is older than
a cut-off create plausibly is, is never touched (`too_old`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Generic, TypeVar

from flow_resources.core.models import Named, age_of, is_older, latest
from flow_resources.core.naming import Mark, MarkedName, compose, take_apart
from flow_resources.providers import session
from flow_resources.providers.base import NOT_KNOWN, last_recorded, owner_is_shared, still_recorded
from flow_resources.providers.stored import is_elsewhere, whole_state

T = TypeVar("T", bound=Named)
# Hours. What a cut-off `up` left is taken over within a day, and ended for another specification within an hour; what
# is older may belong to a stack that was renamed, and is for a person to judge.
TAKE_OVER_WITHIN, CLEAR_WITHIN = 24, 1


@dataclass(frozen=True)
class Claim(Generic[T]):
    """What a create finds before it makes anything."""

    take: T | None
    """A leftover with the same specification."""
    clear: tuple[T, ...]
    """Leftovers to clear away first."""
    generation: int
    """The generation of the next name."""
    unsure: tuple[T, ...] = ()
    """What carries the mark and is not known to be a leftover."""


def claim(live: Iterable[T], mark: Mark, spec: str) -> Claim[T]:
    """Judge the live things of a project for one resource."""
    there, recorded = list(live), still_recorded(str(mark))
    adopted = session.current().adopted  # by another resource, which was checked before
    marked = _marked(there, mark)
    # All of them count, whosever they are by now: their names are taken.
    generation = 1 + max((parts.generation for parts, _ in marked if parts.spec == spec), default=0)
    ours = [(parts, one) for parts, one in marked if adopted.get(one.id) in (None, str(mark))]
    ours.sort(key=lambda pair: (pair[1].created_at, pair[1].id))
    if NOT_KNOWN in recorded and ours:
        recorded = _looked_up(recorded, {one.id for _, one in ours})
    if any(one.id not in recorded for _, one in ours):
        ours = [(parts, one) for parts, one in ours if not is_elsewhere(one)]
    if NOT_KNOWN in recorded or any(one.id in recorded for one in there):
        return _claim_beside(ours, spec, recorded, generation)
    let_go = _let_go([one for _, one in ours], last_recorded(str(mark)))
    left = [(parts, one) for parts, one in ours if one not in let_go]
    take = next((one for parts, one in left if parts.spec == spec), None)
    return Claim(take, tuple(one for _, one in left if one is not take), generation, tuple(let_go))


def _let_go(ours: list[T], newest: str) -> list[T]:
    """Return what is older than what the state went on with, and does not wait there for its deletion."""
    older = [one for one in ours if is_older(one.created_at, newest)]
    waiting = (whole_state() if older else None) or frozenset()
    return [one for one in older if one.id not in waiting]


def _looked_up(recorded: set[str], ours: set[str]) -> set[str]:
    """Return which of ours the whole state holds, where the program could not find out; doubt where nobody can."""
    whole = whole_state()
    return recorded if whole is None else (ours & whole) - session.current().deleted


def _claim_beside(ours: list[tuple[MarkedName, T]], spec: str, recorded: set[str], generation: int) -> Claim[T]:
    """Judge what stands beside something that the state records."""
    held, known = recorded, False
    if not owner_is_shared() and any(one.id not in recorded for _, one in ours):  # else there is nothing to decide
        whole = whole_state()
        held, known = recorded | (whole or frozenset()), whole is not None
    newest = latest(one.created_at for _, one in ours if one.id in held)
    left = [(parts, one) for parts, one in ours if one.id not in held]
    take = None
    if known:
        young = (one for parts, one in left if parts.spec == spec and is_older(newest, one.created_at))
        take = next((one for one in young if not too_old(one, TAKE_OVER_WITHIN)), None)
    surplus = () if NOT_KNOWN in held else tuple(one for _, one in left if one is not take)
    return Claim(take, (), generation, surplus)


def warn_of_surplus(live: Iterable[T], mark: Mark, recorded: set[str], describe_cost: Callable[[T], str]) -> None:
    """Name what carries a resource's mark beside what the state is known to hold for it.

    No more than that: it may be what the state is still to delete, or another resource's that had this name before.
    """
    way_out = "how to end it; with flow:owner an `up` takes such a one over" if owner_is_shared() else "ends it"
    for _, one in _marked(live, mark):
        if one.id not in recorded:
            session.current().warn_once(
                f"{one.name} ({one.id}, {describe_cost(one)}) is live as well, with this resource's mark: "
                "an interrupted replacement may have left it; "
                f"`flow-resources sweep` tells whether any state records it, and {way_out}"
            )


def _marked(live: Iterable[T], mark: Mark) -> list[tuple[MarkedName, T]]:
    """Return what carries a mark, with its name taken apart."""
    return [(parts, one) for one in live if (parts := take_apart(one.name)) and parts.mark == mark]


def too_old(what: Named, hours: float) -> bool:
    """Whether something is older than so many hours; an age that cannot be read is young."""
    age = age_of(what.created_at, datetime.now(timezone.utc))
    return age is not None and age > timedelta(hours=hours)


def is_young(what: Named, hours: float) -> bool:
    """Whether something is surely no older than so many hours: not where its time cannot be read, or is yet to come.

    (A machine whose clock is far behind the service's cannot tell an age.)
    """
    age = age_of(what.created_at, datetime.now(timezone.utc))
    return age is not None and abs(age) <= timedelta(hours=hours)


def next_name(prefix: str, mark: Mark, spec: str, generation: int, used: Iterable[str]) -> str:
    """Return the first name from a generation on that is not used."""
    taken = set(used)
    while (name := compose(prefix, mark, spec, generation)) in taken:
        generation += 1
    return name
