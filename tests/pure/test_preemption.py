"""What a policy does about a preemption: a row of the table each, and what holds whatever the facts are."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_resources.core.answer import Answer
from flow_resources.core.cluster_fields import POLICIES, check_cluster
from flow_resources.core.hidden import PREEMPTION
from flow_resources.core.inputs import UNKNOWN
from flow_resources.core.moments import minutes_since
from flow_resources.core.preemption import (
    NOTHING,
    Action,
    PolicyRecord,
    Sighting,
    decide,
    is_pending,
    is_policy_alone,
    is_withdrawn,
    raised_bid,
    read_record,
    sighted,
    standing,
    with_unrecorded_raise,
    withdrawn,
    write_record,
)

AT, LATER = "2026-11-30T17:00:00+00:00", "2026-11-30T17:40:00Z"
NOW = datetime(2026, 11, 30, 17, 12, 30, tzinfo=timezone.utc)
SEEN, NEXT = Sighting("bid_1", AT), Sighting("bid_1", LATER)
UNHANDLED = PolicyRecord(SEEN)
JUST_NOW = Sighting("bid_1", "2026-11-30T17:12:10Z")
D = Decimal

# -- the record --------------------------------------------------------------------------------------------------------

sightings = st.builds(Sighting, st.sampled_from(["bid_1", "bid_2"]), st.sampled_from([AT, LATER]))
prices = st.integers(1, 10_000_00).map(lambda cents: Decimal(cents) / 100).map(lambda one: one.quantize(D("0.01")))
records = st.builds(
    PolicyRecord,
    st.none() | sightings,
    st.none() | sightings,
    st.sampled_from([Action.NONE, Action.RAISE, Action.REPLACE]),
    st.none() | prices,
    st.none() | prices,
    st.booleans(),
    st.booleans(),
    st.none() | sightings,
    st.none() | sightings,
)


@given(records)
def test_a_record_reads_back_as_it_was_written(record: PolicyRecord) -> None:
    """And one that tells nothing is not written."""
    assert read_record(write_record(record)) == record
    assert (write_record(record) == {}) == (record == NOTHING)


@pytest.mark.parametrize(
    "text",
    [
        None, 17, True, [], {}, "", " ", "?", "seen", "seen=", "seen=bid_1", "seen=@" + AT, "seen=bid_1@yesterday",
        f"seen=bid_1@{AT} handled=", f"seen=bid_1@{AT} action=dance", f"seen=bid_1@{AT} raised=1,5",
        f"seen=bid_1@{AT} raised=-1", f"seen=bid_1@{AT} base=nan", f"seen=bid_1@{AT}  alone", f"alone seen=bid_1@{AT}",
        f"seen=bid_1@{AT} more=17", f"seen=bid_1@{AT} seen=bid_2@{AT}",
    ],
)  # fmt: skip
def test_what_is_not_a_record_tells_nothing(text: Any) -> None:
    """So nothing is done."""
    assert PolicyRecord.parse(text) is None
    assert read_record({PREEMPTION: text}) == NOTHING


@pytest.mark.parametrize("at", [None, "", "soon", "2026-11-30 17:00:00"])
def test_a_preemption_without_a_time_is_not_a_sighting(at: str | None) -> None:
    """It could not be told from the next one."""
    assert Sighting.of("bid_1", at) is None


# -- refresh -----------------------------------------------------------------------------------------------------------

DONE = PolicyRecord(SEEN, SEEN, Action.RAISE, D("16.00"), D("18.50"))


@pytest.mark.parametrize(
    ("recorded", "waits", "at", "expected"),
    [
        (NOTHING, Answer.YES, AT, UNHANDLED),
        (UNHANDLED, Answer.YES, AT, UNHANDLED),
        (UNHANDLED, Answer.YES, LATER, PolicyRecord(NEXT)),
        (UNHANDLED, Answer.NO, AT, NOTHING),
        (UNHANDLED, Answer.NOT_KNOWN, None, UNHANDLED),
        (UNHANDLED, Answer.YES, None, UNHANDLED),
        (NOTHING, Answer.YES, None, NOTHING),
        (NOTHING, Answer.NOT_KNOWN, AT, NOTHING),
        (DONE, Answer.NO, AT, replace(DONE, seen=None)),
        (DONE, Answer.YES, LATER, replace(DONE, seen=NEXT)),
        (PolicyRecord(Sighting("bid_0", AT)), Answer.YES, None, NOTHING),
    ],
)
def test_a_refresh_records_what_it_saw(
    recorded: PolicyRecord, waits: Answer, at: str | None, expected: PolicyRecord
) -> None:
    """What could not be found out stays as it was; what was done stays known."""
    assert sighted(write_record(recorded), "bid_1", waits, at) == expected


def test_with_a_record_that_cannot_be_read_this_preemption_counts_as_handled() -> None:
    """What was done for it is not known; the next one is acted upon."""
    record = sighted({PREEMPTION: "?"}, "bid_1", Answer.YES, AT)
    assert record == PolicyRecord(SEEN, SEEN)
    assert sighted(write_record(record), "bid_1", Answer.YES, LATER).is_unhandled
    assert sighted({PREEMPTION: "?"}, "bid_1", Answer.NO, AT) == NOTHING


def test_what_was_lost_stays_lost_until_a_refresh_can_tell() -> None:
    """A history that cannot be read between the two does not make a handled preemption a new one."""
    record = sighted({PREEMPTION: "?"}, "bid_1", Answer.NOT_KNOWN, None)
    assert not record.is_unhandled
    record = sighted(write_record(record), "bid_1", Answer.YES, AT)
    assert record.seen == SEEN
    assert not record.is_unhandled
    assert sighted(write_record(record), "bid_1", Answer.YES, LATER).is_unhandled
    runs = sighted({PREEMPTION: "?"}, "bid_1", Answer.NO, None)
    assert sighted(write_record(runs), "bid_1", Answer.YES, AT).is_unhandled


@pytest.mark.parametrize(
    ("record", "policy", "limit", "recorded", "live", "expected"),
    [
        (UNHANDLED, "raise_bid", "20", "16", "18.50", PolicyRecord(SEEN, SEEN, Action.RAISE, D("16"), D("18.50"))),
        (UNHANDLED, "raise_bid", "18.50", "16", "18.50", PolicyRecord(SEEN, SEEN, Action.RAISE, D("16"), D("18.50"))),
        (replace(DONE, seen=NEXT), "raise_bid", "30", "18.50", "21",
         PolicyRecord(NEXT, NEXT, Action.RAISE, D("16.00"), D("21"))),
        (UNHANDLED, "raise_bid", "18", "16", "18.50", UNHANDLED),
        (UNHANDLED, "raise_bid", "20", "16", "16", UNHANDLED),
        (UNHANDLED, "raise_bid", "20", "16", "15", UNHANDLED),
        (UNHANDLED, "keep", "20", "16", "18.50", UNHANDLED),
        (UNHANDLED, "raise_bid", None, "16", "18.50", UNHANDLED),
        (UNHANDLED, "raise_bid", "20", None, "18.50", UNHANDLED),
        (UNHANDLED, "raise_bid", "20", "16", None, UNHANDLED),
        (DONE, "raise_bid", "30", "18.50", "21", DONE),
        (NOTHING, "raise_bid", "30", "16", "21", NOTHING),
    ],
)  # fmt: skip
def test_a_raise_that_was_not_recorded_is_found_by_the_price(
    record: PolicyRecord, policy: str, limit: Any, recorded: Any, live: Any, expected: PolicyRecord
) -> None:
    """Within the limit, after a preemption for which nothing is recorded as done."""
    limit, recorded, live = (None if one is None else D(one) for one in (limit, recorded, live))
    assert with_unrecorded_raise(record, policy, limit, recorded, live) == expected


# -- check -------------------------------------------------------------------------------------------------------------

RAISED = PolicyRecord(None, SEEN, Action.RAISE, D("16.00"), D("18.50"))
TABLE: dict[str, tuple[PolicyRecord, str, str | None, str, str | None, Action, str, str]] = {
    # the record, the policy, its limit, the program's number, the market: what is done, the bid, the words
    "keep": (UNHANDLED, "keep", None, "16", "18.20", Action.NONE, "16", ""),
    "no preemption": (NOTHING, "raise_bid", "30", "16", "18.20", Action.NONE, "16", ""),
    "raise": (
        UNHANDLED, "raise_bid", "18.50", "16", "18.20", Action.RAISE, "18.50",
        "the bid goes from $16.00 to $18.50: preempted 12 minutes ago, market $18.20",
    ),
    "a twentieth above the market": (
        UNHANDLED, "raise_bid", "30", "16", "18.21", Action.RAISE, "19.13",
        "the bid goes from $16.00 to $19.13: preempted 12 minutes ago, market $18.21",
    ),
    "enough": (
        UNHANDLED, "raise_bid", "30", "16", "12", Action.NONE, "16",
        "the bid stays at $16.00, which is enough: preempted 12 minutes ago, market $12.00",
    ),
    "at the limit": (
        replace(RAISED, seen=NEXT), "raise_bid", "18.50", "16", "20", Action.NONE, "18.50",
        ("the bid stays at $18.50, which raise_up_to_per_hour allows at most: preempted at 2026-11-30T17:40:00Z, "
         "market $20.00"),
    ),
    "the market is silent": (
        UNHANDLED, "raise_bid", "30", "16", None, Action.NONE, "16",
        "the bid stays at $16.00: preempted 12 minutes ago, and the market is not known now",
    ),
    "the limit is the bid": (
        UNHANDLED, "raise_bid", "16", "16", "20", Action.NONE, "16",
        "the bid stays at $16.00, which raise_up_to_per_hour allows at most: preempted 12 minutes ago, market $20.00",
    ),
    "no limit": (UNHANDLED, "raise_bid", None, "16", "20", Action.NONE, "16", ""),
    "handled": (PolicyRecord(SEEN, SEEN, Action.RAISE), "raise_bid", "30", "16", "20", Action.NONE, "16", ""),
    "an older one than was handled": (
        PolicyRecord(SEEN, NEXT, Action.RAISE), "raise_bid", "30", "16", "20", Action.NONE, "16", "",
    ),
    "the handled one, its time written otherwise": (
        PolicyRecord(SEEN, Sighting("bid_1", "2026-11-30T17:00:00.000Z")), "replace", None, "16", "20",
        Action.NONE, "16", "",
    ),
    "an older one, of another bid": (
        PolicyRecord(SEEN, Sighting("bid_0", LATER)), "raise_bid", "30", "16", "20", Action.RAISE, "21",
        "the bid goes from $16.00 to $21.00: preempted 12 minutes ago, market $20.00",
    ),
    "raised, and it runs": (RAISED, "raise_bid", "30", "16", "99", Action.NONE, "18.50", ""),
    "raised, and preempted again": (
        replace(RAISED, seen=NEXT), "raise_bid", "30", "16", "20", Action.RAISE, "21",
        "the bid goes from $18.50 to $21.00: preempted at 2026-11-30T17:40:00Z, market $20.00",
    ),
    "a lower limit": (RAISED, "raise_bid", "17", "16", "99", Action.NONE, "17", ""),
    "another number of the program": (RAISED, "raise_bid", "30", "15", "99", Action.NONE, "15", ""),
    "another policy": (RAISED, "keep", None, "16", "99", Action.NONE, "16", ""),
    "replace": (
        UNHANDLED, "replace", None, "16", None, Action.REPLACE, "16",
        "the bid is replaced: preempted 12 minutes ago, and on_preemption='replace'",
    ),
    "replace after a raise": (
        PolicyRecord(SEEN, SEEN, Action.RAISE, D("16"), D("18.50")), "replace", None, "16", "20", Action.NONE, "16", "",
    ),
    "fail": (
        UNHANDLED, "fail", None, "16", "20", Action.FAIL, "16",
        "is 'fail', and the bid waits in the auction: preempted 12 minutes ago",
    ),
    "just now": (
        PolicyRecord(JUST_NOW), "replace", None, "16", None, Action.REPLACE, "16",
        "the bid is replaced: preempted less than a minute ago, and on_preemption='replace'",
    ),
    "fail after a raise": (PolicyRecord(SEEN, SEEN, Action.RAISE), "fail", None, "16", "20", Action.NONE, "16", ""),
}  # fmt: skip


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_a_policy_decides(row: tuple[PolicyRecord, str, str | None, str, str | None, Action, str, str]) -> None:
    """And what acts is recorded as handled."""
    record, policy, limit, number, market, action, bid, words = row
    decision = decide(record, policy, limit and D(limit), D(number), market and D(market), NOW)  # type: ignore[arg-type]
    assert (decision.action, decision.price, decision.words) == (action, D(bid), words)
    has_acted = action in (Action.RAISE, Action.REPLACE)
    assert decision.record.handled == (record.seen if has_acted else record.handled)
    assert decision.record.raised == (decision.price if decision.price != D(number) else None)


facts: dict[str, Any] = {
    "record": records,
    "policy": st.sampled_from(POLICIES),
    "limit": st.none() | prices,
    "number": prices,
    "market": st.none() | prices.map(lambda one: one / 7) | prices,
    "now": st.none() | st.just(NOW),
}


@given(**facts)
def test_no_bid_is_above_its_limit_or_under_the_programs_number(
    record: PolicyRecord, policy: str, limit: Decimal | None, number: Decimal, market: Decimal | None, now: Any
) -> None:
    """To the cent; the limit that a check lets through is at least the program's number."""
    limit = None if limit is None else max(limit, number)
    price = decide(record, policy, limit, number, market, now).price
    assert price == number or (policy == "raise_bid" and limit is not None and price <= limit)
    if record.raised is None or record.raised >= number:
        assert price >= number
    assert price == price.quantize(D("0.01"))


@given(**facts)
def test_nothing_is_done_twice_for_a_preemption(
    record: PolicyRecord, policy: str, limit: Decimal | None, number: Decimal, market: Decimal | None, now: Any
) -> None:
    """Whatever policy comes next, and whatever the market does."""
    first = decide(record, policy, limit, number, market, now)
    if first.action in (Action.RAISE, Action.REPLACE):
        for other in POLICIES:
            for price in (None, D("0.01"), D("99999")):
                again = decide(first.record, other, limit, number, price, now)
                assert again.action is Action.NONE
                assert not again.words
                assert again.price <= first.price


@given(**facts)
def test_without_a_preemption_that_is_not_handled_nothing_is_done(
    record: PolicyRecord, policy: str, limit: Decimal | None, number: Decimal, market: Decimal | None, now: Any
) -> None:
    """Absent facts are no reason."""
    for calm in (replace(record, seen=None), replace(record, seen=record.handled)):
        decision = decide(calm, policy, limit, number, market, now)
        assert (decision.action, decision.words) == (Action.NONE, "")
        assert decision.price in (number, record.raised, limit)


@given(bid=prices, market=prices, limit=prices)
def test_a_raised_bid_is_the_least_that_is_a_twentieth_above_the_market(
    bid: Decimal, market: Decimal, limit: Decimal
) -> None:
    """Unless the bid is more already, or the limit less."""
    raised = raised_bid(bid, market, limit)
    assert raised <= limit
    assert raised >= min(bid, limit)
    if bid < raised < limit:
        assert raised >= market * D("1.05") > raised - D("0.01")


@pytest.mark.parametrize(
    ("at", "now", "expected"),
    [
        (AT, NOW, 12),
        (AT, NOW - timedelta(minutes=14), 0),  # clocks differ a little
        (AT, NOW - timedelta(minutes=20), None),
        (AT, None, None),
        ("soon", NOW, None),
        (None, NOW, None),
    ],
)
def test_for_how_long_is_not_known_where_a_time_is_not(at: str | None, now: datetime | None, expected: Any) -> None:
    """A time far in the future proves nothing."""
    assert minutes_since(at, now) == expected


# -- update and diff ---------------------------------------------------------------------------------------------------


def test_a_raise_is_pending_until_the_outputs_record_it_and_withdrawn_where_they_say_that_it_was_not_made() -> None:
    """The inputs of a state are those of the check, whatever the update did."""
    wanted = replace(RAISED, seen=SEEN)
    assert is_pending(UNHANDLED, wanted, Action.RAISE)
    assert not is_pending(wanted, wanted, Action.RAISE)
    assert not is_pending(UNHANDLED, wanted, Action.REPLACE)
    assert not is_withdrawn(UNHANDLED, wanted)
    assert is_withdrawn(withdrawn(UNHANDLED, wanted), wanted)
    assert withdrawn(UNHANDLED, wanted) == wanted.without_raise()
    again = PolicyRecord(NEXT, NEXT, Action.RAISE, D("16.00"), D("21.00"))
    assert withdrawn(wanted, again) == replace(again, raised=D("18.50"))
    assert is_withdrawn(withdrawn(wanted, again), again)
    assert withdrawn(replace(wanted, base=D("15.00")), again) == again.without_raise()
    assert not is_withdrawn(wanted, replace(wanted, raised=D("17.00")))  # a lower limit
    assert not is_withdrawn(wanted, wanted)
    assert not is_withdrawn(NOTHING, NOTHING)
    assert standing(wanted.without_raise(), "raise_bid", D(30), D(16)) == wanted.without_raise()


# -- the watcher -------------------------------------------------------------------------------------------------------

OLDS = {
    "instance_type": "8xa100", "num_instances": 1, "max_price_per_hour": 16.0, "region": "us-central5-a",
    "on_preemption": "raise_bid", "raise_up_to_per_hour": 30.0, "__mark": "m", "env": {"A": "b"},
    PREEMPTION: str(UNHANDLED),
}  # fmt: skip
DECIDED = PolicyRecord(SEEN, SEEN, Action.RAISE, D("16.00"), D("18.50"), is_alone=True)
NEWS = {**OLDS, "max_price_per_hour": 18.5, PREEMPTION: str(DECIDED)}
REPLACING = {**OLDS, PREEMPTION: str(PolicyRecord(SEEN, SEEN, Action.REPLACE, is_alone=True))}


@pytest.mark.parametrize(
    ("olds", "news", "expected"),
    [
        (OLDS, NEWS, Answer.YES),
        (OLDS, REPLACING, Answer.YES),
        (OLDS, OLDS, Answer.NO),
        (NEWS, NEWS, Answer.NO),
        (OLDS, {**NEWS, "env": {"A": "c"}}, Answer.NO),
        (OLDS, {**NEWS, "paused": True}, Answer.NO),
        (OLDS, {**NEWS, "max_price_per_hour": 19.0}, Answer.NO),
        (OLDS, {**NEWS, "on_preemption": "keep"}, Answer.NO),
        (OLDS, {**NEWS, "__mark": "n"}, Answer.NO),
        (OLDS, {**REPLACING, "max_price_per_hour": 17.0}, Answer.NO),
        (OLDS, {**NEWS, PREEMPTION: str(replace(DECIDED, is_alone=False))}, Answer.NO),
        ({**OLDS, PREEMPTION: str(PolicyRecord(NEXT))}, NEWS, Answer.NO),
        (OLDS, {name: value for name, value in NEWS.items() if name != PREEMPTION}, Answer.NO),
        (OLDS, {**NEWS, PREEMPTION: "?"}, Answer.NOT_KNOWN),
        ({**OLDS, PREEMPTION: "?"}, NEWS, Answer.NOT_KNOWN),
        ({name: value for name, value in OLDS.items() if name != PREEMPTION}, NEWS, Answer.NOT_KNOWN),
        (OLDS, {**NEWS, "env": {"A": UNKNOWN}}, Answer.NOT_KNOWN),
    ],
)
def test_whether_a_policy_alone_makes_the_difference(olds: Any, news: Any, expected: Answer) -> None:
    """A watcher heals what is YES and leaves the rest to a person."""
    assert is_policy_alone(olds, news) is expected


# -- the inputs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "failures"),
    [
        ({"on_preemption": "raise_bid", "raise_up_to_per_hour": 60}, {}),
        ({"on_preemption": "raise_bid", "raise_up_to_per_hour": 50}, {}),
        ({"on_preemption": "raise_bid", "raise_up_to_per_hour": UNKNOWN}, {}),
        ({"on_preemption": UNKNOWN, "raise_up_to_per_hour": 60}, {}),
        ({"on_preemption": "replace"}, {}),
        ({"on_preemption": "fail"}, {}),
        (
            {"on_preemption": "raise_bid"},
            {"raise_up_to_per_hour": "is required with on_preemption='raise_bid': it is the highest bid"},
        ),
        (
            {"raise_up_to_per_hour": 60},
            {"raise_up_to_per_hour": "needs on_preemption='raise_bid', got 60: set that, or leave it out"},
        ),
        (
            {"on_preemption": "raise_bid", "raise_up_to_per_hour": 49.99},
            {"raise_up_to_per_hour": "is under the bid, max_price_per_hour=50, got 49.99: raise it, or lower the bid"},
        ),
        (
            {"on_preemption": "raise_bid", "raise_up_to_per_hour": -1},
            {"raise_up_to_per_hour": "must be greater than 0, got -1: it is the highest bid, in USD per instance-hour"},
        ),
        (
            {"on_preemption": "retry"},
            {"on_preemption": "must be 'keep' or 'raise_bid' or 'replace' or 'fail', got 'retry'"},
        ),
    ],
)
def test_the_inputs_of_a_policy(inputs: dict[str, Any], failures: dict[str, str]) -> None:
    """A limit belongs to raise_bid, and is at least the bid."""
    found = check_cluster({"instance_type": "8xa100", "max_price_per_hour": 50, "region": "r", **inputs})
    assert {one.path for one in found.failures} == set(failures)
    for one in found.failures:
        assert one.text.startswith(f"{one.path} {failures[one.path]}")
