"""What a start-up script installs, read from its text. Nothing runs it: a fake has no machines.

The Flow SDK sends a long script as a bootstrap that carries the script compressed: gzip in base64 in a heredoc, on one
line or wrapped. The bootstrap may be carried by another one.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import re
import zlib

_PAYLOAD = re.compile(
    r"COMPRESSED_SCRIPT=\$\(cat << 'EOF_COMPRESSED_SCRIPT'\n([A-Za-z0-9+/=\n]*)\nEOF_COMPRESSED_SCRIPT\n\)"
)
_UNREADABLE = (binascii.Error, zlib.error, UnicodeDecodeError)
_SIZE_MAX = 1_000_000
"""The most bytes that a payload is expanded to: a bid may carry any text."""
_PAYLOADS_MAX = 8
_ENABLE = re.compile(r"^[^#\n]*?\bsystemctl((?:\s+-\S+)*)\s+enable\s+([^\n;&|>#)]+)", re.MULTILINE)
_UNIT = re.compile(r"[\w.@\\:-]+")
_SUFFIXES = (".service", ".path", ".timer", ".socket", ".target", ".mount")


def expand(script: str) -> str:
    """Return the script with the script of each compressed payload after it. A payload that is none stays as it is."""
    texts = [script]
    for text in itertools.islice(texts, _PAYLOADS_MAX):
        expanded = [_decompress(payload) for payload in _PAYLOAD.findall(text)]
        texts += [inner for inner in expanded if inner]
    return "\n".join(texts)


def installed_units(script: str) -> list[str]:
    """Return the systemd units that a script enables, which run at each later boot, in the order of the script.

    A unit of the machine's own image, which the script names without a suffix and writes no file of, is not counted.
    """
    text = expand(script)
    names = [word for match in _ENABLE.finditer(text) for word in match[2].split() if _UNIT.fullmatch(word)]
    units = [name if name.endswith(_SUFFIXES) else f"{name}.service" for name in names]
    return list(dict.fromkeys(unit for name, unit in zip(names, units, strict=True) if name == unit or unit in text))


def _decompress(payload: str) -> str | None:
    try:
        stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        return stream.decompress(base64.b64decode(payload), _SIZE_MAX).decode()
    except _UNREADABLE:
        return None
