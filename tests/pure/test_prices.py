"""Prices of a market: what its answers say, and what a bid would have held."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_resources.core.prices import CurrentPrices, PriceHistory

NOON = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)


def history(*prices: str | None, minutes: int = 60) -> PriceHistory:
    """Return a history of prices that were valid for as long each."""
    points = [
        (NOON + index * timedelta(minutes=minutes), Decimal(price) if price else None)
        for index, price in enumerate(prices)
    ]
    found = PriceHistory.of(points, NOON + len(prices) * timedelta(minutes=minutes))
    assert found
    return found


def answer(**series: Any) -> dict[str, Any]:
    """Return an answer of the service with one series."""
    row = {"instance_type": "it_a", "region": "here", "timestamps": ["2026-11-30T12:00:00Z"], "spot_prices": ["$12.50"]}
    return {"series": [{**row, **series}], "complete": True}


def test_a_price_is_valid_until_the_next_one() -> None:
    """And the last one until the end; a price that is equal to the bid counts as won."""
    week = history("10", "12", "20", "10")
    assert week.duration == timedelta(hours=4)
    assert [week.share_held(Decimal(bid)) for bid in ("9.99", "10", "12", "20")] == [
        Decimal(share) for share in ("0", "0.5", "0.75", "1")
    ]


def test_the_lowest_bid_that_would_have_held_a_share() -> None:
    """It is one of the prices."""
    week = history("10", "12", "20", "10")
    assert [week.lowest_bid(Decimal(share)) for share in ("0.01", "0.5", "0.51", "0.75", "0.76", "1")] == [
        Decimal(bid) for bid in ("10", "10", "12", "12", "20", "20")
    ]


def test_losses_are_the_times_in_which_the_price_was_higher() -> None:
    """Those that follow each other are one."""
    lost = history("10", "20", "30", "10", "15").losses(Decimal(12))
    assert [(one.start.hour, one.end.hour, one.price) for one in lost] == [
        (13, 15, Decimal(30)),
        (16, 17, Decimal(15)),
    ]


def test_what_a_bid_pays_on_average_is_the_price_while_it_holds() -> None:
    """And None where it never held."""
    week = history("10", "11", "99")
    assert week.average_paid(Decimal(50)) == Decimal("10.50")
    assert week.average_paid(Decimal(9)) is None


def test_a_price_that_cannot_be_read_counts_for_no_time() -> None:
    """Nothing is known until the next one."""
    week = history("10", None, "20")
    assert week.duration == timedelta(hours=2)
    assert week.share_held(Decimal(10)) == Decimal("0.5")


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"series": None},
        {"series": [None]},
        answer(instance_type="it_b"),
        answer(region="there"),
        answer(timestamps=None),
        answer(spot_prices=[None]),
        answer(spot_prices=[]),
        answer(timestamps=["yesterday"]),
        answer(timestamps=["2026-11-30T14:00:00Z"]),
    ],
)
def test_a_market_without_a_history_has_none(document: Any) -> None:
    """The prices of another market are never taken for it."""
    assert PriceHistory.read([(NOON, document)], "it_a", "here", NOON + timedelta(hours=1)) is None


def test_an_answer_is_read_for_one_market() -> None:
    """With prices to the cent."""
    found = PriceHistory.read([(NOON, answer())], "it_a", "here", NOON + timedelta(hours=1))
    assert found
    assert [(step.price, step.duration) for step in found.steps] == [(Decimal("12.50"), timedelta(hours=1))]


@pytest.mark.parametrize("row", [None, {}, {"spot_price_cents": None}, {"spot_price_cents": "12"}, [1]])
def test_what_the_service_does_not_say_is_not_known(row: Any) -> None:
    """None, and not zero."""
    assert CurrentPrices.read(row).spot is None


def test_current_prices_are_dollars_for_one_machine() -> None:
    """The service writes cents."""
    read = CurrentPrices.read({"spot_price_cents": 1234, "available_capacity": 3, "reserved_price_cents": 0})
    assert (read.spot, read.available, read.on_demand) == (Decimal("12.34"), 3, Decimal("0.00"))


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=40), st.integers(1, 100))
def test_the_lowest_bid_holds_its_share_and_no_lower_price_does(cents: list[int], percent: int) -> None:
    """For every history and share."""
    week, share = history(*(f"{one / 100:.2f}" for one in cents)), Decimal(percent) / 100
    bid = week.lowest_bid(share)
    assert week.share_held(bid) >= share
    assert week.share_held(bid - Decimal("0.01")) < share
