"""The lives of bids, taken in hand: what the market or a machine would do to them, at once."""

from __future__ import annotations

from typing import Any

from flow_resources.testing.service.accounts import OPERATOR
from flow_resources.testing.service.errors import BadRequestError
from flow_resources.testing.service.inputs import Body
from flow_resources.testing.verbs.operator import Operator, acts


@acts
def preempt(operator: Operator, ask: Body, now: float) -> Any:
    """Take a bid's machines away and keep it out of the auction."""
    notice = ask.seconds("notice_seconds")
    bid = operator.bid(ask)
    if bid["status"] != "Allocated":
        msg = f"only an Allocated bid can be preempted, {bid['fid']} is {bid['status']}"
        raise BadRequestError(msg)
    lifecycle, usual = operator.backend.lifecycle, operator.backend.options.preemption_notice_seconds
    lifecycle.keep_out(bid)
    lifecycle.preempt(bid, now, usual if notice is None else notice)
    return operator.settled(bid, now)


@acts
def release(operator: Operator, ask: Body, now: float) -> Any:
    """Let a preempted bid take part in the auction again."""
    bid = operator.bid(ask)
    operator.backend.lifecycle.let_in(bid)
    return operator.settled(bid, now)


@acts
def fail_boot(operator: Operator, ask: Body, now: float) -> Any:
    """Put the machines that a bid holds into STATUS_ERROR; they stay there until the bid boots them again."""
    bid = operator.bid(ask)
    if bid["status"] != "Allocated":
        msg = f"only an Allocated bid has machines that boot, {bid['fid']} is {bid['status']}"
        raise BadRequestError(msg)
    operator.backend.machines.mark(bid["fid"], "STATUS_ERROR", now)
    return operator.settled(bid, now)


@acts
def terminate(operator: Operator, ask: Body, now: float) -> Any:
    """End a bid at once, also one that is slowly being cancelled."""
    bid = operator.bid(ask)
    if bid["status"] != "Terminated":
        operator.backend.lifecycle.terminate(bid, now, OPERATOR)
    return operator.settled(bid, now)
