"""Decides what happens to live bids and volumes that already carry the mark of a resource which is about to be created.

A create that was cut off (a lost answer, a killed plugin, a killed engine) leaves something that no state records; the
mark in its name tells whose it is. `decide` sees what is live in the project and the facts of a `View`, and answers
with a `Decision`: what to take over, what to cancel first, what to leave alone and name, and what makes the create
refuse. The rules are a table in docs/explanation/safety.md; tests/pure/test_takeover.py has a case per row.

A mark is only as good as the owner in it: a stack that was renamed, or two people's stacks on self-managed backends,
can share one. So what the state of another stack records is left alone, and so is what is older than a create that was
cut off plausibly is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Generic, Protocol, TypeVar

from flow_resources.core.answer import Answer
from flow_resources.core.models import Named, is_older, latest
from flow_resources.core.naming import Mark, MarkedName, take_apart

T = TypeVar("T", bound=Named)
T_contra = TypeVar("T_contra", bound=Named, contravariant=True)
# What a cut-off `up` left is taken over within a day, and cancelled for another specification within an hour; what is
# older may belong to a stack that was renamed, and is for a person to judge.
TAKE_OVER_WITHIN, CANCEL_WITHIN = timedelta(hours=24), timedelta(hours=1)


class View(Protocol[T_contra]):
    """What is known of who records what, as seen from one resource. A question is asked only where its answer decides.

    The stored states are read when the first question about them is asked, which takes a second or more.
    """

    @property
    def owner_is_shared(self) -> Answer:
        """Whether stacks of other people can have the same owner."""

    @property
    def newest_recorded(self) -> str:
        """When the youngest was made of all that the state held for the resource as the operation began; may be ''."""

    def is_recorded(self, id_: str) -> Answer:
        """Whether the state holds it for this resource, as the program read the state, and it was not deleted since."""

    def is_in_own_state(self, id_: str) -> Answer:
        """Whether the whole stored state holds it, what waits for its deletion included."""

    def is_in_other_stack(self, thing: T_contra) -> Answer:
        """Whether the stored state of another stack holds it, or that stack may be making it."""

    def is_adopted_by_another(self, id_: str) -> Answer:
        """Whether another resource of the program adopts it."""

    def is_of_another_user(self, thing: T_contra) -> Answer:
        """Whether another user placed it, or uses it."""

    def age(self, thing: T_contra) -> timedelta | None:
        """Return how old it is; None where that is not known."""


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
    """Why something is left alone, or makes the create refuse."""

    SURPLUS = "it may wait for its deletion, or was retained on purpose"
    OTHER_SPECIFICATION = "it holds data of an older specification"
    OTHER_STACK = "the state of another stack records it"
    DIFFERS = "it has our name, but is not what the program says"
    UNSURE = "it carries our mark, but may be another stack's"


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
    """The create fails because of this, before anything is cancelled or taken over."""


def decide(live: Iterable[T], wanted: Wanted[T], view: View[T]) -> Decision[T]:
    """Judge what is live in a project for one resource that is about to be made."""
    things = list(live)
    marked = marked_with(things, wanted.mark)
    # All of them count, whosever they are by now: their names are taken.
    generation = 1 + max((name.generation for name, _ in marked if name.spec == wanted.digest), default=0)
    ours = [
        (name, thing)
        for name, thing in marked
        if not _assume(view.is_adopted_by_another(thing.id), when_not_known=False)
    ]
    ours.sort(key=lambda pair: (pair[1].created_at, pair[1].id))
    recorded = {thing.id: _is_recorded(thing.id, view) for _, thing in ours}
    elsewhere: list[T] = []
    if any(answer is not Answer.YES for answer in recorded.values()):
        elsewhere = [thing for _, thing in ours if _assume(view.is_in_other_stack(thing), when_not_known=False)]
        ours = [(name, thing) for name, thing in ours if thing not in elsewhere]
    left_elsewhere = tuple(Finding(thing, Reason.OTHER_STACK) for thing in elsewhere)
    if _is_create_first(things, recorded, view):
        take, leave = _judge_create_first(ours, recorded, wanted, view)
        cancel: list[T] = []
    else:
        take, cancel, leave = _judge_delete_first(ours, wanted, view)
    refuse = _refusal(take, cancel, wanted, view)
    return Decision(generation, take, tuple(cancel), (*left_elsewhere, *leave), refuse)


def marked_with(things: Iterable[T], mark: Mark) -> list[tuple[MarkedName, T]]:
    """Return what carries a mark, each with its name parsed."""
    return [(name, thing) for thing in things if (name := take_apart(thing.name)) and name.mark == mark]


def _is_create_first(things: list[T], recorded: dict[str, Answer], view: View[T]) -> bool:
    """Whether this is a replacement that creates first: the state records something that is live.

    What is live then may wait for its deletion, which a program cannot see. (The engine keeps what it deleted
    first recorded until the new one is made: what a cut-off `up` left after that is an orphan like any other.)
    """
    return any(recorded.get(thing.id, view.is_recorded(thing.id)) is Answer.YES for thing in things) or any(
        answer is Answer.NOT_KNOWN for answer in recorded.values()
    )


def _judge_create_first(
    ours: list[tuple[MarkedName, T]], recorded: dict[str, Answer], wanted: Wanted[T], view: View[T]
) -> tuple[T | None, list[Finding[T]]]:
    """Return what to take over, and what to leave, while the state records something that is live.

    What the whole state does not hold, has the same specification and is younger than all that it holds was left by a
    crash: what a person let go of (`retain_on_delete`, `pulumi state delete`) is older.
    """
    if any(answer is Answer.NOT_KNOWN for answer in recorded.values()):
        return None, []  # nothing is known of any of them
    others = [(name, thing) for name, thing in ours if recorded[thing.id] is not Answer.YES]
    if not others:
        return None, []
    held = [thing for _, thing in ours if recorded[thing.id] is Answer.YES]
    take: T | None = None
    if not _assume(view.owner_is_shared, when_not_known=True):
        in_state = {thing.id: view.is_in_own_state(thing.id) for _, thing in others}
        held += [thing for _, thing in others if in_state[thing.id] is Answer.YES]
        others = [(name, thing) for name, thing in others if in_state[thing.id] is not Answer.YES]
        newest = latest(thing.created_at for thing in held)
        take = next(
            (
                thing
                for name, thing in others
                if name.spec == wanted.digest
                and in_state[thing.id] is Answer.NO
                and is_older(newest, thing.created_at)
                and not _assume(_is_older_than(TAKE_OVER_WITHIN, thing, view), when_not_known=False)
            ),
            None,
        )
    return take, [Finding(thing, Reason.SURPLUS) for _, thing in others if thing is not take]


def _judge_delete_first(
    ours: list[tuple[MarkedName, T]], wanted: Wanted[T], view: View[T]
) -> tuple[T | None, list[T], list[Finding[T]]]:
    """Return what to take over, cancel and leave in a first create, or after a replacement has deleted the old one."""
    older = [thing for _, thing in ours if is_older(thing.created_at, view.newest_recorded)]
    # What does not wait in the state for its deletion either was let go of.
    retained = [thing for thing in older if not _assume(view.is_in_own_state(thing.id), when_not_known=False)]
    orphans = [(name, thing) for name, thing in ours if thing not in retained]
    take = next((thing for name, thing in orphans if name.spec == wanted.digest), None)
    others = [thing for _, thing in orphans if thing is not take]
    leave = [Finding(thing, Reason.SURPLUS) for thing in retained]
    if wanted.may_cancel:
        return take, others, leave
    return take, [], [*leave, *(Finding(thing, Reason.OTHER_SPECIFICATION) for thing in others)]


def _refusal(take: T | None, cancel: list[T], wanted: Wanted[T], view: View[T]) -> Finding[T] | None:
    """Return what must not be taken over, or cancelled, after all: neither can be undone."""
    for thing in cancel:
        if not _assume(_is_within(CANCEL_WITHIN, thing, view), when_not_known=False) or _assume(
            view.owner_is_shared, when_not_known=True
        ):
            return Finding(thing, Reason.UNSURE)
    if take is None:
        return None
    if wanted.differs(take):
        return Finding(take, Reason.DIFFERS)
    if _assume(_is_older_than(TAKE_OVER_WITHIN, take, view), when_not_known=False):
        return Finding(take, Reason.UNSURE)
    if _assume(view.owner_is_shared, when_not_known=True) and _assume(
        view.is_of_another_user(take), when_not_known=False
    ):
        return Finding(take, Reason.UNSURE)
    return None


def _is_recorded(id_: str, view: View[T]) -> Answer:
    """Return what the program knows of the state, or else what the whole stored state says."""
    answer = view.is_recorded(id_)
    return view.is_in_own_state(id_) if answer is Answer.NOT_KNOWN else answer


def _is_older_than(limit: timedelta, thing: T, view: View[T]) -> Answer:
    age = view.age(thing)
    return Answer.of(None if age is None else age > limit)


def _is_within(limit: timedelta, thing: T, view: View[T]) -> Answer:
    """Whether it is at most that old. A creation time in the future counts by its distance: a clock is wrong."""
    age = view.age(thing)
    return Answer.of(None if age is None else abs(age) <= limit)


def _assume(answer: Answer, *, when_not_known: bool) -> bool:
    """Turn an answer into a decision. The only place where "not known" counts as one of the other two."""
    return when_not_known if answer is Answer.NOT_KNOWN else answer is Answer.YES
