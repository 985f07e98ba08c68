"""Inputs that can be spelled in several ways, an instance type and SSH keys: they are compared by what they mean.

Diff compares texts. So check keeps the recorded spelling where the program only says the same in other words, and also
where that cannot be found out: a doubt replaces nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flow_resources.core.answer import Answer
from flow_resources.core.inputs import Checked, show
from flow_resources.core.market import Market, is_same_type, named
from flow_resources.core.models import Bid
from flow_resources.core.naming import Mark
from flow_resources.core.takeover import marked_with
from flow_resources.lifecycle.operation import LISTING_SECONDS, Operation


def keep_spellings(op: Operation, found: Checked, olds: Mapping[str, Any], market: Market | None, mark: Mark) -> None:
    """Put the recorded spelling back where the program means the same, or where that is not known."""
    comparisons: dict[str, Callable[[Any, Any], Answer]] = {
        "instance_type": lambda old, new: _is_same_machine(op, old, new, found.known("region"), market, mark),
        "ssh_keys": lambda old, new: _are_same_keys(op, old, new, mark),
    }
    for name, compare in comparisons.items():
        recorded, said = olds.get(name), found.known(name)
        if not recorded or not said or _is_same_text(recorded, said):
            continue
        answer = Answer.NOT_KNOWN
        with op.collecting_failures(found):
            answer = compare(recorded, said)
        if answer is not Answer.NO:
            found.inputs[name] = recorded
        if answer is Answer.NOT_KNOWN:
            op.warn_once(
                f"whether {name} {show(said)} means what is recorded as {show(recorded)} could not be found out, so "
                "nothing is replaced; if it is to be: `pulumi up --target-replace` with the URN"
            )


def _is_same_text(recorded: Any, said: Any) -> bool:
    return sorted(recorded) == sorted(said) if isinstance(recorded, list) else bool(recorded == said)


def _is_same_machine(
    op: Operation, recorded: str, said: str, region: str | None, market: Market | None, mark: Mark
) -> Answer:
    """Whether the program still names the recorded type. Of several types, the bid tells which one it has."""
    if market is None:
        return Answer.NOT_KNOWN
    answer = is_same_type(recorded, said, region, market)
    bid = live_bid(op, mark) if answer is Answer.NOT_KNOWN else None
    if bid is None or not bid.instance_type:
        return answer
    return Answer.of(bid.instance_type in {type_.id for type_ in named(said, market.types)})


def _are_same_keys(op: Operation, recorded: Sequence[str], said: Sequence[str], mark: Mark) -> Answer:
    """Whether the program names the keys that are on the machines."""
    ids = op.cloud.ssh_keys()
    before, after = ({ids.get(key) for key in keys} for keys in (recorded, said))
    if before == after or None in after:  # what is no key of the project is refused by check
        return Answer.of(None not in after)
    bid = live_bid(op, mark)  # a name can mean another key by now
    if bid is not None and bid.ssh_keys:
        return Answer.of(set(bid.ssh_keys) == after)
    return Answer.of(None if None in before else False)


def live_bid(op: Operation, mark: Mark) -> Bid | None:
    """Return the live bid of a resource; None where there is none, or several that it could be."""
    bids = op.cloud.live_bids(op.begun - LISTING_SECONDS).values()
    marked = [bid for _, bid in marked_with(bids, mark)]
    own = [bid for bid in bids if bid in marked or op.ledger.is_recorded(bid.id, mark) is Answer.YES]
    return own[0] if len(own) == 1 else None
