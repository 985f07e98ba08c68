"""The verbs of SshKey in the dynamic host. The import path of the class is written into states."""

from __future__ import annotations

from flow_resources.lifecycle.ssh_key import SSH_KEY
from flow_resources.providers.base import FlowProvider


class SshKeyProvider(FlowProvider):
    """SshKey's verbs."""

    resource = SSH_KEY
