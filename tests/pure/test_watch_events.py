"""What happened between two looks, as an event; and how often the watch may try."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from support.watched import a_cluster

from flow_resources.cli.watch.events import changes
from flow_resources.cli.watch.look import market_in
from flow_resources.cli.watch.pace import BackOff, heal_message, heals_within

NOW = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)


def kinds(before, after) -> list[str]:
    outputs = before.live if before else None
    return [event.kind.value for event in changes(outputs, after)]


RUNS, LOST, GOING = a_cluster(status="running"), a_cluster(status="preempted"), a_cluster(status="preempting")
PENDING, STARTING, ENDED = a_cluster(status="pending"), a_cluster(status="starting"), a_cluster(status="terminated")
GONE = replace(RUNS, live=None)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (RUNS, RUNS, []),
        (LOST, LOST, []),
        (RUNS, LOST, ["preempted"]),
        (RUNS, GOING, ["preempted"]),
        (GOING, LOST, []),
        (GOING, RUNS, ["running_again"]),
        (LOST, RUNS, ["running_again"]),
        (LOST, STARTING, ["status_changed"]),
        (PENDING, RUNS, ["status_changed"]),
        (PENDING, STARTING, ["status_changed"]),
        (None, RUNS, ["status_changed"]),
        (None, LOST, ["preempted"]),
        (RUNS, ENDED, ["ended"]),
        (LOST, GONE, ["ended"]),
        (ENDED, GONE, []),
        (ENDED, ENDED, []),
        (None, GONE, []),
        (RUNS, replace(RUNS, live=None, problem="no answer"), []),
        (LOST, replace(RUNS, problem="no answer"), []),
    ],
)
def test_what_a_change_is_called(before, after, words):
    """What is not known is no change; what has ended is told once."""
    assert kinds(before, after) == words


def test_a_preemption_between_two_looks_is_not_missed():
    """By its count, or by its time where the count is not told."""
    twice = a_cluster(status="running", outputs={"preemptions": 1})
    assert kinds(RUNS, twice) == ["preempted", "running_again"]
    assert kinds(
        a_cluster(status="preempted", outputs={"preemptions": 1}),
        a_cluster(status="preempted", outputs={"preemptions": 2}),
    ) == ["preempted"]
    early, late = (
        {"preemptions": None, "last_preempted_at": at} for at in ("2026-11-30T10:00:00Z", "2026-11-30T11:00:00Z")
    )
    assert kinds(a_cluster(status="preempted", outputs=early), a_cluster(status="preempted", outputs=late)) == [
        "preempted"
    ]


def test_another_bids_count_says_nothing_about_this_one():
    """After a replacement the count begins anew."""
    old = a_cluster(status="running", outputs={"preemptions": 0, "task_id": "bid_0"})
    assert kinds(old, a_cluster(status="running", outputs={"preemptions": 3})) == []


def test_an_event_is_told_with_its_fields():
    (event,) = changes(RUNS.live, LOST)
    assert event.document("acme/training/dev", "2026-11-30T12:00:00Z") == {
        "event": "preempted",
        "at": "2026-11-30T12:00:00Z",
        "stack": "acme/training/dev",
        "message": "it is preempted",
        "cluster": "c0",
        "urn": RUNS.urn,
        "task_id": "bid_1",
        "status": "preempted",
        "preemptions": 0,
        "last_preempted_at": None,
        "was": "running",
    }


def test_the_back_off_doubles_up_to_a_quarter_of_an_hour_and_forgets():
    backing = BackOff(60)
    assert [backing.record_failure("a", 0) for _ in range(7)] == [60, 120, 240, 480, 900, 900, 900]
    assert not backing.is_due("a", 899)
    assert backing.is_due("a", 900)
    assert backing.is_due("b", 0)
    assert backing.record_success("a")
    assert backing.is_due("a", 0)
    assert not backing.record_success("a")
    assert BackOff(3600).record_failure("a", 0) == 3600


def test_heals_are_counted_by_the_history_of_the_stack():
    """Those of others and of killed watches too; one without a time counts as recent."""
    two, one = heal_message(["c0", "c1"]), heal_message(["c2"])
    assert (two, one) == (
        "flow-resources watch: heal 2 clusters: c0, c1",
        "flow-resources watch: heal 1 cluster: c2",
    )
    history = [(two, NOW - timedelta(minutes=59)), (one, NOW - timedelta(minutes=61)), ("deploy", NOW), (one, None)]
    assert heals_within(history, NOW) == 3


def test_the_market_is_read_from_the_row_of_a_check():
    """As `describe_cost` and the policies word it."""
    assert str(market_in("bid $50.00/h x 1 (max $50.00/h) in us-central5-a, market $1,012.00/h")) == "1012.00"
    assert str(market_in("the bid goes from $16.00 to $18.50: preempted 12 minutes ago, market $18.20")) == "18.20"
    assert market_in("the market is not known now") is None
