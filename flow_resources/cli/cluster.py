"""Clusters, as the commands list and write them: the live bids of the project.

The bid of a job is one of them for `sweep`, which ends every orphan by the same request. `adopt` leaves it out: no
program can adopt a job, and a cluster that ends itself is none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from flow_resources.cli.kind import CommandKind, Draft
from flow_resources.cli.program_text import Group, Item, Reference, Text, cut
from flow_resources.core import money
from flow_resources.core.imports import Account, inputs_of_bid, missing_facts, names_of_keys
from flow_resources.core.models import Bid
from flow_resources.core.naming import take_apart
from flow_resources.lifecycle.cluster import CLUSTER
from flow_resources.lifecycle.operation import Operation

FILL_IN = "FILL IN"
"""Stands for a mount path that is not known. It is not a path, so that the preview refuses it."""
_NOT_READ_BACK = (
    '# command="...", image="...", ports=[...],',
    '# env={"NAME": pulumi.Config().require_secret("NAME")},  # needs `import pulumi`',
)
_OF_A_JOB = "it is the bid of a Job, which ends itself and which no program can adopt"
_WITHOUT_MACHINES = {"pending", "preempted", "preempting", "failed", "unknown"}


@dataclass(frozen=True)
class Task:
    """A live bid, and what else was read of it."""

    bid: Bid
    status: str
    """In the words of `GpuCluster.status`."""
    mounts: Mapping[str, str] = field(default_factory=dict)
    """The mount paths that are known, by volume id."""
    is_of_job: bool = False


class ClusterKind(CommandKind[Bid]):
    """The kind; `CLUSTERS` is its one instance."""

    resource = CLUSTER
    plural = "bids"
    ending, ended = "ending", "ended"
    name_output = "task_name"
    end_advice = "ends the bids"
    number_titles = ("MACHINES", "MAX USD/H")
    state_title = "STATUS"
    has_cost = True
    fallback_name = "cluster"
    heading = (
        "# The service does not give back what a cluster was started with: command, image, ports and env.",
        "# Fill in the comments before the first `pulumi up`: later, a change of one of these replaces the cluster.",
    )
    note = (
        "command, image, ports and env cannot be read back and stand in comments: fill them in before the first "
        "`pulumi up`, because a later change of them replaces the cluster"
    )

    not_read_back_in_yaml = (
        "# command: ...",
        "# image: ...",
        "# ports: [...]",
        "# env: {NAME: ${NAME}}  # NAME is a secret of the stack's configuration",
    )

    def in_yaml(self, value: Any, variables: Mapping[str, str]) -> Any:
        """Return an input, with references to volumes in its mounts."""
        if not isinstance(value, list):
            return value
        return [_mount_in_yaml(item, variables) if isinstance(item, Mapping) else item for item in value]

    def max_cost(self, thing: Bid) -> Decimal | None:
        """Return the price times the machines."""
        return None if thing.max_cost is None else thing.max_cost.quantize(money.CENT)

    def observe_status(self, op: Operation, thing: Bid, begun_after: float) -> str:
        """Return the status in the words of `GpuCluster.status`."""
        seen = op.cloud.observe(thing.id, begun_after)
        return seen.status if seen else "terminated"  # it ended after it was listed

    def numbers(self, thing: Bid) -> list[str]:
        """Return its machines and the most that they can cost."""
        cost = self.max_cost(thing)
        return [str(thing.quantity), "?" if cost is None else f"{cost:,}"]

    def state(self, thing: Bid, status: str) -> str:  # noqa: ARG002
        """Return its status."""
        return status

    def document(self, thing: Bid, status: str) -> dict[str, Any]:
        """Return the same for a script."""
        cost = self.max_cost(thing)
        return {
            "machines": thing.quantity,
            "max_usd_per_hour": None if cost is None else float(cost),
            "status": status,
        }

    def drafts(
        self, op: Operation, things: Sequence[Bid], live: Collection[str], begun_after: float
    ) -> Sequence[Draft]:
        """Read status and mounts of each bid, then what the account calls its types and keys."""
        tasks = list[Task]()
        for bid in things:
            seen = op.cloud.observe(bid.id, begun_after)
            if seen is not None and not seen.bid.ended:
                mounts = op.cloud.mount_paths(bid.id) if bid.volumes else {}
                tasks.append(Task(seen.bid, seen.status, mounts, _is_of_job(op, bid)))
        types = op.cloud.market().types if things else ()
        keys = names_of_keys(op.cloud.ssh_keys()) if any(bid.ssh_keys for bid in things) else {}
        return [draft_cluster(task, Account(types, keys, live)) for task in tasks]

    def classes(self, inputs: Mapping[str, Any]) -> set[str]:
        """Return GpuCluster, and VolumeMount where it mounts volumes."""
        return super().classes(inputs) | ({"VolumeMount"} if inputs.get("volumes") else set())

    def arguments(
        self, inputs: Mapping[str, Any], fill_in: Collection[str], variables: Mapping[str, str]
    ) -> Iterator[Item]:
        """Yield the arguments of a GpuCluster."""
        yield Text(inputs["instance_type"], "instance_type=")
        yield f"num_instances={inputs['num_instances']}"
        if "max_price_per_hour" in fill_in:
            yield "# FILL IN: the bid, in USD per machine and hour. The service does not say it."
        yield f"max_price_per_hour={inputs.get('max_price_per_hour')}"
        yield Text(inputs["region"], "region=")
        yield from _NOT_READ_BACK
        if mounts := inputs.get("volumes"):
            yield Group("volumes=[", list(_mounts(mounts, variables)), "]")
        if keys := inputs.get("ssh_keys"):
            yield Group("ssh_keys=[", [Text(key) for key in keys], "]")
        if inputs.get("paused"):
            yield "paused=True"
        if "wait_for" in inputs:
            yield "# It has no running machines now, and without this `pulumi up` would wait for them."
            yield Text(inputs["wait_for"], "wait_for=")
        yield Text(inputs["adopt_task_id"], "adopt_task_id=")


def draft_cluster(task: Task, account: Account) -> Draft:
    """Return the inputs that adopt a task."""
    bid, fill_in, notes = task.bid, list[str](), list[str]()
    told = inputs_of_bid(bid, account)
    if told["max_price_per_hour"] is None:
        fill_in.append("max_price_per_hour")
        notes.append(f"{bid.id}: its price cannot be read: fill in max_price_per_hour, or the preview refuses it")
    mounts: list[dict[str, str]] = []
    for id_ in dict.fromkeys(bid.volumes or ()):
        if id_ not in account.live:
            notes.append(f"{bid.id}: its volume {cut(id_)} is none of the project any more, and is not mounted")
            continue
        path = task.mounts.get(id_)
        if path is None:
            fill_in.append(f"volumes[{len(mounts)}].mount_path")
            notes.append(
                f"{bid.id}: where {cut(id_)} is mounted cannot be read back: fill in its mount path, which the preview "
                "refuses until then"
            )
        mounts.append({"volume_id": id_, "mount_path": FILL_IN if path is None else path})
    waits = {"wait_for": "placed"} if task.status in _WITHOUT_MACHINES else {}
    inputs: dict[str, Any] = {
        **told,
        "volumes": mounts or None,
        **({"paused": True} if bid.status == "Paused" else waits),
        "adopt_task_id": bid.id,
    }
    known = {name: value for name, value in inputs.items() if value is not None}
    missing = missing_facts(bid)
    problem = f"the service does not say its {missing}" if missing else ""
    problem = _OF_A_JOB if task.is_of_job else problem
    return Draft(bid, known, tuple(fill_in), tuple(notes), problem)


def _is_of_job(op: Operation, bid: Bid) -> bool:
    """Whether a bid's start-up script is a job's. It is read only where the name carries a mark, as a job's does."""
    return take_apart(bid.name) is not None and op.cloud.placed_price(bid.id) is not None


def _mounts(mounts: Sequence[Mapping[str, str]], variables: Mapping[str, str]) -> Iterator[Item]:
    for mount in mounts:
        if mount["mount_path"] == FILL_IN:
            yield f"# FILL IN where {cut(mount['volume_id'], 40)} is mounted. The service does not say it."
        variable = variables.get(mount["volume_id"])
        yield Group("VolumeMount(", [variable or Text(mount["volume_id"]), Text(mount["mount_path"])], ")")


def _mount_in_yaml(mount: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, Any]:
    variable = variables.get(mount["volume_id"])
    return {**mount, "volume_id": Reference(f"{variable}.id") if variable else mount["volume_id"]}


CLUSTERS = ClusterKind()
