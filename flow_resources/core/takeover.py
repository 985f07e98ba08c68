"""Decides what happens to live bids and volumes that already carry the mark of a resource which is about to be created.

A create that was cut off (a lost answer, a killed plugin, a killed engine) leaves something that no state records; the
mark in its name tells whose it is. `decide` sees what is live in the project and the facts of a `View`, and answers
with a `Decision`: what to take over, what to cancel first, what to leave alone and name, and what makes the create
refuse. The rules are a table in docs/explanation/safety.md; tests/pure/test_takeover.py has a case per row.

A mark is only as good as the owner in it: a stack that was renamed, or two people's stacks on self-managed backends,
can share one. So what the state of another stack records is left alone, and so is what is older than a create that was
cut off plausibly is. Where a fact is not known that a decision needs, nothing is taken over, cancelled or placed: the
create refuses, and names what it found and what it could not find out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Generic, Protocol, TypeVar

from flow_resources.core.answer import Answer
from flow_resources.core.models import Named
from flow_resources.core.moments import is_older, latest
from flow_resources.core.naming import Mark, MarkedName, take_apart

T = TypeVar("T", bound=Named)
T_contra = TypeVar("T_contra", bound=Named, contravariant=True)
# What a cut-off `up` left is taken over within a day, and cancelled for another specification within an hour; what is
# older may belong to a stack that was renamed, and is for a person to judge.
TAKE_OVER_WITHIN, CANCEL_WITHIN = timedelta(hours=24), timedelta(hours=1)
_CLOCK_TOLERANCE = timedelta(minutes=5)
"""By how much a creation time may lie in the future of the service's own clock before it proves nothing."""


class View(Protocol[T_contra]):
    """What is known of who records what, as seen from one resource. A question is asked only where its answer decides.

    The stored states are read when the first question about them is asked, which takes a second or more.
    """

    @property
    def owner_is_shared(self) -> Answer:
        """Whether stacks of other people can have the same owner."""

    @property
    def newest_recorded(self) -> str | None:
        """When the youngest was made of all that the state held for the resource as the operation began.

        Empty where it held nothing; None where that is not known.
        """

    def is_recorded(self, id_: str) -> Answer:
        """Whether the state holds it for this resource, as the program read the state, and it was not deleted since."""

    def is_in_own_state(self, id_: str) -> Answer:
        """Whether the whole stored state holds it, what waits for its deletion included."""

    def is_in_other_stack(self, thing: T_contra) -> Answer:
        """Whether the stored state of another stack holds it, or that stack may be making it."""

    def is_of_another_provider(self, id_: str) -> Answer:
        """Whether the stored state has it under another provider resource, which can be about to delete it."""

    def is_adopted_by_another(self, id_: str) -> Answer:
        """Whether another resource of the program adopts it."""

    def is_of_another_user(self, thing: T_contra) -> Answer:
        """Whether another user placed it, or uses it."""

    def age(self, thing: T_contra) -> timedelta | None:
        """Return how old it is by the service's clock; None where that is not known."""


@dataclass(frozen=True)
class Wanted(Generic[T]):
    """What a create wants."""

    mark: Mark
    digest: str
    may_cancel: bool
    """Whether what has another specification may be cancelled. Never what holds data."""
    differs: Callable[[T], bool]
    """Whether something with our digest in its name is not what the program says after all."""


class Reason(Enum):
    """Why something is left alone, or makes the create refuse: a sentence about "it"."""

    SURPLUS = "it may wait for its deletion, or was retained on purpose"
    OTHER_SPECIFICATION = "it holds data of an older specification"
    OTHER_PROVIDER = "another provider of this stack has still to delete it, and knows nothing of who takes it over"
    OTHER_STACK = "the state of another stack records it"
    DIFFERS = "it has our name, but is not what the program says"
    TOO_OLD = "it is older than what an interrupted `up` leaves behind"
    OTHER_USER = "its owner can be another person's, and another user placed it or uses it"
    SHARED_OWNER = "its owner can be another person's"
    NAME_NOT_KNOWN = "the service does not say its name, so that it can be what an interrupted `up` left"
    STATE_NOT_KNOWN = "whether this stack's own state records it could not be found out"
    OTHER_STATES_NOT_KNOWN = "whether another stack's state records it could not be found out"
    AGE_NOT_KNOWN = "how old it is, by the service's clock or beside what the state recorded, could not be found out"
    USER_NOT_KNOWN = "its owner can be another person's, and who placed it could not be found out"


@dataclass(frozen=True)
class Finding(Generic[T]):
    """Something that is not touched, and why."""

    thing: T
    reason: Reason


@dataclass(frozen=True)
class Decision(Generic[T]):
    """What a create does before it places anything."""

    generation: int
    """The first generation that no live name has."""
    take_over: T | None = None
    cancel: tuple[T, ...] = ()
    """What is cancelled, and proven gone, first."""
    leave: tuple[Finding[T], ...] = ()
    refuse: Finding[T] | None = None
    """The create fails because of this, before anything is cancelled, taken over or placed."""


def decide(live: Iterable[T], wanted: Wanted[T], view: View[T]) -> Decision[T]:
    """Judge what is live in a project for one resource that is about to be made."""
    things = list(live)
    marked = marked_with(things, wanted.mark)
    # All of them count, whosever they are by now: their names are taken.
    generation = 1 + max((name.generation for name, _ in marked if name.spec == wanted.digest), default=0)
    if nameless := next((thing for thing in things if not thing.name_is_known and not _has_owner(thing, view)), None):
        return Decision(generation, refuse=Finding(nameless, Reason.NAME_NOT_KNOWN))
    ours = [pair for pair in marked if view.is_adopted_by_another(pair[1].id) is not Answer.YES]
    ours.sort(key=lambda pair: (pair[1].created_at or "", pair[1].id))
    recorded = {thing.id: _is_recorded(thing.id, view) for _, thing in ours}
    for _, thing in ours:
        if recorded[thing.id] is Answer.NOT_KNOWN or view.is_adopted_by_another(thing.id) is Answer.NOT_KNOWN:
            return Decision(generation, refuse=Finding(thing, Reason.STATE_NOT_KNOWN))
    kept = [thing for _, thing in ours if recorded[thing.id] is Answer.YES]
    others = [(name, thing) for name, thing in ours if recorded[thing.id] is Answer.NO]
    elsewhere = {thing.id: view.is_in_other_stack(thing) for _, thing in others}
    left_elsewhere = [Finding(thing, Reason.OTHER_STACK) for _, thing in others if elsewhere[thing.id] is Answer.YES]
    others = [pair for pair in others if elsewhere[pair[1].id] is not Answer.YES]
    # Where the state records something that is live, this is a replacement that creates first. (The engine keeps what
    # it deleted first recorded until the new one is made: what a cut-off `up` left after that is an orphan like any.)
    if kept or any(view.is_recorded(thing.id) is Answer.YES for thing in things if thing.id not in recorded):
        take, leave = _judge_create_first(kept, others, elsewhere, wanted, view)
        cancel, refuse = list[T](), None
    else:
        take, cancel, leave, refuse = _judge_delete_first(others, elsewhere, wanted, view)
    if take and (doubt := _doubt_in_taking_over(take, wanted, view)):
        refuse = refuse or Finding(take, doubt)
    return Decision(generation, take, tuple(cancel), (*left_elsewhere, *leave), refuse)


def marked_with(things: Iterable[T], mark: Mark) -> list[tuple[MarkedName, T]]:
    """Return what carries a mark, each with its name parsed."""
    digits = str(mark)  # looked for first: to parse the names of all bids for each of a thousand clusters takes seconds
    candidates = (thing for thing in things if digits in thing.name)
    return [(name, thing) for thing in candidates if (name := take_apart(thing.name)) and name.mark == mark]


def _judge_create_first(
    kept: list[T], others: list[tuple[MarkedName, T]], elsewhere: dict[str, Answer], wanted: Wanted[T], view: View[T]
) -> tuple[T | None, list[Finding[T]]]:
    """Return what to take over, and what to leave, while the state records something that is live.

    What the whole state does not hold, has the same specification and is younger than all that it holds was left by a
    crash: what a person let go of (`retain_on_delete`, `pulumi state delete`) is older. What is not certain is left.
    """
    if not others or view.owner_is_shared is not Answer.NO:
        return None, [Finding(thing, Reason.SURPLUS) for _, thing in others]
    in_state = {thing.id: view.is_in_own_state(thing.id) for _, thing in others}
    held = [*kept, *(thing for _, thing in others if in_state[thing.id] is Answer.YES)]
    others = [(name, thing) for name, thing in others if in_state[thing.id] is not Answer.YES]
    newest = latest(thing.created_at for thing in held)
    take = next(
        (
            thing
            for name, thing in others
            if name.spec == wanted.digest
            and in_state[thing.id] is elsewhere[thing.id] is Answer.NO
            and is_older(newest, thing.created_at) is Answer.YES
            and _is_older_than(TAKE_OVER_WITHIN, thing, view) is Answer.NO
        ),
        None,
    )
    return take, [Finding(thing, Reason.SURPLUS) for _, thing in others if thing is not take]


def _judge_delete_first(
    others: list[tuple[MarkedName, T]], elsewhere: dict[str, Answer], wanted: Wanted[T], view: View[T]
) -> tuple[T | None, list[T], list[Finding[T]], Finding[T] | None]:
    """Return what to take over, cancel, leave and refuse in a first create, or after the old one was deleted."""
    orphans, leave = list[tuple[MarkedName, T]](), list[Finding[T]]()
    for name, thing in others:
        older = Answer.NO if view.newest_recorded == "" else is_older(thing.created_at, view.newest_recorded)
        if older is Answer.YES and view.is_in_own_state(thing.id) is not Answer.YES:
            leave.append(Finding(thing, Reason.SURPLUS))  # a person let go of it: it does not wait for its deletion
        elif older is Answer.NOT_KNOWN:
            return None, [], [], Finding(thing, Reason.AGE_NOT_KNOWN)
        elif elsewhere[thing.id] is Answer.NOT_KNOWN:
            return None, [], [], Finding(thing, Reason.OTHER_STATES_NOT_KNOWN)
        elif (of_another := view.is_of_another_provider(thing.id)) is Answer.NOT_KNOWN:
            return None, [], [], Finding(thing, Reason.STATE_NOT_KNOWN)
        elif of_another is Answer.YES:
            leave.append(Finding(thing, Reason.OTHER_PROVIDER))
        else:
            orphans.append((name, thing))
    take = next((thing for name, thing in orphans if name.spec == wanted.digest), None)
    rest = [thing for _, thing in orphans if thing is not take]
    if not wanted.may_cancel:
        return take, [], [*leave, *(Finding(thing, Reason.OTHER_SPECIFICATION) for thing in rest)], None
    doubts = (Finding(thing, doubt) for thing in rest if (doubt := _doubt_in_cancelling(thing, view)))
    return take, rest, leave, next(doubts, None)


def _doubt_in_taking_over(thing: T, wanted: Wanted[T], view: View[T]) -> Reason | None:
    """Return why something must not be taken over after all; None where it may be."""
    if wanted.differs(thing):
        return Reason.DIFFERS
    if (too_old := _is_older_than(TAKE_OVER_WITHIN, thing, view)) is not Answer.NO:
        return Reason.TOO_OLD if too_old is Answer.YES else Reason.AGE_NOT_KNOWN
    if view.owner_is_shared is Answer.NO:
        return None
    of_another_user = view.is_of_another_user(thing)
    if of_another_user is Answer.NOT_KNOWN:
        return Reason.USER_NOT_KNOWN
    return Reason.OTHER_USER if of_another_user is Answer.YES else None


def _doubt_in_cancelling(thing: T, view: View[T]) -> Reason | None:
    """Return why something must not be cancelled after all, which cannot be undone; None where it may be."""
    if (too_old := _is_older_than(CANCEL_WITHIN, thing, view)) is not Answer.NO:
        return Reason.TOO_OLD if too_old is Answer.YES else Reason.AGE_NOT_KNOWN
    return None if view.owner_is_shared is Answer.NO else Reason.SHARED_OWNER


def _has_owner(thing: T, view: View[T]) -> bool:
    """Whether a resource of this stack, or another stack, certainly has something: then its name does not matter."""
    if Answer.YES in (view.is_recorded(thing.id), view.is_adopted_by_another(thing.id)):
        return True
    return view.is_in_own_state(thing.id) is Answer.YES or view.is_in_other_stack(thing) is Answer.YES


def _is_recorded(id_: str, view: View[T]) -> Answer:
    """Return what the program knows of the state, or else what the whole stored state says."""
    answer = view.is_recorded(id_)
    return view.is_in_own_state(id_) if answer is Answer.NOT_KNOWN else answer


def _is_older_than(limit: timedelta, thing: T, view: View[T]) -> Answer:
    """Whether it is older. A creation time in the future of the service's own clock proves nothing."""
    age = view.age(thing)
    return Answer.of(None if age is None or age < -_CLOCK_TOLERANCE else age > limit)
