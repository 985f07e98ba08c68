"""Reading the body of a request: plain values for the rooms above, and everything that is wrong reported at once."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flow_resources.testing.service.errors import InvalidError, problem
from flow_resources.testing.service.notation import WHOLE_MAX, is_number, is_storable, parse_price, parse_time

_MISSING = object()
_ITEMS_MAX = 1000
"""No order has that many volumes or keys, and SQLite asks for a limit."""


class Body:
    """The fields of one JSON object. Readers return a harmless value for a wrong field; `done` raises for them all."""

    def __init__(
        self, raw: object, loc: tuple[str | int, ...] = ("body",), problems: list[dict[str, Any]] | None = None
    ) -> None:
        """Wrap what was parsed; anything but an object is wrong as a whole. `problems` is the list to add to."""
        self._loc = loc
        self._problems: list[dict[str, Any]] = [] if problems is None else problems
        self._raw: Mapping[str, Any] = {}
        self._read: set[str] = set()
        if isinstance(raw, dict):
            self._raw = raw
        else:
            self._add(loc, "Input should be a valid dictionary", "dict_type")

    def sent(self, name: str) -> bool:
        """Say whether the field was sent, if only as null."""
        return name in self._raw

    def has(self, name: str) -> bool:
        """Say whether the field was sent with a value."""
        self._read.add(name)
        return self._raw.get(name) is not None

    def text(self, name: str, *, pattern: str | None = None, longest: int = 10_000_000, shortest: int = 1) -> str:
        """Read a string that must be there."""
        value = self._take(name, str, "string")
        if not isinstance(value, str):
            return ""
        if not shortest <= len(value) <= longest:
            self.wrong(name, f"String should have {shortest} to {longest} characters", "string_length")
        elif pattern is not None and not re.fullmatch(pattern, value):
            self.wrong(name, f"String should match pattern '{pattern}'", "string_pattern_mismatch")
        elif not is_storable(value):
            self.wrong(name, "String should be text that can be stored", "string_unicode")
        return value

    def text_or_none(self, name: str) -> str | None:
        """Read a string that may be missing or null."""
        return self.text(name, shortest=0) if self.has(name) else None

    def choice(self, name: str, allowed: Sequence[str]) -> str:
        """Read one of a few words."""
        value = self.text(name)
        if value and value not in allowed:
            self.wrong(name, f"Input should be {' or '.join(map(repr, allowed))}", "literal_error")
        return value

    def whole(self, name: str, *, least: int = 1, most: int = WHOLE_MAX) -> int:
        """Read an integer within bounds."""
        value = self._take(name, int, "integer")
        if not isinstance(value, int):
            return least
        if not least <= value <= most:
            self.wrong(name, f"Input should be from {least} to {most}", "out_of_range")
        return value

    def whole_or_none(self, name: str) -> int | None:
        """Read an integer that may be missing or null."""
        return self.whole(name) if self.has(name) else None

    def decimal(self, name: str, *, least: float = 0.0, most: float = float("inf")) -> float:
        """Read a number within bounds, which may be a fraction; the upper bound itself is out."""
        value = self._take(name, (int, float), "number")
        if not isinstance(value, (int, float)):
            return least
        if not least <= value < most:
            self.wrong(name, f"Input should be at least {least:g} and below {most:g}", "out_of_range")
        return float(value)

    def flag(self, name: str, *, default: bool | None = None) -> bool:
        """Read true or false; required where there is no default."""
        self._read.add(name)
        if default is not None and name not in self._raw:
            return default
        return self._take(name, bool, "boolean") is True

    def price(self, name: str) -> int:
        """Read a price in dollars and return its cents."""
        value = self.text(name)
        try:
            return parse_price(value) if value else 1
        except ValueError as error:
            self.wrong(name, str(error))
            return 1

    def moment(self, name: str) -> float:
        """Read a time with a zone and return it as seconds since 1970."""
        value = self.text(name)
        try:
            return parse_time(value) if value else 0.0
        except ValueError as error:
            self.wrong(name, str(error), "datetime_parsing")
            return 0.0

    def seconds(self, name: str) -> float | None:
        """Read a duration that may be missing or null: a number of seconds, or "manual" for one without an end."""
        if not self.has(name):
            return None
        return math.inf if self._raw[name] in ("manual", math.inf) else self.decimal(name)

    def texts(self, name: str) -> list[str]:
        """Read a list of strings that must be there, each kept once."""
        value = self._take(name, list, "list")
        if not isinstance(value, list):
            return []
        if len(value) > _ITEMS_MAX:
            self.wrong(name, f"List should have at most {_ITEMS_MAX} items", "too_long")
            return []
        for index, item in enumerate(value):
            if not isinstance(item, str) or not item or not is_storable(item):
                self._add((*self._loc, name, index), "Input should be a valid string", "string_type")
        return list(dict.fromkeys(item for item in value if isinstance(item, str)))

    def pairs(self, name: str) -> list[tuple[float, float | None]]:
        """Read a list of [number, number or null]."""
        items = self._take(name, list, "list")
        pairs: list[tuple[float, float | None]] = []
        for item in items if isinstance(items, list) else ():
            first, second = item if isinstance(item, list) and len(item) == 2 else (None, None)  # noqa: PLR2004
            if is_number(first) and (second is None or is_number(second)):
                pairs.append((first, second))
            else:
                self.wrong(name, f"Input should be a pair of numbers, got {item!r}", "tuple_type")
        return pairs

    def inner(self, name: str) -> Body:
        """Read an object inside this one; its problems are reported with ours, but none of one that is missing."""
        raw = self.anything(name)
        if not self.sent(name):
            self.wrong(name, "Field required", "missing")
            return Body({}, (*self._loc, name))
        return Body(raw, (*self._loc, name), self._problems)

    def anything(self, name: str) -> Any:
        """Read whatever the field holds, None when it is missing."""
        self._read.add(name)
        return self._raw.get(name)

    def rest(self) -> dict[str, Any]:
        """Return the fields that nobody has read yet, as they came, for another reader."""
        rest = {name: value for name, value in self._raw.items() if name not in self._read}
        self._read.update(rest)
        return rest

    def wrong(self, name: str, msg: str, kind: str = "value_error") -> None:
        """Note that a field is wrong."""
        self._add((*self._loc, name), msg, kind)

    def nothing_else(self) -> None:
        """Raise InvalidError if anything was wrong, or was sent that nobody has asked for."""
        for name in self._raw:
            if name not in self._read:
                self.wrong(name, "Extra inputs are not permitted", "extra_forbidden")
        self.done()

    def done(self) -> None:
        """Raise InvalidError if anything was wrong."""
        if self._problems:
            raise InvalidError(self._problems)

    def _take(self, name: str, wanted: type | tuple[type, ...], word: str) -> object:
        self._read.add(name)
        value = self._raw.get(name, _MISSING)
        if value is _MISSING:
            self.wrong(name, "Field required", "missing")
        elif not isinstance(value, wanted) or (wanted is not bool and isinstance(value, bool)):
            self.wrong(name, f"Input should be a valid {word}", f"{word}_type")
            return None
        return value

    def _add(self, loc: tuple[str | int, ...], msg: str, kind: str) -> None:
        self._problems.append(problem(loc, msg, kind))
