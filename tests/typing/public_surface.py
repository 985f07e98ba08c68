"""The public surface as two type checkers see it: never run, only read by mypy and pyright (`make check`).

What is promised is written here as users write it. Where a line must be refused, both checkers have to ignore something
there; they report an ignore that they do not need, so that a line which is accepted one day is noticed, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pulumi
from typing_extensions import assert_type

import flow_resources
from flow_resources import (
    Bid,
    ClusterReference,
    CostsResult,
    FleetMember,
    FlowResourcesError,
    GpuCluster,
    Instance,
    InstanceTypeInfo,
    Job,
    MarketResult,
    MemberVolume,
    Placement,
    Provider,
    ResilientCluster,
    SshKey,
    Volume,
    VolumeMount,
    VolumeMountDict,
    VolumeReference,
    export_cluster,
    export_volume,
    get_costs,
    get_costs_output,
    get_instance_types,
    get_instance_types_output,
    get_market,
    get_market_output,
    get_regions,
    get_regions_output,
)
from flow_resources.testing import MANUAL, Clock, FakeMithril, FlowMocks, mock_mithril

# --- what may be given ------------------------------------------------------------------------------------------------


def plain_values(options: pulumi.ResourceOptions) -> None:
    """Everything at once, as it is written in most programs."""
    data = Volume(
        "data",
        size_gb=1000,
        interface="block",
        region="us-central5-a",
        volume_name="data",
        adopt_volume_id="vol_1",
        allow_replace=True,
        opts=options,
    )
    key = SshKey("me", public_key_file=PurePosixPath("~/.ssh/id_ed25519.pub"), key_name="laptop", opts=options)
    SshKey("you", public_key="ssh-ed25519 AAAA")
    GpuCluster(
        "trainer",
        instance_type="8xa100",
        max_price_per_hour=50.0,
        num_instances=4,
        region="us-central5-a",
        command=["python", "train.py"],
        image="nvcr.io/nvidia/pytorch:25.01-py3",
        env={"WANDB_MODE": "offline"},
        ports=[8080],
        volumes=[VolumeMount(data, "/data"), {"volume_id": "vol_2", "mount_path": "/mnt/models"}],
        ssh_keys=[key, "laptop", key.ssh_key_id],
        run_on="every_boot",
        restart="on_failure",
        preemption_signal="SIGUSR1",
        paused=False,
        wait_for="allocated",
        on_preemption="raise_bid",
        raise_up_to_per_hour=Decimal("60.00"),
        name_prefix="trainer",
        adopt_task_id="bid_1",
        opts=options,
    )
    Job(
        "training",
        script=PurePosixPath("train.py"),
        args=["--epochs", "3"],
        instance_type="8xa100",
        max_price_per_hour=12.5,
        num_instances=2,
        region="us-central5-a",
        image="python:3.12",
        env={"WANDB_MODE": "offline"},
        volumes=[VolumeMount(data, "/data"), {"volume_id": "vol_2", "mount_path": "/mnt/models"}],
        ssh_keys=(key, "laptop"),
        max_run_time_hours=0.5,
        on_failure="keep",
        wait_for="ended",
        triggers={"dataset": 3, "names": ["a", None], "deep": {"a": [1.5, True]}},
        name_prefix="training",
        preemption_signal="SIGTERM",
        machine_api_key="fkey_mine",
        opts=options,
    )
    Job("line", command="python train.py", instance_type="8xa100", max_price_per_hour=1, triggers=["v2", 3])
    Job("list", command=["python", "train.py"], instance_type="8xa100", max_price_per_hour=Decimal("1.50"))
    ResilientCluster(
        "fleet",
        size=5,
        min_running=3,
        skip=[1, 3],
        instance_type="8xa100",
        max_price_per_hour=Decimal("16.00"),
        volume_per_member=MemberVolume(100, PurePosixPath("/data")),
        allow_data_loss=True,
        region="us-central5-a",
        volumes=[VolumeMount(data, "/mnt/shared")],
        on_preemption="raise_bid",
        raise_up_to_per_hour=20,
        opts=options,
    )
    GpuCluster("per-gpu", instance_type="8xa100", max_price_per_hour=Bid.per_gpu(Decimal("6.25")))
    GpuCluster("stays", instance_type="8xa100", max_price_per_hour=Bid.infrastructure(cap=60, reference=30.5))
    Job("market", command="true", instance_type="8xa100", max_price_per_hour=Bid.market(1.5, cap=Decimal("20.50")))
    Job("workload", command="true", instance_type="8xa100", max_price_per_hour=Bid.workload(margin=0.1, cap=40))
    later_cap: pulumi.Output[float] = pulumi.Output.from_input(40.0)
    held: Bid = Bid.uptime(0.97, days=7, cap=later_cap)
    ResilientCluster("uptime", size=5, instance_type="8xa100", max_price_per_hour=held)
    ResilientCluster("least", size=1, instance_type="8xa100", max_price_per_hour=1, skip=(0,))
    ResilientCluster(
        "mapping",
        size=1,
        instance_type="8xa100",
        max_price_per_hour=1,
        volume_per_member={"size_gb": 1, "mount_path": "/data", "interface": "block"},
    )
    GpuCluster(
        "placed-by-price",
        placements=[
            Placement("8xh100", "us-central5-a", max_price_per_hour=Decimal("40.00")),
            Placement("8xa100", "us-central1-b", 24),
            {"instance_type": "8xa100", "region": "us-east1-a"},
        ],
        choose="cheapest",
        max_price_per_hour=24,
        max_wait_minutes=30,
    )
    Job("placed-by-price", command="true", placements=(Placement("8xa100", "us-central1-b", 24),), choose="first")
    ResilientCluster("placed", size=2, placements=[Placement("8xa100", "us-central1-b", 24)], max_wait_minutes=30)
    west = Provider(
        "west",
        api_key=pulumi.Output.secret("key"),
        project="west",
        region="us-central1-b",
        api_url="https://host",
        owner="ada",
        max_cost_per_hour=Decimal("200.00"),
        allow_job_keys=True,
        market_lines=False,
        opts=pulumi.ResourceOptions(protect=True),
    )
    Volume("in-the-west", size_gb=1, opts=pulumi.ResourceOptions(provider=west))
    GpuCluster("whole-dollars", instance_type="8xa100", max_price_per_hour=50)
    GpuCluster(
        "nothing-said",
        instance_type="8xa100",
        max_price_per_hour=1.0,
        region=None,
        image=None,
        env=None,
        ports=None,
        volumes=None,
        ssh_keys=None,
        name_prefix=None,
        adopt_task_id=None,
        opts=None,
    )


def outputs_of_other_resources(
    text: pulumi.Output[str],
    price: pulumi.Output[float],
    count: pulumi.Output[int],
    flag: pulumi.Output[bool],
    env: pulumi.Output[dict[str, str]],
    ports: pulumi.Output[list[int]],
    keys: pulumi.Output[Sequence[str]],
) -> None:
    """Every input may be one, whole or in its parts."""
    GpuCluster(
        "whole",
        instance_type=text,
        max_price_per_hour=price,
        num_instances=count,
        region=text,
        command=keys,
        image=text,
        env=env,
        ports=ports,
        ssh_keys=keys,
        paused=flag,
        name_prefix=text,
        adopt_task_id=text,
    )
    GpuCluster(
        "parts",
        instance_type=text,
        max_price_per_hour=count,
        command=["python", text],
        env={"BUCKET": text, "MODE": "offline"},
        ports=[8080, count],
        ssh_keys=[text, "laptop"],
        volumes=[{"volume_id": text, "mount_path": text}],
    )
    GpuCluster("line", instance_type="8xa100", max_price_per_hour=1.0, command=text)
    Volume("data", size_gb=count, region=text, volume_name=text, adopt_volume_id=text, allow_replace=flag)


def configuration(config: pulumi.Config) -> None:
    """What `pulumi config` gives: a secret, and values that may be missing."""
    GpuCluster(
        "trainer",
        instance_type=config.require("type"),
        max_price_per_hour=config.require_float("bid"),
        num_instances=config.get_int("machines") or 1,
        region=config.get("region"),
        env={"TOKEN": config.require_secret("token")},
        adopt_task_id=config.get("adopt"),
    )


def variables_and_awaitables(names: list[str], ports: list[int], env: dict[str, str], later: Awaitable[str]) -> None:
    """Lists and dictionaries of plain types, from elsewhere in the program, and what is known later."""
    one = {"instance_type": "8xa100"}
    GpuCluster("trainer", instance_type=one["instance_type"], max_price_per_hour=1, command=names, ports=ports, env=env)
    GpuCluster("tuple", instance_type=later, max_price_per_hour=1, ssh_keys=tuple(names), image=later)


class TeamCluster(GpuCluster):
    """A subclass, as teams make them."""


def exact_and_other_sequences(price: pulumi.Output[Decimal], data: Volume) -> None:
    """Whatever is a sequence, a mapping or a price; a path; a subclass."""
    mount: VolumeMountDict = {"volume_id": data.volume_id, "mount_path": PurePosixPath("/mnt/b")}
    mounts = (VolumeMount(data, PurePosixPath("/data")), mount)
    TeamCluster("a", instance_type="8xa100", max_price_per_hour=Decimal("12.34"), ports=range(8000, 8003))
    team = TeamCluster("b", instance_type="8xa100", max_price_per_hour=price, volumes=mounts)
    assert_type(get_costs("bid_1"), CostsResult)
    assert_type(get_costs("bid_1").spent, float | None)
    assert_type(get_costs_output(team.task_id), pulumi.Output[CostsResult])
    assert_type(team.num_instances, pulumi.Output[int])
    assert_type(team.task_id, pulumi.Output[str])


def every_form_of_a_mount(data: Volume, stack: pulumi.StackReference, later: Awaitable[str]) -> None:
    """A volume, its id, an output of another stack; a class or a mapping; a list, or an output of one."""
    ids = stack.require_output("volume_id")
    mount: VolumeMountDict = {"volume_id": data.volume_id, "mount_path": "/data"}
    mixed: list[VolumeMount | VolumeMountDict] = [VolumeMount(ids, "/mnt/a"), mount]
    only: list[VolumeMount] = [VolumeMount(data, "/data"), VolumeMount("vol_1", data.id), VolumeMount(later, later)]
    found: pulumi.Output[list[VolumeMountDict]] = data.id.apply(lambda got: [{"volume_id": got, "mount_path": "/data"}])
    made: pulumi.Output[list[VolumeMount]] = data.id.apply(lambda got: [VolumeMount(got, "/data")])
    each: pulumi.Output[VolumeMountDict] = data.id.apply(lambda got: {"volume_id": got, "mount_path": "/data"})
    GpuCluster("one", instance_type="8xa100", max_price_per_hour=1, volumes=[mount])
    GpuCluster("two", instance_type="8xa100", max_price_per_hour=1, volumes=mixed)
    GpuCluster("three", instance_type="8xa100", max_price_per_hour=1, volumes=only)
    GpuCluster("four", instance_type="8xa100", max_price_per_hour=1, volumes=found)
    GpuCluster("five", instance_type="8xa100", max_price_per_hour=1, volumes=made)
    GpuCluster("six", instance_type="8xa100", max_price_per_hour=1, volumes=[each, VolumeMount(data, "/mnt/b")])


def an_input_of_one_is_an_output_of_another(data: Volume, cluster: GpuCluster) -> None:
    """What a resource gives is what its own inputs take."""
    Volume("copy", size_gb=data.size_gb, interface=data.interface, region=data.region)
    GpuCluster(
        "copy",
        instance_type=cluster.instance_type,
        max_price_per_hour=cluster.max_price_per_hour,
        num_instances=cluster.num_instances,
        region=cluster.region,
        paused=cluster.paused,
        wait_for=cluster.wait_for,
    )


# --- what comes back --------------------------------------------------------------------------------------------------


def outputs_of_a_cluster(cluster: GpuCluster) -> None:
    """Words are words, and whole numbers stay whole."""
    assert_type(cluster.id, pulumi.Output[str])
    assert_type(cluster.urn, pulumi.Output[str])
    assert_type(cluster.task_id, pulumi.Output[str])
    assert_type(cluster.task_name, pulumi.Output[str])
    assert_type(cluster.project, pulumi.Output[str])
    assert_type(cluster.status, pulumi.Output[str])
    assert_type(cluster.status_message, pulumi.Output[str])
    assert_type(cluster.region, pulumi.Output[str])
    assert_type(cluster.created_at, pulumi.Output[str])
    assert_type(cluster.instance_type, pulumi.Output[str])
    assert_type(cluster.max_price_per_hour, pulumi.Output[float])
    assert_type(cluster.max_cost_per_hour, pulumi.Output[float])
    assert_type(cluster.num_instances, pulumi.Output[int])
    assert_type(cluster.preemptions, pulumi.Output[int | None])
    assert_type(cluster.last_preempted_at, pulumi.Output[str | None])
    assert_type(cluster.preempted_for_minutes, pulumi.Output[int | None])
    assert_type(cluster.paused, pulumi.Output[bool])
    assert_type(cluster.public_ips, pulumi.Output[Sequence[str]])
    assert_type(cluster.private_ips, pulumi.Output[Sequence[str]])
    assert_type(cluster.ssh_commands, pulumi.Output[Sequence[str]])
    assert_type(cluster.volume_ids, pulumi.Output[Sequence[str]])
    assert_type(cluster.instances, pulumi.Output[Sequence[Instance]])
    assert_type(cluster.instances.apply(lambda these: these[0].public_ip), pulumi.Output[str | None])
    assert_type(cluster.instances.apply(lambda these: [one.id for one in these]), pulumi.Output[list[str]])
    assert_type(cluster.instances[0].public_ip, pulumi.Output[Any])


def one_machine(machine: Instance) -> None:
    """As `cluster.instances.apply` gives it."""
    assert_type(machine.id, str)
    assert_type(machine.status, str)
    assert_type(machine.public_ip, str | None)
    assert_type(machine.private_ip, str | None)
    assert_type(machine.ssh_port, int | None)


def outputs_of_a_volume(data: Volume) -> None:
    """The same of a volume."""
    assert_type(data.id, pulumi.Output[str])
    assert_type(data.volume_id, pulumi.Output[str])
    assert_type(data.volume_name, pulumi.Output[str])
    assert_type(data.project, pulumi.Output[str])
    assert_type(data.size_gb, pulumi.Output[int])
    assert_type(data.region, pulumi.Output[str])
    assert_type(data.attached_to, pulumi.Output[Sequence[str]])
    assert_type(data.created_at, pulumi.Output[str])


def outputs_of_an_ssh_key(key: SshKey) -> None:
    """Texts, all of them."""
    assert_type(key.ssh_key_id, pulumi.Output[str])
    assert_type(key.key_name, pulumi.Output[str])
    assert_type(key.public_key, pulumi.Output[str])
    assert_type(key.fingerprint, pulumi.Output[str])
    assert_type(key.project, pulumi.Output[str])
    assert_type(key.created_at, pulumi.Output[str])
    assert_type(SshKey.get("theirs", "sshkey_1"), SshKey)


def outputs_of_a_job(job: Job) -> None:
    """What is absent at times can be None."""
    assert_type(job.id, pulumi.Output[str])
    assert_type(job.task_id, pulumi.Output[str])
    assert_type(job.task_name, pulumi.Output[str])
    assert_type(job.project, pulumi.Output[str])
    assert_type(job.status, pulumi.Output[str])
    assert_type(job.status_message, pulumi.Output[str])
    assert_type(job.exit_code, pulumi.Output[int | None])
    assert_type(job.region, pulumi.Output[str])
    assert_type(job.max_price_per_hour, pulumi.Output[float])
    assert_type(job.max_cost_per_hour, pulumi.Output[float])
    assert_type(job.instances, pulumi.Output[Sequence[Instance]])
    assert_type(job.public_ips, pulumi.Output[Sequence[str]])
    assert_type(job.ssh_commands, pulumi.Output[Sequence[str]])
    assert_type(job.volume_ids, pulumi.Output[Sequence[str]])
    assert_type(job.preemptions, pulumi.Output[int | None])
    assert_type(job.created_at, pulumi.Output[str])
    assert_type(job.started_at, pulumi.Output[str | None])
    assert_type(job.ended_at, pulumi.Output[str | None])
    assert_type(job.num_instances, pulumi.Output[int])


def outputs_of_a_fleet(fleet: ResilientCluster) -> None:
    """Those of the component, and of its members."""
    assert_type(fleet.task_ids, pulumi.Output[Sequence[str]])
    assert_type(fleet.public_ips, pulumi.Output[Sequence[str]])
    assert_type(fleet.running, pulumi.Output[int])
    assert_type(fleet.size, pulumi.Output[int])
    assert_type(fleet.members, pulumi.Output[Sequence[FleetMember]])
    assert_type(fleet.clusters, Sequence[GpuCluster])
    assert_type(fleet.volumes, Sequence[Volume])
    assert_type(fleet.members.apply(lambda members: members[0].public_ip), pulumi.Output[str | None])
    assert_type(fleet.members.apply(lambda members: members[0].index), pulumi.Output[int])


def what_is_not_owned(id_: pulumi.Output[str]) -> None:
    """`get` gives the class."""
    assert_type(GpuCluster.get("theirs", "bid_1"), GpuCluster)
    assert_type(Job.get("theirs", "bid_1"), Job)
    assert_type(Volume.get("theirs", id_, pulumi.ResourceOptions()), Volume)


def the_package() -> None:
    """Its error and its version."""
    error: Exception = FlowResourcesError("no")
    assert isinstance(error, FlowResourcesError)
    assert_type(flow_resources.FlowResourcesError("no"), FlowResourcesError)


def data_functions(data: Volume) -> None:
    """What the service offers, plain and as outputs."""
    assert_type(get_market("8xa100", "us-central5-a"), MarketResult)
    assert_type(get_market("8xa100", "us-central5-a").price, float | None)
    assert_type(get_market_output("8xa100", data.region), pulumi.Output[MarketResult])
    assert_type(get_instance_types(), list[InstanceTypeInfo])
    assert_type(get_instance_types_output(), pulumi.Output[list[InstanceTypeInfo]])
    assert_type(get_regions(), list[str])
    assert_type(get_regions_output(), pulumi.Output[list[str]])
    options, later = pulumi.InvokeOptions(parent=data), pulumi.InvokeOutputOptions(depends_on=[data])
    assert_type(get_regions(opts=options), list[str])
    assert_type(get_market_output("8xa100", data.region, later), pulumi.Output[MarketResult])
    get_market("8xa100", data.region)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def across_projects(data: Volume, cluster: GpuCluster, stack: pulumi.StackReference) -> None:
    """What one project exports and another reads, where it takes the volume's place."""
    export_volume("data", data)
    export_cluster("hub", cluster)
    theirs, hub = VolumeReference("acme/infra/prod", "data"), ClusterReference(stack, "hub")
    assert_type(theirs.volume_id, pulumi.Output[str])
    assert_type(theirs.region, pulumi.Output[str])
    assert_type(theirs.size_gb, pulumi.Output[int])
    assert_type(hub.task_id, pulumi.Output[str])
    assert_type(hub.public_ips, pulumi.Output[Sequence[str]])
    mounts = [VolumeMount(theirs, "/data")]
    GpuCluster("one", instance_type="8xa100", max_price_per_hour=1, region=theirs.region, volumes=mounts)
    Volume("copy", size_gb=theirs.size_gb, interface=theirs.interface, region=theirs.region)
    VolumeMount(hub, "/data")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    export_volume("hub", cluster)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    export_cluster(cluster)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
    _ = theirs.task_id  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


# --- what is refused --------------------------------------------------------------------------------------------------


def refused_of_a_cluster(data: Volume, number: pulumi.Output[int], cluster: GpuCluster) -> None:
    """A missing, misspelt or positional argument, a wrong type, a word that is none of the words."""
    GpuCluster("a", "8xa100", 1.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, instances=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour="50")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Bid.uptime(0.9, 7)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Bid.market("2", cap=40)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Bid.infrastructure(cap="60")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=Bid.uptime)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type=number, max_price_per_hour=1.0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, num_instances=1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, wait_for="ready")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ResilientCluster("a", instance_type="8xa100", max_price_per_hour=1.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ResilientCluster("a", size=number, instance_type="8xa100", max_price_per_hour=1.0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ResilientCluster("a", size=1, instance_type="8xa100", max_price_per_hour=1.0, num_instances=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ResilientCluster("a", size=1, instance_type="8xa100", max_price_per_hour=1.0, volume_per_member={"size_gb": 1})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SshKey("a", "ssh-ed25519 AAAA")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    SshKey("a", public_key=b"ssh-ed25519 AAAA")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, ssh_keys=[7])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", placements=["8xa100"], max_price_per_hour=1.0)  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", placements=[{"instance_type": "8xa100"}])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", placements=[Placement("8xa100", "b", 1)], choose="dearest")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Job("a", command="true", placements=[Placement("8xa100", "b", 1)], max_wait_minutes=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Provider("a", "key")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Provider("a", max_cost_per_hour="200")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Provider("a", allow_job_keys="true")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Placement("8xa100")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Job("a", "true", instance_type="8xa100", max_price_per_hour=1.0)  # type: ignore[misc]  # pyright: ignore[reportCallIssue]
    Job("a", command="true", instance_type="8xa100", max_price_per_hour=1.0, ports=[80])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Job("a", command="true", instance_type="8xa100", max_price_per_hour=1.0, on_failure="pause")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Job("a", script="a.py", args="x", instance_type="8xa100", max_price_per_hour=1.0, triggers=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, run_on="reboot")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, restart="on-failure")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, preemption_signal=10)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, on_preemption="restart")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, raise_up_to_per_hour="2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, env={"DEBUG": 1})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, ports=["8080"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, ports=number)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, volumes=[data])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, volumes=VolumeMount(data, "/data"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, volumes=[{"volume_id": "vol_1", "path": "/data"}])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, volumes=[{"volume_id": "vol_1"}])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    GpuCluster("a", instance_type="8xa100", max_price_per_hour=1.0, opts={"protect": True})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    GpuCluster.get("theirs")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    _ = cluster.price  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    cluster.task_id.upper()  # type: ignore[operator]  # pyright: ignore[reportCallIssue]


def refused_of_a_volume(data: Volume, cluster: GpuCluster) -> None:
    """The same of a volume and of a mount."""
    Volume("a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Volume("a", 1000)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Volume("a", size_gb=1000, size=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Volume("a", size_gb=1000.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Volume("a", size_gb="1000")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Volume("a", size_gb=1000, interface="nfs")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Volume("a", size_gb=1000, allow_replace="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    VolumeMount(data)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    VolumeMount(cluster, "/data")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    VolumeMount(data, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    _ = data.name  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


def refused_of_a_machine(machine: Instance, cluster: GpuCluster) -> None:
    """A machine may have no address, and an output is not its value."""
    machine.public_ip.split(".")  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    _ = machine.address  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    address: str = cluster.public_ips  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    count: int = cluster.num_instances  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    _ = (address, count)


# --- testing ----------------------------------------------------------------------------------------------------------


@mock_mithril
def counted(mithril: FakeMithril, many: int, *, word: str = "") -> list[str]:
    """Given the cloud, and called without it."""
    return [word] * (many + len(mithril.live_bids))


@mock_mithril(seed=1, allow_network=True)
def with_options(mithril: FakeMithril, many: int) -> int:
    """The same with options of the mock."""
    return many + len(mithril.bids)


@mock_mithril
def without_parameter(many: int) -> int:
    """Not given the cloud: as it was."""
    return many


@mock_mithril
async def later(mithril: FakeMithril) -> int:
    """A coroutine stays one."""
    return len(mithril.bids)


@mock_mithril
def stream(mithril: FakeMithril) -> Iterator[FakeMithril]:
    """A generator stays one."""
    yield mithril


@mock_mithril
class Rentals:
    """A class stays what it is."""

    mithril: FakeMithril

    def count(self, more: int) -> int:
        """See what the decorator set."""
        return len(self.mithril.bids) + more


class Methods:
    """Methods may be decorated one by one."""

    @mock_mithril
    def count(self, mithril: FakeMithril, more: int) -> int:
        """Given the cloud."""
        return len(mithril.bids) + more

    @mock_mithril
    def plain(self, more: int) -> int:
        """Not given it."""
        return more


async def decorated() -> None:
    """A decorator keeps the type of what it decorates, but for the cloud that it gives."""
    assert_type(counted(2, word="a"), list[str])
    assert_type(with_options(2), int)
    assert_type(without_parameter(2), int)
    assert_type(await later(), int)
    assert_type(stream(), Iterator[FakeMithril])
    assert_type(Rentals(), Rentals)
    assert_type(Rentals().count(1), int)
    assert_type(Methods().count(1), int)
    assert_type(Methods().plain(1), int)
    counted("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with_options("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    without_parameter("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Rentals().count("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Methods().count("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Methods().plain("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def in_a_block() -> None:
    """`with` and `async with` give the cloud."""
    with mock_mithril() as mithril:
        assert_type(mithril, FakeMithril)
    async with mock_mithril(boot_seconds=MANUAL) as other:
        assert_type(other, FakeMithril)
    with FakeMithril(seed=1, clock=Clock(0.0, speed=0)) as fake:
        assert_type(fake, FakeMithril)
        assert_type(fake.environment, dict[str, str])
    FakeMithril(sed=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    FakeMithril(idempotency="never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_with_the_fixture(mithril: FakeMithril) -> None:
    """As pytest gives it."""
    for bid in mithril.live_bids:
        assert_type(bid["fid"], str)


def mocks_of_a_program() -> None:
    """FlowMocks are Pulumi's mocks."""
    mocks = FlowMocks({"trainer": {"status": "preempted"}})
    pulumi.runtime.set_mocks(mocks, project="p", stack="s", preview=False)
    assert_type(mocks.resources, list[tuple[str, str, dict[str, Any]]])
    FlowMocks(["trainer"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
