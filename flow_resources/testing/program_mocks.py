"""FlowMocks: unit tests of a Pulumi program, without engine, network or fake cloud.

    import pulumi
    from flow_resources.testing import FlowMocks

    pulumi.runtime.set_mocks(FlowMocks())

    import infra  # the program

Clusters, jobs and all members of a fleet are running, or paused where the program says so, a job that the program waits
for to its end has succeeded, and volumes and SSH keys exist at once, with outputs of the same types as the real ones.
Of several placements the first one is used.
Inputs are not checked, and nothing is rented: to test the effect of a change or of the market, use the fake cloud.
There is no market, so `max_price_per_hour` of a `Bid` is its `cap`, in inputs and outputs; of `Bid.per_gpu` it is the
price times the GPUs of the instance type, one where the fake's catalogue does not have that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pulumi

from flow_resources.testing.service.catalog import CAPACITY, TYPES, check_region, find_types
from flow_resources.testing.service.catalog import REGIONS as ALL_REGIONS

_DYNAMIC, _OF_THE_PLUGIN = "pulumi-python:dynamic/flow:", "flow:index:"
CLUSTER, VOLUME, JOB, FLEET_STATUS, SSH_KEY = (
    f"{_DYNAMIC}{kind}" for kind in ("GpuCluster", "Volume", "Job", "FleetStatus", "SshKey")
)
MARKET, INSTANCE_TYPES, REGIONS, COSTS = (
    f"flow:index:get{what}" for what in ("Market", "InstanceTypes", "Regions", "Costs")
)
_IDS = {VOLUME: ("volume_id", "vol"), SSH_KEY: ("ssh_key_id", "sshkey")}
"""The output that holds the id of a kind, and what its ids begin with; else that of a bid."""
STACK = "pulumi:pulumi:StackReference"
PROJECT, REGION = "proj_mocked", "us-central5-a"
CREATED_AT, ENDED_AT = "2026-01-01T00:00:00+00:00", "2026-01-01T01:00:00+00:00"


class FlowMocks(pulumi.runtime.Mocks):
    """`pulumi.runtime.Mocks` for programs with resources of this package; subclass it to mock those of other providers.

    `resources` lists what the program registered, as (type, name, inputs).

    Args:
        outputs: overrides outputs by the resource's logical name, such as `{"trainer": {"status": "preempted"}}`, and
            those of a data function by its token, such as `{"flow:index:getMarket": {"price": 30.0}}`.
        stacks: the outputs of other stacks by stack name, such as
            `{"acme/infra/prod": {"data": {"flow": "volume/1", "size_gb": 500}}}`. Fields that a reference reads and the
            output does not have are filled in.

    """

    def __init__(
        self,
        outputs: Mapping[str, Mapping[str, Any]] | None = None,
        stacks: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        self.outputs = dict(outputs or {})
        self.stacks = dict(stacks or {})
        self.resources: list[tuple[str, str, dict[str, Any]]] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Return the id and the outputs of a resource: its inputs, and what the service would add."""
        inputs = {key: value for key, value in args.inputs.items() if not key.startswith("__") and value is not None}
        settled = _with_first_placement(inputs)
        if "bid_policy" in settled:
            settled["max_price_per_hour"] = _resolved(settled["bid_policy"], str(settled.get("instance_type")))
        self.resources.append((args.typ, args.name, inputs if "placements" in inputs else settled))
        inputs, kind = settled, args.typ.replace(_OF_THE_PLUGIN, _DYNAMIC)
        if args.typ == STACK:
            exported = self.stacks.get(args.inputs["name"], {})
            return args.resource_id, {
                **inputs,
                "outputs": {name: _complete_output(name, value) for name, value in exported.items()},
            }
        if kind == FLEET_STATUS:
            return f"fleet_{_number(args.name):08d}", {**inputs, **self._fleet_status(args.name, inputs)}
        make_outputs = {CLUSTER: _cluster, JOB: _job, SSH_KEY: _ssh_key, VOLUME: _volume}.get(kind)
        if make_outputs is None:
            return f"{args.name}-id", {**inputs, **self.outputs.get(args.name, {})}
        outputs = self.outputs.get(args.name, {})
        id_output, prefix = _IDS.get(kind, ("task_id", "bid"))
        id_ = args.resource_id or outputs.get(id_output) or f"{prefix}_{_number(args.name):08d}"
        return id_, {**inputs, **make_outputs(args.name, id_, inputs), **outputs}

    def _fleet_status(self, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the members do: they run, but for those of which `outputs` says something else."""
        fleet, members = name.removesuffix("-status"), []
        for index, task_id in sorted(inputs["task_ids"].items(), key=lambda item: int(item[0])):
            cluster = f"{fleet}-{index}"
            paused = {"paused": inputs.get("paused")}
            outputs = {**_cluster(cluster, task_id, paused), **self.outputs.get(cluster, {})}
            status = "waiting" if outputs["status"] in ("pending", "preempted") else outputs["status"]
            machine = outputs["instances"][0] if status == "running" else {}
            address = {key: machine.get(key) for key in ("public_ip", "private_ip", "ssh_port")}
            members.append({"index": int(index), "task_id": task_id, "status": status, **address})
        running = [member for member in members if member["status"] == "running"]
        made = {
            "members": members,
            "running": len(running),
            "public_ips": [member["public_ip"] for member in running],
            "project": PROJECT,
        }
        return {**made, **self.outputs.get(name, {})}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        """Return the result of a data function of this package, an empty one for any other function.

        `outputs` overrides it by the function's token: `{"flow:index:getMarket": {"price": 30.0}}`.
        """
        answers = {MARKET: _market, INSTANCE_TYPES: _instance_types, REGIONS: _regions, COSTS: _costs}
        make = answers.get(args.token)
        return ({**make(args.args), **self.outputs.get(args.token, {})} if make else {}), []


def _with_first_placement(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs with the first of the placements; its bid comes before that of the resource."""
    if not inputs.get("placements"):
        return inputs
    first, bid = inputs["placements"][0], ("max_price_per_hour", "bid_policy")
    if any(name in first for name in bid):
        inputs = {name: value for name, value in inputs.items() if name not in bid}
    return {**inputs, **first}


def _cluster(name: str, id_: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    count, price = int(inputs.get("num_instances") or 1), float(inputs.get("max_price_per_hour") or 1.0)
    network, is_paused = _number(name) % 200, inputs.get("paused") is True
    machines = [
        {
            "id": f"inst_{_number(name):06d}{index:02d}",
            "status": "paused" if is_paused else "running",
            "public_ip": None if is_paused else f"198.51.100.{(network + index) % 254 + 1}",
            "private_ip": None if is_paused else f"10.0.{network}.{index + 1}",
            "ssh_port": None if is_paused else 22,
        }
        for index in range(count)
    ]
    running = [] if is_paused else machines
    return {
        "task_id": id_,
        "task_name": f"{name}-mocked",
        "project": PROJECT,
        "status": "paused" if is_paused else "running",
        "status_message": "paused" if is_paused else f"{count}/{count} machines running",
        "region": inputs.get("region") or REGION,
        "max_price_per_hour": price,
        "max_cost_per_hour": price * count,
        "instances": machines,
        "public_ips": [machine["public_ip"] for machine in running],
        "private_ips": [machine["private_ip"] for machine in running],
        "ssh_commands": [f"ssh ubuntu@{machine['public_ip']}" for machine in running],
        "volume_ids": [mount["volume_id"] for mount in inputs.get("volumes") or []],
        "preemptions": 0,
        "created_at": CREATED_AT,
    }


def _resolved(policy: Mapping[str, Any], instance_type: str) -> float:
    """Return the number of a policy: its cap, or the price per GPU times the GPUs."""
    if policy.get("kind") != "per_gpu":
        return float(policy.get("cap") or 1.0)
    try:
        gpus = find_types(instance_type)[0].gpus
    except ValueError:
        gpus = 1
    return round(float(policy.get("usd") or 1.0) * gpus, 2)


def _job(name: str, id_: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    running = {**_cluster(name, id_, inputs), "started_at": CREATED_AT}
    del running["private_ips"]
    if inputs.get("wait_for") != "ended":
        return running
    ended = {"status": "succeeded", "status_message": "succeeded", "exit_code": 0, "ended_at": ENDED_AT}
    return {**running, **ended, "instances": [], "public_ips": [], "ssh_commands": []}


def _volume(name: str, id_: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "volume_id": id_,
        "volume_name": inputs.get("volume_name") or f"{name}-mocked",
        "project": PROJECT,
        "size_gb": int(inputs.get("size_gb") or 1),
        "interface": inputs.get("interface") or "file",
        "region": inputs.get("region") or REGION,
        "attached_to": [],
        "created_at": CREATED_AT,
    }


def _ssh_key(name: str, id_: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    content = str(inputs.get("public_key") or "")
    return {
        "ssh_key_id": id_,
        "key_name": str(inputs.get("key_name") or f"{name}-mocked"),
        "project": PROJECT,
        "public_key": content,
        "fingerprint": f"SHA256:mocked-{_number(content):08d}",
        "created_at": CREATED_AT,
    }


def _market(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the prices of the fake's catalogue, of a market without any bid."""
    region = check_region(str(arguments["region"]))
    types = find_types(str(arguments["instance_type"]))
    offered = [type_ for type_ in types if region in type_.regions]
    if not offered:
        msg = f"{arguments['instance_type']!r} is not on offer in {region}; it is in {', '.join(types[0].regions)}"
        raise ValueError(msg)
    price = offered[0].spot_cents / 100
    return {
        "instance_type": offered[0].short,
        "price": price,
        "price_per_gpu": round(price / offered[0].gpus, 2),
        "floor": price,
        "lowest_to_win": price,
        "available": CAPACITY,
        "total": CAPACITY,
    }


def _instance_types(_arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "instance_types": [
            {
                "id": type_.fid,
                "name": type_.name,
                "spelling": type_.short,
                "gpus": type_.gpus,
                "gpu": type_.gpu,
                "regions": sorted(type_.regions),
            }
            for type_ in sorted(TYPES, key=lambda type_: (type_.short, type_.fid))
        ]
    }


def _costs(_arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a bid has cost that was just placed."""
    return {"spent": 0.0, "is_complete": True, "hours": 0.0, "machine_hours": 0.0, "preemptions": 0, "on_demand": 0.0}


def _regions(_arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"names": sorted(ALL_REGIONS)}


def _complete_output(name: str, value: Any) -> Any:
    """Return the output of another stack; that of a cluster or a volume has all fields that a reference reads."""
    kind = str(value.get("flow")).partition("/")[0] if isinstance(value, Mapping) else ""
    if kind == "cluster":
        return {**_cluster(name, f"bid_{_number(name):08d}", value), **value}
    return {**_volume(name, f"vol_{_number(name):08d}", value), **value} if kind == "volume" else value


def _number(name: str) -> int:
    """Return a number that depends only on the name."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:6], 16)
