"""The form in which a start-up script is sent: compressed, with a few lines that unpack it on the machine and run it.

The Flow SDK sends gzip in base64. Here it is LZMA as a number with 94 digits, the printable characters of ASCII, which
is an eighth shorter: the longest scripts fit only so. And the machine keeps the unpacked script on its boot disk, where
a next boot finds it.
"""

from __future__ import annotations

import lzma
import re
from typing import Any

from flow_resources.cloud.machine.texts import filled

_FIRST, _DIGITS = 33, 94  # "!" to "~"
_FILTERS: list[dict[str, Any]] = [
    {"id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME, "lc": 3, "lp": 0, "pb": 0, "nice_len": 48}
]
_BASH = "#!/bin/bash\n"
_HEAD = re.compile(rf"{_BASH}(?P<origin># FLOW_ORIGIN: .*)\n")
_PACKED = re.compile(r"'<<'E'\n(?P<payload>[!-~]+)\nE\nexec bash \$D/script\n")


def pack(script: str) -> str:
    """Return a script as it is sent; the line that says which version of the SDK wrote it stays as it is."""
    head = _HEAD.match(script)
    script = script[head.end() :] if head else script
    number = int.from_bytes(lzma.compress(script.encode(), lzma.FORMAT_ALONE, filters=_FILTERS), "big")
    digits = bytearray()
    while number:
        number, nine = divmod(number, _DIGITS**9)  # as many as a machine word holds
        for _ in range(9):
            nine, digit = divmod(nine, _DIGITS)
            digits.append(_FIRST + digit)
    return (
        filled("bootstrap.sh", origin=head["origin"] if head else "#", payload=digits[::-1].decode().lstrip("!")) + "\n"
    )


def is_packed(script: str) -> bool:
    """Whether `pack` made a script."""
    return bool(_PACKED.search(script))


def unpack(script: str) -> str | None:
    """Return the script that `pack` packed; None where somebody else made it."""
    match = _PACKED.search(script)
    if not match:
        return None
    number = 0
    for digit in match["payload"].encode():
        number = number * _DIGITS + digit - _FIRST
    head = _HEAD.match(script)
    try:
        text = lzma.decompress(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode()
        return f"{head[0] if head else ''}{text}"
    except (ValueError, lzma.LZMAError, EOFError):
        return None
