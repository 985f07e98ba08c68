"""The verbs of Job in the dynamic host. The import path of the class is written into states."""

from __future__ import annotations

from flow_resources.lifecycle.job import JOB
from flow_resources.providers.base import FlowProvider


class JobProvider(FlowProvider):
    """Job's verbs."""

    resource = JOB
