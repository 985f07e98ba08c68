"""Who holds a volume: each bid by its name, and by the stack of this backend whose mark the name carries.

For the person who waits for a volume to be free, often in another project than the one that holds it. To ask Pulumi
which stacks there are takes a second, so it is asked once, and only for bids that carry another stack's mark.
"""

from __future__ import annotations

from collections.abc import Iterable

from flow_resources import backend
from flow_resources.cloud import Cloud
from flow_resources.core.naming import Mark, take_apart
from flow_resources.errors import FlowResourcesError
from flow_resources.providers import session


def named_holders(cloud: Cloud, bids: Iterable[str], *, own: str) -> str:
    """Say who the bids are; `own` is the mark of the volume that they hold."""
    return ", ".join(_told(cloud, bid, Mark.parse(own).owner) for bid in bids)


def _told(cloud: Cloud, bid: str, own: str) -> str:
    known = session.current().holders
    if bid not in known:
        try:
            found = cloud.bid(bid)
        except FlowResourcesError:  # its id, which the volume tells, is enough to find it
            return bid
        known[bid] = f"{bid} ({_name_and_stack(found.name, own)})" if found else bid
    return known[bid]


def _name_and_stack(name: str, own: str) -> str:
    parts = take_apart(name)
    if parts is None or parts.mark.owner == own:
        return name
    known = session.current()
    with known.lock:
        if known.stacks is None:
            known.stacks = backend.stacks()
    # None where it is of another backend, or `flow:owner` names its owner.
    stack = next((one for one in known.stacks if Mark.of(one, "").owner == parts.mark.owner), None)
    return f"{name} of the stack {stack}" if stack else name
