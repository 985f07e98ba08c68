"""What a start-up script installs, read from its text. Nothing runs it: a fake has no machines.

A long script is sent as a bootstrap that carries it compressed in a heredoc: gzip in base64, as the Flow SDK does, or
another common pair. The script that is carried may carry another one.
"""

from __future__ import annotations

import base64
import binascii
import functools
import itertools
import lzma
import re
import zlib
from collections.abc import Callable
from typing import Any

_HEREDOC = re.compile(r"<<-? ?'?(\w+)'?[^\n]*\n(.*?)\n\1$", re.MULTILINE | re.DOTALL)
_UNREADABLE = (binascii.Error, zlib.error, lzma.LZMAError, EOFError, ValueError)
_DECOMPRESSORS = (lambda: zlib.decompressobj(wbits=32 + zlib.MAX_WBITS), lzma.LZMADecompressor)
_SIZE_MAX = 1_000_000
"""The most bytes that a payload is expanded to: a bid may carry any text."""
_PAYLOADS_MAX = 8
_DIGITS, _DIGITS_MAX = re.compile(r"[!-~]+"), 20_000
_ENABLE = re.compile(r"^[^#\n]*?\bsystemctl(?:\s+-\S+)*\s+enable\s+([^\n;&|>#)]+)", re.MULTILINE)
_LINK = re.compile(r"^[^#\n]*?\bln\s+-\S+\s+([^\n;&|]+?)\s+/etc/systemd/system/\S+\.wants/?\s*$", re.MULTILINE)
_UNIT = re.compile(r"[\w.@\\:-]+")
_SUFFIXES = (".service", ".path", ".timer", ".socket", ".target", ".mount")


def expand(script: str) -> str:
    """Return the script with the script of each compressed payload after it. A payload that is none stays as it is."""
    texts = [script]
    for text in itertools.islice(texts, _PAYLOADS_MAX):
        texts += filter(None, (_decompress(payload) for _, payload in _HEREDOC.findall(text)))
    return "\n".join(texts)


def _decode_number(digits: str) -> bytes:
    """Return the bytes of a number in the printable characters of ASCII: "!" is 0, and the first digit the highest."""
    if len(digits) > _DIGITS_MAX or not _DIGITS.fullmatch(digits):
        raise ValueError
    number = functools.reduce(lambda high, digit: high * 94 + digit - 33, digits.encode(), 0)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


@functools.lru_cache(maxsize=1024)
def installed_units(script: str) -> tuple[str, ...]:
    """Return the systemd units that a script installs and that run at each later boot, in the order of the script.

    Not counted are a unit of the machine's own image, which the script names without a suffix and writes no file of,
    and one that runs only while another one of the script is not there yet.
    """
    text = expand(script)
    named = [word for match in _ENABLE.finditer(text) for word in match[1].split() if _UNIT.fullmatch(word)]
    enabled = [name for name in named if name.endswith(_SUFFIXES) or f"{name}.service" in text]
    linked = [word.rpartition("/")[2] for match in _LINK.finditer(text) for word in match[1].split()]
    units = dict.fromkeys(name if name.endswith(_SUFFIXES) else f"{name}.service" for name in (*enabled, *linked))
    return tuple(unit for unit in units if not _waits_for_one_of(units, text, unit))


def _waits_for_one_of(units: dict[str, None], text: str, unit: str) -> bool:
    """Whether a unit has the condition that the file of another one is not there."""
    written = re.search(rf"/{re.escape(unit)} ?<<-? ?'?(\w+)'?\n(.*?)\n\1$", text, re.MULTILINE | re.DOTALL)
    conditions = re.findall(r"^ConditionPathExists=!.*/(\S+)$", written[2], re.MULTILINE) if written else []
    return any(name in units for name in conditions)


_DECODERS: tuple[Callable[[str], bytes], ...] = (base64.b64decode, base64.b85decode, _decode_number)


def _decompress(payload: str) -> str:
    """Return the text of a payload; empty for one that is none."""
    attempts = (_attempt(decode, decompressor(), payload) for decode in _DECODERS for decompressor in _DECOMPRESSORS)
    return next(filter(None, attempts), "")


def _attempt(decode: Callable[[str], bytes], decompressor: Any, payload: str) -> str:
    try:
        text: str = decompressor.decompress(decode(payload.strip()), _SIZE_MAX).decode()
    except _UNREADABLE:
        return ""
    return text
