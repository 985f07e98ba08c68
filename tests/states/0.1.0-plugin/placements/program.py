"""Clusters that were placed by their price: one in its second placement, one that waits in its first."""

from typing import Any

from flow_resources import GpuCluster, Placement

COMMON: dict[str, Any] = {"ssh_keys": ["team"], "wait_for": "placed", "max_price_per_hour": 16.0}
FIRST, SECOND = ("8xh100", "us-central5-a"), ("8xa100", "us-central1-b")

GpuCluster("second", placements=[Placement(*FIRST, max_price_per_hour=10), Placement(*SECOND)], **COMMON)
GpuCluster(
    "waits",
    placements=[Placement(*FIRST), Placement(*SECOND, max_price_per_hour=10.50)],
    choose="cheapest",
    max_wait_minutes=60,
    **COMMON,
)
