"""The number of a bid that has a policy: resolved by check, once, and kept by later checks.

The number is a hidden input beside `max_price_per_hour`, which drift and a raise can change. It is resolved anew where
the policy changes or the bid is replaced; all that resolve one policy for one market in one operation get one number.

Where the prices are not known, the number is left out of the inputs: a preview shows it as not known, and a create or
an update refuses. A replacement must not begin then, because the old bid would end first: its number is an unknown
value, at which the engine stops an `up` before anything is ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flow_resources.core import bid_policy, money
from flow_resources.core.answer import Answer
from flow_resources.core.bid_policy import BID_POLICY, ByMarket, Resolved
from flow_resources.core.hidden import read_resolved_bid, write_resolved_bid
from flow_resources.core.inputs import UNKNOWN, Change, Checked, changed, has_unknown, is_recorded
from flow_resources.core.market import Market, named
from flow_resources.core.models import InstanceType, Offer
from flow_resources.core.preemption import PRICE
from flow_resources.core.preemption import read_record as read_preemption
from flow_resources.core.price_lines import describe_total
from flow_resources.core.prices import CurrentPrices
from flow_resources.core.reference_prices import reference_of
from flow_resources.lifecycle.bid_kind import BidKind
from flow_resources.lifecycle.budget import charge
from flow_resources.lifecycle.market_prices import MarketPrices
from flow_resources.lifecycle.operation import Operation

AnyBidKind = BidKind[Any, Any]


def settle_bid(op: Operation, kind: AnyBidKind, found: Checked, olds: Mapping[str, Any], market: Market | None) -> None:
    """Put the number of the program's policy into `max_price_per_hour`, as check leaves it in the state."""
    if BID_POLICY not in found.inputs or _keeps_ignored(op, found, olds):
        return
    if PRICE in found.inputs and not _is_as_recorded(found, olds):
        found.fail(BID_POLICY, "cannot be set beside max_price_per_hour", remedy="remove one of the two")
    if found.has_failed(BID_POLICY) or found.has_failed(PRICE):
        return
    is_lost = BID_POLICY not in olds and read_resolved_bid(olds) is not None  # then a change of it is not known
    is_same = is_lost or found.inputs[BID_POLICY] == olds.get(BID_POLICY)
    is_kept = is_same and not _is_replaced(kind, found, olds)
    if not kind.may_cost(op, found, olds):
        price = read_resolved_bid(olds) or money.known_price(olds.get(PRICE))
    else:
        price = _recorded(op, found, olds) if is_kept else _resolve(op, kind, found, olds, market)
    found.inputs.pop(PRICE, None)
    if price is not None:
        found.inputs[PRICE] = float(price)
        found.hidden |= write_resolved_bid(price)
        _warn_of_cap(op, found, price)
    elif any(map(has_unknown, found.inputs.values())):
        found.inputs[PRICE] = UNKNOWN
    elif not found.failures and _may_end_something(op, kind, found, olds):
        found.inputs[PRICE] = UNKNOWN
        op.warn_once("bid_policy is not resolved: an `up` stops here as long as that is so, and ends nothing")


def _may_end_something(op: Operation, kind: AnyBidKind, found: Checked, olds: Mapping[str, Any]) -> bool:
    """Whether what is to be made replaces something, or that is not known."""
    return _is_replaced(kind, found, olds) if olds else op.own_record.exists is not Answer.NO


def _is_replaced(kind: AnyBidKind, found: Checked, olds: Mapping[str, Any]) -> bool:
    """Whether an input replaces the bid. One that the state lost does not: it learns that from the program."""
    replacing = (one for one in kind.fields if one.change is Change.REPLACE and is_recorded(one, olds))
    return any(changed(list(replacing), olds, found.inputs))


def charge_most(op: Operation, kind: AnyBidKind, found: Checked, budget: Decimal | None, key: str) -> bool:
    """Enter the most that a bid can cost whose number is not known; return whether it is such a bid."""
    policy, count = found.known(BID_POLICY), found.known("num_instances")
    if policy is None or found.known(PRICE) is not None or found.has_failed(PRICE):
        return False
    cap = bid_policy.parse(policy).cap
    if cap is not None and count is not None:
        is_paused = found.inputs.get("paused") is True
        most = Decimal(0) if is_paused else cap * count
        total = describe_total(charge(found, op.deployment.spending, key, most, budget, kind.called), budget)
        line = f"bid not known yet ({bid_policy.parse(policy)}), at most {money.usd(cap)}/h x {count}"
        found.row = f"{line}; {total}"
    elif budget is not None:
        name = op.deployment.spending.words.name
        op.warn_once(f"{name} is not checked for it here: what it can cost is known in the `up` only")
    return True


# -- kept --------------------------------------------------------------------------------------------------------------


def _keeps_ignored(op: Operation, found: Checked, olds: Mapping[str, Any]) -> bool:
    """Keep a recorded price whose changes the program ignores, and with it the policy that it is of."""
    if not op.ignores(PRICE) or PRICE not in found.inputs:
        return False
    if found.inputs[BID_POLICY] != olds.get(BID_POLICY):
        op.report.progress("bid_policy has no effect: ignore_changes keeps max_price_per_hour as it is", keep=True)
        del found.inputs[BID_POLICY]
        if BID_POLICY in olds:
            found.inputs[BID_POLICY] = olds[BID_POLICY]
    found.hidden |= write_resolved_bid(read_resolved_bid(olds))
    return True


def _is_as_recorded(found: Checked, olds: Mapping[str, Any]) -> bool:
    """Whether price and policy are those of the state: an engine can pass the recorded inputs as the program's."""
    return all(found.inputs[name] == olds.get(name) for name in (PRICE, BID_POLICY))


def _recorded(op: Operation, found: Checked, olds: Mapping[str, Any]) -> Decimal | None:
    """Return the number that the same policy of the same bid was resolved to.

    Where the state does not tell that number, the recorded bid stands: a policy that has not changed sets no other one.
    """
    if price := read_resolved_bid(olds):
        return price
    record, recorded = read_preemption(olds), money.known_price(olds.get(PRICE))
    if recorded is None:
        rule = "has not changed, and the state does not tell what it was resolved to, nor the bid"
        found.fail(BID_POLICY, rule, remedy="`pulumi refresh` reads the bid")
        return None
    op.warn_once(f"the state does not tell what bid_policy was resolved to: the bid stays at {money.usd(recorded)}/h")
    return record.base if record.base and record.raised == recorded else recorded


def _warn_of_cap(op: Operation, found: Checked, price: Decimal) -> None:
    """Warn of a bid over the cap. No policy resolves to one: it is a live bid, taken for a number that was lost."""
    written = found.known(BID_POLICY)
    cap = None if written is None else bid_policy.parse(written).cap
    if cap is not None and price > cap:
        op.warn_once(
            f"the bid {money.usd(price)}/h is over the cap {money.usd(cap)}/h of bid_policy, because the state has "
            "lost what that was resolved to: a change of the policy resolves it anew, at most to the cap"
        )


# -- resolved ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Problem:
    """Why a policy cannot be resolved, and what to do; `value`: the part of the policy that is to blame."""

    rule: str
    remedy: str
    path: str = BID_POLICY
    value: Decimal | None = None

    def add_to(self, found: Checked) -> None:
        """Add it to the failures."""
        if self.value is None:
            found.fail(self.path, self.rule, remedy=self.remedy)
        else:
            found.fail(self.path, self.rule, float(self.value), self.remedy)


Outcome = Resolved | _Problem | None
"""None: a fact is not known yet, or the service does not tell it now."""


def _resolve(
    op: Operation, kind: AnyBidKind, found: Checked, olds: Mapping[str, Any], market: Market | None
) -> Decimal | None:
    """Resolve the policy, and say on the row to what, or add why not to the failures; None where it is not resolved."""
    written, spelling, region = found.known(BID_POLICY), found.known("instance_type"), found.known("region")
    if written is None or not spelling or market is None:
        return None
    policy = bid_policy.parse(written)
    if isinstance(policy, bid_policy.PerGpu):
        outcome = _per_gpu(policy, market, spelling, region)
    elif region:
        outcome = _once(op, found, policy, market, spelling, region)
    else:
        return None
    if isinstance(outcome, _Problem):
        outcome.add_to(found)
    if not isinstance(outcome, Resolved):
        return None
    price = kind.allowed_price(op, found, olds, outcome.price, policy.cap)
    settled = "settled by `up`" if op.is_preview else "settled"
    most = "" if policy.cap is None else f"; {settled}, at most {money.usd(policy.cap)}/h"
    line = f"bid {money.usd(price)}/h ({policy}): {outcome.reason}{most}"
    if op.deployment.is_first_warning(op.urn or "", line):  # check runs twice for a replacement
        op.report.progress(line, keep=True)
    return price


def _per_gpu(policy: bid_policy.PerGpu, market: Market, spelling: str, region: str | None) -> Outcome:
    offer = market.offer(spelling, region) if region else None
    types = [one for one in named(spelling, market.types) if offer is None or one.id == offer.instance_type]
    gpus = {one.gpus for one in types}
    if len(gpus) != 1 or 0 in gpus:
        rule = f"needs the number of GPUs of a machine, which the service does not say of {spelling!r}"
        return _Problem(rule, "write the price of a machine as max_price_per_hour")
    resolved = policy.resolve(gpus.pop())
    if resolved.price >= money.LIMIT:
        return _Problem("is too much for a bid", "it is in USD per GPU-hour", f"{BID_POLICY}.usd", policy.usd)
    return resolved


def _once(op: Operation, found: Checked, policy: ByMarket, market: Market, spelling: str, region: str) -> Outcome:
    """Resolve a policy by the prices of a market, once per operation."""
    offer = market.offer(spelling, region)
    if offer is None:
        return _no_price("price", spelling, region, _priced(market, spelling))
    machines = found.known("num_instances") or 1
    asked = f"the bid of {json.dumps(found.inputs[BID_POLICY], sort_keys=True)} for {offer.instance_type} in {region}"
    return op.deployment.once(asked, lambda: _by_market(op, policy, market, spelling, offer, machines))


def _by_market(op: Operation, policy: ByMarket, market: Market, spelling: str, offer: Offer, machines: int) -> Outcome:
    prices = MarketPrices(op)
    current = prices.current(offer.instance_type, offer.region, machines)
    floor, spot = (current.floor, current.spot) if current else (None, None)
    if isinstance(policy, bid_policy.Uptime):
        history = prices.history(offer.instance_type, offer.region, policy.days)
        if history:
            return policy.resolve(history, floor)
        if prices.has_failed or op.cloud.service_now() is None:
            return None
        ids = {one.id for one in named(spelling, market.types)}
        where = prices.regions_with_history(ids, policy.days)
        return _no_price("history of prices", spelling, offer.region, where)
    price = offer.price if spot is None else spot
    if price is None:
        return None if prices.has_failed else _no_price("price", spelling, offer.region, _priced(market, spelling))
    if isinstance(policy, bid_policy.Infrastructure):
        type_ = next((one for one in market.types if one.id == offer.instance_type), None)
        return _infrastructure(policy, price, current, type_)
    return policy.resolve(price, floor)


def _infrastructure(
    policy: bid_policy.Infrastructure, price: Decimal, current: CurrentPrices | None, type_: InstanceType | None
) -> Outcome:
    if current is None and policy.reference is None:  # the on-demand price comes before all others
        return None
    reference = reference_of(policy.reference, current, type_)
    if reference is None:
        return _Problem(
            "has no reference, because the service tells no on-demand price of this instance type",
            "pass reference=..., in USD per instance-hour",
        )
    if policy.cap < reference.price:
        rule = f"is under {reference.source} {money.usd(reference.price)}/h, which the bid does not go under"
        return _Problem(rule, "raise it, or pass a lower reference=...", f"{BID_POLICY}.cap", policy.cap)
    return policy.resolve(reference, price, current.floor if current else None)


def _no_price(what: str, spelling: str, region: str, known_in: Iterable[str]) -> _Problem:
    """Say that a region tells no price, or no history of prices, and which ones do."""
    remedy = "write a number as max_price_per_hour"
    if regions := sorted({*known_in} - {region}):
        remedy += f", or choose a region where a {what} is known: {', '.join(regions)}"
    return _Problem(f"cannot be resolved: no {what} is known of {spelling!r} in {region}", remedy)


def _priced(market: Market, spelling: str) -> set[str]:
    """Return the regions where a price of a type is known."""
    ids = {one.id for one in named(spelling, market.types)}
    return {one.region for one in market.offers if one.instance_type in ids and one.price is not None}
