"""Who holds a volume: each bid by its name, and by the stack of this backend whose mark the name carries.

For the person who waits for a volume to be free, often in another project than the one that holds it. To ask Pulumi
which stacks there are takes a second, so it is asked once, and only for bids that carry another stack's mark.
"""

from __future__ import annotations

from collections.abc import Iterable

from flow_resources.core.naming import Mark, take_apart
from flow_resources.errors import FlowResourcesError
from flow_resources.lifecycle.operation import Operation


def describe_holders(op: Operation, bid_ids: Iterable[str], *, own: Mark | None) -> str:
    """Return who the bids are; `own` is the mark of the volume that they hold."""
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
