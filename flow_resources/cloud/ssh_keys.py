"""Launches with exactly the SSH keys that the user named, and only with keys that the platform has.

The stock SDK adds to every launch a key whose private half lies on this machine, and makes one on the platform
(`flow-auto-...`) where there is none: each run on a fresh CI machine leaves a key behind, even when the user named
keys. Here, keys that are named are used as they are. Where none is named, the SDK's own way applies, except that a key
that it remembers and the platform no longer has (somebody deleted it, or this is another fake cloud) is replaced
instead of refused.
"""

from __future__ import annotations

import threading
from typing import Any

from flow.adapters.providers.builtin.mithril.domain.ssh_keys import SSHKeyService
from flow.utils.ssh_key_identity import get_last_auto_generated_key, get_local_key_private_path


class ExactKeys(SSHKeyService):  # type: ignore[misc]  # the SDK has no types for mypy
    """The SDK's key service, except that it adds nothing to a launch that names its keys."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._lock = threading.Lock()

    def resolve_keys_for_task(self, config: Any) -> list[str]:
        """Return the ids to launch with. The names that the verbs pass are platform ids."""
        if config.ssh_keys:
            return list(config.ssh_keys)
        with self._lock:  # the launches of a process make one key, not one each
            resolved = super().resolve_keys_for_task(config)
            existing = {key.fid for key in self._mgr.list_keys()}
            return [key for key in resolved if key in existing] or [self._mgr.generate_server_key(auto_generated=True)]

    def local_keys(self, project: str, references: tuple[str, ...]) -> set[str]:
        """Return the ids of the platform keys that this machine has the private half of, of those that a launch uses.

        `references`: the keys of the settings; a launch that names no keys uses them, else the last one it made.
        """
        known = [get_last_auto_generated_key(project), *map(self._mgr.find_platform_key_id, references)]
        return {key for key in known if key and get_local_key_private_path(key)}
