"""The prices of a market, read from the service."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from support.stack import Reports, Stack, operation

from flow_resources.cloud import Cloud
from flow_resources.core.moments import moment_of
from flow_resources.lifecycle import market_prices
from flow_resources.lifecycle.market_prices import SILENCE_SECONDS, MarketPrices
from flow_resources.lifecycle.operation import CHECK, Operation
from flow_resources.providers import base
from flow_resources.testing import FakeMithril


def test_a_week_of_prices_is_read_whole(stack: Stack, cloud: FakeMithril) -> None:
    """With every change, and the price of now at its end."""
    stack.operation()
    op = operation()
    market = op.cloud.market()
    offer = market.offer("8xa100", cloud.region)
    assert offer
    now = op.cloud.current_prices(offer.instance_type, cloud.region)
    week = op.cloud.price_history(offer.instance_type, cloud.region, timedelta(days=7))
    assert week
    assert week.duration > timedelta(days=6, hours=23)
    assert week.steps[-1].price == now.spot == offer.price
    assert (now.floor or 0) <= min(step.price for step in week.steps)
    assert week.share_held(Decimal(10_000)) == 1


def test_a_market_that_the_service_does_not_have_has_no_history(stack: Stack, cloud: FakeMithril) -> None:
    """The prices of other regions are not its own."""
    stack.operation()
    op = operation()
    offer = op.cloud.market().offer("8xa100", cloud.region)
    assert offer
    assert op.cloud.price_history(offer.instance_type, "nowhere", timedelta(days=7)) is None


@pytest.mark.parametrize("fault", [{"status": 500}, {"kind": "hang"}, {"kind": "reset"}])
def test_silence_of_the_market_costs_two_seconds_once(
    stack: Stack, cloud: FakeMithril, reports: Reports, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    """However many markets are asked for; then one warning, and nothing is known."""
    assert SILENCE_SECONDS == 2
    monkeypatch.setattr(market_prices, "SILENCE_SECONDS", 0.4)
    stack.operation()
    cloud.faults.add(path="/v2/pricing/", times=None, **fault)
    op = Operation(base.current(), reports, CHECK)
    prices = MarketPrices(op)
    op.cloud.project()
    began = op.clock.now()
    assert [prices.current(f"it_{index}", cloud.region, 1) for index in range(5)] == [None] * 5
    assert prices.history("it_0", cloud.region, 7) is None
    assert op.clock.now() - began < 0.8
    assert len([text for text in reports.warnings if "prices of the market are not known" in text]) == 1


def test_a_market_is_asked_once_in_an_operation(stack: Stack, cloud: FakeMithril) -> None:
    """Whoever asks."""
    stack.operation()
    for _ in range(3):
        op = operation(CHECK)
        offer = op.cloud.market().offer("8xa100", cloud.region)
        assert offer
        assert MarketPrices(op).current(offer.instance_type, cloud.region, 2)
        assert MarketPrices(op).history(offer.instance_type, cloud.region, 7)
    asked = [one for one in cloud.requests if "/v2/pricing/" in one.path]
    assert len(asked) == 2


def test_a_month_of_prices_is_read_in_parts_at_the_same_time(stack: Stack, cloud: FakeMithril) -> None:
    """A week each at most, without a gap between them; a week is one request, as ever."""
    for usd, days in ((20.0, 9), (15.0, 3)):
        cloud.set_price("8xa100", cloud.region, usd)
        cloud.clock.advance(hours=24 * days)
    stack.operation()
    op = operation()
    offer = op.cloud.market().offer("8xa100", cloud.region)
    assert offer
    cloud.clear_requests()
    month = op.cloud.price_history(offer.instance_type, cloud.region, timedelta(days=30))
    assert len(cloud.requests) <= 5
    windows = [[moment_of(one.query[key]) for key in ("start_time", "end_time")] for one in cloud.requests]
    assert all(start and end and end - start <= timedelta(days=7) for start, end in windows)
    assert month
    assert month.end - month.start == month.duration
    shares = [round(float(month.share_held(Decimal(bid)) * 30), 2) for bid in ("12", "15", "20")]
    assert shares == [18, 21, 30]
    cloud.clear_requests()
    assert op.cloud.price_history(offer.instance_type, cloud.region, timedelta(days=7))
    assert len(cloud.requests) == 1


def test_a_history_that_is_slower_than_the_two_seconds_is_not_known(
    stack: Stack, cloud: FakeMithril, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where each piece of it comes in time; the row says so, and what else is asked then costs nothing."""
    monkeypatch.setattr(market_prices, "SILENCE_SECONDS", 0.2)
    stack.operation()
    op = Operation(base.current(), reports, CHECK)
    op.cloud.project()
    released = threading.Event()
    monkeypatch.setattr(Cloud, "price_history", lambda *_: released.wait(5))
    began = time.monotonic()
    assert MarketPrices(op).history("it_0", cloud.region, 30) is None
    assert MarketPrices(op).current("it_0", cloud.region, 1) is None
    assert time.monotonic() - began < 2
    released.set()
    (said,) = reports.warnings
    assert said == "the prices of the market are not known: no whole answer within 0.2 seconds"
