"""Job: a workload that ends by itself, and gives its machines back then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from os import PathLike
from typing import Any, Literal

import pulumi

from flow_resources import program
from flow_resources.arguments import carried_properties
from flow_resources.bid_policy import Bid, bid_arguments
from flow_resources.cluster import Instance
from flow_resources.core.job_fields import FIELDS
from flow_resources.mounts import VolumeMount, VolumeMountDict, mount_props
from flow_resources.placement import Choose, Placement, PlacementDict, placement_props
from flow_resources.providers.job import JobProvider
from flow_resources.scripts import script_text
from flow_resources.ssh_key import SshKey, key_ids

WaitForJob = Literal["placed", "allocated", "running", "ended"]
OnFailure = Literal["release", "keep"]

TYPE = "pulumi-python:dynamic/flow:Job"
"""The type of the class and of every subclass: it is part of the URN."""


class Job(pulumi.dynamic.Resource, module="flow", name="Job"):
    """A workload that ends by itself: one bid on Mithril, which its machines end when the work has ended.

    After a preemption the command runs again, at each boot until it has ended by itself: write it so that it goes on
    from where it was. With several machines the job ends when the command of the first one (`NODE_RANK` 0) ends.

    A job that has ended stays in the state as ended. It does not run again until an input that replaces it, or
    `triggers`, changes. How it ended, its machine tells by the bid's price: one cent under the price at which it was
    placed is success, two cents are failure. Who cancels it by hand leaves no such word: it has `ended`.

    Its machine needs an API key of the account to end the bid. Say `pulumi config set flow:allowJobKeys true`, and one
    is made for each job and revoked with its end; or give one of your own as `machine_api_key`.
    """

    task_name: pulumi.Output[str]
    """The name in the service; it carries this stack's mark."""
    project: pulumi.Output[str]
    """The id of the project that it runs in."""
    status: pulumi.Output[str]
    """pending, starting, running, preempted, paused, succeeded, failed, ended or unknown."""
    status_message: pulumi.Output[str]
    """A sentence, such as "1/1 machines running"."""
    exit_code: pulumi.Output[int | None]
    """0 for a job that succeeded, absent else: the service has no place for another one."""
    region: pulumi.Output[str]
    """Where it runs."""
    max_price_per_hour: pulumi.Output[float]
    """The bid, in USD per instance-hour."""
    max_cost_per_hour: pulumi.Output[float]
    """Bid times machines: the most that it can cost, in USD per hour, while it runs."""
    instances: pulumi.Output[Sequence[Instance]]
    """The machines that it has now."""
    public_ips: pulumi.Output[Sequence[str]]
    """The machines' public addresses."""
    ssh_commands: pulumi.Output[Sequence[str]]
    """A line to type for each machine that can be reached."""
    volume_ids: pulumi.Output[Sequence[str]]
    """The volumes attached to it."""
    preemptions: pulumi.Output[int | None]
    """How often it was preempted, by the bid's history; absent where that cannot be read."""
    created_at: pulumi.Output[str]
    """When the bid was placed (ISO 8601)."""
    started_at: pulumi.Output[str | None]
    """When it first had machines, by the bid's history; absent before, and where that cannot be read."""
    ended_at: pulumi.Output[str | None]
    """When it ended, by the bid's history; absent before, and where that cannot be read."""
    instance_type: pulumi.Output[str]
    num_instances: pulumi.Output[int]
    wait_for: pulumi.Output[WaitForJob]

    @property
    def task_id(self) -> pulumi.Output[str]:
        """The Flow task's id, which is the bid's: `bid_...`. Known in a preview, too, where the job stays."""
        return program.id_as_output(self, "task_id")

    def __init__(
        self,
        name: str,
        *,
        instance_type: pulumi.Input[str] | None = None,
        max_price_per_hour: pulumi.Input[float | Decimal] | Bid | None = None,
        command: pulumi.Input[str] | pulumi.Input[Sequence[pulumi.Input[str]]] | None = None,
        script: pulumi.Input[str | PathLike[str]] | None = None,
        args: pulumi.Input[Sequence[pulumi.Input[str]]] | None = None,
        num_instances: pulumi.Input[int] = 1,
        region: pulumi.Input[str] | None = None,
        placements: pulumi.Input[Sequence[pulumi.Input[Placement | PlacementDict]]] | None = None,
        choose: pulumi.Input[Choose] | None = None,
        image: pulumi.Input[str] | None = None,
        env: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
        volumes: pulumi.Input[Sequence[pulumi.Input[VolumeMount | VolumeMountDict]]] | None = None,
        ssh_keys: pulumi.Input[Sequence[pulumi.Input[str] | SshKey]] | None = None,
        max_run_time_hours: pulumi.Input[float] | None = None,
        on_failure: pulumi.Input[OnFailure] = "release",
        wait_for: pulumi.Input[WaitForJob] = "placed",
        triggers: pulumi.Input[Mapping[str, Any]] | pulumi.Input[Sequence[Any]] | None = None,
        name_prefix: pulumi.Input[str] | None = None,
        preemption_signal: pulumi.Input[str] | None = None,
        machine_api_key: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare a job.

        Args:
            name: The resource's name in the program.
            instance_type: The machines: "8xa100", "a100:8", a full name of the catalogue, or an id `it_...`.
            max_price_per_hour: The bid, in USD per instance-hour, whole cents. What is paid is the spot price, never
                more than this. Or a `Bid`, which decides the number once. A new price runs nothing again.
            command: What the machines run: a shell line, or a list of arguments. Either this or `script`.
            script: The path of a local file, relative to the program's folder, which the machines run instead: its
                text travels with the bid. Its `#!` line says by what; without one `.py` and `.sh` are known. For one
                that is too large, put it on a volume or into an image, and call it with `command`.
            args: The arguments of `script`.
            num_instances: How many machines, 1 to 100, all of them or none.
            region: Where. Default: `flow:region`, else the Flow SDK's own setting, else the region of the volumes.
            placements: Instead of `instance_type` and `region`: 1 to 20 `Placement`s to choose from. One that is on
                offer under its bid is chosen when the machines are placed, and kept as long as it is listed.
            choose: Of `placements`: the "first" on offer under its bid, or the "cheapest". Default: "first".
            image: A container image. Default: none, the command runs on the machine itself.
            env: Environment variables. Secret in the state, always.
            volumes: What to mount where; all volumes in the job's region.
            ssh_keys: `SshKey`s, or names or ids of platform keys: exactly these are put on the machines. Default: the
                Flow SDK's own key.
            max_run_time_hours: The time limit, more than 0 and at most 168, since the first start; the time that it
                waits in the auction counts. What has not ended by then is stopped, and has failed. Default: none.
            on_failure: "release": the bid of a failed job ends. "keep": it is paused, so that nothing is billed and
                the machines' disks can be looked at.
            wait_for: When `up` is content: "placed", "allocated" (the bid has won), "running" (every machine runs and
                has an address) or "ended"; an `up` that waits for the end fails once where the job failed. The limit
                is `custom_timeouts`, else 30 minutes; the next `up` goes on. Ctrl-C waits for it, too.
            triggers: Any values, none of them secret: a change runs the job again.
            name_prefix: What the task's name starts with. Default: `name`.
            preemption_signal: "SIGUSR1", for example: the signal by which a notice of preemption reaches the command.
            machine_api_key: An API key with which the machine ends the bid, instead of one that is made for the job.
                Secret in the state, always; never revoked.
            opts: Pulumi's resource options. A replacement deletes first unless `delete_before_replace=False`.

        """
        default = pulumi.ResourceOptions(delete_before_replace=True, additional_secret_outputs=list(_SECRET))
        options = program.guarded_options("Job", name, pulumi.ResourceOptions.merge(default, opts))
        arguments = {
            "instance_type": instance_type,
            **bid_arguments(max_price_per_hour),
            "command": command,
            "script": script_text(script),
            "args": args,
            "num_instances": num_instances,
            "region": region,
            "placements": placement_props(placements),
            "choose": choose,
            "image": image,
            "env": env,
            "volumes": mount_props(volumes),
            "ssh_keys": key_ids(ssh_keys),
            "max_run_time_hours": max_run_time_hours,
            "on_failure": on_failure,
            "wait_for": wait_for,
            "triggers": triggers,
            "name_prefix": name_prefix,
            "preemption_signal": preemption_signal,
            "machine_api_key": machine_api_key,
        }
        props = carried_properties(f"Job {name!r}", FIELDS, arguments)
        for secret in _SECRET:
            if arguments[secret] is not None:
                props[secret] = pulumi.Output.secret(props[secret])
        program.declare(self, TYPE, JobProvider, name, props, OUTPUTS, options)

    @staticmethod
    def get(name: str, id: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None) -> Job:  # noqa: A002 - Pulumi's word
        """Read a job that Pulumi does not own, also one that has ended; `id` is the task's, `bid_...`."""
        job = Job.__new__(Job)
        options = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(id=id))
        program.declare(job, TYPE, JobProvider, name, {}, OUTPUTS, options)
        return job


_SECRET = ("env", "machine_api_key")
COMPUTED = (
    "task_id",
    "task_name",
    "project",
    "status",
    "status_message",
    "exit_code",
    "max_cost_per_hour",
    "instances",
    "public_ips",
    "ssh_commands",
    "volume_ids",
    "preemptions",
    "created_at",
    "started_at",
    "ended_at",
)
"""The outputs that are no inputs."""
OUTPUTS = (*COMPUTED, "region", "max_price_per_hour", "instance_type", "num_instances", "wait_for")
