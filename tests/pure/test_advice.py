"""The advice about bids: what would have held, what it would have cost, and what a budget pays for."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_resources.core import advice
from flow_resources.core.prices import PriceHistory

NOON = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
PRICES = st.lists(st.tuples(st.integers(1, 50_000), st.integers(1, 5000)), min_size=1, max_size=40)


def history(*steps: tuple[str | None, float]) -> PriceHistory:
    """Return a history of prices, each valid for some hours; None is a price that is not known."""
    points, at = [], NOON
    for price, hours in steps:
        points.append((at, None if price is None else Decimal(price)))
        at += timedelta(hours=hours)
    found = PriceHistory.of(points, at)
    assert found
    return found


def made_up(steps: list[tuple[int, int]]) -> PriceHistory:
    """Return a history of prices in cents, each valid for some seconds."""
    return history(*((f"{cents / 100:.2f}", seconds / 3600) for cents, seconds in steps))


def test_a_bid_is_told_with_what_it_would_have_lost_and_paid() -> None:
    """Two losses of which the longer one took three hours; it pays the price, not the bid."""
    record = advice.record_of(history(("10", 2), ("20", 3), ("12", 2), ("13.01", 1)), Decimal(13))
    assert record == advice.BidRecord(Decimal(13), Decimal("0.5"), 2, timedelta(hours=3), Decimal("11.00"))


def test_a_bid_that_never_held_has_paid_nothing() -> None:
    """And a budget buys nothing at it."""
    record = advice.record_of(history(("10", 2)), Decimal(9))
    assert (record.share_held, record.losses, record.average_paid) == (0, 1, None)
    assert advice.budget_plan(record, Decimal(100), 1) is None


def test_a_market_that_was_free_sets_no_limit_to_a_budget() -> None:
    """No number of hours is right."""
    assert advice.budget_plan(advice.record_of(history(("0", 2)), Decimal(9)), Decimal(100), 1) is None


def test_a_budget_buys_hours_that_stretch_over_the_losses() -> None:
    """Ten dollars an hour for two machines, half of the time."""
    record = advice.record_of(history(("10", 1), ("30", 1)), Decimal(20))
    plan = advice.budget_plan(record, Decimal(300), 2)
    assert plan == advice.BudgetPlan(Decimal("15.0"), Decimal("30.0"))


def test_the_median_price_is_weighted_with_time() -> None:
    """Two moments of a surge weigh nothing."""
    found = advice.price_range(history(("12", 100), ("50", 0.1), ("60", 0.1), ("11", 1)))
    assert found == advice.PriceRange(Decimal(11), Decimal(12), Decimal(60))


def test_a_short_surge_is_seen_in_its_part_of_the_line() -> None:
    """And a time of which nothing is known has no price."""
    line = advice.highest_prices(history(("10", 2), ("50", 0.1), ("10", 1.9), (None, 2), ("11", 2)), 4)
    assert line == [Decimal(10), Decimal(50), None, Decimal(11)]


@pytest.mark.parametrize(("price", "gpus", "wanted"), [("12.34", 8, "1.54"), ("12.00", 0, None), (None, 8, None)])
def test_a_price_per_gpu_needs_a_price_and_gpus(price: str | None, gpus: int, wanted: str | None) -> None:
    """What is not known is None, and not zero."""
    assert advice.per_gpu(price and Decimal(price), gpus) == (wanted and Decimal(wanted))


@given(PRICES)
def test_the_advised_bids_would_have_held_their_shares(steps: list[tuple[int, int]]) -> None:
    """A higher share never has a lower bid, and what it pays is at most the bid."""
    advised = advice.advised_bids(made_up(steps))
    assert [share for share, _ in advised] == list(advice.SHARES)
    for share, record in advised:
        assert record.share_held >= share
        assert record.average_paid is not None
        assert record.average_paid <= record.bid
        assert (record.losses == 0) == (record.share_held == 1)
    assert [record.bid for _, record in advised] == sorted(record.bid for _, record in advised)


@given(PRICES, st.integers(1, 60_000), st.integers(100, 10_000_000), st.integers(1, 64))
def test_a_plan_never_spends_more_than_its_budget(
    steps: list[tuple[int, int]], bid: int, budget: int, machines: int
) -> None:
    """And it never runs for longer than it lasts."""
    record = advice.record_of(made_up(steps), Decimal(bid) / 100)
    plan = advice.budget_plan(record, Decimal(budget) / 100, machines)
    assert (plan is None) == (record.share_held == 0)
    if plan:
        assert plan.running_hours * record.average_paid * machines <= Decimal(budget) / 100
        assert plan.elapsed_hours >= plan.running_hours


@given(PRICES, st.integers(1, 200))
def test_a_line_of_prices_shows_the_highest_and_nothing_that_was_not(steps: list[tuple[int, int]], count: int) -> None:
    """However many parts it has."""
    past = made_up(steps)
    line = advice.highest_prices(past, count)
    assert len(line) == count
    assert None not in line
    assert max(price for price in line if price) == advice.price_range(past).highest
    assert set(line) <= {step.price for step in past.steps}
