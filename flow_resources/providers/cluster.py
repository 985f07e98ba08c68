"""The verbs of GpuCluster in the dynamic host. The import path of the class is written into states."""

from __future__ import annotations

from flow_resources.lifecycle.cluster import CLUSTER
from flow_resources.providers.base import FlowProvider


class GpuClusterProvider(FlowProvider):
    """GpuCluster's verbs."""

    resource = CLUSTER
