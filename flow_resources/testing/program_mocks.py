"""FlowMocks: unit tests of a Pulumi program, without engine, network or fake cloud.

    import pulumi
    from flow_resources.testing import FlowMocks

    pulumi.runtime.set_mocks(FlowMocks())

    import infra  # the program

Clusters are running and volumes exist at once, with outputs of the same types as the real ones. Inputs are not checked
and nothing is rented: to test the effect of a change or of the market, use the fake cloud.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pulumi

CLUSTER, VOLUME = "pulumi-python:dynamic/flow:GpuCluster", "pulumi-python:dynamic/flow:Volume"
STACK = "pulumi:pulumi:StackReference"
PROJECT, REGION = "proj_mocked", "us-central5-a"
CREATED_AT = "2026-01-01T00:00:00+00:00"


class FlowMocks(pulumi.runtime.Mocks):
    """`pulumi.runtime.Mocks` for programs with GpuCluster and Volume; subclass it to mock resources of other providers.

    `resources` lists what the program registered, as (type, name, inputs).

    Args:
        outputs: overrides outputs by the resource's logical name, such as `{"trainer": {"status": "preempted"}}`.
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
        self.resources.append((args.typ, args.name, inputs))
        if args.typ == STACK:
            exported = self.stacks.get(args.inputs["name"], {})
            return args.resource_id, {
                **inputs,
                "outputs": {name: _complete_output(name, value) for name, value in exported.items()},
            }
        make_outputs = {CLUSTER: _cluster, VOLUME: _volume}.get(args.typ)
        if make_outputs is None:
            return f"{args.name}-id", {**inputs, **self.outputs.get(args.name, {})}
        id_ = args.resource_id or f"{'bid' if args.typ == CLUSTER else 'vol'}_{_number(args.name):08d}"
        return id_, {**inputs, **make_outputs(args.name, id_, inputs), **self.outputs.get(args.name, {})}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:  # noqa: ARG002 - required by the base class
        """Return an empty result for a function; the resources of this package call none."""
        return {}, None


def _cluster(name: str, id_: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    count, price = int(inputs.get("num_instances") or 1), float(inputs.get("max_price_per_hour") or 1.0)
    network = _number(name) % 200
    instances = [
        {
            "id": f"inst_{_number(name):06d}{index:02d}",
            "status": "running",
            "public_ip": f"198.51.100.{(network + index) % 254 + 1}",
            "private_ip": f"10.0.{network}.{index + 1}",
            "ssh_port": 22,
        }
        for index in range(count)
    ]
    return {
        "task_id": id_,
        "task_name": f"{name}-mocked",
        "project": PROJECT,
        "status": "running",
        "status_message": f"{count}/{count} machines running",
        "region": inputs.get("region") or REGION,
        "max_price_per_hour": price,
        "max_cost_per_hour": price * count,
        "instances": instances,
        "public_ips": [instance["public_ip"] for instance in instances],
        "private_ips": [instance["private_ip"] for instance in instances],
        "ssh_commands": [f"ssh ubuntu@{instance['public_ip']}" for instance in instances],
        "volume_ids": [mount["volume_id"] for mount in inputs.get("volumes") or []],
        "preemptions": 0,
        "created_at": CREATED_AT,
    }


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


def _complete_output(name: str, value: Any) -> Any:
    """Return the output of another stack; that of a cluster or a volume has all fields that a reference reads."""
    kind = str(value.get("flow")).partition("/")[0] if isinstance(value, Mapping) else ""
    if kind == "cluster":
        return {**_cluster(name, f"bid_{_number(name):08d}", value), **value}
    return {**_volume(name, f"vol_{_number(name):08d}", value), **value} if kind == "volume" else value


def _number(name: str) -> int:
    """Return a number that depends only on the name."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:6], 16)
