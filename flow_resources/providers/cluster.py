"""The verbs of GpuCluster in the dynamic host. The import path of the class is written into states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flow_resources.providers.provider import FlowProvider

if TYPE_CHECKING:
    from flow_resources.lifecycle.cluster import GpuCluster


class GpuClusterProvider(FlowProvider):
    """GpuCluster's verbs."""

    @staticmethod
    def resource() -> GpuCluster:
        """Return the kind."""
        from flow_resources.lifecycle.cluster import CLUSTER

        return CLUSTER
