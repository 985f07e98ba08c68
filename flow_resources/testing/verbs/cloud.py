"""Verbs for the cloud as a whole: its clock, its options, faults, the request log, and resetting it."""

from __future__ import annotations

from typing import Any, get_args

from flow_resources.testing.service.accounts import OPERATOR
from flow_resources.testing.service.body import Body
from flow_resources.testing.service.lifecycle import Transition
from flow_resources.testing.service.options import Options
from flow_resources.testing.verbs.operator import Operator, mutation


@mutation
def advance(operator: Operator, arguments: Body, _now: float) -> Any:
    """Move the clock forward, perform all transitions that are due, and return the new time."""
    step = arguments.number("seconds")
    arguments.reject_others()
    now = operator.backend.clock.advance(step)
    operator.backend.timeline.catch_up(now)
    return {"now": now}


@mutation
def set_clock(operator: Operator, arguments: Body, _now: float) -> Any:
    """Set how many seconds of the clock pass per real second; 0 stops the clock."""
    speed = arguments.number("speed")
    arguments.reject_others()
    operator.backend.clock.speed = speed
    return {"speed": speed}


@mutation
def finish(operator: Operator, arguments: Body, now: float) -> Any:
    """Complete a transition that takes time, for one bid or for all."""
    what: Any = arguments.choice("what", get_args(Transition))
    fid = arguments.text("bid_id") if arguments.has("bid_id") else None
    arguments.reject_others()
    if fid is not None:
        operator.backend.bids.get(OPERATOR, fid)
    operator.backend.lifecycle.finish(what, fid, now)
    return {}


@mutation
def set_options(operator: Operator, arguments: Body, _now: float) -> Any:
    """Change options, all or none; they apply from now on."""
    values = arguments.rest()
    validated = Options(**operator.backend.options.wire())
    for name, value in values.items():
        setattr(validated, name, value)
    for name, value in values.items():
        setattr(operator.backend.options, name, value)
    return operator.backend.options.wire()


@mutation
def add_fault(operator: Operator, arguments: Body, _now: float) -> Any:
    """Add a fault rule, from the fields of `FaultRule` that JSON can represent."""
    rule: dict[str, Any] = {
        name: arguments.text(name) for name in ("kind", "when", "method", "path") if arguments.has(name)
    }
    rule |= {
        name: arguments.integer(name, minimum=0) for name in ("nth", "times", "status", "kill") if arguments.has(name)
    }
    rule |= {name: arguments.number(name) for name in ("rate", "lasts", "seconds") if arguments.has(name)}
    if arguments.sent("times") and not arguments.has("times"):
        rule["times"] = None
    if arguments.has("headers"):
        headers = arguments.nested("headers").rest()
        rule["headers"] = {name: str(value) for name, value in headers.items()}
    rule["body"] = arguments.raw_value("body")
    arguments.reject_others()
    return operator.faults.add(**rule).wire()


@mutation
def clear_faults(operator: Operator, arguments: Body, _now: float) -> Any:
    """Remove all fault rules and release the clients that hang."""
    arguments.reject_others()
    operator.faults.clear()
    return {}


@mutation
def clear_requests(operator: Operator, arguments: Body, _now: float) -> Any:
    """Clear the log of requests."""
    arguments.reject_others()
    operator.journal.clear()
    return {}


@mutation
def set_latency(operator: Operator, arguments: Body, _now: float) -> Any:
    """Delay every response of the API by this many seconds of real time."""
    seconds = arguments.number("seconds")
    arguments.reject_others()
    operator.set_latency(seconds)
    return {}


@mutation
def reset(operator: Operator, arguments: Body, now: float) -> Any:
    """Remove all bids, machines, reservations, volumes, SSH keys, prices, fault rules and logged requests.

    Projects and their API keys are kept, and so are options that were set explicitly.
    """
    seed = arguments.integer("seed", minimum=0) if arguments.has("seed") else None
    arguments.reject_others()
    operator.faults.restart(seed)
    operator.set_latency(0.0)
    operator.journal.clear()
    operator.backend.options.apply_defaults(moving=seed is not None)
    operator.backend.reset(now, seed)
    return {"seed": seed}
