"""The prices of a market, read from the service."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from support.stack import Reports, Stack, operation

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
