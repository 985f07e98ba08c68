"""What is not to be repeated: secrets that somebody else's words could carry back to the terminal.

A service can echo a request in its refusal, an exception can hold the value that it stumbled over. So whatever this
package shows and has not written itself passes `redact` first. Its own sentences hold no secret, and stay as they are:
a value of `env` can be a region's name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

CUT = "…"
_SHORTEST, _SHORTEST_PIECE = 4, 8  # what is shorter is found everywhere, and guards nothing
_PIECES = re.compile(r"[\s\"'`\\=]+")
_kept: set[str] = set()


def register_secret(value: Any) -> None:
    """Remember every string inside a value as a secret of this process: whole, as JSON writes it, and its pieces."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for one in value:
            register_secret(one)
    elif isinstance(value, str):
        whole = {form for form in (value, value.strip(), json.dumps(value)[1:-1]) if len(form) >= _SHORTEST}
        _kept.update(whole, (piece for piece in _PIECES.split(value) if len(piece) >= _SHORTEST_PIECE))


def redact(text: str) -> str:
    """Return a text with the sign of a cut for every secret in it, also for one that its end cuts off."""
    secrets = sorted(_kept, key=len, reverse=True)
    for secret in secrets:
        text = text.replace(secret, CUT)
    for secret in secrets:
        for length in range(len(secret) - 1, _SHORTEST - 1, -1):
            if text.endswith(secret[:length]):
                return text[:-length] + CUT
    return text
