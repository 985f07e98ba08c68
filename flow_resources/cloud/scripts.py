"""Where a launch mounts its volumes: the service keeps no paths, only the script that the SDK wrote at the launch.

Only the paths are taken out of it. The rest (the command, the environment) can be secret and stays where it is.
"""

from __future__ import annotations

import re
from collections import defaultdict

# As flow.adapters.providers.builtin.mithril.volume_operations writes them, of a file share and of a disk.
_MOUNTS = (
    re.compile(r'"fileshare-(?P<volume>vol_[\w-]+)\.mithril\.internal:/" (?P<path>/[\w/-]+)$', re.MULTILINE),
    re.compile(
        r'^VOL_ID=(?P<volume>vol_[\w-]+)$(?:(?!^VOL_ID=).)*?"\$mnt" = (?P<path>/[\w/-]+) \]', re.MULTILINE | re.DOTALL
    ),
)


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
