"""Who records what: the one memory that the verbs of a Pulumi operation share.

Facts come from five sides: what the program read of its stack's state, the stored states of this stack and of others,
and what this operation itself placed, deleted, found missing, adopted and declared. Each is kept by id, by mark or by
URN, never as "the value that the last caller passed". A question is answered with yes, no or not known.

Two locks. `_lock` guards the fields; it is held for moments and never while anybody is asked. `_reading` lets one
thread read the stored states, which takes a second per stack, while the others that need them wait.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flow_resources.clock import Clock
from flow_resources.core.answer import Answer
from flow_resources.core.hidden import HiddenInputs, Identity
from flow_resources.core.models import Named, latest
from flow_resources.core.naming import Mark
from flow_resources.core.stack_state import StackState, read_state, recorded_by
from flow_resources.lifecycle.report import Report

READING_SECONDS = 60
"""For reading the states of other stacks, each of which takes a second; a large backend has thousands."""


class Backend(Protocol):
    """What Pulumi's backend can be asked; a stack is named organization/project/stack."""

    def stack_names(self, report: Report) -> list[str]:
        """Return the names of all stacks; none where the backend cannot be asked."""

    def own_state(self, urn: str, report: Report) -> Any:
        """Return the stored state of the stack of a URN; None where it cannot be read."""

    def other_states(self, urn: str, report: Report) -> Iterator[tuple[str, Any]]:
        """Yield the stored states of all other stacks, those of the same project first, without the unreadable."""


@dataclass
class Ledger:
    """What is known of who records what, from the beginning of an operation to its end."""

    backend: Backend
    clock: Clock
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _reading: threading.Lock = field(default_factory=threading.Lock)
    _turns: dict[Mark, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))
    _recorded: dict[Mark, frozenset[str] | None] = field(default_factory=dict)
    """By mark, the ids that the state held as the program read it; None: not known."""
    _created_at: dict[str, str] = field(default_factory=dict)
    """When each of these was created, by the service's clock."""
    _replaced: set[Mark] = field(default_factory=set)
    """Marks for which the state held something when the operation began: a create of one is a replacement."""
    _placed: set[str] = field(default_factory=set)
    _deleted: set[str] = field(default_factory=set)
    _missing: set[str] = field(default_factory=set)
    """Ids that a refresh of this operation found gone."""
    _declared: dict[str, str | None] = field(default_factory=dict)
    """By id, the id of the create that a declared resource records for it."""
    _adopted: dict[str, Mark] = field(default_factory=dict)
    _own_state: list[StackState | None] = field(default_factory=list)
    """The stored state of this stack when it was first read (one entry); None where it cannot be read."""
    _other_states: dict[str, StackState] | None = None
    _stack_names: list[str] | None = None

    # -- what the verbs remember ------------------------------------------------------------------------------------

    def learn(self, urn: str | None, hidden: HiddenInputs, pinned: Identity | None, *, has_olds: bool) -> Identity:
        """Remember what the program passed along for a resource, and return its identity: the pinned one, if any.

        `urn` is the engine's own word for it. Where the program read its state under another URN (an alias, a
        transformation), or read nothing though the state holds the resource, what the state records is not known.
        """
        current = Identity(Mark.of(hidden.owner, urn or hidden.urn), hidden.owner or None)
        entries = hidden.recorded or ()
        recorded = None if hidden.recorded is None else frozenset(entry.id for entry in entries)
        with self._lock:
            if has_olds:
                self._replaced |= {current.mark, *([pinned.mark] if pinned else [])}
            self._created_at.update({entry.id: entry.created_at for entry in entries})
            # A forced replacement is checked as if there were nothing before it. (What this very operation's refresh
            # found gone, the program has read of before.)
            if any(entry.is_own and entry.id not in self._missing for entry in entries):
                self._replaced.add(current.mark)
            if (has_olds and recorded == frozenset()) or (urn and hidden.urn and urn != hidden.urn):
                recorded = None
            self._recorded[current.mark] = recorded
        return current if pinned is None or pinned.mark == current.mark else pinned

    def declare(self, id_: str, create_id: str | None) -> None:
        """Remember that a resource which the program declares records the id, under the id of this create."""
        with self._lock:
            self._declared[id_] = create_id

    def add_placed(self, id_: str) -> None:
        """Remember that this process placed it."""
        with self._lock:
            self._placed.add(id_)

    def add_deleted(self, id_: str) -> None:
        """Remember that this process deleted it."""
        with self._lock:
            self._deleted.add(id_)

    def add_missing(self, id_: str) -> None:
        """Remember that a refresh found it gone."""
        with self._lock:
            self._missing.add(id_)

    def adopt(self, id_: str, mark: Mark) -> bool | None:
        """Let a resource adopt what its program names: its first create alone does, and one resource alone.

        Returns False where this create ignores the adoption, and None where another resource adopts the same.
        """
        with self._lock:
            recorded = self._recorded.get(mark, frozenset()) or frozenset()
            if mark in self._replaced or id_ in self._deleted or id_ in recorded:
                return False
            return True if self._adopted.setdefault(id_, mark) == mark else None

    def turn(self, mark: Mark) -> threading.Lock:
        """Return the lock of a resource: whoever creates it twice at once finds what the first create made."""
        with self._lock:
            return self._turns[mark]

    # -- what they ask ------------------------------------------------------------------------------------------------

    def is_placed_here(self, id_: str) -> bool:
        """Whether this process placed it."""
        with self._lock:
            return id_ in self._placed

    def is_recorded(self, id_: str, mark: Mark) -> Answer:
        """Whether the state holds it for a resource, as the program read it, and this operation did not delete it."""
        with self._lock:
            recorded = self._recorded.get(mark, frozenset())
            return Answer.of(None if recorded is None else id_ in recorded - self._deleted)

    def is_deleted(self, id_: str) -> bool:
        """Whether this process deleted it."""
        with self._lock:
            return id_ in self._deleted

    def is_missing(self, id_: str) -> bool:
        """Whether a refresh of this operation found it gone."""
        with self._lock:
            return id_ in self._missing

    def newest_recorded(self, mark: Mark) -> str:
        """Return when the youngest was made that the state held as the operation began; empty where not known.

        What this operation has deleted counts: the state goes on from it.
        """
        with self._lock:
            return latest(self._created_at.get(id_, "") for id_ in self._recorded.get(mark) or ())

    def is_adopted_by_another(self, id_: str, mark: Mark) -> Answer:
        """Whether another resource, which was checked before, adopts it."""
        with self._lock:
            return Answer.of(self._adopted.get(id_, mark) != mark)

    def is_recorded_by_another_create(self, id_: str, create_id: str | None) -> bool:
        """Whether a declared resource records the id under another create, which keeps it from being deleted.

        An unfinished replacement leaves in the state, hidden from the program, what is still to be deleted. A create
        of the same specification finds that by its name and takes it over, or the program adopts it; then the engine
        comes to delete it.
        """
        with self._lock:
            return id_ in self._declared and self._declared[id_] != create_id

    def is_in_own_state(self, id_: str, urn: str | None, report: Report) -> Answer:
        """Whether the whole stored state of the stack held it when it was first read."""
        state = self._read_own_state(urn, report)
        return Answer.of(None if state is None else id_ in state.ids)

    def own_records(self, urn: str | None, report: Report) -> Mapping[str, tuple[str, str | None]] | None:
        """Return id and region of what the stored state holds to be replaced, by URN; None where it cannot be read."""
        state = self._read_own_state(urn, report)
        return None if state is None else state.owned

    def stack_that_records(self, thing: Named, urn: str | None, report: Report) -> str:
        """Return the other stack of the backend that records something, or may be making it; empty for none.

        As after a rename or a move of this one. States that cannot be read record nothing here.
        """
        return recorded_by(self._read_other_states(urn, report), thing)

    def stack_of_owner(self, owner: str, report: Report) -> str | None:
        """Return the stack whose name makes these digits of an owner; None where there is none on this backend."""
        with self._reading:
            if self._stack_names is None:
                self._stack_names = self.backend.stack_names(report)
            return next((name for name in self._stack_names if Mark.of(name, "").owner == owner), None)

    def _read_own_state(self, urn: str | None, report: Report) -> StackState | None:
        with self._reading:
            if not self._own_state and urn:
                self._own_state.append(_parse(self.backend.own_state(urn, report)))
            return self._own_state[0] if self._own_state else None

    def _read_other_states(self, urn: str | None, report: Report) -> dict[str, StackState]:
        with self._reading:
            if self._other_states is None:
                self._other_states, until = {}, self.clock.now() + READING_SECONDS
                for stack, export in self.backend.other_states(urn, report) if urn else ():
                    if (state := _parse(export)) is not None:
                        self._other_states[stack] = state
                    if self.clock.now() > until:
                        count = len(self._other_states)
                        report.progress(
                            f"{count} other stacks were read in {READING_SECONDS} s, and no more are", keep=True
                        )
                        break
            return self._other_states


def _parse(export: Any) -> StackState | None:
    try:
        return read_state(export)
    except ValueError:  # not the state of a stack
        return None


@dataclass(frozen=True)
class ResourceView:
    """The ledger as one resource sees it, for `takeover.decide`."""

    ledger: Ledger
    identity: Identity
    urn: str | None
    report: Report
    of_another_user: Callable[[Any], Answer]
    age: Callable[[Any], Any]

    @property
    def owner_is_shared(self) -> Answer:
        """Whether stacks of other people can have the same owner."""
        return self.identity.owner_is_shared

    @property
    def newest_recorded(self) -> str:
        """When the youngest was made of all that the state held for the resource."""
        return self.ledger.newest_recorded(self.identity.mark)

    def is_recorded(self, id_: str) -> Answer:
        """Whether the state holds it for this resource, as the program read the state.

        Of what this process deleted, the stored state must be readable: else nothing is known of the mark.
        """
        answer = self.ledger.is_recorded(id_, self.identity.mark)
        if answer is Answer.NOT_KNOWN and self.ledger.is_deleted(id_):
            return answer if self.is_in_own_state(id_) is Answer.NOT_KNOWN else Answer.NO
        return answer

    def is_in_own_state(self, id_: str) -> Answer:
        """Whether the whole stored state holds it."""
        return self.ledger.is_in_own_state(id_, self.urn, self.report)

    def is_in_other_stack(self, thing: Named) -> Answer:
        """Whether the stored state of another stack holds it. What could not be read counts as no."""
        return Answer.of(bool(self.ledger.stack_that_records(thing, self.urn, self.report)))

    def is_adopted_by_another(self, id_: str) -> Answer:
        """Whether another resource of the program adopts it."""
        return self.ledger.is_adopted_by_another(id_, self.identity.mark)

    def is_of_another_user(self, thing: Any) -> Answer:
        """Whether another user placed it, or uses it."""
        return self.of_another_user(thing)
