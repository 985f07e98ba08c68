"""Secrets that must not be repeated: the text of others could carry them back to the terminal.

A service can echo a request in its refusal, and an exception can hold the value that it failed on. So every text that
this package shows and has not written itself passes `redact` first. The package's own sentences hold no secret and stay
as they are, because a value of `env` can be an ordinary word such as a region's name.
"""

from __future__ import annotations

import bisect
import json
import re
import threading
from collections.abc import Iterable, Mapping
from typing import Any

CUT = "…"
_SHORTEST, _SHORTEST_PIECE = 4, 8  # anything shorter occurs in ordinary text, so replacing it would protect nothing
_LONGEST_TEXT = 50_000  # no message shows more; a service can echo megabytes
_KEY = re.compile(r"fkey_[\w-]{6,}")
"""An API key of the service, known or not; what a listing shows of one is shorter."""
_URL_PASSWORDS = (
    re.compile(r"""(://[^\s/:@"'`]*:)[^\s/"'`]+(?=@)"""),
    re.compile(r"""([?&][a-z]*password=)[^\s&"'`]+"""),
)
"""Passwords in addresses: `postgres://user:PASSWORD@host/db` and `?password=PASSWORD`. The group is what stays."""
_PIECES = re.compile(r"[\s\"'`\\=]+")


class Redactor:
    """The secrets of one plugin process; its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: set[str] = set()
        self._index: _Index | None = None

    def register(self, value: Any) -> None:
        """Register every string inside a value as a secret: the whole, its form in JSON, and its pieces."""
        if isinstance(value, Mapping):
            value = list(value.values())
        if isinstance(value, (list, tuple)):
            for item in value:
                self.register(item)
        elif isinstance(value, str):
            value = value.strip()
            whole = {form for form in (value, json.dumps(value)[1:-1]) if len(form) >= _SHORTEST}
            pieces = {piece for piece in _PIECES.split(value) if len(piece) >= _SHORTEST_PIECE}
            with self._lock:
                if not (whole | pieces) <= self._secrets:
                    self._secrets |= whole | pieces
                    self._index = None

    def redact(self, text: str) -> str:
        """Replace every secret in a text, also one that is cut off by its end. A text is cut to 50,000 characters.

        Any API key of the service is a secret: the answer to a request for one can be lost, or refused, with it inside.
        """
        with self._lock:
            index = self._index = self._index or _Index(self._secrets)
        text, shown, end = text[:_LONGEST_TEXT], list[str](), 0
        for at in range(len(text)):
            if length := index.longest_at(text, at):
                if at >= end:  # else it overlaps the secret before it, and both are one stretch
                    shown += [text[end:at], CUT]
                end = max(end, at + length)
        return hide_passwords(_KEY.sub(CUT, "".join([*shown, text[end:]])))


def hide_passwords(text: str) -> str:
    """Replace the passwords of addresses in a text, such as that of a state in Postgres, which Pulumi repeats."""
    for pattern in _URL_PASSWORDS:
        text = pattern.sub(rf"\g<1>{CUT}", text)
    return text


class _Index:
    """Secrets in alphabetical order: what stands at a place of a text is found without trying each of them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._sorted = sorted(secrets)
        self._beginnings = {secret[:_SHORTEST] for secret in self._sorted}
        self._within: list[int | None] = []
        """By secret, the place of the longest other one that it begins with."""
        begun = list[int]()  # the secrets that the current one can begin with, the longest last
        for place, secret in enumerate(self._sorted):
            while begun and not secret.startswith(self._sorted[begun[-1]]):
                begun.pop()
            self._within.append(begun[-1] if begun else None)
            begun.append(place)

    def longest_at(self, text: str, at: int) -> int:
        """Return the length of the longest secret at a place, or of its beginning where the text ends in it; else 0."""
        if text[at : at + _SHORTEST] not in self._beginnings:
            return 0
        rest = text[at:]
        place = bisect.bisect_left(self._sorted, rest)
        if place < len(self._sorted) and self._sorted[place].startswith(rest):
            return len(rest)
        # All secrets that the rest begins with also begin the one right before it in the alphabet.
        found = place - 1 if place else None
        while found is not None and not rest.startswith(self._sorted[found]):
            found = self._within[found]
        return len(self._sorted[found]) if found is not None else 0
