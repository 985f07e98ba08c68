"""Exactly the SSH keys that the user named.

The stock SDK adds to every launch a key whose private half lies on this machine, and makes one on the platform
(`flow-auto-...`) where there is none: each run on a fresh CI machine leaves a key behind, even when the user named
keys. Where keys are named, they are used as they are; where none is, the SDK's own way applies.
"""

from __future__ import annotations

from typing import Any

from flow.adapters.providers.builtin.mithril.domain.ssh_keys import SSHKeyService


class ExactKeys(SSHKeyService):  # type: ignore[misc]  # the SDK is not typed for us
    """The SDK's key service, which keeps its hands off a launch that names its keys."""

    def resolve_keys_for_task(self, config: Any) -> list[str]:
        """Return the ids to launch with. The cluster's verbs hand in platform ids only."""
        if config.ssh_keys:
            return list(config.ssh_keys)
        resolved: list[str] = super().resolve_keys_for_task(config)
        return resolved
