"""Secrets that must not be repeated: the text of others could carry them back to the terminal.

A service can echo a request in its refusal, and an exception can hold the value that it failed on. So every text that
this package shows and has not written itself passes `redact` first. The package's own sentences hold no secret and stay
as they are, because a value of `env` can be an ordinary word such as a region's name.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from typing import Any

CUT = "…"
_SHORTEST, _SHORTEST_PIECE = 4, 8  # anything shorter occurs in ordinary text, so replacing it would protect nothing
_PIECES = re.compile(r"[\s\"'`\\=]+")


class Redactor:
    """The secrets of one plugin process; its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: set[str] = set()

    def register(self, value: Any) -> None:
        """Register every string inside a value as a secret: the whole, its form in JSON, and its pieces."""
        if isinstance(value, Mapping):
            value = list(value.values())
        if isinstance(value, (list, tuple)):
            for item in value:
                self.register(item)
        elif isinstance(value, str):
            whole = {form for form in (value, value.strip(), json.dumps(value)[1:-1]) if len(form) >= _SHORTEST}
            pieces = {piece for piece in _PIECES.split(value) if len(piece) >= _SHORTEST_PIECE}
            with self._lock:
                self._secrets |= whole | pieces

    def redact(self, text: str) -> str:
        """Replace every secret in a text, also one that is cut off by the end of the text."""
        with self._lock:
            secrets = sorted(self._secrets, key=len, reverse=True)
        for secret in secrets:
            text = text.replace(secret, CUT)
        for secret in secrets:
            # The longest beginning of the secret that the text ends with.
            start = text.find(secret[:_SHORTEST], max(0, len(text) - len(secret) + 1))
            while start >= 0:
                if secret.startswith(text[start:]):
                    return text[:start] + CUT
                start = text.find(secret[:_SHORTEST], start + 1)
        return text
