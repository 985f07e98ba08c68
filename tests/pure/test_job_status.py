"""What the service's answers mean for a job: its status, how it ended, what a state records of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from flow_resources.core.answer import Answer
from flow_resources.core.hidden import Record
from flow_resources.core.job_status import JOB_STATUSES, JobSnapshot, is_finished, outputs, recorded, with_events
from flow_resources.core.models import Bid, BidEvent, Instance

BID = Bid("bid_1", "train-1", "proj_1", "Allocated", Decimal("10.00"), 1, "it_1", "r", ("inst_1",), (), "2026-01-01")
RUNS = Instance("inst_1", "bid_1", "running", "1.2.3.4", 22, "10.0.0.1")
PLACED = Decimal("10.00")


def seen(status: str = "Allocated", price: str = "10.00", placed: Decimal | None = PLACED, **more: Any) -> JobSnapshot:
    return JobSnapshot(replace(BID, status=status, price=Decimal(price)), (RUNS,), placed_price=placed, **more)


@pytest.mark.parametrize(
    ("job", "status"),
    [
        (seen("Open", history=()), "pending"),
        (seen("Open", history=("Allocated", "Preempted")), "preempted"),
        (seen(), "running"),
        (replace(seen(), instances=(replace(RUNS, status="starting"),)), "starting"),
        (replace(seen(), instances=(replace(RUNS, status="error"),)), "unknown"),
        (seen("Preempting"), "running"),
        (seen("Hibernating"), "unknown"),
        (seen("Paused"), "paused"),
        (seen("Paused", "9.99"), "paused"),
        (seen("Paused", "9.98"), "failed"),
        (seen("Terminated", "9.99"), "succeeded"),
        (seen("Terminated", "9.98"), "failed"),
        (seen("Terminated", "10.00"), "ended"),
        (seen("Terminated", "9.97"), "ended"),
        (seen("Terminated", "9.99", placed=None), "ended"),
        (seen("Terminated", "9.99", placed=Decimal("12.00")), "ended"),
        (seen("Allocated", "9.99"), "running"),
        (seen("Allocated", "9.98"), "running"),
    ],
)
def test_the_status_of_a_job(job: JobSnapshot, status: str) -> None:
    """Succeeded and failed are said only where the machine told so, relative to the price that was placed."""
    assert job.status == status
    assert status in JOB_STATUSES
    assert job.message


@pytest.mark.parametrize(("price", "told"), [("9.99", "succeeded"), ("9.98", "failed"), ("9.97", None), ("10.0", None)])
def test_what_was_told_of_a_bid_that_lives_is_said(price: str, told: str | None) -> None:
    """It lost its machine between the two: without that it looks like work that waits to go on."""
    message = seen("Open", price, history=("Allocated", "Preempted")).message
    said = f"; its machine told that it {told}, and ends the bid when it is up" if told else ""
    assert message == f"preempted, waiting in the auction{said}"


@pytest.mark.parametrize(
    ("job", "goals"),
    [
        (seen("Open"), "placed"),
        (seen(), "placed allocated running"),
        (seen("Paused"), "placed"),
        (seen("Paused", "9.98"), "placed allocated running ended"),
        (seen("Terminated"), "placed allocated running ended"),
        (seen("Allocated", "9.99"), "placed allocated running"),
    ],
)
def test_the_goals_of_wait_for(job: JobSnapshot, goals: str) -> None:
    """The end is past all of them; what is told alone is no end yet."""
    assert [goal for goal in ("placed", "allocated", "running", "ended") if job.reached(goal)] == goals.split()


def test_the_outputs_of_a_job_that_runs() -> None:
    """Those of the page, and no more; the times as far as they are known."""
    events = [
        BidEvent("Submitted", "t0"),
        BidEvent("Allocated", "t1"),
        BidEvent("Preempted", "t2"),
        BidEvent("Allocated", "t3"),
    ]
    job = with_events(seen(key=Answer.NO), events)
    told = outputs(job)
    assert (told["started_at"], told["preemptions"], told["status"]) == ("t1", 1, "running")
    assert "allocated at t3" in job.progress
    assert "preempted 1 time" in job.progress
    assert told["status_message"] == "1/1 machines running"  # it is the same at each refresh
    assert not {"ended_at", "exit_code", "__ended", "__job_key", "paused", "private_ips"} & set(told)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (seen("Open", history=("Allocated", "Preempted")), "preempted, waiting in the auction"),
        (seen("Open", history=("Allocated", "Preempted") * 2), "preempted, waiting in the auction, preempted 2 times"),
        (seen(known_preemptions=1), "1/1 machines running, preempted 1 time"),
    ],
)
def test_a_message_says_preempted_once(job: JobSnapshot, message: str) -> None:
    """A status that says it is not repeated as a count of one."""
    assert job.progress == message


@pytest.mark.parametrize(
    ("job", "ended", "exit_code"),
    [
        (seen("Terminated", "9.99"), "ended", 0),
        (seen("Terminated", "9.98"), "ended", None),
        (seen("Paused", "9.98"), "kept", None),
    ],
)
def test_the_outputs_of_a_job_that_ended(job: JobSnapshot, ended: str, exit_code: int | None) -> None:
    """The price that told how is not shown: the program's stays."""
    events = [BidEvent("Allocated", "t1"), BidEvent("Paused" if ended == "kept" else "Terminated", "t2")]
    told = outputs(with_events(job, events))
    assert (told["__ended"], told.get("exit_code"), told["ended_at"]) == (ended, exit_code, "t2")
    assert told["max_price_per_hour"] is None
    assert told["max_cost_per_hour"] is None
    assert told["__job_key"] is True  # whether one is live has not been looked at


@pytest.mark.parametrize(
    ("status", "kept"),
    [("succeeded", "succeeded"), ("failed", "failed"), ("ended", "ended"), ("running", "ended"), ("paused", "ended")],
)
def test_a_job_that_the_service_has_forgotten_stays_as_it_was_recorded(status: str, kept: str) -> None:
    """How it ended is not known where nobody had told it before."""
    record = Record(
        name="train-1",
        project="proj_1",
        outputs={"status": status, "started_at": "t1", "volume_ids": ["vol_1"], "preemptions": 2.0, "created_at": "t0"},
    )
    job = recorded("bid_1", record, Answer.NO)
    told = outputs(job)
    assert (told["status"], told["__ended"], told["started_at"], told["preemptions"]) == (kept, "ended", "t1", 2)
    assert is_finished(told)
    assert told["volume_ids"] == ["vol_1"]


def test_a_recorded_outcome_is_not_lost_where_the_price_tells_none_any_more() -> None:
    """The bid of a job that was kept as failed ends: it has failed all the same."""
    assert seen("Terminated", "12.00", recorded_status="failed").status == "failed"
    assert not is_finished({"__ended": "kept"})
