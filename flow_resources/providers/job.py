"""The verbs of Job in the dynamic host. The import path of the class is written into states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flow_resources.providers.provider import FlowProvider

if TYPE_CHECKING:
    from flow_resources.lifecycle.job import Job


class JobProvider(FlowProvider):
    """Job's verbs."""

    @staticmethod
    def resource() -> Job:
        """Return the kind."""
        from flow_resources.lifecycle.job import JOB

        return JOB
