"""What the page says of policies: the same numbers as the package, which shares no code with it, computes."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_resources.core.bid_policy import TimesMarket, Uptime, Workload
from flow_resources.core.prices import PriceHistory
from flow_resources.testing import Clock
from flow_resources.testing.service.policies import policies

START = 1_800_000_000.0
CHANGES = st.lists(st.tuples(st.integers(1, 500), st.integers(1, 50_000)), min_size=1, max_size=30)


def test_each_policy_has_its_bid_and_what_it_would_have_held():
    """Half of the time at $10, a fifth at $20, and the rest, which is now, at $15."""
    found = {
        one.name: (one.cents, round(one.held, 2)) for one in policies([(0, 1000), (50, 2000), (70, 1500)], 100, 1501)
    }
    assert found == {
        "uptime 50 %": (1000, 0.5), "uptime 90 %": (2000, 1.0), "uptime 99 %": (2000, 1.0),
        "workload 10 %": (1650, 0.8), "market x 1.2": (1800, 0.8), "wins now": (1501, 0.8),
    }  # fmt: skip


def test_a_multiple_of_the_price_is_rounded_up_to_the_cent():
    """As a bid under it would not be that multiple."""
    (bid,) = [one.cents for one in policies([(0, 333)], 10, None) if one.name == "workload 10 %"]
    assert bid == 367


def test_where_no_bid_wins_none_is_named():
    """More machines were asked for than there are."""
    assert "wins now" not in {one.name for one in policies([(0, 1000)], 10, None)}


def test_a_history_without_duration_has_policies():
    """The clock stands at its start."""
    assert [one.held for one in policies([(10, 1000)], 10, None)] == [1.0] * 5


@given(CHANGES)
def test_the_package_computes_the_same(steps):
    """Each policy's bid, and what it would have held."""
    at, changes = START, []
    for seconds, cents in steps:
        changes.append((at, cents))
        at += seconds
    points = [(datetime.fromtimestamp(since, timezone.utc), Decimal(cents) / 100) for since, cents in changes]
    history = PriceHistory.of(points, datetime.fromtimestamp(at, timezone.utc))
    found = policies(changes, at, None)
    bids = {one.name: Decimal(one.cents) / 100 for one in found}
    price, cap = history.steps[-1].price, Decimal(10**6)
    for name, resolved in (
        ("uptime 50 %", Uptime(Decimal("0.5"), 1, cap).resolve(history)),
        ("uptime 90 %", Uptime(Decimal("0.9"), 1, cap).resolve(history)),
        ("uptime 99 %", Uptime(Decimal("0.99"), 1, cap).resolve(history)),
        ("workload 10 %", Workload(Decimal("0.1"), cap).resolve(price)),
        ("market x 1.2", TimesMarket(Decimal("1.2"), cap).resolve(price)),
    ):
        assert bids[name] == resolved.price
    for one in found:
        assert one.held == pytest.approx(float(history.share_held(Decimal(one.cents) / 100)))


def test_the_page_gets_them_lowest_first_for_a_number_of_machines(cloud):
    """With what they cost at most, and the lowest bid that wins so many."""
    mithril = cloud(seed=7, clock=Clock(START, speed=0))
    place = {"instance_type": "8xa100", "region": mithril.region, "hours": 24}
    one, eight = (mithril._perform("bid-policies", **place, machines=count) for count in (1, 8))
    assert [row["price"] for row in one] == sorted(row["price"] for row in one)
    for row in eight:
        assert row["max_per_hour"] == pytest.approx(8 * row["price"])
    wins = [next(row["price"] for row in rows if row["policy"] == "wins now") for rows in (one, eight)]
    assert mithril.price("8xa100", mithril.region) <= wins[0] <= wins[1]
