"""GpuCluster: a bid for GPU machines at auction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, Literal

import pulumi

from flow_resources import program
from flow_resources.arguments import carried_properties
from flow_resources.bid_policy import Bid, bid_arguments
from flow_resources.core.cluster_fields import FIELDS
from flow_resources.core.moments import minutes_since
from flow_resources.mounts import VolumeMount, VolumeMountDict, mount_props
from flow_resources.placement import Choose, Placement, PlacementDict, placement_props
from flow_resources.providers.cluster import GpuClusterProvider
from flow_resources.ssh_key import SshKey, key_ids

RunOn = Literal["every_boot", "first_boot"]
Restart = Literal["never", "on_failure", "always"]
WaitFor = Literal["placed", "allocated", "running"]
OnPreemption = Literal["keep", "raise_bid", "replace", "fail"]


@pulumi.output_type
class Instance(dict[str, Any]):
    """One machine of a cluster."""

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - the property's name
        status: str,
        public_ip: str | None = None,
        private_ip: str | None = None,
        ssh_port: int | None = None,
    ) -> None:
        pulumi.set(self, "id", id)
        pulumi.set(self, "status", status)
        pulumi.set(self, "public_ip", public_ip)
        pulumi.set(self, "private_ip", private_ip)
        pulumi.set(self, "ssh_port", ssh_port)

    @property
    @pulumi.getter
    def id(self) -> str:
        """The service's id, `inst_...`."""
        return pulumi.get(self, "id")  # type: ignore[no-any-return]

    @property
    @pulumi.getter
    def status(self) -> str:
        """The service's word in lower case: new, starting, running, paused, ..."""
        return pulumi.get(self, "status")  # type: ignore[no-any-return]

    @property
    @pulumi.getter(name="public_ip")
    def public_ip(self) -> str | None:
        """The address to reach it at; absent until it has one."""
        return pulumi.get(self, "public_ip")  # type: ignore[no-any-return]

    @property
    @pulumi.getter(name="private_ip")
    def private_ip(self) -> str | None:
        """Its address among the machines of the cluster."""
        return pulumi.get(self, "private_ip")  # type: ignore[no-any-return]

    @property
    @pulumi.getter(name="ssh_port")
    def ssh_port(self) -> int | None:
        """The port of its SSH server."""
        return pulumi.get(self, "ssh_port")  # type: ignore[no-any-return]


TYPE = "pulumi-python:dynamic/flow:GpuCluster"
"""The type of the class and of every subclass: it is part of the URN."""


class GpuCluster(pulumi.dynamic.Resource, module="flow", name="GpuCluster"):
    """Spot GPU machines: one bid on Mithril, one Flow task, `num_instances` machines, all of them or none.

    A preempted bid is not gone: it stays in the auction and comes back when its price wins again, and the command runs
    again. `pulumi destroy` ends it. Preemption and pause lose what is in memory, may lose `/mnt/local`, and keep the
    boot disks; a replacement loses these, too. Volumes keep their data.
    """

    task_name: pulumi.Output[str]
    """The name in the service; it carries this stack's mark."""
    project: pulumi.Output[str]
    """The id of the project that it runs in."""
    status: pulumi.Output[str]
    """pending, starting, running, preempting, preempted, paused, terminated, failed or unknown."""
    status_message: pulumi.Output[str]
    """A sentence, such as "2/4 machines running"."""
    region: pulumi.Output[str]
    """Where it runs."""
    max_price_per_hour: pulumi.Output[float]
    """The bid as the service holds it, in USD per instance-hour."""
    max_cost_per_hour: pulumi.Output[float]
    """Bid times machines: the most that it can cost, in USD per hour."""
    instances: pulumi.Output[Sequence[Instance]]
    """The machines that it has now."""
    public_ips: pulumi.Output[Sequence[str]]
    """The machines' public addresses."""
    private_ips: pulumi.Output[Sequence[str]]
    """The machines' addresses among themselves."""
    ssh_commands: pulumi.Output[Sequence[str]]
    """A line to type for each machine that can be reached."""
    volume_ids: pulumi.Output[Sequence[str]]
    """The volumes attached to it."""
    preemptions: pulumi.Output[int | None]
    """How often it was preempted, by the bid's history; absent where that cannot be read.

    It is read where the machines are others than the recorded ones, or are not all running: what a bid gets back after
    a preemption are other machines. (Where a service gives the same ones back, the count can be behind.)
    """
    last_preempted_at: pulumi.Output[str | None]
    """When it was preempted last (ISO 8601), by the bid's history; absent where it never was, or that is not told."""
    created_at: pulumi.Output[str]
    """When the bid was placed (ISO 8601)."""
    instance_type: pulumi.Output[str]
    num_instances: pulumi.Output[int]
    paused: pulumi.Output[bool]
    wait_for: pulumi.Output[WaitFor]

    @property
    def task_id(self) -> pulumi.Output[str]:
        """The Flow task's id, which is the bid's: `bid_...`. Known in a preview, too, where the cluster stays."""
        return program.id_as_output(self, "task_id")

    @property
    def preempted_for_minutes(self) -> pulumi.Output[int | None]:
        """For how many minutes it has waited since its preemption, as of this run of the program.

        None where it is not preempted, or since when is not known. It moves by itself, so it is in no state; a stack
        output that is made of it changes with each `up`.
        """
        return pulumi.Output.all(self.status, self.last_preempted_at).apply(_minutes_since_preemption)

    def __init__(
        self,
        name: str,
        *,
        instance_type: pulumi.Input[str] | None = None,
        max_price_per_hour: pulumi.Input[float | Decimal] | Bid | None = None,
        num_instances: pulumi.Input[int] = 1,
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
        wait_for: pulumi.Input[WaitFor] = "running",
        on_preemption: pulumi.Input[OnPreemption] = "keep",
        raise_up_to_per_hour: pulumi.Input[float | Decimal] | None = None,
        name_prefix: pulumi.Input[str] | None = None,
        adopt_task_id: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare a cluster.

        Args:
            name: The resource's name in the program.
            instance_type: The machines: "8xa100", "a100:8", a full name of the catalogue, or an id `it_...`.
            max_price_per_hour: The bid, in USD per instance-hour, whole cents. What is paid is the spot price, never
                more than this. Or a `Bid`, which decides the number once. It can be left out where each placement has
                one.
            num_instances: How many machines, 1 to 100, all of them or none.
            region: Where. Default: `flow:region`, else the Flow SDK's own setting, else the region of the volumes.
                Settled once: a default that changes later changes nothing.
            placements: Instead of `instance_type` and `region`: 1 to 20 `Placement`s to choose from. One that is on
                offer under its bid is chosen when the machines are placed, and kept as long as it is listed.
            choose: Of `placements`: the "first" on offer under its bid, or the "cheapest". Default: "first".
            max_wait_minutes: Of at least two `placements`: after so many minutes in the auction, 1 to 10,080, a bid
                moves on to the next one. `pulumi up --refresh` acts. Default: never.
            command: What the machines run: a shell line, or a list of arguments. It goes into a start-up script of at
                most 10,000 characters, compressed (the Flow SDK's limit), together with `env` and the mounts.
            image: A container image. Default: none, the command runs on the machine itself.
            env: Environment variables. Secret in the state, always.
            ports: TCP ports to open, 1024 to 65535.
            volumes: What to mount where; all volumes in the cluster's region.
            ssh_keys: `SshKey`s, or names or ids of platform keys: exactly these are put on the machines. Default: the
                Flow SDK's own key.
            run_on: "every_boot": the command runs once at every boot of a machine, so also when it comes back from a
                preemption. "first_boot": what the service does by itself, the machines come back without the command.
            restart: Whether the command runs again after it has ended, while the machine stays up: "never",
                "on_failure" or "always".
            preemption_signal: "SIGUSR1", for example: tells the command of a coming preemption, so that it can save
                its work. Default: no signal is sent.
            paused: Give the machines back but keep the bid.
            wait_for: When `up` is content: "running" (every machine runs and has an address), "allocated" (the bid
                has won) or "placed". The limit is `custom_timeouts`, else 30 minutes; the next `up` goes on.
            on_preemption: What happens to a preempted bid, which stays in the auction by itself. "keep": nothing.
                "raise_bid": it is raised. "replace": it ends, and a new bid takes its place. "fail": the next `up`
                stops. `pulumi up --refresh` acts, once for each preemption.
            raise_up_to_per_hour: Of "raise_bid": the highest bid, in USD per instance-hour, whole cents. The new bid is
                5 % above the market. It stays until `max_price_per_hour` or the policy changes in the program.
            name_prefix: What the task's name starts with. Default: `name`.
            adopt_task_id: Take over this running task at the first `up` instead of placing a bid. Nothing is
                restarted; what the service cannot give back (command, env, mount paths) is taken from the program.
            opts: Pulumi's resource options. A replacement deletes first unless `delete_before_replace=False`.

        """
        default = pulumi.ResourceOptions(delete_before_replace=True, additional_secret_outputs=["env"])
        options = program.guarded_options("GpuCluster", name, pulumi.ResourceOptions.merge(default, opts))
        arguments = {
            "instance_type": instance_type,
            **bid_arguments(max_price_per_hour),
            "num_instances": num_instances,
            "region": region,
            "placements": placement_props(placements),
            "choose": choose,
            "max_wait_minutes": max_wait_minutes,
            "command": command,
            "image": image,
            "env": env,
            "ports": ports,
            "volumes": mount_props(volumes),
            "ssh_keys": key_ids(ssh_keys),
            "run_on": run_on,
            "restart": restart,
            "preemption_signal": preemption_signal,
            "paused": paused,
            "wait_for": wait_for,
            "on_preemption": on_preemption,
            "raise_up_to_per_hour": raise_up_to_per_hour,
            "name_prefix": name_prefix,
            "adopt_task_id": adopt_task_id,
        }
        props = carried_properties(f"GpuCluster {name!r}", FIELDS, arguments)
        if env is not None:
            props["env"] = pulumi.Output.secret(props["env"])
        program.declare(self, TYPE, GpuClusterProvider, name, props, OUTPUTS, options)

    @staticmethod
    def get(name: str, id: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None) -> GpuCluster:  # noqa: A002 - Pulumi's word
        """Read a cluster that Pulumi does not own; `id` is the task's, `bid_...`."""
        cluster = GpuCluster.__new__(GpuCluster)
        options = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(id=id))
        program.declare(cluster, TYPE, GpuClusterProvider, name, {}, OUTPUTS, options)
        return cluster


COMPUTED = (
    "task_id",
    "task_name",
    "project",
    "status",
    "status_message",
    "max_cost_per_hour",
    "instances",
    "public_ips",
    "private_ips",
    "ssh_commands",
    "volume_ids",
    "preemptions",
    "last_preempted_at",
    "created_at",
)
"""The outputs that are no inputs."""
OUTPUTS = (*COMPUTED, "region", "max_price_per_hour", "instance_type", "num_instances", "paused", "wait_for")


def _minutes_since_preemption(known: Sequence[Any]) -> int | None:
    status, at = known
    return minutes_since(at, datetime.now(timezone.utc)) if status == "preempted" else None
