"""The cloud as a whole: its time, its switches, what goes wrong on the wire, and a new beginning."""

from __future__ import annotations

from typing import Any, get_args

from flow_resources.testing.service.accounts import OPERATOR
from flow_resources.testing.service.inputs import Body
from flow_resources.testing.service.lifecycle import Transition
from flow_resources.testing.service.options import Options
from flow_resources.testing.verbs.operator import Operator, acts


@acts
def advance(operator: Operator, ask: Body, _now: float) -> Any:
    """Move the clock forward and return the new present; everything that was due has happened then."""
    step = ask.decimal("seconds")
    ask.nothing_else()
    now = operator.backend.clock.advance(step)
    operator.backend.timeline.catch_up(now)
    return {"now": now}


@acts
def set_clock(operator: Operator, ask: Body, _now: float) -> Any:
    """Set how many seconds pass in a real one; 0 stops the clock."""
    speed = ask.decimal("speed")
    ask.nothing_else()
    operator.backend.clock.speed = speed
    return {"speed": speed}


@acts
def finish(operator: Operator, ask: Body, now: float) -> Any:
    """End what takes time, of one bid or of all."""
    what: Any = ask.choice("what", get_args(Transition))
    fid = ask.text("bid_id") if ask.has("bid_id") else None
    ask.nothing_else()
    if fid is not None:
        operator.backend.bids.get(OPERATOR, fid)
    operator.backend.lifecycle.finish(what, fid, now)
    return {}


@acts
def set_options(operator: Operator, ask: Body, _now: float) -> Any:
    """Change switches; they count from the next transition on."""
    values = ask.rest()
    trial = Options(**operator.backend.options.wire())
    for name, value in values.items():
        setattr(trial, name, value)
    for name, value in values.items():
        setattr(operator.backend.options, name, value)
    return operator.backend.options.wire()


@acts
def add_fault(operator: Operator, ask: Body, _now: float) -> Any:
    """Add a rule, with the fields of `FaultRule` that JSON can say."""
    rule: dict[str, Any] = {name: ask.text(name) for name in ("kind", "when", "method", "path") if ask.has(name)}
    rule |= {name: ask.whole(name, least=0) for name in ("nth", "times", "status", "kill") if ask.has(name)}
    rule |= {name: ask.decimal(name) for name in ("rate", "lasts", "seconds") if ask.has(name)}
    if ask.sent("times") and not ask.has("times"):
        rule["times"] = None
    if ask.has("headers"):
        headers = ask.inner("headers").rest()
        rule["headers"] = {name: str(value) for name, value in headers.items()}
    rule["body"] = ask.anything("body")
    ask.nothing_else()
    return operator.faults.add(**rule).wire()


@acts
def clear_faults(operator: Operator, ask: Body, _now: float) -> Any:
    """Forget every rule and let go of the clients that hang."""
    ask.nothing_else()
    operator.faults.clear()
    return {}


@acts
def clear_requests(operator: Operator, ask: Body, _now: float) -> Any:
    """Forget what was asked."""
    ask.nothing_else()
    operator.journal.clear()
    return {}


@acts
def set_latency(operator: Operator, ask: Body, _now: float) -> Any:
    """Make every answer of the service wait that many real seconds."""
    seconds = ask.decimal("seconds")
    ask.nothing_else()
    operator.set_latency(seconds)
    return {}


@acts
def reset(operator: Operator, ask: Body, now: float) -> Any:
    """Begin anew: no bids, machines, volumes, SSH keys, prices, faults or requests.

    Accounts and their keys stay, and so do the switches that somebody set.
    """
    seed = ask.whole("seed", least=0) if ask.has("seed") else None
    ask.nothing_else()
    operator.faults.restart(seed)
    operator.set_latency(0.0)
    operator.journal.clear()
    operator.backend.options.follow(living=seed is not None)
    operator.backend.reset(now, seed)
    return {"seed": seed}
