"""What a cluster's rows mean: one word, one sentence, and the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flow_resources.core.models import ENDED, Bid, Instance

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
_BID_WORDS = {
    ENDED: "terminated",
    "Paused": "paused",
    "Preempting": "preempting",
    "Relocating": "preempting",
}
_TURNS = {"Allocated", "Preempted", "Paused", "Resumed"}
SSH_USER = "ubuntu"  # the service's images log in as this user (flow.domain.models.task.Task.ssh_user)


@dataclass(frozen=True)
class ClusterSnapshot:
    """A cluster as it was seen: its bid, its machines, and its history where that could be read."""

    bid: Bid
    machines: tuple[Instance, ...]
    history: tuple[str, ...] | None = None
    """The bid's event types, oldest first; None when they were not read."""
    known_preemptions: int | None = None
    """How often it was preempted, where that is known without its history."""

    @property
    def present(self) -> tuple[Instance, ...]:
        """The machines that the bid holds, in its own order, without those that are gone for good."""
        order = {id_: place for place, id_ in enumerate(self.bid.instances)}
        alive = (one for one in self.machines if not one.gone and (not order or one.id in order))
        return tuple(sorted(alive, key=lambda machine: (order.get(machine.id, len(order)), machine.id)))

    @property
    def up(self) -> int:
        """How many machines run and can be reached."""
        return sum(machine.up for machine in self.present)

    @property
    def status(self) -> str:
        """One of STATUSES."""
        if word := _BID_WORDS.get(self.bid.status):
            return word
        if self.bid.status == "Open":
            return "preempted" if self._was_preempted else "pending"
        if self.bid.status == "Allocated":
            if any(machine.status == "error" for machine in self.present):
                return "failed"
            running = sum(machine.status == "running" for machine in self.present)
            return "running" if running >= max(self.bid.quantity, 1) else "starting"
        return "unknown"

    @property
    def message(self) -> str:
        """One sentence for a person."""
        counted = f"{self.up}/{self.bid.quantity} machines running"
        return {
            "pending": "waiting in the auction",
            "preempted": "preempted, waiting in the auction",
            "preempting": f"losing its machines, {counted}",
            "paused": "paused",
            "terminated": "terminated",
            "failed": f"a machine is in error, {counted}",
            "unknown": f"the service calls it {self.bid.status!r}",
        }.get(self.status, counted)

    @property
    def preemptions(self) -> int | None:
        """How often it was preempted; None when its history could not be read."""
        return self.known_preemptions if self.history is None else self.history.count("Preempted")

    def runs_as(self, recorded: Mapping[str, Any]) -> bool:
        """Whether it runs on the machines of the recorded outputs: what a bid gets back after a preemption are others.

        (Where a service gives the same machines back, with the same addresses, this cannot tell.)
        """
        machines = [_said(_instance(machine)) for machine in self.present]
        before = [_said(one) for one in recorded.get("instances") or ()]
        return bool(machines) and self.status == recorded.get("status") == "running" and machines == before

    def reached(self, goal: str) -> bool:
        """Whether it is as far as `wait_for` asks: placed, allocated or running (every machine up and addressed)."""
        if self.bid.ended:
            return False
        if goal == "placed":
            return True
        if goal == "allocated":
            return self.bid.status == "Allocated"
        return self.bid.status == "Allocated" and self.up >= max(self.bid.quantity, 1)

    @property
    def _was_preempted(self) -> bool:
        if self.history is not None:
            turns = [event for event in self.history if event in _TURNS]
            return bool(turns) and turns[-1] == "Preempted"
        return any(machine.status == "preempted" for machine in self.machines)


def outputs(seen: ClusterSnapshot) -> dict[str, Any]:
    """Return the outputs that the service decides. Keys are written into states: they never change."""
    bid, price = seen.bid, seen.bid.price
    machines = [_instance(machine) for machine in seen.present]
    result: dict[str, Any] = {
        "task_id": bid.id,
        "task_name": bid.name,
        "project": bid.project,
        "status": seen.status,
        "status_message": seen.message,
        "max_price_per_hour": None if price is None else float(price),
        "max_cost_per_hour": None if bid.max_cost is None else float(bid.max_cost),
        "instances": machines,
        "public_ips": [one["public_ip"] for one in machines if one["public_ip"]],
        "private_ips": [one["private_ip"] for one in machines if one["private_ip"]],
        "ssh_commands": [_ssh(one) for one in machines if one["public_ip"]],
        "volume_ids": list(bid.volumes),
        "created_at": bid.created_at,
    }
    if bid.region is not None:  # else it is what the program says
        result["region"] = bid.region
    if seen.preemptions is not None:
        result["preemptions"] = seen.preemptions
    return result


def _instance(machine: Instance) -> dict[str, Any]:
    return {
        "id": machine.id,
        "status": machine.status,
        "public_ip": machine.public_ip,
        "private_ip": machine.private_ip,
        "ssh_port": machine.ssh_port,
    }


def _said(instance: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a machine: on its way into the state nothing stays of what is not."""
    return {name: value for name, value in instance.items() if value is not None}


def _ssh(instance: Mapping[str, Any]) -> str:
    port = instance["ssh_port"]
    options = "" if port in (None, 22) else f"-p {port} "
    return f"ssh {options}{SSH_USER}@{instance['public_ip']}"
