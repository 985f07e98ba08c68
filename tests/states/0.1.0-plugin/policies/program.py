"""Clusters that a policy has acted for: raised, replaced, only seen preempted, raised above a policy of bids."""

from typing import Any

from flow_resources import Bid, GpuCluster

PLACE: dict[str, Any] = {
    "instance_type": "8xa100", "max_price_per_hour": 16.0, "region": "us-central5-a", "ssh_keys": ["team"],
}  # fmt: skip

GpuCluster("raised", on_preemption="raise_bid", raise_up_to_per_hour=18.50, **PLACE)
GpuCluster("replaced", on_preemption="replace", wait_for="placed", **PLACE)
GpuCluster("kept", **PLACE)
by_policy = {**PLACE, "max_price_per_hour": Bid.workload(cap=20)}
GpuCluster("by-policy", on_preemption="raise_bid", raise_up_to_per_hour=18.50, **by_policy)
