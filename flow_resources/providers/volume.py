"""The verbs of Volume in the dynamic host. The import path of the class is written into states."""

from __future__ import annotations

from flow_resources.lifecycle.volume import VOLUME
from flow_resources.providers.base import FlowProvider


class VolumeProvider(FlowProvider):
    """Volume's verbs."""

    resource = VOLUME
