"""What the service's answers mean for a cluster: its status, the status message, and the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flow_resources.core.answer import Answer
from flow_resources.core.models import ENDED, WAITING, Bid, Instance
from flow_resources.core.preemption import NOTHING, PolicyRecord

STATUSES = (
    "pending",
    "starting",
    "running",
    "preempting",
    "preempted",
    "paused",
    "terminated",
    "failed",
    "unknown",
)
_STATUS_OF_BID = {
    ENDED: "terminated",
    "Paused": "paused",
    "Preempting": "preempting",
    "Relocating": "preempting",
}
_STATE_EVENTS = {"Allocated", "Preempted", "Paused", "Resumed"}
SSH_USER = "ubuntu"  # the service's images log in as this user (flow.domain.models.task.Task.ssh_user)


@dataclass(frozen=True)
class ClusterSnapshot:
    """A cluster at one moment: its bid, its instances, and the bid's history where that was read."""

    bid: Bid
    instances: tuple[Instance, ...]
    history: tuple[str, ...] | None = None
    """The bid's event types, oldest first; None where they were not read."""
    known_preemptions: int | None = None
    """The number of preemptions, where it is known without the history."""
    last_preempted_at: str | None = None
    """When it was preempted last, by the history; None where that does not say."""
    policy: PolicyRecord = NOTHING
    """What the state is to record about its preemptions."""

    @property
    def present(self) -> tuple[Instance, ...]:
        """The instances that the bid holds, in the bid's order, without those that are gone for good."""
        order = {id_: index for index, id_ in enumerate(self.bid.instances or ())}
        held = (instance for instance in self.instances if not instance.gone and (not order or instance.id in order))
        return tuple(sorted(held, key=lambda instance: (order.get(instance.id, len(order)), instance.id)))

    @property
    def up(self) -> int:
        """The number of instances that run and can be reached."""
        return sum(instance.up for instance in self.present)

    @property
    def status(self) -> str:
        """One of STATUSES."""
        if status := _STATUS_OF_BID.get(self.bid.status):
            return status
        if self.bid.status == WAITING:
            return "preempted" if self._was_preempted else "pending"
        if self.bid.status == "Allocated":
            if any(instance.status == "error" for instance in self.present):
                return "failed"
            running = sum(instance.status == "running" for instance in self.present)
            if self.bid.quantity is None:
                return "unknown"
            return "running" if running >= max(self.bid.quantity, 1) else "starting"
        return "unknown"

    @property
    def message(self) -> str:
        """The status as a sentence."""
        quantity = "?" if self.bid.quantity is None else self.bid.quantity
        progress = f"{self.up}/{quantity} machines running"
        return {
            "pending": "waiting in the auction",
            "preempted": "preempted, waiting in the auction",
            "preempting": f"losing its machines, {progress}",
            "paused": "paused",
            "terminated": "terminated",
            "failed": f"a machine is in error, {progress}",
            "unknown": progress if self.bid.status == "Allocated" else f"the service calls it {self.bid.status!r}",
        }.get(self.status, progress)

    @property
    def preemptions(self) -> int | None:
        """The number of preemptions; None where it is not known."""
        return self.known_preemptions if self.history is None else self.history.count("Preempted")

    @property
    def waits_after_preemption(self) -> Answer:
        """Whether it was preempted and waits in the auction; not known where its history was not read."""
        if not self.bid.has_known_status or (self.bid.status == WAITING and self.history is None):
            return Answer.NOT_KNOWN
        return Answer.of(self.status == "preempted")

    @property
    def waits(self) -> Answer:
        """Whether it waits in the auction."""
        return Answer.of(self.bid.status == WAITING if self.bid.has_known_status else None)

    @property
    def waits_since(self) -> str | None:
        """Since when it waits in the auction: its preemption, or its beginning where it never won and never paused.

        None where that is not told.
        """
        if self.waits is not Answer.YES or self.history is None:
            return None
        if self._was_preempted:
            return self.last_preempted_at
        return None if _STATE_EVENTS.intersection(self.history) else self.bid.created_at or None

    def is_same_run_as(self, recorded: Mapping[str, Any]) -> bool:
        """Whether it has run without a preemption since the outputs were recorded.

        That is so where it ran then, runs now, and has the same instances: after a preemption a bid gets other ones.
        (A service that gives the same instances back, with the same addresses, would not be noticed.)
        """
        instances = [_without_none(_instance_output(instance)) for instance in self.present]
        before = [_without_none(instance) for instance in recorded.get("instances") or ()]
        return bool(instances) and self.status == recorded.get("status") == "running" and instances == before

    def reached(self, goal: str) -> bool:
        """Whether it has reached a goal of `wait_for`; running means that every instance runs and can be reached."""
        if self.bid.ended:
            return False
        if goal == "placed":
            return True
        if goal == "allocated":
            return self.bid.status == "Allocated"
        count = self.bid.quantity
        return self.bid.status == "Allocated" and count is not None and self.up >= max(count, 1)

    @property
    def _was_preempted(self) -> bool:
        if self.history is not None:
            events = [event for event in self.history if event in _STATE_EVENTS]
            return bool(events) and events[-1] == "Preempted"
        return any(instance.status == "preempted" for instance in self.instances)


def outputs(snapshot: ClusterSnapshot) -> dict[str, Any]:
    """Return the outputs that come from the service; None where it does not say.

    Their keys are written into states and never change.
    """
    bid, price = snapshot.bid, snapshot.bid.price
    instances = [_instance_output(instance) for instance in snapshot.present]
    result: dict[str, Any] = {
        "task_id": bid.id,
        "task_name": bid.name or None,
        "project": bid.project,
        "status": snapshot.status,
        "status_message": snapshot.message,
        "max_price_per_hour": None if price is None else float(price),
        "paused": bid.status == "Paused",
        "max_cost_per_hour": None if bid.max_cost is None else float(bid.max_cost),
        "instances": instances,
        "public_ips": [instance["public_ip"] for instance in instances if instance["public_ip"]],
        "private_ips": [instance["private_ip"] for instance in instances if instance["private_ip"]],
        "ssh_commands": [_ssh_command(instance) for instance in instances if instance["public_ip"]],
        "volume_ids": None if bid.volumes is None else list(bid.volumes),
        "region": bid.region,
        "created_at": bid.created_at or None,
        "last_preempted_at": snapshot.last_preempted_at,
    }
    if snapshot.preemptions is not None:
        result["preemptions"] = snapshot.preemptions
    return result


def _instance_output(instance: Instance) -> dict[str, Any]:
    return {
        "id": instance.id,
        "status": instance.status,
        "public_ip": instance.public_ip,
        "private_ip": instance.private_ip,
        "ssh_port": instance.ssh_port,
    }


def _without_none(instance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the known properties of an instance: the state does not keep a property that is None."""
    return {name: value for name, value in instance.items() if value is not None}


def _ssh_command(instance: Mapping[str, Any]) -> str:
    port = instance["ssh_port"]
    options = "" if port in (None, 22) else f"-p {port} "
    return f"ssh {options}{SSH_USER}@{instance['public_ip']}"
