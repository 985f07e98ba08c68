"""What the service's answers mean for a job: its status, how it ended, and the outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flow_resources.core.answer import Answer
from flow_resources.core.hidden import ENDED, JOB_KEY, Record
from flow_resources.core.job_outcome import Outcome, told
from flow_resources.core.models import ENDED as BID_STATUS_ENDED
from flow_resources.core.models import Bid, BidEvent
from flow_resources.core.status import ClusterSnapshot
from flow_resources.core.status import outputs as outputs_of_bid

JOB_STATUSES = (
    "pending",
    "starting",
    "running",
    "preempted",
    "paused",
    "succeeded",
    "failed",
    "ended",
    "unknown",
)
FINISHED = ("succeeded", "failed", "ended")
"""The statuses of a job that has ended."""
BID_ENDED, BID_KEPT = "ended", "kept"
"""How the bid of a job that has ended is: it has ended, too, or is paused with the machines' disks."""
STATUS_OF_CLUSTER = {"preempting": "running", "failed": "unknown"}
"""What a job is called while it has not ended, where it is another word than that of a cluster."""
_NOT_OF_A_JOB = ("paused", "private_ips", "last_preempted_at")
_PREEMPTED = ", preempted {} time{}"
_ENDINGS = {
    "succeeded": "succeeded",
    "failed": "failed",
    "ended": "ended, and its machine did not tell how",
}
_KEPT = "; its bid is paused, with the machines' disks"
_RESUMED = "; its bid was resumed, and its machines are billed"


@dataclass(frozen=True)
class JobSnapshot(ClusterSnapshot):
    """A job at one moment."""

    placed_price: Decimal | None = None
    """The price at which the bid was placed, USD per instance-hour; None where it was not read."""
    started_at: str | None = None
    """When it first had machines; None: not known."""
    ended_at: str | None = None
    allocated_at: str | None = None
    """When it got the machines that it has, which boot first; None: not known."""
    recorded_status: str | None = None
    """The status of a job that had ended when it was recorded; what its machine told then stays known."""
    key: Answer = Answer.NOT_KNOWN
    """Whether an API key that was made for it is live."""

    @property
    def outcome(self) -> Outcome | None:
        """What the machine has told, also while the bid lives."""
        return told(self.placed_price, self.bid.price)

    @property
    def kept(self) -> bool:
        """Whether it has failed and its bid is paused with the machines' disks."""
        return self.bid.status == "Paused" and self._has_failed

    @property
    def is_resumed(self) -> bool:
        """Whether it has failed, and somebody has resumed its bid: the machines are billed, and the job does not run.

        A machine that tells a failure has a live bid for a moment, too, which was not paused before.
        """
        was_kept = self.recorded_status is not None or "Resumed" in (self.history or ())
        return not self.bid.ended and not self.kept and self._has_failed and was_kept

    @property
    def _has_failed(self) -> bool:
        return self.outcome is Outcome.FAILED or self.recorded_status == Outcome.FAILED.value

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more, and does not run again by itself."""
        return self.bid.ended or self.kept or self.is_resumed

    @property
    def status(self) -> str:
        """One of JOB_STATUSES."""
        if self.has_ended:
            return self.outcome.value if self.outcome else self.recorded_status or "ended"
        status = super().status
        return STATUS_OF_CLUSTER.get(status, status)

    @property
    def message(self) -> str:
        """The status as a sentence."""
        if self.has_ended:
            bid = _KEPT if self.kept else _RESUMED if self.is_resumed else ""
            return f"{_ENDINGS[self.status]}{bid}"
        # Preempted in between, or before the answer of the service.
        said = (
            f"; its machine told that it {self.outcome.value}, and ends the bid when it is up" if self.outcome else ""
        )
        return f"{super().message}{said}"

    @property
    def progress(self) -> str:
        """The status as the row of a wait shows it: when the bid won its machines, and how often it was preempted."""
        since = f", allocated at {self.allocated_at}" if self.allocated_at and self.status == "running" else ""
        count = self.preemptions or 0
        times = _PREEMPTED.format(count, "s" if count > 1 else "") if count > (self.status == "preempted") else ""
        return f"{self.message}{since}{times}"

    @property
    def has_told_price(self) -> bool:
        """Whether the price is no price that anybody bids: the machine's mark, or what an ended bid has left."""
        return self.has_ended or self.outcome is not None

    def reached(self, goal: str) -> bool:
        """Whether it has reached a goal of `wait_for`; the end is past all of them."""
        return self.has_ended or (goal != "ended" and super().reached(goal))


def with_events(job: JobSnapshot, events: Sequence[BidEvent]) -> JobSnapshot:
    """Add what the history of its bid tells: when it first had machines, when it ended, and its preemptions."""
    allocated = [event.at for event in events if event.type == "Allocated"] or [None]
    ended = next((event.at for event in reversed(events) if event.type in ("Terminated", "Paused")), None)
    return dataclasses.replace(
        job,
        history=tuple(event.type for event in events),
        started_at=allocated[0] or job.started_at,
        allocated_at=allocated[-1],
        ended_at=ended if job.has_ended else None,
    )


def outputs(snapshot: JobSnapshot) -> dict[str, Any]:
    """Return the outputs that come from the service; None where it does not say.

    Their keys are written into states and never change.
    """
    result = {name: value for name, value in outputs_of_bid(snapshot).items() if name not in _NOT_OF_A_JOB}
    if snapshot.has_told_price:  # the program's price stays
        result |= {"max_price_per_hour": None, "max_cost_per_hour": None}
    if snapshot.started_at:
        result["started_at"] = snapshot.started_at
    if snapshot.has_ended:
        if not snapshot.is_resumed:  # it costs something again
            result[ENDED] = BID_KEPT if snapshot.kept else BID_ENDED
        if snapshot.ended_at:
            result["ended_at"] = snapshot.ended_at
        if snapshot.status == "succeeded":
            result["exit_code"] = 0
    if snapshot.key is not Answer.NO:
        result[JOB_KEY] = snapshot.bid.created_by or True
    return result


def recorded(id_: str, record: Record, key: Answer) -> JobSnapshot:
    """Return a job that has ended as the state records it, where the service has no more to tell."""
    known = record.outputs or {}
    status, created_by = record.text("status"), known.get(JOB_KEY)
    bid = Bid(
        id=id_,
        name=record.name or "",
        project=record.project,
        status=BID_STATUS_ENDED,
        price=None,
        quantity=None,
        instance_type=str(known.get("instance_type") or ""),
        region=record.text("region"),
        instances=(),
        volumes=tuple(known["volume_ids"]) if known.get("volume_ids") is not None else None,
        created_at=record.text("created_at") or "",
        created_by=created_by if isinstance(created_by, str) else "",
    )
    return JobSnapshot(
        bid,
        (),
        known_preemptions=int(known["preemptions"]) if "preemptions" in known else None,
        started_at=record.text("started_at"),
        ended_at=record.text("ended_at"),
        recorded_status=status if status in FINISHED else "ended",
        key=key,
    )


def is_finished(recorded: Mapping[str, Any]) -> bool:
    """Whether a state records that a job's bid has ended."""
    return recorded.get(ENDED) == BID_ENDED


def is_told(recorded: Mapping[str, Any]) -> bool:
    """Whether a state records that a job's bid has ended, and how: then nothing about it can change any more."""
    return is_finished(recorded) and recorded.get("status") in {outcome.value for outcome in Outcome}
