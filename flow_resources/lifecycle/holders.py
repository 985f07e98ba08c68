"""Who holds a volume or an SSH key, and the wait until nobody does.

Each bid is named, and the stack of this backend whose mark its name carries: for the person who waits, often in another
project than the one that holds it. To ask Pulumi
which stacks there are takes a second, so it is asked once, and only for bids that carry another stack's mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from flow_resources.core.naming import Mark, take_apart
from flow_resources.errors import FlowResourcesError, NotReadyError, UnavailableError
from flow_resources.lifecycle.operation import Operation

Describe = Callable[[Sequence[str]], str]
Try = Callable[[Describe], str]


def delete_when_free(op: Operation, what: str, own: Mark | None, try_to_delete: Try) -> None:
    """Go on until something is deleted, or is gone. Raises NotReadyError at the limit, saying what held it last.

    `try_to_delete` deletes it where nothing holds it, and returns what is in the way, or nothing where it is gone; it
    is given what describes the bids that hold it. `own` is the mark of the thing.
    """
    obstacle = try_to_delete(", ".join)
    if not obstacle:
        return
    failed, remedy = f"{what} could not be deleted", "end what holds it, then run the same command again"
    op.report.progress(f"waiting: {obstacle}")
    # Most are this stack's own clusters, which end in moments: only who holds it longer is looked up.
    describe = partial(describe_holders, op, own=own)
    try:
        for obstacle in op.deadline.watch(lambda _: try_to_delete(describe)):
            if not obstacle:
                return
            op.report.progress(f"waiting: {obstacle}")
    except UnavailableError as silence:
        raise NotReadyError(f"{failed}: {obstacle}; then {silence.message}", remedy) from silence
    raise NotReadyError(f"{failed}: {obstacle}", remedy)


def describe_holders(op: Operation, bid_ids: Iterable[str], *, own: Mark | None) -> str:
    """Return who the bids are; `own` is the mark of what they hold."""
    return ", ".join(_describe(op, bid_id, own.owner if own else "") for bid_id in bid_ids)


def _describe(op: Operation, bid_id: str, own_owner: str) -> str:
    known = op.deployment.bid_names
    if bid_id not in known:
        try:
            bid = op.cloud.bid(bid_id)
        except FlowResourcesError:  # its id, which the volume tells, is enough to find it
            return bid_id
        known[bid_id] = f"{bid_id} ({_name_and_stack(op, bid.name, own_owner)})" if bid else bid_id
    return known[bid_id]


def _name_and_stack(op: Operation, bid_name: str, own_owner: str) -> str:
    name = take_apart(bid_name)
    if name is None or name.mark.owner == own_owner:
        return bid_name
    stack = op.ledger.stored.stack_of_owner(name.mark.owner, op.report)
    return f"{bid_name} of the stack {stack}" if stack else bid_name
