"""The verbs of FleetStatus in the dynamic host. The import path of the class is written into states."""

from __future__ import annotations

from flow_resources.lifecycle.fleet_status import FLEET_STATUS
from flow_resources.providers.base import FlowProvider


class FleetStatusProvider(FlowProvider):
    """FleetStatus's verbs."""

    resource = FLEET_STATUS
