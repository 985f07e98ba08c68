"""The program that adopts what runs: live bids and volumes in, the text of a program out, with what it cannot say.

The text adopts and no more: what it says of a thing is what the service says of it, so that the `up` finds nothing to
set. What the service does not say is either left to the person (a comment, where any value will do for now) or written
as something that a preview refuses (`FILL_IN`, where a guess would be taken for the truth).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from flow_resources.cli.program_text import Group, Item, Names, Text, cut, statement
from flow_resources.core import cluster_fields, money, naming, volume_fields
from flow_resources.core.inputs import Checked
from flow_resources.core.market import named
from flow_resources.core.models import Bid, InstanceType, StoredVolume
from flow_resources.core.placement_fields import instance_type

FILL_IN = "FILL IN"
"""Stands for a mount path that nobody knows: no path, so that the preview refuses it."""
_HEAD = (
    "# The service does not give back what a cluster was started with: command, image, ports and env.",
    "# Fill in the comments before the first `pulumi up`: later, a change of one of these replaces the cluster.",
)
_NOT_READ_BACK = (
    '# command="...", image="...", ports=[...],',
    '# env={"NAME": pulumi.Config().require_secret("NAME")},  # needs `import pulumi`',
)
_WITHOUT_MACHINES = {"pending", "preempted", "preempting", "failed", "unknown"}


@dataclass(frozen=True)
class Task:
    """A live bid, and what else was read of it."""

    bid: Bid
    status: str
    """In the words of `GpuCluster.status`."""
    mounts: Mapping[str, str] = field(default_factory=dict)
    """The mount paths that are known, by volume id."""


@dataclass(frozen=True)
class Account:
    """What the inputs of a program are written with: the catalogue, the keys, the volumes that are there."""

    types: Sequence[InstanceType] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    """What the project's platform keys are called in a program, by id."""
    volumes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class LeftOut:
    """Something live that the program does not adopt, and why."""

    id: str
    name: str
    why: str


@dataclass(frozen=True)
class Resource:
    """A resource of the program."""

    kind: str
    id: str
    name: str
    """In the service."""
    logical_name: str
    variable: str
    inputs: Mapping[str, Any]
    fill_in: tuple[str, ...] = ()
    """The paths of the inputs that the person has to write."""


@dataclass(frozen=True)
class Adoption:
    """The program, and what is to be said beside it."""

    resources: tuple[Resource, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        """Return the text; empty where there is nothing to adopt."""
        if not self.resources:
            return ""
        mounted = any(one.inputs.get("volumes") for one in self.resources)
        used = sorted({one.kind for one in self.resources} | ({"VolumeMount"} if mounted else set()))
        lines = [f"from flow_resources import {', '.join(used)}", ""]
        lines += [*_HEAD, ""] if "GpuCluster" in used else []
        variables = {one.id: one.variable for one in self.resources}
        for one in self.resources:
            if one.name != one.logical_name:
                lines.append(f'# In the service: "{cut(one.name)}"')
            lines += [*statement(one.variable, _call(one, variables)), ""]
        return "\n".join(lines[:-1]) + "\n"


def adoption(
    tasks: Sequence[Task], volumes: Sequence[StoredVolume], account: Account, left_out: Sequence[LeftOut] = ()
) -> Adoption:
    """Write volumes, then clusters, each oldest first; leave out what no program can say."""
    names, out, notes = Names(), list(left_out), list[str]()
    resources: list[Resource] = []
    for volume in sorted(volumes, key=lambda one: (one.created_at, one.id)):
        found = volume_fields.check_volume(inputs := _volume(volume))
        if why := _refused(found, ()):
            out.append(LeftOut(volume.id, volume.name, why))
        else:
            resources.append(Resource("Volume", volume.id, volume.name, *_named(names, volume, "volume"), inputs))
    for task in sorted(tasks, key=lambda one: (one.bid.created_at, one.bid.id)):
        inputs, fill_in, said = _cluster(task, account)
        bid = task.bid
        if why := _refused(cluster_fields.check_cluster(inputs), fill_in) or _nowhere(bid):
            out.append(LeftOut(bid.id, bid.name, why))
            continue
        resources.append(Resource("GpuCluster", bid.id, bid.name, *_named(names, bid, "cluster"), inputs, fill_in))
        notes += said
    if any(one.kind == "GpuCluster" for one in resources):
        notes.append(
            "command, image, ports and env cannot be read back and stand in comments: fill them in before the first "
            "`pulumi up`, because a later change of them replaces the cluster"
        )
    notes += [
        f"{one.id}: its name carries a mark of this package: see to it that no other stack has it"
        for one in resources
        if naming.take_apart(one.name)
    ]
    return Adoption(tuple(resources), tuple(out), tuple(notes))


# -- what the service says, as inputs ----------------------------------------------------------------------------------


def _volume(volume: StoredVolume) -> dict[str, Any]:
    return {
        "size_gb": volume.size_gb,
        "interface": volume.interface,
        "region": volume.region,
        "adopt_volume_id": volume.id,
    }


def _cluster(task: Task, account: Account) -> tuple[dict[str, Any], tuple[str, ...], list[str]]:
    """Return the inputs of a cluster, the paths that are to be filled in, and what is to be said of it."""
    bid, fill_in, notes = task.bid, list[str](), list[str]()
    price = _price(bid.price)
    if price is None:
        fill_in.append("max_price_per_hour")
        notes.append(f"{bid.id}: its price cannot be read: fill in max_price_per_hour, or the preview refuses it")
    mounts: list[dict[str, str]] = []
    for id_ in dict.fromkeys(bid.volumes):
        if id_ not in account.volumes:
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
    keys = [account.keys[one] for one in dict.fromkeys(bid.ssh_keys) if one in account.keys]
    waits = {"wait_for": "placed"} if task.status in _WITHOUT_MACHINES else {}
    inputs: dict[str, Any] = {
        "instance_type": spelling(bid.instance_type, account.types),
        "num_instances": bid.quantity,
        "max_price_per_hour": price,
        "region": bid.region,
        "volumes": mounts or None,
        "ssh_keys": keys or None,
        **({"paused": True} if bid.status == "Paused" else waits),
        "adopt_task_id": bid.id,
    }
    return {name: value for name, value in inputs.items() if value is not None}, tuple(fill_in), notes


def spelling(id_: str, types: Sequence[InstanceType]) -> str:
    """Return how a program says a type: `8xa100` where that means no other, else the whole name, else the id."""
    kind = next((one for one in types if one.id == id_), None)
    for word in (kind.spelling, kind.name.lower()) if kind else ():
        try:
            alike = named(instance_type(word), types)
        except ValueError:
            continue
        if kind in alike and len({one.name for one in alike}) == 1:
            return word
    return id_


def _price(price: Decimal | None) -> float | None:
    try:
        return None if price is None else float(money.price(price))
    except ValueError:
        return None


def _refused(found: Checked, fill_in: Sequence[str]) -> str:
    """Say why a check would refuse the inputs, but for what is to be filled in; empty where it would not."""
    return "; ".join(one.text for one in found.failures if one.path not in fill_in)


def _nowhere(bid: Bid) -> str:
    return "" if bid.region else "the service does not say its region"


def _named(names: Names, thing: Bid | StoredVolume, kind: str) -> tuple[str, str]:
    return names.give(naming.prefix_of(thing.name), kind)


# -- as text -----------------------------------------------------------------------------------------------------------


def _call(one: Resource, variables: Mapping[str, str]) -> Group:
    items = _volume_items(one) if one.kind == "Volume" else _cluster_items(one, variables)
    return Group(f"{one.kind}(", [Text(one.logical_name), *items], ")")


def _volume_items(one: Resource) -> Iterator[Item]:
    yield f"size_gb={one.inputs['size_gb']}"
    if one.inputs["interface"] != "file":
        yield Text(one.inputs["interface"], "interface=")
    yield Text(one.inputs["region"], "region=")
    yield Text(one.id, "adopt_volume_id=")


def _cluster_items(one: Resource, variables: Mapping[str, str]) -> Iterator[Item]:
    inputs = one.inputs
    yield Text(inputs["instance_type"], "instance_type=")
    yield f"num_instances={inputs['num_instances']}"
    if "max_price_per_hour" in one.fill_in:
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
    yield Text(one.id, "adopt_task_id=")


def _mounts(mounts: Sequence[Mapping[str, str]], variables: Mapping[str, str]) -> Iterator[Item]:
    for mount in mounts:
        if mount["mount_path"] == FILL_IN:
            yield f"# FILL IN where {cut(mount['volume_id'], 40)} is mounted. The service does not say it."
        variable = variables.get(mount["volume_id"])
        yield Group("VolumeMount(", [variable or Text(mount["volume_id"]), Text(mount["mount_path"])], ")")
