"""The stored states of the backend's stacks, each read when the first question about it is asked.

A state answers for this operation only where it is certain which one it is. Pulumi tells a plugin its URN and not its
backend: somebody may have logged in to another one meanwhile, which has a stack of the same name. So a state proves
that something is *not* recorded only where it holds what this very operation is doing: the pending create of a resource
of ours, or an id that the program read of its own state. And the states of other stacks prove that none of them records
it only where all were listed, this stack among them, and each could be read.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from flow_resources.clock import Clock
from flow_resources.core.answer import Answer
from flow_resources.core.models import Named
from flow_resources.core.naming import Mark
from flow_resources.core.stack_state import PastUpdate, StackState, read_history, read_state, recorded_by
from flow_resources.lifecycle.report import Report

HISTORY_LENGTH = 100
READING_SECONDS = 60
"""For reading the states of other stacks, each of which takes a second; a large backend has thousands."""


class Backend(Protocol):
    """What Pulumi's backend can be asked; a stack is named organization/project/stack, or stack alone."""

    def stack_names(self, report: Report) -> list[str] | None:
        """Return the names of all stacks; None where the backend cannot be asked."""

    def state(self, stack: str, report: Report) -> Any | None:
        """Return the stored state of a stack, as `pulumi stack export` prints it; None where it cannot be read."""

    def history(self, stack: str, report: Report) -> Any | None:
        """Return its last HISTORY_LENGTH operations, as `pulumi stack history --json` prints them; None as above."""


@dataclass(frozen=True)
class OtherStates:
    """What the states of the other stacks record, by name, as far as they could be read."""

    states: dict[str, StackState]
    are_complete: bool
    """Whether these are all, and each could be read."""

    def find(self, thing: Named) -> tuple[Answer, str]:
        """Return whether one of them records something, or may be making it, and which."""
        stack = recorded_by(self.states, thing)
        return Answer.of(True if stack else False if self.are_complete else None), stack


@dataclass
class StoredStates:
    """The states of a backend. One thread reads while the others that need them wait: each takes a second."""

    backend: Backend
    clock: Clock
    _reading: threading.Lock = field(default_factory=threading.Lock)
    _names: list[list[str] | None] = field(default_factory=list)
    """The names of all stacks, once they were asked for (one entry)."""
    _own: list[StackState | None] = field(default_factory=list)
    """The state of this stack, as it was when it was last read (one entry)."""
    _read_anew_for: set[str] = field(default_factory=set)
    _others: list[OtherStates] = field(default_factory=list)

    def own(self, urn: str | None, report: Report) -> StackState | None:
        """Return the stored state of the stack of a URN, as it was last read; None where it cannot be read."""
        with self._reading:
            return self._read_own(urn, report)

    def own_name(self, urn: str | None, report: Report) -> str | None:
        """Return organization/project/stack for the stack of a URN; None where the backend knows none or several.

        The old layout of a backend, which has neither, is of self-managed backends alone.
        """
        with self._reading:
            names = _names_of(urn, self._list(report) or ()) if urn else []
        if urn is None or len(names) != 1:
            return None
        return names[0] if "/" in names[0] else "/".join(["organization", *_project_and_stack(urn)])

    def read_own_anew(self, urn: str | None, report: Report) -> StackState | None:
        """Read the stored state of the stack of a URN anew, once for each URN; return it as `own` does from now on."""
        with self._reading:
            if urn and urn not in self._read_anew_for:
                self._read_anew_for.add(urn)
                self._own.clear()
            return self._read_own(urn, report)

    def others(self, urn: str | None, report: Report) -> OtherStates:
        """Return what the states of all stacks but that of a URN record, those of the same project first."""
        with self._reading:
            if urn and not self._others:
                self._others.append(self._read_others(urn, report))
            return self._others[0] if self._others else OtherStates({}, are_complete=False)

    def history(self, urn: str | None, report: Report) -> tuple[Sequence[PastUpdate], bool] | None:
        """Return the past operations of the stack of a URN, and whether these are all; None where that is not known."""
        with self._reading:
            names = _names_of(urn, self._list(report) or ()) if urn else []
            rows = self.backend.history(names[0], report) if len(names) == 1 else None
        if rows is None:
            return None
        try:
            return read_history(rows), len(rows) < HISTORY_LENGTH
        except ValueError as error:
            report.progress(f"the history of the stack {names[0]} could not be read: {error}", keep=True)
            return None

    def stack_of_owner(self, owner: str, report: Report) -> str | None:
        """Return the stack whose name makes these digits of an owner; None where none is known to."""
        with self._reading:
            return next((name for name in self._list(report) or () if Mark.of(name, "").owner == owner), None)

    def _list(self, report: Report) -> list[str] | None:
        if not self._names:
            self._names.append(self.backend.stack_names(report))
        return self._names[0]

    def _read_own(self, urn: str | None, report: Report) -> StackState | None:
        if not self._own and urn:
            names = _names_of(urn, self._list(report) or ())
            # More than one: of two organizations, say. Which of them is this one is not known.
            self._own.append(self._read(names[0], report) if len(names) == 1 else None)
        return self._own[0] if self._own else None

    def _read_others(self, urn: str, report: Report) -> OtherStates:
        listed, states, until = self._list(report) or [], dict[str, StackState](), self.clock.now() + READING_SECONDS
        own, project = _names_of(urn, listed), _project_and_stack(urn)[0]
        is_complete = len(own) == 1
        others = [name for name in listed if name not in own]
        for name in sorted(others, key=lambda name: name.split("/")[1:2] != [project]):
            if self.clock.now() > until:
                report.progress(
                    f"{len(states)} of {len(others)} other stacks were read in {READING_SECONDS} s, and no more are",
                    keep=True,
                )
                return OtherStates(states, are_complete=False)
            state = self._read(name, report)
            if state is None:
                is_complete = False
            else:
                states[name] = state
        return OtherStates(states, is_complete)

    def _read(self, stack: str, report: Report) -> StackState | None:
        export = self.backend.state(stack, report)
        if export is None:
            return None
        try:
            return read_state(export)
        except ValueError as error:
            report.progress(f"the state of the stack {stack} could not be read: {error}", keep=True)
            return None


def is_of_this_operation(state: StackState, urn: str | None, read_ids: Collection[str]) -> bool:
    """Whether a stored state is certainly that of this operation, which is creating the resource of a URN.

    `read_ids`: what the program read of its own state, which Pulumi answers from the operation's own backend, and what
    the engine told a plugin of it.
    """
    return urn in state.making or not state.ids.isdisjoint(read_ids)


def _project_and_stack(urn: str) -> list[str]:
    stack, project = [*urn.removeprefix("urn:pulumi:").split("::"), ""][:2]
    return [project, stack]


def _names_of(urn: str, names: Sequence[str]) -> list[str]:
    """Return the names that a URN's stack can have; the old layout of a backend has the stack's name alone."""
    project, stack = _project_and_stack(urn)
    whole = [name for name in names if name.split("/")[1:] == [project, stack]]
    return whole or [name for name in names if name == stack]
