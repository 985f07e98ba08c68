"""Policies of a bid: what a program writes in place of a number, checked, and the number that each resolves to.

Computed here from facts that are handed in, in Decimal and whole cents, rounded up and never above the cap. When a
policy is resolved, and what its facts are, is `lifecycle/bid_price`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import TYPE_CHECKING, Any

from flow_resources.core import money
from flow_resources.core.inputs import Invalid, InvalidParts, Unknown, integer, show

if TYPE_CHECKING:
    from flow_resources.core.prices import PriceHistory
    from flow_resources.core.reference_prices import Reference

BID_POLICY = "bid_policy"
"""The input of a policy."""
MAX_DAYS = 30
"""How many days of prices are asked for at most: the service keeps about a month."""
DEFAULT_DAYS, DEFAULT_MARGIN = 7, 0.1
_HIGHEST_FACTOR = 1_000_000
_PER_INSTANCE = "in USD per instance-hour"
_NEARLY = timedelta(hours=1)


# -- as a program writes it --------------------------------------------------------------------------------------------


def _usd(what: str) -> Callable[[Any], float]:
    def rule(value: Any) -> float:
        try:
            return float(money.price(value))
        except ValueError as error:
            raise Invalid(str(error), what) from None

    return rule


def _number(rule: str, remedy: str, *, is_allowed: Callable[[float], bool]) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or not is_allowed(value):
            raise Invalid(rule, remedy)
        return float(value)

    return check


_CAP = _usd(f"it is the most that the bid may be, {_PER_INSTANCE}")
_RULES: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "per_gpu": {"usd": _usd("it is the bid, in USD per GPU-hour")},
    "infrastructure": {
        "cap": _CAP,
        "reference": _usd(f"it is the price that the bid does not go under, {_PER_INSTANCE}"),
    },
    "workload": {
        "margin": _number(
            "must be a number from 0 on",
            "0.1 is 10 % above the market",
            is_allowed=lambda value: 0 <= value < _HIGHEST_FACTOR,
        ),
        "cap": _CAP,
    },
    "market": {
        "multiplier": _number(
            "must be a number greater than 0",
            "2 is twice the market",
            is_allowed=lambda value: 0 < value < _HIGHEST_FACTOR,
        ),
        "cap": _CAP,
    },
    "uptime": {
        "target": _number(
            "must be more than 0 and less than 1",
            "no bid holds for certain: 0.97 is 97 % of the time",
            is_allowed=lambda value: 0 < value < 1,
        ),
        "days": integer(1, MAX_DAYS),
        "cap": _CAP,
    },
}
_DEFAULTS: Mapping[str, Any] = {"days": DEFAULT_DAYS, "margin": DEFAULT_MARGIN}
_OPTIONAL = frozenset({"reference"})
KINDS = tuple(_RULES)


def bid_policy(value: Any) -> dict[str, Any]:
    """A policy in its normal form: its kind, and the values of that kind with the defaults filled in."""
    if isinstance(value, Mapping) and isinstance(value.get("kind"), Unknown):
        return dict(value)
    if not isinstance(value, Mapping) or value.get("kind") not in KINDS:
        raise Invalid(f"must be a mapping whose kind is one of {', '.join(KINDS)}", "in Python, pass a Bid")
    kind = str(value["kind"])
    rules, bad = _RULES[kind], list[Invalid]()
    normal: dict[str, Any] = {"kind": kind}
    for key in value:
        if key != "kind" and key not in rules and value[key] is not None:
            bad.append(Invalid(f"is not a value of {kind}", f"it has {', '.join(rules)}", f".{key}"))
    for key, rule in rules.items():
        given = _value(key, value.get(key), rule, bad)
        if given is not None:
            normal[key] = given
    cap, reference = (normal.get(key) for key in ("cap", "reference"))
    if isinstance(cap, float) and isinstance(reference, float) and cap < reference:
        broken = f"is under the reference {show(reference)}, which the bid does not go under"
        bad.append(Invalid(broken, "raise it", ".cap"))
    if bad:
        raise InvalidParts(bad)
    return normal


def _value(key: str, given: Any, rule: Callable[[Any], Any], bad: list[Invalid]) -> Any:
    """Return one value of a policy, checked, or its default; None for one that is left out, or breaks its rule."""
    given = _DEFAULTS.get(key) if given is None else given
    if isinstance(given, Unknown):
        return given
    if given is None:
        if key == "cap":
            remedy = f"cap=... is the most that the bid may be, {_PER_INSTANCE}"
            bad.append(Invalid("is required, because the market decides the bid", remedy, ".cap", is_shown=False))
        elif key not in _OPTIONAL:
            bad.append(Invalid("is required", at=f".{key}", is_shown=False))
        return None
    try:
        return rule(given)
    except Invalid as invalid:
        bad.append(invalid.inside(f".{key}"))
        return None


# -- parsed ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Resolved:
    """The number that a policy resolves to, in USD per instance-hour, and why it is that."""

    price: Decimal
    reason: str


@dataclass(frozen=True)
class PerGpu:
    """A price per GPU, times the GPUs of a machine."""

    usd: Decimal
    cap = None

    def __str__(self) -> str:
        return f"per_gpu {money.usd(self.usd)}"

    def resolve(self, gpus: int) -> Resolved:
        """Return the bid for a machine with this number of GPUs, at least one."""
        return Resolved(
            self.usd * gpus, f"{gpus} GPU{'' if gpus == 1 else 's'} of a machine, {money.usd(self.usd)} each"
        )


@dataclass(frozen=True)
class Infrastructure:
    """Not under the price of a machine that nobody can take away, nor under the market."""

    cap: Decimal
    reference: Decimal | None = None

    def __str__(self) -> str:
        return "infrastructure"

    def resolve(self, reference: Reference, market: Decimal, floor: Decimal | None = None) -> Resolved:
        """Return the bid; the cap is not under the reference."""
        wanted = max(reference.price, market)
        if market > reference.price:
            reason = f"the market, which is over {reference.source} {money.usd(reference.price)}/h"
        else:
            reason = f"{reference.source}, market {money.usd(market)}/h"
        return _fit(wanted, reason, self.cap, floor)


@dataclass(frozen=True)
class Workload:
    """Above the market by a margin."""

    margin: Decimal
    cap: Decimal

    def __str__(self) -> str:
        return f"workload {self.margin}"

    def resolve(self, market: Decimal, floor: Decimal | None = None) -> Resolved:
        """Return the bid."""
        reason = f"{_percent(self.margin)} above the market {money.usd(market)}/h"
        return _fit(market * (1 + self.margin), reason, self.cap, floor)


@dataclass(frozen=True)
class TimesMarket:
    """A multiple of the market."""

    multiplier: Decimal
    cap: Decimal

    def __str__(self) -> str:
        return f"market {self.multiplier}"

    def resolve(self, market: Decimal, floor: Decimal | None = None) -> Resolved:
        """Return the bid."""
        return _fit(
            market * self.multiplier, f"{self.multiplier} times the market {money.usd(market)}/h", self.cap, floor
        )


@dataclass(frozen=True)
class Uptime:
    """The lowest bid that would have held for a share of the last days."""

    target: Decimal
    days: int
    cap: Decimal

    def __str__(self) -> str:
        return f"uptime {self.target}"

    def resolve(self, history: PriceHistory, floor: Decimal | None = None) -> Resolved:
        """Return the bid; the reason says what that bid itself would have held."""
        wanted = history.lowest_bid(self.target)
        fitted = _fit(wanted, "", self.cap, floor)
        held = f"would have held {_percent(history.share_held(fitted.price))} of {self._describe_days(history)}"
        if fitted.price < wanted:
            held = f"the cap, which {held}; {_percent(self.target)} needed {money.usd(wanted)}/h"
        return Resolved(fitted.price, f"{held}{fitted.reason}" if fitted.price > wanted else held)

    def _describe_days(self, history: PriceHistory) -> str:
        known = history.duration
        if known >= timedelta(days=self.days) - _NEARLY:
            return "the last day" if self.days == 1 else f"the last {self.days} days"
        count = (Decimal(known // timedelta(hours=1)) / 24).quantize(Decimal("0.1"), ROUND_DOWN)
        return f"the last {_plain(count)} days, which is all that is known"


ByMarket = Infrastructure | Workload | TimesMarket | Uptime
BidPolicy = PerGpu | ByMarket


def parse(policy: Mapping[str, Any]) -> BidPolicy:
    """Parse a policy in its normal form, which has no unknown part."""
    kind, cap = policy["kind"], money.known_price(policy.get("cap"))
    if kind == "per_gpu":
        return PerGpu(money.price(policy["usd"]))
    if cap is None:
        raise ValueError(f"the policy {kind!r} has no cap: check did not see it")
    if kind == "infrastructure":
        return Infrastructure(cap, money.known_price(policy.get("reference")))
    if kind == "workload":
        return Workload(_exact(policy["margin"]), cap)
    if kind == "market":
        return TimesMarket(_exact(policy["multiplier"]), cap)
    return Uptime(_exact(policy["target"]), int(policy["days"]), cap)


def _exact(number: float) -> Decimal:
    """Return the number that was written: a float is the nearest one to it."""
    return Decimal(_plain(Decimal(repr(float(number)))))


def _fit(wanted: Decimal, reason: str, cap: Decimal, floor: Decimal | None) -> Resolved:
    """Return a price in whole cents, at least the floor, and never above the cap; say where one of them decides."""
    price = wanted.quantize(money.CENT, ROUND_UP)
    if floor is not None and price < floor:
        price, reason = floor, f"{reason}, raised to {money.usd(floor)}/h, under which no bid wins"
    if price > cap:
        return Resolved(cap, f"the cap: {reason} would be {money.usd(price)}/h")
    return Resolved(price, reason)


def _percent(share: Decimal) -> str:
    """Return a share in percent, rounded down to a tenth: "97 %", "99.9 %"."""
    return f"{_plain((share * 100).quantize(Decimal('0.1'), ROUND_DOWN))} %"


def _plain(number: Decimal) -> str:
    """Return a number without zeros at its end, and without an exponent."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
