"""Money: whole cents, exactly."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow_resources.core.money import CENT, LIMIT, from_wire, price, to_wire, usd

quick = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
cents = st.integers(1, 10**9).map(lambda number: number * CENT)


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (50, "50.00"),
        (50.0, "50.00"),
        (0.01, "0.01"),
        (0.1 + 0.2 - 0.1, None),
        (12.34, "12.34"),
        (Decimal("12.3"), "12.30"),
        (Decimal("1E+2"), "100.00"),
        (1e2, "100.00"),
        (999_999_999.99, "999999999.99"),
    ],
    ids=repr,
)
def test_a_bid_is_taken_as_it_is_typed(value: Any, amount: Any) -> None:
    """The float 12.34 is $12.34, not the binary fraction beside it; what float arithmetic spoiled is refused."""
    if amount is None:
        with pytest.raises(ValueError, match="finer than a cent"):
            price(value)
    else:
        assert str(price(value)) == amount


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("50", "must be a number"),
        (None, "must be a number"),
        (True, "must be a number"),
        ([50], "must be a number"),
        (float("nan"), "must be a finite number"),
        (float("-inf"), "must be a finite number"),
        (Decimal("Infinity"), "must be a finite number"),
        (0, "must be greater than 0"),
        (-0.0, "must be greater than 0"),
        (-0.001, "must be greater than 0"),
        (0.001, "must not be finer than a cent"),
        (50.005, "must not be finer than a cent"),
        (5e-324, "must not be finer than a cent"),
        (1e9, "must be less than 1,000,000,000"),
        (1e300, "must be less than 1,000,000,000"),
        (10**400, "must be less than 1,000,000,000"),
        (-(10**400), "must be greater than 0"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_bid_says_the_rule(value: Any, rule: Any) -> None:
    """One kind of exception for all of them."""
    with pytest.raises(ValueError, match=rule):
        price(value)


@quick
@given(amount=cents)
def test_a_price_survives_every_border(amount: Any) -> None:
    """Through a float to Pulumi, through "$50.00" to the service, and both ways back."""
    assert price(float(amount)) == amount
    assert from_wire(to_wire(amount)) == amount
    assert from_wire(usd(amount)) == amount
    assert price(amount) == amount


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(value=st.floats() | st.integers() | st.decimals(allow_nan=False))
def test_any_number_is_a_price_or_breaks_a_rule(value: Any) -> None:
    """Never another exception, and never a price that is not positive whole cents."""
    try:
        amount = price(value)
    except ValueError as error:
        rule = str(error)
    else:
        rule = "must "
        assert Decimal(0) < amount < LIMIT
        assert amount % CENT == 0
    assert rule.startswith("must ")


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("$50.00", "50.00"),
        ("50", "50.00"),
        (" $1,200.5 ", "1200.50"),
        (50.0, "50.00"),
        ("$0.00", "0.00"),
        (None, None),
        ("", None),
        ("$", None),
        ("n/a", None),
        ("NaN", None),
        ("Infinity", None),
        ("1e40", None),
        ("$50,00", None),
        ("$1,20.00", None),
        ("$$50", None),
        ("-5", None),
        ("5_0", None),
        ("9" * 40, None),
        ({}, None),
    ],
    ids=repr,
)
def test_a_price_of_the_service_is_read_or_is_none(text: Any, amount: Any) -> None:
    """Tolerantly: what cannot be read fails nothing."""
    assert from_wire(text) == (None if amount is None else Decimal(amount))


def test_a_price_is_written_as_the_service_reads_it_and_as_people_do() -> None:
    """Always two digits; thousands only for people."""
    assert to_wire(Decimal(1200)) == "$1200.00"
    assert usd(Decimal("1200.5")) == "$1,200.50"
    assert usd(Decimal("0.1")) == "$0.10"
