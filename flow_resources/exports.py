"""What one project's stack exports, for the typed references of another project (see `references`)."""

from __future__ import annotations

import pulumi

from flow_resources.cluster import GpuCluster
from flow_resources.core import exports
from flow_resources.volume import Volume


def export_cluster(name: str, cluster: GpuCluster) -> None:
    """Export a cluster as the stack's output `name`, for a `ClusterReference` of another project."""
    pulumi.export(name, exports.CLUSTER.shape({key: getattr(cluster, key) for key in exports.CLUSTER.keys}))


def export_volume(name: str, volume: Volume) -> None:
    """Export a volume as the stack's output `name`, for a `VolumeReference` of another project."""
    pulumi.export(name, exports.VOLUME.shape({key: getattr(volume, key) for key in exports.VOLUME.keys}))
