"""What was paid for bids: exact sums of the periods, and what is not known of them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_resources.core.costs import Comparison, PaidPeriod, Spending, paid_periods_in, spending_of

NOON = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def period(start: float, end: float | None, price: str | None = "10.00", instance: str = "inst_a") -> PaidPeriod:
    """Return a period by hours since noon; without an end it goes on."""
    ends = None if end is None else NOON + end * HOUR
    known = None if price is None else Decimal(price)
    return PaidPeriod(instance, known, NOON + start * HOUR, ends, end is None)


def test_each_instance_is_paid_for_at_its_price() -> None:
    """Hours count once where machines run at the same time; the rest is a mean over GPUs and a comparison."""
    periods = [period(0, 1), period(1, 2, "20.00"), period(0, 2, "15.00", "inst_b"), period(4, 5, "12.00", "inst_c")]
    paid = spending_of(periods, NOON + 9 * HOUR, Comparison(8, Decimal("40.00")), 1)
    assert (paid.spent, paid.instance_hours, paid.hours) == (Decimal("72.00"), Decimal("5.00"), Decimal("3.00"))
    assert paid.per_gpu_hour == Decimal("1.80")
    assert (paid.on_demand, paid.saved_percent) == (Decimal("200.00"), Decimal("64.0"))
    assert (paid.preemptions, paid.is_complete, paid.is_final) == (1, True, True)


def test_what_goes_on_is_counted_up_to_now() -> None:
    """And nothing later, whatever the service tells of the future."""
    paid = spending_of([period(0, 1), period(1, None)], NOON + 1.5 * HOUR)
    assert (paid.spent, paid.is_complete, paid.is_final) == (Decimal("15.00"), True, False)
    assert spending_of([period(0, 3)], NOON + 1 * HOUR).spent == Decimal("10.00")
    assert spending_of([period(2, None)], NOON + 1 * HOUR).spent == 0


def test_only_what_lies_after_a_moment_is_counted_where_one_is_given() -> None:
    """A period that spans it counts from there."""
    paid = spending_of([period(0, 1), period(2, 4)], NOON + 9 * HOUR, since=NOON + 3 * HOUR)
    assert (paid.spent, paid.hours) == (Decimal("10.00"), Decimal("1.00"))


def test_a_half_cent_is_rounded_up_once_at_the_end() -> None:
    """Not each part: two halves are a cent."""
    half = timedelta(seconds=1.8)  # at $10.00 an hour
    one = PaidPeriod("inst_a", Decimal("10.00"), NOON, NOON + half)
    other = PaidPeriod("inst_b", Decimal("10.00"), NOON, NOON + half)
    now = NOON + HOUR
    assert spending_of([one], now).spent == Decimal("0.01")
    assert spending_of([one, other], now).spent == Decimal("0.01")
    assert Spending.total([spending_of([one], now), spending_of([other], now)]).spent == Decimal("0.01")


@pytest.mark.parametrize(
    ("unreadable", "spent"),
    [
        (period(1, 2, None), "10.00"),
        (period(1, 2)._replace(start=None), "10.00"),
        (period(1, 2)._replace(end=None), "10.00"),
        (period(2, 1), "10.00"),
        (PaidPeriod("inst_b", None, None, None), "10.00"),
        (period(0.5, 2, "20.00"), "35.00"),
    ],
    ids=["no price", "no start", "no end", "ends before it starts", "nothing", "overlaps"],
)
def test_what_cannot_be_read_makes_the_sum_a_lower_bound(unreadable: PaidPeriod, spent: str) -> None:
    """It says so, saves nothing, and stays so in a sum."""
    paid = spending_of([period(0, 1), unreadable], NOON + 9 * HOUR, Comparison(8, Decimal("40.00")))
    assert (paid.spent, paid.is_complete, paid.saved_percent) == (Decimal(spent), False, None)
    assert not Spending.total([paid, Spending()]).is_complete


def test_the_mean_price_leaves_out_hours_without_a_price() -> None:
    """They ran, and count as hours."""
    paid = spending_of([period(0, 1), period(1, 3, None)], NOON + 9 * HOUR, Comparison(8))
    assert (paid.hours, paid.per_gpu_hour) == (Decimal("3.00"), Decimal("1.25"))


def test_what_goes_on_while_the_time_is_not_known_is_not_counted() -> None:
    """What has ended is."""
    paid = spending_of([period(0, 1), period(1, None)], None)
    assert (paid.spent, paid.is_complete) == (Decimal("10.00"), False)
    assert spending_of([period(0, 1)], None).is_complete


def test_what_is_not_known_of_one_bid_is_not_known_of_the_sum() -> None:
    """A bid that never ran takes nothing away."""
    now = NOON + 9 * HOUR
    known = spending_of([period(0, 1)], now, Comparison(8, Decimal("40.00")), 2)
    unknown = spending_of([period(0, 1)], now)
    assert (unknown.per_gpu_hour, unknown.on_demand, unknown.preemptions) == (None, None, None)
    both = Spending.total([known, unknown])
    assert (both.spent, both.per_gpu_hour, both.on_demand, both.preemptions) == (Decimal("20.00"), None, None, None)
    with_idle = Spending.total([known, spending_of([], now, preemptions=0)])
    assert (with_idle.per_gpu_hour, with_idle.on_demand, with_idle.preemptions) == (
        Decimal("1.25"),
        Decimal("40.00"),
        2,
    )


def test_a_row_that_two_pages_have_counts_once() -> None:
    """Pages move while they are read."""
    assert spending_of([period(0, 1), period(0, 1)], NOON + 9 * HOUR).spent == Decimal("10.00")


def row(**more: Any) -> dict[str, Any]:
    """Return an instance as the service answers it."""
    event = {"price_cents": 1250, "start_time": "2026-11-30T12:00:00Z", "end_time": "2026-11-30T13:00:00.5Z"}
    return {"instance_fid": "inst_a", "bid_fid": "bid_a", "events": [event], **more}


def test_an_answer_is_read_as_periods() -> None:
    """Times with and without a fraction; null is a period that goes on."""
    (read,) = paid_periods_in(row(), "bid_a")
    assert read[:3] == ("inst_a", Decimal("12.50"), NOON)
    event = {"price_cents": 1, "start_time": "2026-11-30T12:00:00Z", "end_time": None}
    assert paid_periods_in(row(events=[event]), "bid_a") == [period(0, None, "0.01")]


@pytest.mark.parametrize(
    "events",
    [
        [{"price_cents": value, "start_time": "2026-11-30T12:00:00Z", "end_time": "2026-11-30T13:00:00Z"}]
        for value in (None, "12", 12.5, -1, True)
    ]
    + [
        [{"price_cents": 1, "start_time": None, "end_time": None}],
        [{"price_cents": 1, "start_time": "2026-11-30T12:00:00Z"}],
        [{"price_cents": 1, "start_time": "2026-11-30T12:00:00Z", "end_time": "soon"}],
        ["?"],
        None,
    ],
)
def test_an_answer_that_makes_no_sense_is_not_taken_for_nothing_paid(events: Any) -> None:
    """Each makes the sum incomplete."""
    assert not spending_of(paid_periods_in(row(events=events), "bid_a"), NOON + 9 * HOUR).is_complete


@pytest.mark.parametrize("more", [{"bid_fid": "bid_b"}, {"bid_fid": None, "reservation_fid": "res_a"}])
def test_instances_of_others_are_not_counted(more: dict[str, Any]) -> None:
    """Also where the service does not look at what was asked for."""
    assert paid_periods_in(row(**more), "bid_a") == []


def test_an_instance_of_nobody_is_not_known_to_be_nobodys() -> None:
    """It is not counted, and the sum is not complete."""
    paid = spending_of(paid_periods_in(row(bid_fid=None), "bid_a"), NOON + 9 * HOUR)
    assert (paid.spent, paid.is_complete) == (0, False)


@given(
    st.lists(
        st.tuples(st.sampled_from(["inst_a", "inst_b", "inst_c"]), st.integers(0, 10_000), st.integers(1, 10**11)),
        max_size=30,
    )
)
def test_the_sum_is_exact(told: list[tuple[str, int, int]]) -> None:
    """As with fractions, whatever the lengths and the prices; and parts add up to the whole."""
    start: dict[str, timedelta] = {}
    periods = list[PaidPeriod]()
    for instance, cents, microseconds in told:
        begin = start.get(instance, timedelta())
        end = start[instance] = begin + timedelta(microseconds=microseconds)
        periods.append(PaidPeriod(instance, Decimal(cents) / 100, NOON + begin, NOON + end))
    now = NOON + timedelta(days=400)
    exact = sum((Fraction(cents * microseconds, 3_600_000_000) for _, cents, microseconds in told), Fraction(0))
    cents = int(exact * 2 + 1) // 2
    whole = spending_of(periods, now)
    assert whole.spent == (Decimal(cents) / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)
    parts = [spending_of([one for one in periods if one.instance == id_], now) for id_ in start]
    assert Spending.total(parts).spent == whole.spent
    assert Spending.total(parts).hours == whole.hours
