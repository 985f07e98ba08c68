"""Finding orphans: the service is read first, and Pulumi's states after it.

In this order what an `up` makes and records in between is not taken for an orphan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from flow_resources.cli.kind import SweptKind
from flow_resources.cli.kinds import SWEPT
from flow_resources.cli.stacks import SelectedStack, guard_recorded_account
from flow_resources.cli.sweep_report import Found, Report
from flow_resources.core.answer import Answer
from flow_resources.core.hidden import Identity
from flow_resources.core.models import Named
from flow_resources.core.naming import Mark
from flow_resources.core.orphans import Owners, find_marked, find_orphans
from flow_resources.core.stack_state import StackState
from flow_resources.errors import FlowResourcesError
from flow_resources.lifecycle.operation import Operation

Live = Mapping[SweptKind[Any], Sequence[Named]]


def find(op: Operation, stack: SelectedStack, owner: str, min_age: timedelta, *, everyone: bool) -> Report:
    """Report what no state records of this stack's, or, for everyone, whatever carries a mark.

    Raises AccountMismatchError where the stack's state records another service or project than the settings point at.
    """
    moment = op.clock.now()
    live, not_listed = _list_all(op)
    own = stack.state()
    if everyone:
        found = _find_marked({stack.name: own, **stack.other_states()}, live, op.cloud.service_now())
    else:
        guard_recorded_account(op, own)
        owners = Owners.of(owner, stack.name, own)
        found = _find_orphans(stack, owners, own, live, op.cloud.service_now(), min_age)
    return Report(
        found=found,
        statuses={
            orphan.thing.id: kind.observe_status(op, orphan.thing, moment)
            for kind, orphans in found.by_kind.items()
            for orphan in orphans
        },
        stack=stack.name,
        service=op.settings.api_url,
        project=op.cloud.project().name,
        owner=owner,
        owner_is_shared=Identity(Mark.of(owner, ""), owner).owner_is_shared is Answer.YES,
        is_unfinished=bool(own.making),
        everyone=everyone,
        not_listed=not_listed,
    )


def _list_all(op: Operation) -> tuple[Live, Mapping[SweptKind[Any], FlowResourcesError]]:
    """Return what is live, by kind, and why a kind is missing whose absence leaves the others to be searched."""
    answers = {kind: _list_or_say_why_not(op, kind) for kind in SWEPT}
    live = {kind: answer for kind, answer in answers.items() if not isinstance(answer, FlowResourcesError)}
    return live, {kind: answer for kind, answer in answers.items() if isinstance(answer, FlowResourcesError)}


def _list_or_say_why_not(op: Operation, kind: SweptKind[Any]) -> Sequence[Named] | FlowResourcesError:
    try:
        return kind.list_all(op)
    except FlowResourcesError as error:
        if kind.is_essential:
            raise
        return error


def _find_orphans(
    stack: SelectedStack, owners: Owners, own: StackState, live: Live, now: datetime | None, min_age: timedelta
) -> Found:
    """Return what no state records. The states of other stacks are read only where the own one leaves something."""

    def orphans(others: Sequence[StackState]) -> Found:
        return Found(
            {
                kind: find_orphans(things, owners, own, others, now, min_age, kind.recorded_as)
                for kind, things in live.items()
            }
        )

    return orphans(list(stack.other_states().values())) if orphans(()) else Found()


def _find_marked(states: Mapping[str, StackState], live: Live, now: datetime | None) -> Found:
    return Found({kind: find_marked(things, states, now, kind.recorded_as) for kind, things in live.items()})
