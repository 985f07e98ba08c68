"""Who records what: the one memory that the verbs of a Pulumi operation share.

Facts come from five sides: what the program read of its stack's state, the stored states of this stack and of others
(`stored_states`), and what this operation itself placed, deleted, found missing, adopted and declared. Each is kept by
id, by mark or by URN, never as "the value that the last caller passed". A question is answered with yes, no or not
known: what nobody has told is not known.

The lock guards the fields; it is held for moments and never while anybody is asked.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flow_resources.core.answer import Answer
from flow_resources.core.hidden import HiddenInputs, Identity, RecordedId
from flow_resources.core.models import Named
from flow_resources.core.moments import latest
from flow_resources.core.naming import Mark
from flow_resources.core.preemption import NOTHING, PolicyRecord
from flow_resources.core.recorded import find_in
from flow_resources.core.stack_state import StackState, is_deleted_since
from flow_resources.lifecycle.report import Report
from flow_resources.lifecycle.stored_states import StoredStates, is_of_this_operation

DYNAMIC_PROVIDER = "pulumi:providers:pulumi-python"
HISTORY_GRAIN = timedelta(seconds=5)
"""How exact the history of a stack is beside the service's clock: it tells whole seconds."""


@dataclass
class Ledger:
    """What is known of who records what, from the beginning of an operation to its end."""

    stored: StoredStates
    _lock: threading.Lock = field(default_factory=threading.Lock)
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
    _ends: dict[str, bool] = field(default_factory=dict)
    """By id, whether a refresh of this operation found that it has ended, of what is recorded after its end too."""
    _declared: dict[str, str | None] = field(default_factory=dict)
    """By id, the id of the create that a declared resource records for it."""
    _adopted: dict[str, Mark] = field(default_factory=dict)
    _policy_replacements: dict[str, tuple[str, Mapping[str, Any]] | None] = field(default_factory=dict)
    """By URN, what a policy replaces: the id, and its recorded outputs."""
    _records_before: dict[str, PolicyRecord] = field(default_factory=dict)
    """By URN, what was recorded of the preemptions of a cluster that the program replaces."""
    _told_by_engine: set[str] = field(default_factory=set)
    """Ids that the engine told this process of what its own state holds."""
    provider: str = DYNAMIC_PROVIDER
    """The provider resource that this process serves: its id, or its type, of which one process serves all. Empty: not
    known, or not made yet."""
    is_preview: bool = False
    """Whether this operation is known to be a preview, which changes nothing: a state of the stack's name is then taken
    for the stack's."""
    _is_own_certain: bool = False
    """Whether the stored state that was read is certainly that of this operation."""

    # -- what the verbs remember ------------------------------------------------------------------------------------

    def learn(
        self, urn: str | None, hidden: HiddenInputs, pinned: Identity | None, *, has_record: bool
    ) -> Identity | None:
        """Remember what the program passed along for a resource, and return its identity: the pinned one, if any.

        `urn` is the engine's own word for it. Where the program read its state under another URN (an alias, a
        transformation), or read nothing though the state holds the resource, what the state records is not known.
        None: whose the resource is is not known, because neither the program nor the state told the owner.
        """
        current = None
        if hidden.owner and (urn or hidden.urn):
            current = Identity(Mark.of(hidden.owner, urn or hidden.urn or ""), hidden.owner)
        identity = current if pinned is None or (current and pinned.mark == current.mark) else pinned
        marks = {one.mark for one in (current, pinned) if one}
        entries = hidden.recorded or ()
        recorded = None if hidden.recorded is None else frozenset(entry.id for entry in entries)
        if (has_record and recorded == frozenset()) or (urn and hidden.urn and urn != hidden.urn):
            recorded = None
        # A forced replacement is checked as if there were nothing before it. (What this very operation's refresh found
        # gone, the program has read of before.)
        with self._lock:
            if has_record or any(entry.is_own and entry.id not in self._missing for entry in entries):
                self._replaced |= marks
            self._created_at.update({entry.id: entry.created_at for entry in entries})
            for mark in marks:
                # What one call has told is not forgotten because another one, of the same resource, does not tell it.
                if recorded is not None or mark not in self._recorded:
                    self._recorded[mark] = recorded
        return identity

    def declare(self, id_: str, create_id: str | None) -> None:
        """Remember that a resource which the program declares records the id, under the id of this create."""
        with self._lock:
            self._declared[id_] = create_id

    def add_told_by_engine(self, id_: str) -> None:
        """Remember an id that the engine told of what its own state holds, or will hold before this is asked."""
        with self._lock:
            self._told_by_engine.add(id_)

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

    def note_end(self, id_: str, *, has_ended: bool) -> None:
        """Remember whether a refresh found that it has ended, and stays recorded."""
        with self._lock:
            self._ends[id_] = has_ended

    def plan_replacement(self, urn: str, replaced: tuple[str, Mapping[str, Any]] | None) -> None:
        """Remember what a policy replaces under a URN: its id and recorded outputs; None where no policy does."""
        with self._lock:
            self._policy_replacements[urn] = replaced

    def remember_record(self, urn: str, record: PolicyRecord) -> None:
        """Remember what was recorded of preemptions: the check of a replacement is not told what was before."""
        with self._lock:
            self._records_before[urn] = record

    def adopt(self, id_: str, mark: Mark) -> bool:
        """Let a resource adopt what its program names; return whether it is the one resource that does."""
        with self._lock:
            return self._adopted.setdefault(id_, mark) == mark

    def is_first_create(
        self, id_: str, mark: Mark, urn: str | None, report: Report, *, is_preview: bool = False
    ) -> Answer:
        """Whether a create is the resource's first, which alone adopts an id that its program names."""
        with self._lock:
            if mark in self._replaced or id_ in self._deleted:
                return Answer.NO
            recorded = self._recorded.get(mark)
        if recorded is not None:
            return Answer.of(id_ not in recorded)
        answer = self.is_in_own_state(id_, urn, report, is_preview=is_preview)
        return answer if answer is Answer.NOT_KNOWN else Answer.of(answer is Answer.NO)

    def is_of_another_provider(self, id_: str, urn: str | None, report: Report, *, is_preview: bool) -> Answer:
        """Whether the stored state has it under another provider resource of the stack, which is another process.

        What that one is about to delete or to adopt counts. It knows nothing of what this process takes over or adopts.
        """
        return self._is_of_another_provider(self.stored.own(urn, report), id_, is_preview=is_preview)

    def is_of_another_provider_by_now(self, id_: str, urn: str | None, report: Report) -> Answer:
        """Return the same of the state as it is now: a create of another process may have begun meanwhile."""
        return self._is_of_another_provider(self.stored.read_own_anew(urn, report), id_, is_preview=False)

    def _is_of_another_provider(self, state: StackState | None, id_: str, *, is_preview: bool) -> Answer:
        if state is None:
            return Answer.NOT_KNOWN
        holders = [one for one in state.holders.get(id_, ()) if one.provider]
        if holders and not self.provider and not is_preview:
            return Answer.NOT_KNOWN
        return Answer.of(not all(self.provider and one.is_served_by(self.provider) for one in holders))

    def has_record(self, id_: str, urn: str | None, report: Report) -> Answer:
        """Whether the stored state has a record of it that a create made, also one that is still to be deleted."""
        state = self.stored.own(urn, report)
        return Answer.of(any(one.create_id for one in state.holders.get(id_, ())) if state else None)

    def is_held_by_another_process(self, id_: str, create_id: str | None, urn: str | None, report: Report) -> Answer:
        """Whether the stored state has another record of it than that of a create, by which another process ends it."""
        state = self.stored.own(urn, report)
        if state is None or id_ not in state.ids:
            return Answer.NOT_KNOWN
        others = [one for one in state.holders.get(id_, ()) if one.create_id not in (None, create_id)]
        return Answer.of(not all(self.provider and one.is_served_by(self.provider) for one in others))

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
            recorded = self._recorded.get(mark)
            return Answer.of(None if recorded is None else id_ in recorded - self._deleted)

    def recorded_ids(self, mark: Mark) -> frozenset[str]:
        """Return what the state is known to hold for a resource, but for what this operation deleted."""
        with self._lock:
            return frozenset(self._recorded.get(mark) or ()) - self._deleted

    def record_before_replacement(self, urn: str | None) -> PolicyRecord:
        """Return what was recorded of the preemptions of a cluster that the program replaces."""
        with self._lock:
            return self._records_before.get(urn or "", NOTHING)

    def replaced_by_policy(self, urn: str | None) -> tuple[str, Mapping[str, Any]] | None:
        """Return what a policy replaces under a URN; None where no policy does."""
        with self._lock:
            return self._policy_replacements.get(urn or "")

    def recorded_costs(self, urn: str | None, report: Report) -> Mapping[str, Decimal] | None:
        """Return what each bid of the stack can cost by its stored state, by URN; None where that is not known."""
        state = self.stored.own(urn, report)
        return state.max_costs if state and self._is_certain(state, urn) else None

    def is_deleted(self, id_: str) -> bool:
        """Whether this process deleted it."""
        with self._lock:
            return id_ in self._deleted

    def is_missing(self, id_: str) -> bool:
        """Whether a refresh of this operation found it gone."""
        with self._lock:
            return id_ in self._missing

    def has_ended(self, entry: RecordedId) -> bool:
        """Whether what the state records has ended: as this operation found it, or as the program read it before."""
        with self._lock:
            return self._ends.get(entry.id, entry.has_ended)

    def newest_recorded(self, mark: Mark, urn: str | None, report: Report, *, is_preview: bool = False) -> str | None:
        """Return when the youngest was made that the state held for a resource as the operation began.

        Empty where it held nothing, None where that is not known. What this operation has deleted counts: the state
        goes on from it.
        """
        with self._lock:
            recorded = self._recorded.get(mark)
            if recorded is not None:
                return latest(self._created_at.get(id_) for id_ in recorded)
        state = self._state_for(urn, report, is_preview=is_preview)
        return latest(state.created_at.get(str(mark), ())) if state else None

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

    def is_in_own_state(self, id_: str, urn: str | None, report: Report, *, is_preview: bool = False) -> Answer:
        """Whether the whole stored state of the stack held it when it was read.

        A preview, which decides nothing, takes a state of the stack's name for the stack's.
        """
        state = self.stored.own(urn, report)
        if state and id_ in state.ids:
            return Answer.YES
        state = self._state_for(urn, report, is_preview=is_preview)
        return Answer.of(id_ in state.ids if state else None)

    def own_stack(self, urn: str | None, report: Report) -> str | None:
        """Return the whole name of this operation's stack, organization/project/stack; None where it is not known."""
        state = self._state_for(urn, report, is_preview=self.is_preview)
        return self.stored.own_name(urn, report) if state else None

    def recorded_for(self, mark: Mark, urn: str, report: Report) -> list[RecordedId] | None:
        """Return what the stored state holds for a resource, as a program reads it; None where it is not known."""
        state = self._state_for(urn, report, is_preview=self.is_preview)
        return find_in(state.index, mark, urn) if state else None

    def is_made_by_own_stack(self, id_: str, urn: str | None, report: Report) -> Answer:
        """Whether the stored state records an SSH key as made by the stack; no where it does not hold it at all."""
        state = self._state_for(urn, report, is_preview=False)
        return Answer.of(id_ in state.made if state else None)

    def own_record(self, urn: str | None, report: Report) -> tuple[Answer, str | None, str | None]:
        """Return whether the stored state holds what a create under a URN would replace, and its id and region."""
        state = self.stored.own(urn, report)
        if state and urn and urn in state.owned:
            return (Answer.YES, *state.owned[urn])
        return (Answer.NO if state and self._is_certain(state, urn) else Answer.NOT_KNOWN, None, None)

    def find_other_stack(
        self, thing: Named, urn: str | None, report: Report, *, is_preview: bool = False
    ) -> tuple[Answer, str]:
        """Return whether another stack of the backend records something, or may be making it, and which.

        As after a rename or a move of this one. The others prove that none does only where all of them could be read,
        and they are certainly those of this operation's backend.
        """
        answer, stack = self.stored.others(urn, report).find(thing)
        if answer is Answer.NO and not self._state_for(urn, report, is_preview=is_preview):
            answer = Answer.NOT_KNOWN
        return answer, stack

    def is_deleted_since(self, moment: datetime, urn: str | None, skew: timedelta, report: Report) -> Answer:
        """Whether what a create made at a moment, by the service's clock, was deleted since, or never recorded.

        `skew`: how far the service's clock is ahead of this machine's. This machine wrote the history, or another one
        did: both readings of it must agree.
        """
        if self._state_for(urn, report, is_preview=False) is None:
            return Answer.NOT_KNOWN
        state, told = self.stored.read_own_anew(urn, report), self.stored.history(urn, report)
        if state is None or told is None:
            return Answer.NOT_KNOWN
        updates, is_whole = told
        is_interrupted = urn in state.interrupted
        answers = {
            is_deleted_since(updates, one, HISTORY_GRAIN, is_whole=is_whole, is_interrupted=is_interrupted)
            for one in (moment, moment - skew)
        }
        return answers.pop() if len(answers) == 1 else Answer.NOT_KNOWN

    def _state_for(self, urn: str | None, report: Report, *, is_preview: bool) -> StackState | None:
        """Return the stored state where it is certainly that of this operation, which is creating the resource.

        A preview, which decides nothing, takes a state of the stack's name for it. A check may have read it before the
        engine wrote down that the create is pending: then it is read once more.
        """
        if is_preview:
            return self.stored.own(urn, report)
        for read in (self.stored.own, self.stored.read_own_anew):
            state = read(urn, report)
            if state is None or self._is_certain(state, urn):
                return state
        return None

    def _is_certain(self, state: StackState, urn: str | None) -> bool:
        with self._lock:
            read_ids = {id_ for recorded in self._recorded.values() for id_ in recorded or ()} | self._told_by_engine
            if self.is_preview or self._is_own_certain or is_of_this_operation(state, urn, read_ids):
                self._is_own_certain = True
            return self._is_own_certain


@dataclass(frozen=True)
class ResourceView:
    """The ledger as one resource sees it, for `takeover.decide`."""

    ledger: Ledger
    identity: Identity
    urn: str | None
    report: Report
    of_another_user: Callable[[Any], Answer]
    age: Callable[[Any], timedelta | None]
    is_preview: bool = False
    """Whether it is asked what a create would do; nothing is decided."""

    @property
    def owner_is_shared(self) -> Answer:
        """Whether stacks of other people can have the same owner."""
        return self.identity.owner_is_shared

    @property
    def newest_recorded(self) -> str | None:
        """When the youngest was made of all that the state held for the resource; None where that is not known."""
        return self.ledger.newest_recorded(self.identity.mark, self.urn, self.report, is_preview=self.is_preview)

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
        return self.ledger.is_in_own_state(id_, self.urn, self.report, is_preview=self.is_preview)

    def is_in_other_stack(self, thing: Named) -> Answer:
        """Whether the stored state of another stack holds it. What this process placed is this stack's."""
        if self.ledger.is_placed_here(thing.id):
            return Answer.NO
        return self.ledger.find_other_stack(thing, self.urn, self.report, is_preview=self.is_preview)[0]

    def is_of_another_provider(self, id_: str) -> Answer:
        """Whether another process has it by the stored state. What this process placed is its own."""
        if self.ledger.is_placed_here(id_):
            return Answer.NO
        return self.ledger.is_of_another_provider(id_, self.urn, self.report, is_preview=self.is_preview)

    def is_adopted_by_another(self, id_: str) -> Answer:
        """Whether another resource of the program adopts it."""
        return self.ledger.is_adopted_by_another(id_, self.identity.mark)

    def is_of_another_user(self, thing: Any) -> Answer:
        """Whether another user placed it, or uses it."""
        return self.of_another_user(thing)
