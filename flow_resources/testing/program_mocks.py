"""FlowMocks: a program's own unit tests, without engine, network or fake cloud.

    import pulumi
    from flow_resources.testing import FlowMocks

    pulumi.runtime.set_mocks(FlowMocks())

    import infra  # the program

Clusters come up running and volumes exist, with outputs of the shapes that the real ones have. Nothing is checked and
nothing is rented: for what a change does, or what happens when the market moves, use the fake cloud.
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
    """Ready-made `pulumi.runtime.Mocks`.

    `outputs` overrides outputs by the resource's logical name, such as `{"trainer": {"status": "preempted"}}`.
    `stacks` holds the outputs of other stacks by their names, such as
    `{"acme/infra/prod": {"data": {"flow": "volume/1", "size_gb": 500}}}`; what a reference needs beyond it is made up.
    `resources` lists what the program registered: (type, name, inputs). Subclass it to mock other providers' things.
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
        """Answer for a resource: its inputs, and what the service would have added."""
        inputs = {key: value for key, value in args.inputs.items() if not key.startswith("__") and value is not None}
        self.resources.append((args.typ, args.name, inputs))
        if args.typ == STACK:
            exported = self.stacks.get(args.inputs["name"], {})
            return args.resource_id, {
                **inputs,
                "outputs": {name: _exported(name, one) for name, one in exported.items()},
            }
        shape = {CLUSTER: _cluster, VOLUME: _volume}.get(args.typ)
        if shape is None:
            return f"{args.name}-id", {**inputs, **self.outputs.get(args.name, {})}
        id_ = args.resource_id or f"{'bid' if args.typ == CLUSTER else 'vol'}_{_number(args.name):08d}"
        return id_, {**inputs, **shape(args.name, id_, inputs), **self.outputs.get(args.name, {})}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:  # noqa: ARG002 - the base class asks
        """Answer for a function: nothing, and no failures. This package's resources ask for none."""
        return {}, None


def _cluster(name: str, id_: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    count, price = int(inputs.get("num_instances") or 1), float(inputs.get("max_price_per_hour") or 1.0)
    net = _number(name) % 200
    machines = [
        {
            "id": f"inst_{_number(name):06d}{place:02d}",
            "status": "running",
            "public_ip": f"198.51.100.{(net + place) % 254 + 1}",
            "private_ip": f"10.0.{net}.{place + 1}",
            "ssh_port": 22,
        }
        for place in range(count)
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
        "instances": machines,
        "public_ips": [one["public_ip"] for one in machines],
        "private_ips": [one["private_ip"] for one in machines],
        "ssh_commands": [f"ssh ubuntu@{one['public_ip']}" for one in machines],
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


def _exported(name: str, value: Any) -> Any:
    """Return another stack's output; one that is a cluster's or a volume's gets what its reference reads."""
    kind = str(value.get("flow")).partition("/")[0] if isinstance(value, Mapping) else ""
    if kind == "cluster":
        return {**_cluster(name, f"bid_{_number(name):08d}", value), **value}
    return {**_volume(name, f"vol_{_number(name):08d}", value), **value} if kind == "volume" else value


def _number(name: str) -> int:
    """Return a number that is the same for a name in every run."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:6], 16)
