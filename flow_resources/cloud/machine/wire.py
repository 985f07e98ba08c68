"""The one text that the service keeps of a start-up script: the script compressed, and what unpacks and runs it.

The Flow SDK's own form is gzip in base64. This one, lzma in base 85, is a tenth smaller, which is what the longest
scripts need to fit; and it keeps the script on the boot disk, where a next boot finds it.
"""

from __future__ import annotations

import base64
import lzma
import re
from typing import Any

from flow_resources.cloud.machine.texts import filled

_FILTERS: list[dict[str, Any]] = [
    {"id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME, "lc": 3, "lp": 0, "pb": 0, "nice_len": 273}
]
_ORIGIN = re.compile(r"# FLOW_ORIGIN: .*")
_PAYLOAD = re.compile(r"flow-command/new<<'E'\n(\S+)\nE\n")


def pack(script: str) -> str:
    """Return a script as it is sent, with the line that says which version of the SDK wrote it."""
    payload = lzma.compress(script.encode(), lzma.FORMAT_ALONE, filters=_FILTERS)
    origin = _ORIGIN.search(script)
    return (
        filled("bootstrap.sh", origin=origin[0] if origin else "#", payload=base64.b85encode(payload).decode()) + "\n"
    )


def is_packed(script: str) -> bool:
    """Whether `pack` made a script."""
    return bool(_PAYLOAD.search(script))


def unpack(script: str) -> str | None:
    """Return the script in what `pack` made; None where somebody else made it."""
    match = _PAYLOAD.search(script)
    try:
        return lzma.decompress(base64.b85decode(match[1])).decode() if match else None
    except (ValueError, lzma.LZMAError, EOFError):
        return None
