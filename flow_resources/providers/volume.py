"""The verbs of Volume in the dynamic host. The import path of the class is written into states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flow_resources.providers.provider import FlowProvider

if TYPE_CHECKING:
    from flow_resources.lifecycle.volume import Volume


class VolumeProvider(FlowProvider):
    """Volume's verbs."""

    @staticmethod
    def resource() -> Volume:
        """Return the kind."""
        from flow_resources.lifecycle.volume import VOLUME

        return VOLUME
