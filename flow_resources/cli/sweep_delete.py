"""Ending what `sweep` found: a bid is cancelled, by the verb that `pulumi destroy` uses, then seen ended.

The order matters. Right before each deletion the states of all other stacks are read again, then the stack's lock is
checked, then its state is read again, then the lock is checked once more, then the live name: an `up` that took the
thing over meanwhile keeps it, whichever stack it was of, also one that recorded it and ended in between, and between
the last check and the deletion lie the milliseconds of one request. Where any of this cannot be found out, the thing is
not deleted, and nothing after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from flow_resources.cli.kind import SweptKind
from flow_resources.cli.stacks import SelectedStack, StackError
from flow_resources.cli.sweep_report import Report
from flow_resources.core.models import Named
from flow_resources.core.orphans import Orphan
from flow_resources.core.stack_state import recorded_by
from flow_resources.errors import OwnershipError
from flow_resources.lifecycle.operation import Operation


def delete_orphans(
    op: Operation, report: Report, stack: SelectedStack, kinds: Iterable[SweptKind[Any]]
) -> Iterator[str]:
    """Delete what may be deleted, kind after kind; yield what is done, and note it in the report.

    Raises OwnershipError where another person's stack can have the same owner, and StackError while the stack is being
    updated and where a state cannot be read. What was deleted before that stays deleted.
    """
    if report.found and report.owner_is_shared:
        raise OwnershipError(
            f"nothing was ended: the owner is {report.owner!r}, as for everybody with a project and a stack of these "
            "names on a self-managed backend, and what runs may be theirs",
            "`flow cancel ID` ends one that is yours; `pulumi config set flow:owner ...` before the first `up` lets "
            "--yes tell",
        )
    for kind in kinds:
        for orphan in report.found.of(kind):
            # A copy begins now: each deletion has a time limit of its own.
            yield from _delete(replace(op), report, stack, kind, orphan)


def _delete(
    op: Operation, report: Report, stack: SelectedStack, kind: SweptKind[Any], orphan: Orphan[Named]
) -> Iterator[str]:
    id_ = orphan.thing.id
    if reason := orphan.note or _reason_to_keep(op, stack, kind, orphan.thing):
        report.outcomes[id_] = "kept"
        yield f"kept {id_}: {reason}"
        return
    yield f"{kind.ending} {id_}"
    report.outcomes[id_] = "unknown"  # until it is seen ended
    kind.end(op, orphan.thing)
    report.outcomes[id_] = kind.ended
    yield f"{kind.ended} {id_}"


def _reason_to_keep(op: Operation, stack: SelectedStack, kind: SweptKind[Any], thing: Named) -> str:
    """Return why something must not be deleted after all; empty where it may be, also where it is gone already."""
    recorded = kind.recorded_as(thing)
    with _leaving(thing):
        others = stack.other_states()
    _refuse_during_update(stack)
    with _leaving(thing):
        is_recorded = recorded.id in stack.state().ids
    _refuse_during_update(stack)
    live = kind.find(op, thing.id)
    if is_recorded:
        return "the state records it by now"
    if other := recorded_by(others, recorded):
        return f"the state of {other} records it by now"
    if live and live.name != thing.name:
        return f"it is named {live.name!r} by now"
    return kind.reason_to_keep(live) if live else ""


@contextmanager
def _leaving(thing: Named) -> Iterator[None]:
    """Name what is not deleted because a state cannot be read."""
    try:
        yield
    except StackError as error:
        raise StackError(
            f"{thing.id} and what follows it were left as they are: {error.message}",
            "run the same command again when that can be read",
        ) from error


def _refuse_during_update(stack: SelectedStack) -> None:
    if stack.is_being_updated():
        raise StackError(
            f"an update of {stack.name} is under way",
            "wait for its end; where it has died, `pulumi cancel` takes its lock away",
        )
