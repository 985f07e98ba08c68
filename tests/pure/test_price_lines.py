"""The line on a row that tells what a bid costs, and the warnings of its price."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from flow_resources.cli.watch.look import market_in
from flow_resources.core.price_lines import (
    Terms,
    describe_costs,
    describe_total,
    warn_of_bid_under_market,
    warn_of_capacity,
    warn_of_lowest_bid,
    warn_of_number,
)
from flow_resources.core.prices import CurrentPrices

FOUR = Terms(Decimal("50.00"), 4, "8xa100", "us-central5-a")
NOWHERE = replace(FOUR, region=None)
MARKET = Decimal("12.00")
PRICES = CurrentPrices(
    spot=MARKET,
    floor=Decimal("10.00"),
    lowest_to_win=Decimal("12.00"),
    lowest_allocated=Decimal("20.00"),
    on_demand=None,
    available=10,
    total=64,
)
SCARCE = replace(PRICES, available=3)
"""Fewer machines are free than FOUR is for."""


def bid(price: str, **others: object) -> Terms:
    """Return the terms with another price."""
    return replace(FOUR, price=Decimal(price), **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("terms", "before", "market", "hours", "line"),
    [
        (FOUR, None, MARKET, None, "max $200.00/h (4 x $50.00), market $48.00/h now, about $1,152 a day"),
        (bid("50", machines=1), None, MARKET, None, "max $50.00/h, market $12.00/h now, about $288 a day"),
        (
            bid("60"),
            FOUR,
            MARKET,
            None,
            "max $240.00/h (4 x $60.00), +$40.00/h, market $48.00/h now, about $1,152 a day",
        ),
        (bid("40"), FOUR, None, None, "max $160.00/h (4 x $40.00), -$40.00/h"),
        (replace(FOUR, region="eu-central1-a"), FOUR, None, None, "max $200.00/h (4 x $50.00)"),
        (FOUR, replace(FOUR, is_paused=True), None, None, "max $200.00/h (4 x $50.00), +$200.00/h"),
        (bid("11.99"), None, MARKET, None, "max $47.96/h (4 x $11.99), market $48.00/h now"),
        (bid("50", machines=1), None, None, 0.1, "max $50.00/h, at most $5.00 in all"),
        (bid("0.01", machines=1), None, None, 0.3, "max $0.01/h, at most $0.01 in all"),
    ],
)
def test_the_line_tells_what_is_known(
    terms: Terms, before: Terms | None, market: Decimal | None, hours: float | None, line: str
) -> None:
    """The most, the difference, the limit of a job, the market, and what a day costs of a bid that holds machines."""
    assert describe_costs(terms, before, market, hours) == f"{line}, in {terms.region}"


def test_a_region_that_is_not_known_is_left_out() -> None:
    """As all that is not known."""
    assert describe_costs(NOWHERE, None, None) == "max $200.00/h (4 x $50.00)"


@pytest.mark.parametrize(("machines", "each"), [(1, "12.00"), (4, "12.00"), (100, "1200.10")])
def test_the_watch_reads_the_price_of_a_machine_from_every_line(machines: int, each: str) -> None:
    """Also from one that tells the price of all."""
    line = describe_costs(bid("5000", machines=machines), None, Decimal(each))
    assert market_in(line) == Decimal(each)


def test_the_total_has_the_budget_where_there_is_one() -> None:
    """Or not."""
    assert describe_total(Decimal(640), Decimal(800)) == "stack so far $640.00/h of $800.00/h"
    assert describe_total(Decimal(640), None) == "stack so far $640.00/h"


def test_a_bid_at_the_market_is_not_under_it() -> None:
    """One cent decides; an unknown market warns of nothing."""
    (text,) = warn_of_bid_under_market(Decimal("11.99"), MARKET, "job")
    assert text.startswith("the bid $11.99/h is under the market $12.00/h: ")
    assert "and the job waits" in text
    assert not list(warn_of_bid_under_market(MARKET, MARKET, "job"))
    assert not list(warn_of_bid_under_market(MARKET, None, "job"))


def test_three_times_the_market_is_not_more_than_that() -> None:
    """One cent decides."""
    (text,) = warn_of_number(Decimal("36.01"), MARKET, PRICES, 8)
    assert text.startswith("the bid $36.01/h is more than three times the market $12.00/h")
    assert not list(warn_of_number(Decimal("36.00"), MARKET, PRICES, 8))
    assert not list(warn_of_number(Decimal("36.01"), None, PRICES, 8))


@pytest.mark.parametrize(
    ("price", "floor", "gpus", "is_told"),
    [
        ("6.25", None, 8, False),  # 50, above three times the market
        ("4.50", None, 8, True),
        ("4.51", None, 8, False),
        ("1.50", None, 8, True),
        ("1.49", None, 8, False),
        ("1.25", "10.00", 8, True),
        ("1.24", "10.00", 8, False),
        ("9.99", "10.00", 3, True),
        ("10.00", "10.00", 3, False),
        ("11.00", None, 2, True),
        ("11.00", "10.00", 2, False),
        ("4.00", None, 1, False),
        ("4.00", None, 0, False),
    ],
)
def test_a_number_that_fits_per_gpu_is_taken_for_one(price: str, floor: str | None, gpus: int, is_told: bool) -> None:
    """It wins nothing as it is, and is plausible times the GPUs of a machine."""
    prices = replace(PRICES, floor=Decimal(floor) if floor else None)
    assert bool(list(warn_of_number(Decimal(price), MARKET, prices, gpus))) is is_told


def test_the_hint_says_what_to_write() -> None:
    """With the number of the program, and what it is for a machine."""
    (text,) = warn_of_number(Decimal("6.25"), Decimal("24.00"), None, 8)
    assert "it looks like a price per GPU: max_price_per_hour is per machine" in text
    assert text.endswith("Bid.per_gpu(6.25) is $50.00 for 8 GPUs")


@pytest.mark.parametrize(
    ("price", "before", "prices", "is_told"),
    [
        ("19.99", None, SCARCE, True),
        ("20.00", None, SCARCE, False),
        ("11.00", None, SCARCE, False),
        ("19.99", FOUR, SCARCE, True),
        ("19.99", bid("20"), SCARCE, False),
        ("19.99", None, replace(SCARCE, lowest_allocated=None), False),
        ("19.99", None, replace(SCARCE, available=None), True),
        ("19.99", None, replace(SCARCE, available=4), False),
        ("19.99", None, None, False),
    ],
)
def test_a_bid_under_all_that_hold_machines_is_told(
    price: str, before: Terms | None, prices: CurrentPrices | None, is_told: bool
) -> None:
    """But for one under the market or with free machines, and where the lowest can be its own, before the change."""
    assert bool(list(warn_of_lowest_bid(bid(price), before, MARKET, prices))) is is_told


FOR_FOUR = "the bid is for 4 8xa100 in us-central5-a, where "


@pytest.mark.parametrize(
    ("available", "total", "replaced", "words"),
    [
        (4, 64, None, ""),
        (
            3,
            64,
            None,
            f"{FOR_FOUR}3 machines are free now: the cluster waits for the others, which a bid of $51.00/h",
        ),
        (0, 3, None, "the bid is for 4 8xa100 in us-central5-a, which has 3 of them in all: the cluster waits"),
        (0, None, None, f"{FOR_FOUR}0 machines are free now"),
        (None, 3, None, ""),
        (0, 64, FOUR, ""),
        (0, 64, replace(FOUR, machines=3), f"{FOR_FOUR}0 machines are free"),
        (0, 64, replace(FOUR, region="elsewhere"), f"{FOR_FOUR}0 machines are free"),
        (0, 64, replace(FOUR, is_paused=True), f"{FOR_FOUR}0 machines are free"),
    ],
)
def test_machines_that_are_not_free_are_told(
    available: int | None, total: int | None, replaced: Terms | None, words: str
) -> None:
    """Those of the bid that it replaces count as free; and a bid that wins them now waits for nobody."""
    prices = replace(PRICES, available=available, total=total, lowest_to_win=FOUR.price + 1)
    told = list(warn_of_capacity(FOUR, replaced, prices, "cluster"))
    assert told[0].startswith(words) if words else not told
    assert not list(warn_of_capacity(FOUR, replaced, None, "cluster"))
    winning = replace(prices, lowest_to_win=FOUR.price)
    is_too_few = total is not None and total < FOUR.machines and available is not None
    assert bool(list(warn_of_capacity(FOUR, replaced, winning, "cluster"))) is is_too_few


@pytest.mark.parametrize(
    ("inputs", "terms"),
    [
        (
            {"max_price_per_hour": 50.0, "num_instances": 4.0, "instance_type": "8xa100", "region": "us-central5-a"},
            FOUR,
        ),
        ({"max_price_per_hour": None, "num_instances": 4.0}, None),
        ({"max_price_per_hour": 50.0, "num_instances": "4"}, None),
        ({"max_price_per_hour": 50.0, "num_instances": True}, None),
        ({}, None),
    ],
)
def test_recorded_terms_that_are_not_told_are_not_known(inputs: dict[str, object], terms: Terms | None) -> None:
    """None of them is made up."""
    assert Terms.recorded(inputs) == terms
