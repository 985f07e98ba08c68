"""ResilientCluster: a fleet of one-machine clusters, of which some may be lost without touching the others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Literal, TypedDict

import pulumi

from flow_resources import program
from flow_resources.arguments import carried_properties, is_list
from flow_resources.bid_policy import Bid
from flow_resources.cluster import GpuCluster, OnPreemption, Restart, RunOn
from flow_resources.core.fleet_fields import FIELDS, MAX_MEMBERS, RECORDED_VOLUMES, member_indices, write_ids
from flow_resources.core.hidden import DELETED_WITH_REFUSED
from flow_resources.core.inputs import show
from flow_resources.mounts import VolumeMount, VolumeMountDict
from flow_resources.placement import Choose, Placement, PlacementDict, placement_props
from flow_resources.providers.fleet_status import FleetStatusProvider
from flow_resources.ssh_key import SshKey
from flow_resources.volume import TYPE as TYPE_OF_VOLUME
from flow_resources.volume import Interface, Volume

MemberStatus = Literal["waiting", "starting", "running", "preempting", "paused", "failed", "unknown"]

TYPE = "flow:index:ResilientCluster"
"""The type of the class and of every subclass: it is part of the URN."""
STATUS_TYPE = "pulumi-python:dynamic/flow:FleetStatus"
COMPUTED = ("members", "running", "public_ips", "project")
"""The outputs of FleetStatus that are no inputs."""
OUTPUTS = (*COMPUTED, "task_ids", "min_running", "paused")
_READ_A_NUMBER = "pass a number: `config.require_int` reads one from the stack's configuration"


@pulumi.output_type
class FleetMember(dict[str, Any]):
    """One member of a ResilientCluster."""

    def __init__(
        self,
        *,
        index: int,
        task_id: str,
        status: MemberStatus,
        public_ip: str | None = None,
        private_ip: str | None = None,
        ssh_port: int | None = None,
    ) -> None:
        pulumi.set(self, "index", index)
        pulumi.set(self, "task_id", task_id)
        pulumi.set(self, "status", status)
        pulumi.set(self, "public_ip", public_ip)
        pulumi.set(self, "private_ip", private_ip)
        pulumi.set(self, "ssh_port", ssh_port)

    @property
    @pulumi.getter
    def index(self) -> int:
        """Its index: the cluster is `NAME-INDEX`."""
        return pulumi.get(self, "index")  # type: ignore[no-any-return]

    @property
    @pulumi.getter(name="task_id")
    def task_id(self) -> str:
        """The Flow task's id, `bid_...`."""
        return pulumi.get(self, "task_id")  # type: ignore[no-any-return]

    @property
    @pulumi.getter
    def status(self) -> MemberStatus:
        """waiting, starting, running, preempting, paused, failed or unknown; waiting also after a preemption."""
        return pulumi.get(self, "status")  # type: ignore[no-any-return]

    @property
    @pulumi.getter(name="public_ip")
    def public_ip(self) -> str | None:
        """The address to reach its machine at; absent until it has one."""
        return pulumi.get(self, "public_ip")  # type: ignore[no-any-return]

    @property
    @pulumi.getter(name="private_ip")
    def private_ip(self) -> str | None:
        """The machine's address among the machines of the project."""
        return pulumi.get(self, "private_ip")  # type: ignore[no-any-return]

    @property
    @pulumi.getter(name="ssh_port")
    def ssh_port(self) -> int | None:
        """The port of its SSH server."""
        return pulumi.get(self, "ssh_port")  # type: ignore[no-any-return]


class MemberVolume:
    """A volume of its own for each member of a ResilientCluster."""

    def __init__(
        self,
        size_gb: pulumi.Input[int],
        mount_path: pulumi.Input[str | PurePath],
        interface: pulumi.Input[Interface] = "file",
    ) -> None:
        """Describe the volume that each member gets.

        Args:
            size_gb: Its size in GB, 1 to 16,384.
            mount_path: Where the member mounts it: under /volumes, /mnt, /data, /dataN, /opt or /var.
            interface: "file" (default) or "block".

        """
        self.size_gb, self.mount_path, self.interface = size_gb, mount_path, interface


class _RequiredOfMemberVolume(TypedDict):
    size_gb: pulumi.Input[int]
    mount_path: pulumi.Input[str | PurePath]


class MemberVolumeDict(_RequiredOfMemberVolume, total=False):
    """A volume of its own for each member, as a plain mapping."""

    interface: pulumi.Input[Interface]


class FleetStatus(pulumi.dynamic.Resource, module="flow", name="FleetStatus"):
    """What the members of a ResilientCluster do; a child of it, which rents nothing and waits for `min_running`."""

    members: pulumi.Output[Sequence[FleetMember]]
    """The members in the order of their indices."""
    running: pulumi.Output[int]
    """How many of them run."""
    public_ips: pulumi.Output[Sequence[str]]
    """The addresses of those that run."""
    project: pulumi.Output[str]
    """The id of the project that they run in."""
    task_ids: pulumi.Output[Mapping[str, str]]
    min_running: pulumi.Output[int]
    paused: pulumi.Output[bool]

    def __init__(self, name: str, inputs: Mapping[str, Any], opts: pulumi.ResourceOptions) -> None:
        """Declare it; a ResilientCluster does."""
        options = program.guarded_options("FleetStatus", name, opts)
        props = carried_properties(f"FleetStatus {name!r}", FIELDS, inputs)
        program.declare(self, STATUS_TYPE, FleetStatusProvider, name, props, OUTPUTS, options)


class ResilientCluster(pulumi.ComponentResource):
    """A fleet of machines, each a `GpuCluster` of one machine with a bid of its own: losing one touches no other.

    The members are `NAME-0`, `NAME-1`, ...: the first `size` indices that are not in `skip`. They follow from the
    program alone. A smaller `size` ends the members of the highest indices; `skip` names others that go. All members
    are placed before any is waited for, and `pulumi up` is content when `min_running` of them run.
    """

    clusters: Sequence[GpuCluster]
    """The members, in the order of their indices."""
    volumes: Sequence[Volume]
    """Their own volumes, in the same order; empty without `volume_per_member`."""
    members: pulumi.Output[Sequence[FleetMember]]
    """What each member does: its index, task, status and addresses."""
    task_ids: pulumi.Output[Sequence[str]]
    """The ids of the members' tasks."""
    running: pulumi.Output[int]
    """How many members run."""
    public_ips: pulumi.Output[Sequence[str]]
    """The addresses of those that run."""
    size: pulumi.Output[int]
    """How many members there are."""

    def __init__(
        self,
        name: str,
        *,
        size: int,
        instance_type: pulumi.Input[str] | None = None,
        max_price_per_hour: pulumi.Input[float | Decimal] | Bid | None = None,
        min_running: int | None = None,
        skip: Sequence[int] | None = None,
        volume_per_member: MemberVolume | MemberVolumeDict | None = None,
        allow_data_loss: pulumi.Input[bool] = False,
        region: pulumi.Input[str] | None = None,
        placements: pulumi.Input[Sequence[pulumi.Input[Placement | PlacementDict]]] | None = None,
        choose: pulumi.Input[Choose] | None = None,
        max_wait_minutes: pulumi.Input[int] | None = None,
        command: pulumi.Input[str] | pulumi.Input[Sequence[pulumi.Input[str]]] = "sleep infinity",
        image: pulumi.Input[str] | None = None,
        env: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
        ports: pulumi.Input[Sequence[pulumi.Input[int]]] | None = None,
        volumes: pulumi.Input[Sequence[pulumi.Input[VolumeMount | VolumeMountDict]]] | None = None,
        ssh_keys: pulumi.Input[Sequence[pulumi.Input[str] | SshKey]] | None = None,
        run_on: pulumi.Input[RunOn] = "every_boot",
        restart: pulumi.Input[Restart] = "never",
        preemption_signal: pulumi.Input[str] | None = None,
        paused: pulumi.Input[bool] = False,
        on_preemption: pulumi.Input[OnPreemption] = "keep",
        raise_up_to_per_hour: pulumi.Input[float | Decimal] | None = None,
        name_prefix: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare a fleet.

        Args:
            name: The fleet's name in the program; a member's is `NAME-INDEX`.
            size: How many members, 1 to 1,000. It changes in place: a larger one places more, a smaller one ends those
                of the highest indices.
            instance_type: As of `GpuCluster`, of each member. So are all that follow and are not described here.
            max_price_per_hour: The bid of each member, in USD per hour. A `Bid` gives one number to all members that
                one `up` places; one that is placed later gets its own.
            min_running: How many members must run before `up` is content, 0 to `size`. Default: all of them. The limit
                is `custom_timeouts` of the fleet, else 30 minutes; the next `up` goes on.
            skip: Indices that no member has, so that a program chooses which members go. Default: none.
            volume_per_member: A volume of its own for each member, `NAME-INDEX-data`, in `region`. A program that no
                longer declares one is refused at preview unless `allow_data_loss=True`.
            allow_data_loss: Allow that members' own volumes are deleted with them, or replaced.
            region: Where all members run. Needed with `volume_per_member`, unless a default says it; beside
                `placements` it says where those volumes are, to which the members go.
            placements: Instead of `instance_type` and `region`: 1 to 20 `Placement`s, of which each member chooses.
            choose: Of `placements`: the "first" on offer under its bid, or the "cheapest". Default: "first".
            max_wait_minutes: After so many minutes in the auction, 1 to 10,080, a member moves on to the next
                placement. `pulumi up --refresh` acts, and `flow-resources watch --heal`. Default: never.
            command: What each machine runs.
            image: A container image. Default: none.
            env: Environment variables. Secret in the state, always.
            ports: TCP ports to open.
            volumes: What every member mounts: file volumes, because a block volume attaches to one machine.
            ssh_keys: `SshKey`s, or names or ids of platform keys. Default: the Flow SDK's own key.
            run_on: "every_boot" or "first_boot".
            restart: "never", "on_failure" or "always".
            preemption_signal: "SIGUSR1", for example. Default: no signal is sent.
            paused: Give all machines back but keep the bids. None is waited for then.
            on_preemption: What becomes of a preempted member: "keep", "raise_bid", "replace" or "fail".
            raise_up_to_per_hour: How far "raise_bid" may raise the bid of a member, in USD per hour.
            name_prefix: What the tasks' names start with. Default: the member's name.
            opts: Pulumi's resource options. `custom_timeouts`, `depends_on`, `ignore_changes` and
                `delete_before_replace` reach the members, too.

        """
        own_volume = _as_member_volume(volume_per_member)
        _require(name, _problems(size, min_running, skip, volume_per_member, own_volume))
        options = opts or pulumi.ResourceOptions()
        if options.deleted_with is not None:
            raise pulumi.RunError(f"ResilientCluster {name!r}: {DELETED_WITH_REFUSED}")
        super().__init__(TYPE, name, None, options)
        arguments: dict[str, Any] = {
            "instance_type": instance_type,
            "max_price_per_hour": max_price_per_hour,
            "region": None if placements is not None and own_volume else region,
            "placements": placement_props(placements),
            "choose": choose,
            "max_wait_minutes": max_wait_minutes,
            "command": command,
            "image": image,
            "env": env,
            "ports": ports,
            "ssh_keys": ssh_keys,
            "run_on": run_on,
            "restart": restart,
            "preemption_signal": preemption_signal,
            "paused": paused,
            "on_preemption": on_preemption,
            "raise_up_to_per_hour": raise_up_to_per_hour,
            "name_prefix": name_prefix,
        }
        waiting = pulumi.ResourceOptions(parent=self, custom_timeouts=options.custom_timeouts)
        child = pulumi.ResourceOptions.merge(waiting, pulumi.ResourceOptions(depends_on=options.depends_on))
        member = pulumi.ResourceOptions.merge(
            child,
            pulumi.ResourceOptions(
                ignore_changes=options.ignore_changes, delete_before_replace=options.delete_before_replace
            ),
        )
        by_index: dict[int, GpuCluster] = {}
        volume_by_index: dict[int, Volume] = {}
        for index in member_indices(size, skip or ()):
            mounts = volumes
            if own_volume:
                volume_by_index[index] = Volume(
                    f"{name}-{index}-data",
                    size_gb=own_volume.size_gb,
                    interface=own_volume.interface,
                    region=region,
                    allow_replace=allow_data_loss,
                    opts=child,
                )
                mounts = _with_mount(volumes, VolumeMount(volume_by_index[index], own_volume.mount_path))
            by_index[index] = GpuCluster(
                f"{name}-{index}", num_instances=1, wait_for="placed", volumes=mounts, opts=member, **arguments
            )
        self.clusters, self.volumes = list(by_index.values()), list(volume_by_index.values())
        status = FleetStatus(
            f"{name}-status",
            {
                "task_ids": {str(index): cluster.task_id for index, cluster in by_index.items()},
                "min_running": size if min_running is None else min_running,
                "paused": paused,
                "volume_ids": {str(index): volume.volume_id for index, volume in volume_by_index.items()} or None,
                "allow_data_loss": allow_data_loss,
                RECORDED_VOLUMES: program.recorded_siblings(
                    STATUS_TYPE, f"{name}-status", waiting, TYPE_OF_VOLUME, volume_names(name)
                ).apply(write_ids),
            },
            waiting,
        )
        self.members, self.running, self.public_ips = status.members, status.running, status.public_ips
        self.task_ids = pulumi.Output.all(*(cluster.task_id for cluster in self.clusters))
        self.size = pulumi.Output.from_input(size)
        self.register_outputs(
            {one: getattr(self, one) for one in ("task_ids", "public_ips", "running", "size", "members")}
        )


def volume_names(fleet: str) -> re.Pattern[str]:
    """Return what the volume of a member is called; the first group is its index."""
    return re.compile(rf"{re.escape(fleet)}-(\d+)-data")


def _with_mount(volumes: Any, mount: VolumeMount) -> Any:
    """Return the shared mounts and a member's own. What is neither known nor a list is passed on to check."""
    if volumes is None:
        return [mount]
    if isinstance(volumes, pulumi.Output):
        return volumes.apply(lambda known: _with_mount(known, mount))
    return [*volumes, mount] if is_list(volumes) else volumes


def _as_member_volume(value: Any) -> MemberVolume | None:
    if isinstance(value, Mapping) and {"size_gb", "mount_path"} <= value.keys() <= {
        "size_gb",
        "mount_path",
        "interface",
    }:
        return MemberVolume(**value)
    return value if isinstance(value, MemberVolume) else None


def _require(name: str, problems: Sequence[str]) -> None:
    if problems:
        raise pulumi.RunError(f"ResilientCluster {name!r}: {'; '.join(problems)}")


def _problems(size: Any, min_running: Any, skip: Any, volume: Any, own_volume: MemberVolume | None) -> list[str]:
    """Return what is wrong with the arguments that say which members there are: the program decides these alone."""
    problems = []
    if not _is_whole(size, 1, MAX_MEMBERS):
        problems.append(
            f"size must be a whole number from 1 to {MAX_MEMBERS:,}, got {show(size)}: "
            + (_READ_A_NUMBER if isinstance(size, str) else "remove the fleet to end it, or set paused=True")
        )
    elif min_running is not None and not _is_whole(min_running, 0, size):
        problems.append(
            f"min_running must be a whole number from 0 to size, which is {size}, got {show(min_running)}: "
            "it is how many members `pulumi up` waits for"
        )
    indices = [] if skip is None else skip
    if not is_list(indices) or not all(_is_whole(index, 0, None) for index in indices):
        problems.append(f"skip must be a list of indices from 0 on, got {show(skip)}: write skip=[1, 3], for example")
    elif len(set(indices)) < len(indices):
        problems.append(f"skip has an index twice, got {show(skip)}: write each one once")
    if volume is not None and own_volume is None:
        problems.append(
            f"volume_per_member must be a MemberVolume, got {show(volume)}: "
            "write MemberVolume(size_gb=100, mount_path='/data')"
        )
    return problems


def _is_whole(value: Any, low: int, high: int | None) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value and (high is None or value <= high)
