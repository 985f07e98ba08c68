"""What a cluster's policy does about a preemption: the facts that `core.preemption` decides from, and what acts on it.

A check decides and marks the preemption as handled; diff answers for it. Between them and the update, the delete or the
create, the bid can win again: each of these reads it anew and leaves one that runs as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from flow_resources.core import money
from flow_resources.core.answer import Answer
from flow_resources.core.cluster_fields import FIELDS
from flow_resources.core.hidden import PREEMPTION, Record, recorded_inputs
from flow_resources.core.inputs import Checked, changed
from flow_resources.core.market import Market
from flow_resources.core.models import WAITING
from flow_resources.core.placement_fields import is_unchanged
from flow_resources.core.placements import MAX_WAIT
from flow_resources.core.preemption import (
    LIMIT,
    NOTHING,
    POLICY,
    PRICE,
    Action,
    Decision,
    PolicyRecord,
    decide,
    is_pending,
    is_withdrawn,
    read_record,
    sighted,
    with_unrecorded_raise,
    with_wait,
    withdrawn,
    write_record,
)
from flow_resources.core.spec import ClusterSpec
from flow_resources.core.status import ClusterSnapshot
from flow_resources.errors import FlowResourcesError, RejectedError, UnavailableError
from flow_resources.lifecycle.operation import LISTING_SECONDS, Operation
from flow_resources.lifecycle.resource import Update

_REFRESH = "run `pulumi up --refresh`"


# -- refresh -----------------------------------------------------------------------------------------------------------


def with_sighting(seen: ClusterSnapshot, record: Record) -> ClusterSnapshot:
    """Add what the state will record of the preemptions of a bid, with what a refresh has seen."""
    recorded, waits = record.outputs or {}, seen.waits_after_preemption
    before = read_record(recorded)
    if waits is Answer.NO and before.seen and before.seen.bid_id == seen.bid.id:
        limit, price = (money.known_price(recorded.get(name)) for name in (LIMIT, PRICE))
        before = with_unrecorded_raise(before, str(recorded.get(POLICY)), limit, price, seen.bid.price)
        recorded = {**recorded, **write_record(before)}
    policy = sighted(recorded, seen.bid.id, waits, seen.last_preempted_at)
    is_limited = recorded.get(MAX_WAIT) is not None
    policy = with_wait(policy, seen.bid.id, seen.waits if is_limited else Answer.NO, seen.waits_since)
    return replace(seen, policy=policy if record.identity else NOTHING)


def warn_of_preemption(op: Operation, seen: ClusterSnapshot, record: Record) -> None:
    """Warn of a preemption that stops the next `up`, and of one about which nothing is done."""
    policy = str((record.outputs or {}).get(POLICY) or "keep")
    recorded = read_record(record.outputs or {})
    if seen.policy.raised and seen.policy.handled != recorded.handled:
        op.report.progress(
            f"the bid of {money.usd(seen.policy.raised)} is taken for the raise of an `up` that was cut off", keep=True
        )
    if policy == "keep" or seen.waits_after_preemption is not Answer.YES:
        return
    if seen.policy.seen is None:
        op.warn_once(
            f"it is preempted, and the service does not say since when: on_preemption={policy!r} does nothing about it"
        )
    elif policy == "fail" and seen.policy.is_unhandled:
        op.warn_once(f"preempted at {seen.policy.seen.at}: on_preemption='fail' stops an `up` of it while it waits")


# -- check -------------------------------------------------------------------------------------------------------------


def apply_policy(
    op: Operation, found: Checked, olds: Mapping[str, Any], market: Market | None, budget: Decimal | None
) -> None:
    """Put the raised bid in the place of the program's number, and mark what is done about a preemption.

    Nothing is done about one of a bid that the program replaces or pauses.
    """
    record = read_record(olds) if olds else op.ledger.record_before_replacement(op.urn)
    if record == NOTHING or PREEMPTION in found.hidden:  # of a bid that moves on to another placement
        return
    is_replaced = not is_unchanged(FIELDS, found, olds)
    if is_replaced and olds and op.urn:
        op.ledger.remember_record(op.urn, record)
    policy, number, limit = (found.known(name) for name in (POLICY, PRICE, LIMIT))
    is_ignored = op.ignores("*") or (policy == "raise_bid" and op.ignores(PRICE))
    if is_ignored or policy is None or number is None or (limit is None and LIMIT in found.inputs):
        if is_ignored and record.is_unhandled and policy != "keep":
            op.report.progress(f"preempted, and on_preemption={policy!r} does nothing, by ignore_changes", keep=True)
        found.hidden |= write_record(record)
        return
    acts = not is_replaced and found.inputs.get("paused") is False
    decision = decide(
        record if acts else replace(record, seen=None),
        policy,
        None if limit is None else money.price(limit),
        money.price(number),
        _market_price(found, market),
        op.cloud.service_now() if market else None,
        lambda raised: _over_budget(op, found, raised, budget),
        money.known_price(olds.get(PRICE)),
    )
    if decision.action is Action.FAIL:
        if number <= float(olds.get(PRICE) or number):  # a higher number is what a person does about it
            _fail_while_it_waits(op, found, decision)
    elif decision.words:
        op.report.progress(decision.words, keep=True)
    found.inputs[PRICE] = float(decision.price)
    recorded = replace(decision.record, seen=None if is_replaced else record.seen)
    if decision.action in (Action.RAISE, Action.REPLACE):
        recorded = replace(recorded, is_alone=_is_alone(found, olds, record, number))
    found.hidden |= write_record(recorded)


def _is_alone(found: Checked, olds: Mapping[str, Any], record: PolicyRecord, number: float) -> bool:
    """Whether nothing but the policy changes anything: neither another input nor a bid that somebody else has set."""
    others = (one.name for one in changed(FIELDS, olds, found.inputs) if one.name != PRICE)
    standing = record.raised if record.raised and record.base == money.price(number) else number
    return not any(others) and olds.get(PRICE) == float(standing)


def _market_price(found: Checked, market: Market | None) -> Decimal | None:
    instance_type, region = found.known("instance_type"), found.known("region")
    offer = market.offer(instance_type, region) if market and instance_type and region else None
    return offer.price if offer else None


def _over_budget(op: Operation, found: Checked, raised: Decimal, budget: Decimal | None) -> str:
    """Say that the budget does not allow a raised bid; else enter that into the budget, and return nothing.

    What is not checked yet counts as it is recorded: a raise must not make the check of another bid fail.
    """
    count = found.known("num_instances")
    if budget is None:
        return ""
    name = f"{op.deployment.spending.words.name} of {money.usd(budget)}/h"
    recorded = op.ledger.recorded_costs(op.urn, op.report)
    if recorded is None or count is None or op.urn is None:
        return f"what the other bids of the stack cost could not be found out, and it has {name}"
    if op.deployment.spending.enter_within(op.urn, raised * count, budget, recorded):
        return ""
    return f"{name} does not allow {money.usd(raised)}"


def _fail_while_it_waits(op: Operation, found: Checked, decision: Decision) -> None:
    """Fail where the bid still waits; where that is not known, warn."""
    seen = decision.record.seen
    waits = _still_waits(op, seen.bid_id) if seen else Answer.NOT_KNOWN
    if waits is Answer.YES:
        leave_out = f"--exclude {op.urn}" if op.urn else "--exclude with its URN"
        found.fail(
            POLICY,
            decision.words,
            remedy="raise max_price_per_hour in the program, choose another policy, or leave the cluster out of this "
            f"`up` with {leave_out}",
        )
    elif waits is Answer.NOT_KNOWN:
        op.warn_once(f"on_preemption {decision.words}, unless it runs again by now, which could not be found out")


def _still_waits(op: Operation, bid_id: str) -> Answer:
    try:
        bid = op.cloud.live_bids(op.begun - LISTING_SECONDS).get(bid_id)
    except FlowResourcesError:
        return Answer.NOT_KNOWN
    if bid is None or not bid.has_known_status:
        return Answer.NOT_KNOWN
    return Answer.of(bid.status == WAITING)


# -- diff and update ---------------------------------------------------------------------------------------------------


def comparable(op: Operation, olds: Mapping[str, Any], news: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the new inputs without the price of a raise that was not made, or that the program ignores."""
    recorded, wanted = read_record(olds), read_record(news)
    is_ignored = is_pending(recorded, wanted, Action.RAISE) and op.ignores(PRICE)
    if not is_ignored and not is_withdrawn(recorded, wanted):
        return news
    return {**news, PRICE: recorded_inputs(olds).get(PRICE)}


def has_hidden_change(olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """Whether the outputs still record a raise, or none yet, of which the inputs say otherwise."""
    recorded, wanted = read_record(olds), read_record(news)
    differs = (recorded.base, recorded.raised) != (wanted.base, wanted.raised)
    return differs and not is_withdrawn(recorded, wanted)


def raise_bid(
    op: Operation, seen: ClusterSnapshot, spec: ClusterSpec, record: Record, update: Update | None
) -> ClusterSnapshot:
    """Raise the bid for a preemption, where it still waits; return it with what is to be recorded of that."""
    recorded, wanted = read_record(record.outputs or {}), spec.policy
    if update is None or wanted.raised is None or is_withdrawn(recorded, wanted):
        return replace(seen, policy=recorded if is_withdrawn(recorded, wanted) else wanted)
    if not is_pending(recorded, wanted, Action.RAISE) or seen.bid.price == wanted.raised:
        return replace(seen, policy=wanted)
    if seen.bid.status != WAITING or op.ignores(PRICE):
        why = "by ignore_changes" if op.ignores(PRICE) else f"it does not wait any more ({seen.message})"
        op.report.progress(f"the bid is not raised: {why}", keep=True)
        return replace(seen, policy=withdrawn(recorded, wanted))
    try:
        op.cloud.set_price(seen.bid.id, wanted.raised)
    except FlowResourcesError:
        if not _has_price(op, seen.bid.id, wanted.raised):
            raise
    return replace(seen, policy=wanted, bid=replace(seen.bid, price=wanted.raised))


def _has_price(op: Operation, bid_id: str, price: Decimal) -> bool:
    """Whether a bid has a price, by one more look; False also where it cannot be read."""
    try:
        bid = op.cloud.bid(bid_id)
    except FlowResourcesError:
        return False
    return bid is not None and bid.price == price


def as_decided(
    op: Operation, seen: ClusterSnapshot, spec: ClusterSpec, record: Record, update: Update | None
) -> tuple[ClusterSpec, Update | None]:
    """Return what is to be converged to, after `raise_bid`: where that raised nothing, the bid as it stood before."""
    price = seen.policy.raised or spec.policy.base
    if update is None or not is_withdrawn(seen.policy, spec.policy) or price is None:
        return spec, update
    spec = replace(spec, max_price_per_hour=price)
    known = recorded_inputs(record.outputs or {}).get(PRICE)
    if op.ignores(PRICE) or known == float(spec.max_price_per_hour):
        update = replace(update, inputs=update.inputs - {PRICE})
    return spec, update


# -- replacement -------------------------------------------------------------------------------------------------------


def wants_replacement(olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """Whether the policy replaces the bid, for a preemption that is not handled yet."""
    return is_pending(read_record(olds), read_record(news), Action.REPLACE)


def wants_move(news: Mapping[str, Any]) -> bool:
    """Whether the bid moves on to another placement, after a wait that was too long.

    The inputs alone decide: where the outputs have lost the wait, what ends the bid must look it up all the same.
    """
    return read_record(news).moved is not None


def require_waiting(op: Operation, bid_id: str) -> None:
    """Refuse to end a bid that the policy replaces and that does not wait any more; one that has ended is gone."""
    try:
        bid = op.cloud.find_bid(bid_id, op.clock.now())
    except UnavailableError as error:
        raise UnavailableError(
            f"the bid {bid_id} is not replaced, because whether it still waits could not be found out: {error.message}",
            _REFRESH,
        ) from error
    if bid and not bid.ended and bid.status != WAITING:
        raise RejectedError(
            f"the bid {bid_id} is not replaced, because it does not wait any more (the service calls it "
            f"{bid.status or 'nothing'}): nothing was touched",
            _REFRESH,
        )
