"""The verbs of FleetStatus in the dynamic host. The import path of the class is written into states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flow_resources.providers.provider import FlowProvider

if TYPE_CHECKING:
    from flow_resources.lifecycle.fleet_status import FleetStatus


class FleetStatusProvider(FlowProvider):
    """FleetStatus's verbs."""

    @staticmethod
    def resource() -> FleetStatus:
        """Return the kind."""
        from flow_resources.lifecycle.fleet_status import FLEET_STATUS

        return FLEET_STATUS
