"""The script that the SDK writes for a launch: whether the service takes it, and where an old one mounts its volumes.

The service keeps no mount paths but in the script, and only they are taken out of it. The rest (the command, the
environment) can be secret and stays where it is.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from collections import defaultdict
from typing import Any

from flow_resources.cloud.launch import Launch, task_config

# As flow.adapters.providers.builtin.mithril.volume_operations writes them, of a file share and of a disk.
_MOUNTS = (
    re.compile(r'"fileshare-(?P<volume>vol_[\w-]+)\.mithril\.internal:/" (?P<path>/[\w/-]+)$', re.MULTILINE),
    re.compile(
        r'^VOL_ID=(?P<volume>vol_[\w-]+)$(?:(?!^VOL_ID=).)*?"\$mnt" = (?P<path>/[\w/-]+) \]', re.MULTILINE | re.DOTALL
    ),
)

# In place of the variables that the SDK adds to the environment when it sends a launch, rather a little too much, and
# such as hardly can be compressed.
_ADDED = {"FLOW_ADDED": base64.b64encode(hashlib.shake_256(b"added").digest(150)).decode()}


def too_large(scripts: Any, launch: Launch) -> str:
    """Say that a launch's script is too large, in the words of a rule; empty where it is not."""
    from flow.adapters.providers.builtin.mithril.runtime.script_size import ScriptTooLargeError

    whole = dataclasses.replace(launch, env={**launch.env, **_ADDED})
    try:
        scripts.build_and_prepare(task_config(whole))
    except ScriptTooLargeError as error:
        return f"makes the start-up script too large (the most are {error.max_size:,} characters, compressed)"
    return ""


def mounts_in(script: str) -> dict[str, str]:
    """Return the mount paths of a launch script by volume id, without volumes of which it says nothing, or two things.

    Any script can come: of another version of the SDK, of another tool, or written by hand.
    """
    from flow.utils.compressed_script import transform_plain_text

    texts: list[str] = []

    def keep(text: str) -> str:
        texts.append(text)
        return ""

    transform_plain_text(script, keep)
    said: dict[str, set[str]] = defaultdict(set)
    for text in texts:
        for pattern in _MOUNTS:
            for found in pattern.finditer(text):
                said[found["volume"]].add(found["path"])
    return {volume: path for volume, (path, *others) in said.items() if not others}
