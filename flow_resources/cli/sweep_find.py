"""Looking for leftovers: the service is asked first, and Pulumi after it, for what its states say of the answer.

In this order what an `up` makes and records in between is no leftover.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from flow_resources.cli.stacks import SelectedStack
from flow_resources.cli.sweep_report import Report
from flow_resources.cloud import Cloud
from flow_resources.core.answer import Answer
from flow_resources.core.hidden import Identity, Record
from flow_resources.core.models import Bid, StoredVolume
from flow_resources.core.naming import Mark
from flow_resources.core.orphans import Found, Owners, find_orphans, marked
from flow_resources.core.stack_state import StackState
from flow_resources.lifecycle.account import guard_account
from flow_resources.lifecycle.operation import Operation


def look(op: Operation, stack: SelectedStack, owner: str, min_age: timedelta, *, everyone: bool) -> Report:
    """Return what no state records of this stack's, or, for everyone, whatever carries a mark.

    Raises AccountMismatchError where the stack's state records another service or project than the settings point at.
    """
    cloud, moment = op.cloud, op.clock.now()
    bids, volumes = _live_bids(op, moment), cloud.volumes(moment)
    own = stack.records()
    if everyone:
        found = _marked({stack.name: own, **stack.beside()}, bids, volumes)
    else:
        guard(cloud, own)
        found = _left(stack, Owners.of(owner, stack.name, own), own, bids, volumes, min_age)
    return Report(
        found=found,
        status={one.thing.id: seen.status for one in found.bids if (seen := cloud.observe(one.thing.id, moment))},
        stack=stack.name,
        service=cloud.settings.api_url,
        project=cloud.project().name,
        owner=owner,
        shared=Identity(Mark.of(owner, ""), owner).owner_is_shared is Answer.YES,
        unfinished=bool(own.making),
        everyone=everyone,
    )


def _live_bids(op: Operation, moment: float) -> list[Bid]:
    """Return the live bids of two listings, one after the other.

    One listing asks for one status after the other, so a bid that goes back to an earlier one meanwhile (it has lost
    its machines, and waits in the auction again) is in none of them. It is in the next.
    """
    first = op.cloud.live_bids(moment)
    return list({**first, **op.cloud.live_bids(op.clock.now())}.values())


def _left(
    stack: SelectedStack,
    owners: Owners,
    own: StackState,
    bids: list[Bid],
    volumes: list[StoredVolume],
    min_age: timedelta,
) -> Found:
    """Return what no state records. The states of other stacks are read only where the own one leaves something."""
    now = datetime.now(timezone.utc)

    def left(others: Sequence[StackState]) -> Found:
        return Found(
            find_orphans(bids, owners, own, others, now, min_age),
            find_orphans(volumes, owners, own, others, now, min_age),
        )

    return left(list(stack.beside().values())) if left(()) else Found()


def _marked(states: dict[str, StackState], bids: list[Bid], volumes: list[StoredVolume]) -> Found:
    now = datetime.now(timezone.utc)
    return Found(marked(bids, states, now), marked(volumes, states, now))


def guard(cloud: Cloud, own: StackState) -> None:
    """Refuse to look where nothing of the stack can be: an empty answer would be taken for good news."""
    for url, project in sorted(own.places):
        guard_account(cloud, Record(service=url, project=project))
