"""What the row of a cluster that came back says of the command."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from flow_resources.core.boots import NOT_KNOWN, describe_change, what_runs_again
from flow_resources.core.models import Bid, Instance
from flow_resources.core.status import ClusterSnapshot

AGAIN, NOT_AGAIN = "the command runs again", "run_on='first_boot': the command does not run again"
UP, MEANWHILE = "2/2 machines running", "preempted meanwhile"


def seen(
    status: str = "Allocated", *, ids: tuple[str, ...] = ("inst_1", "inst_2"), preemptions: int | None = None
) -> Any:
    """Return a cluster of two machines that run, if the bid holds them."""
    bid = Bid("bid_1", "t-1", "proj_1", status, Decimal(50), 2, "it_1", "us-central5-a", ids, (), "2025")
    rows = tuple(Instance(id_, "bid_1", "running", "203.0.113.1", 22, "10.0.0.1") for id_ in ids)
    return ClusterSnapshot(bid, rows if status == "Allocated" else (), known_preemptions=preemptions)


def recorded(status: str | None, run_on: str | None = "every_boot", **more: Any) -> dict[str, Any]:
    """Return recorded outputs."""
    values = {"status": status, "run_on": run_on, "command": "python train.py", **more}
    return {name: value for name, value in values.items() if value is not None}


HELD = {"instances": [{"id": "inst_1"}, {"id": "inst_2"}]}


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        (recorded("preempted"), seen(), f"was preempted, now {UP}: {AGAIN}"),
        (recorded("preempted", "first_boot"), seen(), f"was preempted, now {UP}: {NOT_AGAIN}"),
        (recorded("preempted", None), seen(), f"was preempted, now {UP}: {NOT_KNOWN}"),
        (recorded("paused"), seen(), f"was paused, now {UP}: {AGAIN}"),
        (recorded("preempted", command=None), seen(), f"was preempted, now {UP}"),
        (recorded("preempted", command="sleep infinity"), seen(), f"was preempted, now {UP}"),
        (recorded("running", preemptions=1), seen(preemptions=2), f"was running, {MEANWHILE}, now {UP}: {AGAIN}"),
        (recorded("running", preemptions=1.0), seen(preemptions=1), ""),
        (recorded("running", preemptions=1), seen(), ""),
        (recorded("running"), seen(preemptions=1), ""),
        (recorded("preempting", **HELD), seen(), f"was preempting, now {UP}"),
        (recorded("preempting", **HELD), seen(ids=("inst_3", "inst_4")), f"was preempting, now {UP}: {AGAIN}"),
        (recorded("preempting"), seen(), f"was preempting, now {UP}"),
        (recorded("pending"), seen(), f"was pending, now {UP}"),
        (recorded("starting", **HELD), seen(), f"was starting, now {UP}"),
        (recorded("running"), seen("Open"), "was running, now waiting in the auction"),
        (recorded("preempted"), seen("Paused"), "was preempted, now paused"),
        (recorded(None), seen(), ""),
    ],
)  # fmt: skip
def test_a_row_says_what_runs_again_where_machines_have_booted_again(
    before: dict[str, Any], now: ClusterSnapshot, change: str
) -> None:
    """And nothing of it where they went on, booted for the first time, are not back, or had nothing to do."""
    assert describe_change(before, now, what_runs_again(before)) == change


@pytest.mark.parametrize("run_on", [None, "at_noon", "", 3])
def test_a_run_on_that_says_nothing_is_not_known(run_on: Any) -> None:
    """A state of an earlier version has none; a later one may have another."""
    assert what_runs_again({"command": ["python", "train.py"], "run_on": run_on}) == NOT_KNOWN
