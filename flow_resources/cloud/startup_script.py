"""The start-up script that the SDK writes for a launch: whether the service accepts it, and where it mounts volumes.

The service keeps mount paths in the script alone, and nothing else is read from it: the rest (the command, the
environment) can be secret.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
import zlib
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal

from flow_resources.cloud.launch import Launch
from flow_resources.cloud.machine.wire import unpack

# As flow.adapters.providers.builtin.mithril.volume_operations writes them, for a file share and for a disk.
_MOUNTS = (
    re.compile(r'"fileshare-(?P<volume>vol_[\w-]+)\.mithril\.internal:/" (?P<path>/[\w/-]+)$', re.MULTILINE),
    re.compile(
        r'^VOL_ID=(?P<volume>vol_[\w-]+)$(?:(?!^VOL_ID=).)*?"\$mnt" = (?P<path>/[\w/-]+) \]', re.MULTILINE | re.DOTALL
    ),
)

# As flow_resources.cloud.machine.sections writes it, before anything of the user's.
_JOB = r"^cat >job\.json <<'E+'\n\{.*"
_PLACED = re.compile(rf'{_JOB}"placed_cents":(?P<cents>[0-9]+)', re.MULTILINE)
_INPUTS = re.compile(rf'{_JOB}"inputs":"(?P<digest>[0-9a-f]+)"', re.MULTILINE)

# Stands for the variables that the SDK adds to the environment when it sends a launch: a little more than those, and
# hardly compressible.
_ADDED = {"FLOW_ADDED": base64.b64encode(hashlib.shake_256(b"added").digest(150)).decode()}


_TOO_LARGE = "makes the start-up script too large (the most are {:,} characters, compressed{})"
_ROOM = "; without `command` and `env` it takes {:,}"


def too_large(write: Callable[[Launch], str], launch: Launch) -> str:
    """Return the reason why a launch's script is too large, worded like a failed rule; empty where it is not.

    `write` writes a script.
    """
    from flow.adapters.providers.builtin.mithril.config import MithrilScriptSizeConfig
    from flow.adapters.providers.builtin.mithril.runtime.script_size import ScriptTooLargeError

    most = MithrilScriptSizeConfig.from_env().max_script_size
    if _least_size(launch) > most:  # the SDK takes 24 s for a script with 64,000 ports
        return _TOO_LARGE.format(most, "")
    try:
        write(dataclasses.replace(launch, env={**launch.env, **_ADDED}))
    except ScriptTooLargeError as error:
        shortest = dataclasses.replace(launch, command=":", env=_ADDED)
        try:
            rest = _ROOM.format(len(write(shortest)))
        except ScriptTooLargeError:
            rest = ""
        return _TOO_LARGE.format(error.max_size, rest)
    return ""


def _least_size(launch: Launch) -> int:
    """Return a size that a launch's script exceeds in any case: of what it has to hold, compressed and nothing else.

    The SDK writes the compressed script in base64, which adds a third.
    """
    words = [launch.command] if isinstance(launch.command, str) else launch.command
    held = "\n".join([*words, *launch.env.values(), *map(str, launch.ports)])
    return len(zlib.compress(held.encode(errors="replace"), level=9))


def mounts_in(script: str) -> dict[str, str]:
    """Return the mount paths in a start-up script by volume id, without volumes that it mounts at none or several.

    The script can be anybody's: another version of the SDK, another tool or a person may have written it.
    """
    paths: dict[str, set[str]] = defaultdict(set)
    for text in _texts(script):
        for pattern in _MOUNTS:
            for mount in pattern.finditer(text):
                paths[mount["volume"]].add(mount["path"])
    return {volume: path for volume, (path, *others) in paths.items() if not others}


def has_command_unit(script: str) -> bool:
    """Whether the machines of a script run their command at every boot."""
    return unpack(script) is not None


@dataclasses.dataclass(frozen=True)
class PlacedJob:
    """What the start-up script of a job's bid tells of the job."""

    price: Decimal | None
    """The price at which it was placed, which its marks are relative to; None where it is not known."""
    inputs_digest: str | None
    """The digest of its inputs that are not sensitive; None where it is not known."""

    @classmethod
    def read(cls, script: str) -> PlacedJob:
        """Read a script, which can be anybody's."""
        text = unpack(script) or ""
        price, inputs = _PLACED.search(text), _INPUTS.search(text)
        return cls(Decimal(price["cents"]) / 100 if price else None, inputs["digest"] if inputs else None)


def _texts(script: str) -> list[str]:
    """Return what a script holds, unpacked."""
    from flow.utils.compressed_script import transform_plain_text

    texts: list[str] = []

    def collect(text: str) -> str:
        texts.append(text)
        return ""

    transform_plain_text(unpack(script) or script, collect)
    return texts
