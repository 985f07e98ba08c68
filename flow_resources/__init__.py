"""Spot GPU clusters and volumes on Mithril as Pulumi resources.

>>> from flow_resources import GpuCluster, Volume, VolumeMount

The names load when they are first used: importing the package costs nothing beyond Pulumi itself.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flow_resources.bid_policy import Bid
    from flow_resources.cluster import GpuCluster, Instance
    from flow_resources.costs import CostsResult, get_costs, get_costs_output
    from flow_resources.data import (
        InstanceTypeInfo,
        MarketResult,
        get_instance_types,
        get_instance_types_output,
        get_market,
        get_market_output,
        get_regions,
        get_regions_output,
    )
    from flow_resources.errors import FlowResourcesError
    from flow_resources.exports import export_cluster, export_volume
    from flow_resources.job import Job
    from flow_resources.mounts import VolumeMount, VolumeMountDict
    from flow_resources.placement import Placement, PlacementDict
    from flow_resources.provider import Provider
    from flow_resources.references import ClusterReference, VolumeReference
    from flow_resources.resilient import FleetMember, MemberVolume, MemberVolumeDict, ResilientCluster
    from flow_resources.ssh_key import SshKey
    from flow_resources.volume import Volume

__all__ = [
    "Bid",
    "ClusterReference",
    "CostsResult",
    "FleetMember",
    "FlowResourcesError",
    "GpuCluster",
    "Instance",
    "InstanceTypeInfo",
    "Job",
    "MarketResult",
    "MemberVolume",
    "MemberVolumeDict",
    "Placement",
    "PlacementDict",
    "Provider",
    "ResilientCluster",
    "SshKey",
    "Volume",
    "VolumeMount",
    "VolumeMountDict",
    "VolumeReference",
    "export_cluster",
    "export_volume",
    "get_costs",
    "get_costs_output",
    "get_instance_types",
    "get_instance_types_output",
    "get_market",
    "get_market_output",
    "get_regions",
    "get_regions_output",
]

_HOMES = {
    "Bid": "bid_policy",
    "ClusterReference": "references",
    "CostsResult": "costs",
    "FleetMember": "resilient",
    "FlowResourcesError": "errors",
    "GpuCluster": "cluster",
    "Instance": "cluster",
    "InstanceTypeInfo": "data",
    "Job": "job",
    "MarketResult": "data",
    "MemberVolume": "resilient",
    "MemberVolumeDict": "resilient",
    "Placement": "placement",
    "PlacementDict": "placement",
    "Provider": "provider",
    "ResilientCluster": "resilient",
    "SshKey": "ssh_key",
    "Volume": "volume",
    "VolumeMount": "mounts",
    "VolumeMountDict": "mounts",
    "VolumeReference": "references",
    "export_cluster": "exports",
    "export_volume": "exports",
    "get_costs": "costs",
    "get_costs_output": "costs",
    "get_instance_types": "data",
    "get_instance_types_output": "data",
    "get_market": "data",
    "get_market_output": "data",
    "get_regions": "data",
    "get_regions_output": "data",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("flow-resources")
    if name in _HOMES:
        value = getattr(importlib.import_module(f"flow_resources.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
