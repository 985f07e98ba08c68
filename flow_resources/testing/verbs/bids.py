"""Verbs that change the status of bids at once, as the market or a failing machine would."""

from __future__ import annotations

from typing import Any

from flow_resources.testing.service.accounts import OPERATOR
from flow_resources.testing.service.body import Body
from flow_resources.testing.service.errors import BadRequestError
from flow_resources.testing.verbs.operator import Operator, mutation


@mutation
def preempt(operator: Operator, arguments: Body, now: float) -> Any:
    """Take the machines from an Allocated bid and exclude it from auctions."""
    notice = arguments.seconds("notice_seconds")
    bid = operator.bid(arguments)
    if bid["status"] != "Allocated":
        msg = f"only an Allocated bid can be preempted, {bid['fid']} is {bid['status']}"
        raise BadRequestError(msg)
    lifecycle, default = operator.backend.lifecycle, operator.backend.options.preemption_notice_seconds
    lifecycle.exclude(bid)
    lifecycle.preempt(bid, now, default if notice is None else notice)
    return operator.settled_bid(bid, now)


@mutation
def release(operator: Operator, arguments: Body, now: float) -> Any:
    """Let a preempted bid take part in auctions again."""
    bid = operator.bid(arguments)
    operator.backend.lifecycle.include(bid)
    return operator.settled_bid(bid, now)


@mutation
def fail_boot(operator: Operator, arguments: Body, now: float) -> Any:
    """Set the machines of an Allocated bid to STATUS_ERROR, until the bid boots machines again."""
    bid = operator.bid(arguments)
    if bid["status"] != "Allocated":
        msg = f"only an Allocated bid has machines that boot, {bid['fid']} is {bid['status']}"
        raise BadRequestError(msg)
    operator.backend.instances.set_status(bid["fid"], "STATUS_ERROR", now)
    return operator.settled_bid(bid, now)


@mutation
def relocate(operator: Operator, arguments: Body, now: float) -> Any:
    """Move the machines of an Allocated bid to other hosts, where they boot again."""
    bid = operator.bid(arguments)
    if bid["status"] != "Allocated":
        msg = f"only an Allocated bid has machines to relocate, {bid['fid']} is {bid['status']}"
        raise BadRequestError(msg)
    operator.backend.lifecycle.relocate(bid, now)
    return operator.settled_bid(bid, now)


@mutation
def terminate(operator: Operator, arguments: Body, now: float) -> Any:
    """Terminate a bid at once, including one whose cancellation takes time."""
    bid = operator.bid(arguments)
    if bid["status"] != "Terminated":
        operator.backend.lifecycle.terminate(bid, now, OPERATOR)
    return operator.settled_bid(bid, now)
