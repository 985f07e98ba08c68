"""Exactly the SSH keys that the user named, and none that the platform does not have.

The stock SDK adds to every launch a key whose private half lies on this machine, and makes one on the platform
(`flow-auto-...`) where there is none: each run on a fresh CI machine leaves a key behind, even when the user named
keys. Where keys are named, they are used as they are; where none is, the SDK's own way applies, except that a key it
remembers and the platform has lost (deleted by somebody, or another fake cloud) is replaced instead of refused.
"""

from __future__ import annotations

import threading
from typing import Any

from flow.adapters.providers.builtin.mithril.domain.ssh_keys import SSHKeyService


class ExactKeys(SSHKeyService):  # type: ignore[misc]  # the SDK is not typed for us
    """The SDK's key service, which keeps its hands off a launch that names its keys."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._turn = threading.Lock()

    def resolve_keys_for_task(self, config: Any) -> list[str]:
        """Return the ids to launch with. The cluster's verbs hand in platform ids only."""
        if config.ssh_keys:
            return list(config.ssh_keys)
        with self._turn:  # the launches of a process make one key, not one each
            resolved = super().resolve_keys_for_task(config)
            known = {key.fid for key in self._mgr.list_keys()}
            return [key for key in resolved if key in known] or [self._mgr.generate_server_key(auto_generated=True)]
