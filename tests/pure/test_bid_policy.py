"""Policies of a bid: what a program may write, and the number that each resolves to."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_resources.core import bid_policy
from flow_resources.core.bid_policy import Infrastructure, PerGpu, TimesMarket, Uptime, Workload
from flow_resources.core.inputs import UNKNOWN, InvalidParts
from flow_resources.core.models import InstanceType
from flow_resources.core.money import CENT
from flow_resources.core.prices import CurrentPrices, PriceHistory
from flow_resources.core.reference_prices import Reference, reference_of

NOON = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
ON_DEMAND = Reference(Decimal(30), "the on-demand price")


def usd(text: str) -> Decimal:
    return Decimal(text)


def history(*prices: str, days: float = 7) -> PriceHistory:
    """Return a history of prices that were valid for as long each."""
    length = timedelta(days=days)
    points = [(NOON + index * length / len(prices), Decimal(price)) for index, price in enumerate(prices)]
    found = PriceHistory.of(points, NOON + length)
    assert found
    return found


# -- what a program may write ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ({"kind": "per_gpu", "usd": 6.25}, {"kind": "per_gpu", "usd": 6.25}),
        ({"kind": "infrastructure", "cap": 60}, {"kind": "infrastructure", "cap": 60.0}),
        ({"kind": "workload", "cap": 40, "margin": None}, {"kind": "workload", "margin": 0.1, "cap": 40.0}),
        ({"kind": "uptime", "target": 0.9, "cap": 9.5}, {"kind": "uptime", "target": 0.9, "days": 7, "cap": 9.5}),
        ({"kind": "market", "multiplier": 2, "cap": UNKNOWN}, {"kind": "market", "multiplier": 2.0, "cap": UNKNOWN}),
    ],
)
def test_a_policy_has_one_normal_form(written: dict[str, Any], normal: dict[str, Any]) -> None:
    """With the defaults filled in, so that a default that is written out changes nothing."""
    assert bid_policy.bid_policy(written) == normal
    assert bid_policy.bid_policy(normal) == normal


@pytest.mark.parametrize(
    ("written", "at", "words"),
    [
        ({"kind": "uptime", "target": 0.9}, ".cap", "is required, because the market decides"),
        ({"kind": "workload"}, ".cap", "is required, because the market decides"),
        ({"kind": "market", "multiplier": 1}, ".cap", "is required, because the market decides"),
        ({"kind": "infrastructure"}, ".cap", "is required, because the market decides"),
        ({"kind": "infrastructure", "cap": 20, "reference": 20.01}, ".cap", "is under the reference"),
        ({"kind": "infrastructure", "cap": 20, "reference": -1}, ".reference", "must be greater than 0"),
        ({"kind": "uptime", "target": 0, "cap": 9}, ".target", "more than 0 and less than 1"),
        ({"kind": "uptime", "target": 1, "cap": 9}, ".target", "more than 0 and less than 1"),
        ({"kind": "uptime", "target": 97, "cap": 9}, ".target", "more than 0 and less than 1"),
        ({"kind": "uptime", "target": True, "cap": 9}, ".target", "more than 0 and less than 1"),
        ({"kind": "uptime", "target": 0.9, "days": 0, "cap": 9}, ".days", "must be from 1 to 30"),
        ({"kind": "uptime", "target": 0.9, "days": 31, "cap": 9}, ".days", "must be from 1 to 30"),
        ({"kind": "uptime", "target": 0.9, "days": 1.5, "cap": 9}, ".days", "must be a whole number"),
        ({"kind": "workload", "margin": -0.1, "cap": 9}, ".margin", "must be a number from 0 on"),
        ({"kind": "workload", "margin": float("nan"), "cap": 9}, ".margin", "must be a number from 0 on"),
        ({"kind": "market", "multiplier": 0, "cap": 9}, ".multiplier", "must be a number greater than 0"),
        ({"kind": "market", "multiplier": "2", "cap": 9}, ".multiplier", "must be a number greater than 0"),
        ({"kind": "market", "multiplier": 2, "cap": 9.999}, ".cap", "must not be finer than a cent"),
        ({"kind": "market", "cap": 9}, ".multiplier", "is required"),
        ({"kind": "per_gpu", "usd": 0}, ".usd", "must be greater than 0"),
        ({"kind": "per_gpu", "usd": 6.25, "cap": 50}, ".cap", "is not a value of per_gpu"),
        ({"kind": "per_gpu"}, ".usd", "is required"),
    ],
)
def test_a_bad_value_is_reported_at_its_place(written: dict[str, Any], at: str, words: str) -> None:
    """The part, and the rule."""
    with pytest.raises(InvalidParts) as failed:
        bid_policy.bid_policy(written)
    assert [part.at for part in failed.value.parts] == [at]
    assert words in failed.value.parts[0].rule


def test_all_bad_values_are_reported_together() -> None:
    """And what is no policy as a whole."""
    with pytest.raises(InvalidParts) as failed:
        bid_policy.bid_policy({"kind": "uptime", "target": 2, "days": 99, "colour": "red"})
    assert {part.at for part in failed.value.parts} == {".target", ".days", ".cap", ".colour"}
    for value in ({}, {"kind": "guess"}, 50.0, "uptime"):
        with pytest.raises(ValueError, match="must be a mapping whose kind is one of per_gpu, infrastructure"):
            bid_policy.bid_policy(value)


# -- what it resolves to -----------------------------------------------------------------------------------------------


def test_a_price_per_gpu_is_multiplied() -> None:
    """The service counts machines."""
    assert PerGpu(usd("6.25")).resolve(8).price == 50


@pytest.mark.parametrize(
    ("market", "price", "words"),
    [
        ("12", "30", "the on-demand price, market $12.00/h"),
        ("30", "30", "the on-demand price, market $30.00/h"),
        ("35", "35", "the market, which is over the on-demand price $30.00/h"),
        ("45", "40", "the cap: the market, which is over the on-demand price $30.00/h would be $45.00/h"),
    ],
)
def test_infrastructure_is_not_under_the_reference_nor_the_market(market: str, price: str, words: str) -> None:
    """As far as the cap allows."""
    resolved = Infrastructure(usd("40")).resolve(ON_DEMAND, usd(market))
    assert (resolved.price, resolved.reason) == (usd(price), words)


def test_a_workload_bids_above_the_market() -> None:
    """In whole cents, rounded up, and no more than the cap."""
    workload = Workload(usd("0.1"), usd("40"))
    assert workload.resolve(usd("12.01")).price == usd("13.22")
    assert workload.resolve(usd("12")).reason == "10 % above the market $12.00/h"
    capped = workload.resolve(usd("38"))
    assert (capped.price, capped.reason) == (40, "the cap: 10 % above the market $38.00/h would be $41.80/h")


def test_a_bid_under_the_floor_is_raised_to_it() -> None:
    """Under it no bid wins; the cap stands above that."""
    half = TimesMarket(usd("0.5"), usd("9"))
    raised = half.resolve(usd("12"), floor=usd("8"))
    assert (raised.price, "raised to $8.00/h, under which no bid wins" in raised.reason) == (8, True)
    assert half.resolve(usd("12"), floor=usd("9.50")).price == 9


@pytest.mark.parametrize(
    ("cap", "target", "price", "words"),
    [
        ("40", "0.5", "10", "would have held 50 % of the last 7 days"),
        ("40", "0.51", "12", "would have held 75 % of the last 7 days"),
        ("40", "0.99", "20", "would have held 100 % of the last 7 days"),
        ("15", "0.99", "15", "the cap, which would have held 75 % of the last 7 days; 99 % needed $20.00/h"),
    ],
)
def test_uptime_is_the_lowest_bid_that_would_have_held(cap: str, target: str, price: str, words: str) -> None:
    """And the reason says what the number itself would have held."""
    resolved = Uptime(usd(target), 7, usd(cap)).resolve(history("10", "12", "20", "10"))
    assert (resolved.price, resolved.reason) == (usd(price), words)


def test_a_history_that_is_shorter_than_was_asked_for_is_told() -> None:
    """What is known of three days says nothing of seven."""
    reason = Uptime(usd("0.9"), 7, usd("40")).resolve(history("10", days=3)).reason
    assert reason == "would have held 100 % of the last 3 days, which is all that is known"


PRICES = st.integers(1, 10**7).map(lambda cents: Decimal(cents) * CENT)
FACTORS = st.decimals(min_value=0, max_value=1000, places=4)


@given(market=PRICES, cap=PRICES, floor=st.none() | PRICES, factor=FACTORS, reference=PRICES)
def test_no_policy_is_ever_above_its_cap_nor_finer_than_a_cent(
    market: Decimal, cap: Decimal, floor: Decimal | None, factor: Decimal, reference: Decimal
) -> None:
    """Whatever the market asks."""
    share = min(max(factor / 1000, Decimal("0.001")), Decimal("0.999"))
    for resolved in (
        Workload(factor, cap).resolve(market, floor),
        TimesMarket(max(factor, CENT), cap).resolve(market, floor),
        Infrastructure(max(cap, reference)).resolve(Reference(reference, "a test"), market, floor),
        Uptime(share, 7, cap).resolve(history(str(market), str(cap), str(reference)), floor),
    ):
        most = max(cap, reference) if "a test" in resolved.reason else cap
        assert 0 < resolved.price <= most
        assert isinstance(resolved.price, Decimal)
        assert resolved.price == resolved.price.quantize(CENT)


@given(margin=st.floats(0, 999, allow_nan=False), cap=st.integers(1, 10**6))
def test_a_policy_is_parsed_as_it_was_written(margin: float, cap: int) -> None:
    """A float is the nearest one to what was written: 0.1 is a tenth."""
    policy = bid_policy.parse(bid_policy.bid_policy({"kind": "workload", "margin": margin, "cap": cap / 100}))
    assert isinstance(policy, Workload)
    assert (float(policy.margin), policy.cap) == (margin, Decimal(cap) * CENT)


# -- references --------------------------------------------------------------------------------------------------------


def of_type(gpus: int, gpu: str, hourly: str | None = None) -> InstanceType:
    return InstanceType("it_1", "a-name", gpus, gpu, Decimal(hourly) if hourly else None)


def current(cents: int | None) -> CurrentPrices:
    return CurrentPrices.read({"reserved_price_cents": cents})


@pytest.mark.parametrize(
    ("given_price", "now", "type_", "price"),
    [
        ("20", current(3000), of_type(8, "A100", "40"), "20"),
        (None, current(3000), of_type(8, "A100", "40"), "30"),
        (None, current(0), of_type(8, "A100", "40"), "40"),
        (None, current(None), of_type(8, "A100"), "50"),
        (None, current(None), of_type(1, "A100"), "25"),
        (None, current(None), of_type(8, "H100"), "100"),
        (None, current(None), of_type(8, "B200"), None),
        (None, None, None, None),
    ],
)
def test_the_reference_is_the_first_that_is_known(
    given_price: str | None, now: CurrentPrices | None, type_: InstanceType | None, price: str | None
) -> None:
    """The program's, the service's, the usual bid; a price of 0 is none."""
    found = reference_of(Decimal(given_price) if given_price else None, now, type_)
    assert (found.price if found else None) == (Decimal(price) if price else None)
