"""What the stored states of the backend record, beyond what a program is told: each is read once an operation at most.

To ask Pulumi takes a second or more, so only a create asks that has found its mark on something it does not know.
"""

from __future__ import annotations

import contextlib

from flow_resources import engine
from flow_resources.core.models import Named
from flow_resources.core.stack_state import StackState, read_state, recorded_by
from flow_resources.providers import session

READING_SECONDS = 60  # for the states of other stacks, each of which takes a second; a large backend has thousands


def whole_state() -> frozenset[str] | None:
    """Return the ids that the whole state held when this process first asked; None where it cannot be had."""
    memory, urn = session.current(), engine.current().urn
    with memory.export_lock:
        if not memory.exported and urn:
            try:
                memory.exported.append(read_state(memory.own_state(urn)).ids)
            except ValueError:
                memory.exported.append(None)
        return memory.exported[0] if memory.exported else None


def is_elsewhere(one: Named) -> bool:
    """Whether the state of another stack of the backend records something, as after a rename or a move of this one."""
    stack = recorded_by(_other_states(), one)
    if stack:
        engine.info(f"{one.name} ({one.id}) carries this resource's mark and is of the stack {stack}: it is left alone")
    return bool(stack)


def _other_states() -> dict[str, StackState]:
    """Return what the states of the other stacks recorded when this process first asked, as far as they can be read."""
    memory, urn = session.current(), engine.current().urn
    with memory.export_lock:
        if memory.beside is None:
            memory.beside, until = {}, memory.clock.now() + READING_SECONDS
            for stack, state in memory.other_states(urn) if urn else ():
                with contextlib.suppress(ValueError):  # no state that can be read
                    memory.beside[stack] = read_state(state)
                if memory.clock.now() > until:
                    engine.info(f"{len(memory.beside)} other stacks were read in {READING_SECONDS} s, and no more are")
                    break
        return memory.beside
