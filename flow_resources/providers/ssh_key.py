"""The verbs of SshKey in the dynamic host. The import path of the class is written into states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flow_resources.providers.provider import FlowProvider

if TYPE_CHECKING:
    from flow_resources.lifecycle.ssh_key import SshKey


class SshKeyProvider(FlowProvider):
    """SshKey's verbs."""

    @staticmethod
    def resource() -> SshKey:
        """Return the kind."""
        from flow_resources.lifecycle.ssh_key import SSH_KEY

        return SSH_KEY
