"""Reading what runs, for `adopt`: what is live in the project, and what of it the state of some stack records.

As in `sweep_find`, the service is read first, and Pulumi's states after it: what an `up` makes and records in between
belongs to that stack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flow_resources.cli.adopt_program import Adoption, Form, LeftOut, adoption
from flow_resources.cli.kind import CommandKind
from flow_resources.cli.kinds import HOLDERS_FIRST, KINDS
from flow_resources.cli.stacks import SelectedStack, guard_recorded_account
from flow_resources.core.models import Named
from flow_resources.core.naming import take_apart
from flow_resources.core.stack_state import StackState, recorded_by
from flow_resources.errors import FlowResourcesError, OwnershipError, RejectedError
from flow_resources.lifecycle.operation import Operation

MARKED = "its name carries a mark of this package: another stack has it, or a crash left it; --all prints it"


def read(
    op: Operation,
    stack: SelectedStack | None,
    ids: Sequence[str],
    *,
    everything: bool,
    form: Form = Form.PYTHON,
) -> Adoption:
    """Return the program for what is live, or for the given ids alone.

    Raises an error that names the first of these ids that cannot be adopted, and AccountMismatchError where the stack's
    state records another service or project than the settings point at.
    """
    moment = op.clock.now()
    live = {kind: {thing.id: thing for thing in kind.resource.list_live(op, moment)} for kind in KINDS}
    live_ids = frozenset(id_ for things in live.values() for id_ in things)
    for id_ in ids:
        if id_ not in live_ids:
            raise _absence(op, id_)
    states = _states(op, stack)
    chosen, left_out = dict[CommandKind[Any], list[Named]](), list[LeftOut]()
    for kind, things in live.items():
        wanted = [thing for thing in things.values() if not ids or thing.id in ids]
        reasons = {
            thing.id: _reason_to_leave_out(thing, states, everything=everything or bool(ids)) for thing in wanted
        }
        chosen[kind] = [thing for thing in wanted if not reasons[thing.id]]
        left_out += [LeftOut(thing.id, thing.name, reasons[thing.id]) for thing in wanted if reasons[thing.id]]
    if ids and left_out:
        raise OwnershipError(
            f"{left_out[0].id} is not printed: {left_out[0].why}", "`pulumi state delete` it there first"
        )
    drafts = {kind: kind.drafts(op, things, live_ids, moment) for kind, things in chosen.items()}
    return adoption(drafts, left_out, form)


def _absence(op: Operation, id_: str) -> FlowResourcesError:
    """Return why there is nothing live of an id."""
    for kind in KINDS:
        if id_.startswith(kind.resource.id_prefix):
            return kind.resource.absence(op, id_)
    kinds = " and of no ".join(kind.resource.words.managed for kind in HOLDERS_FIRST)
    examples = " and ".join(f"{kind.resource.id_prefix}..." for kind in HOLDERS_FIRST)
    return RejectedError(f"{id_} is the id of no {kinds}", f"they are like {examples}")


def _states(op: Operation, stack: SelectedStack | None) -> dict[str, StackState]:
    """Return what the states of all stacks of the backend record, by name; nothing outside a Pulumi project."""
    if stack is None:
        return {}
    own = stack.state()
    guard_recorded_account(op, own)
    return {stack.name: own, **stack.other_states()}


def _reason_to_leave_out(thing: Named, states: Mapping[str, StackState], *, everything: bool) -> str:
    """Return why something is not printed; empty where it is."""
    if stack := recorded_by(states, thing):
        return f"recorded by {stack}"
    return MARKED if take_apart(thing.name) and not everything else ""
