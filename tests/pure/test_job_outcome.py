"""The marks by which a machine tells how its job ended."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_resources.core.job_outcome import Outcome, is_mark, mark, nearest_prices, told
from flow_resources.core.money import CENT

cents = st.integers(1, 10_000_000)


def usd(amount):
    return Decimal(amount) / 100


def test_a_cent_less_is_success_and_two_cents_less_are_failure():
    """As the machine writes them."""
    assert mark(Decimal("50.00"), Outcome.SUCCEEDED) == Decimal("49.99")
    assert mark(Decimal("50.00"), Outcome.FAILED) == Decimal("49.98")


@given(placed=cents, live=cents)
def test_only_the_marks_tell_anything(placed, live):
    """Any other price, the placed one too, tells nothing."""
    expected = {placed - 1: Outcome.SUCCEEDED, placed - 2: Outcome.FAILED}.get(live)
    assert told(usd(placed), usd(live)) is expected
    assert is_mark(usd(placed), usd(live)) is (expected is not None)


@given(placed=cents, outcome=st.sampled_from(Outcome))
def test_what_is_marked_is_told(placed, outcome):
    """And a mark is a price."""
    price = mark(usd(placed), outcome)
    if price is None:
        assert placed <= 2
    else:
        assert 0 < price < usd(placed)
        assert told(usd(placed), price) is outcome


@pytest.mark.parametrize(("placed", "live"), [(None, Decimal(1)), (Decimal(1), None), (None, None)])
def test_a_price_that_is_not_known_tells_nothing(placed, live):
    """Not known is no outcome."""
    assert told(placed, live) is None


def test_a_price_too_low_for_a_mark_tells_nothing():
    """A bid of a cent has none below it, one of two cents has one."""
    assert mark(CENT, Outcome.SUCCEEDED) is None
    assert mark(2 * CENT, Outcome.FAILED) is None
    assert told(CENT, Decimal(0)) is None
    assert told(2 * CENT, CENT) is Outcome.SUCCEEDED


@given(placed=cents)
def test_the_nearest_prices_can_be_set(placed):
    """They surround the marks and tell nothing themselves."""
    prices = nearest_prices(usd(placed))
    assert prices
    assert all(price > 0 and not is_mark(usd(placed), price) for price in prices)
    assert prices[-1] == usd(placed)
    if len(prices) == 2:
        assert all(is_mark(usd(placed), prices[0] + number * CENT) for number in (1, 2))
