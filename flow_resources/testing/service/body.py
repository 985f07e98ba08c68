"""Reading the JSON body of a request; all wrong fields are reported at once."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from flow_resources.testing.service.errors import InvalidError, problem
from flow_resources.testing.service.formats import INTEGER_MAX, is_number, is_storable, parse_price, parse_time

_MISSING = object()
_ITEMS_MAX = 1000
"""The maximum length of a list; SQLite limits the number of variables of a statement."""


class Body:
    """The fields of one JSON object.

    A method that reads a wrong field records the problem and returns a placeholder; `raise_problems` raises for all.
    """

    def __init__(
        self, raw: object, loc: tuple[str | int, ...] = ("body",), problems: list[dict[str, Any]] | None = None
    ) -> None:
        """Read from a parsed JSON value; anything but an object is a problem. Problems are added to `problems`."""
        self._loc = loc
        self._problems: list[dict[str, Any]] = [] if problems is None else problems
        self._raw: Mapping[str, Any] = {}
        self._read: set[str] = set()
        if isinstance(raw, dict):
            self._raw = raw
        else:
            self._add(loc, "Input should be a valid dictionary", "dict_type")

    def sent(self, name: str) -> bool:
        """Return whether the field was sent, even as null."""
        return name in self._raw

    def has(self, name: str) -> bool:
        """Return whether the field was sent with a value other than null."""
        self._read.add(name)
        return self._raw.get(name) is not None

    def text(self, name: str, *, pattern: str | None = None, longest: int = 10_000_000, shortest: int = 1) -> str:
        """Return a required string."""
        value = self._take(name, str, "string")
        if not isinstance(value, str):
            return ""
        if not shortest <= len(value) <= longest:
            self.add_problem(name, f"String should have {shortest} to {longest} characters", "string_length")
        elif pattern is not None and not re.fullmatch(pattern, value):
            self.add_problem(name, f"String should match pattern '{pattern}'", "string_pattern_mismatch")
        elif not is_storable(value):
            self.add_problem(name, "String should be text that can be stored", "string_unicode")
        return value

    def text_or_none(self, name: str) -> str | None:
        """Return a string; None if it is missing or null."""
        return self.text(name, shortest=0) if self.has(name) else None

    def choice(self, name: str, allowed: Sequence[str]) -> str:
        """Return a required string that is one of `allowed`."""
        value = self.text(name)
        if value and value not in allowed:
            self.add_problem(name, f"Input should be {' or '.join(map(repr, allowed))}", "literal_error")
        return value

    def integer(self, name: str, *, minimum: int = 1, maximum: int = INTEGER_MAX) -> int:
        """Return a required integer from `minimum` to `maximum`."""
        value = self._take(name, int, "integer")
        if not isinstance(value, int):
            return minimum
        if not minimum <= value <= maximum:
            self.add_problem(name, f"Input should be from {minimum} to {maximum}", "out_of_range")
        return value

    def integer_or_none(self, name: str) -> int | None:
        """Return an integer; None if it is missing or null."""
        return self.integer(name) if self.has(name) else None

    def number(self, name: str, *, minimum: float = 0.0, maximum: float = float("inf")) -> float:
        """Return a required number, at least `minimum` and below `maximum`."""
        value = self._take(name, (int, float), "number")
        if not isinstance(value, (int, float)):
            return minimum
        if not minimum <= value < maximum:
            self.add_problem(name, f"Input should be at least {minimum:g} and below {maximum:g}", "out_of_range")
        return float(value)

    def flag(self, name: str, *, default: bool | None = None) -> bool:
        """Return a boolean; required if there is no default."""
        self._read.add(name)
        if default is not None and name not in self._raw:
            return default
        return self._take(name, bool, "boolean") is True

    def price(self, name: str) -> int:
        """Return a required price such as "$50.00", in cents."""
        value = self.text(name)
        try:
            return parse_price(value) if value else 1
        except ValueError as error:
            self.add_problem(name, str(error))
            return 1

    def time(self, name: str) -> float:
        """Return a required ISO 8601 time with a zone, in seconds since 1970."""
        value = self.text(name)
        try:
            return parse_time(value) if value else 0.0
        except ValueError as error:
            self.add_problem(name, str(error), "datetime_parsing")
            return 0.0

    def seconds(self, name: str) -> float | None:
        """Return a duration in seconds, infinite for "manual"; None if it is missing or null."""
        if not self.has(name):
            return None
        return math.inf if self._raw[name] in ("manual", math.inf) else self.number(name)

    def text_list(self, name: str) -> list[str]:
        """Return a required list of strings, without duplicates."""
        value = self._take(name, list, "list")
        if not isinstance(value, list):
            return []
        if len(value) > _ITEMS_MAX:
            self.add_problem(name, f"List should have at most {_ITEMS_MAX} items", "too_long")
            return []
        for index, item in enumerate(value):
            if not isinstance(item, str) or not item or not is_storable(item):
                self._add((*self._loc, name, index), "Input should be a valid string", "string_type")
        return list(dict.fromkeys(item for item in value if isinstance(item, str)))

    def number_pairs(self, name: str) -> list[tuple[float, float | None]]:
        """Return a required list of [number, number or null]."""
        items = self._take(name, list, "list")
        pairs: list[tuple[float, float | None]] = []
        for item in items if isinstance(items, list) else ():
            first, second = item if isinstance(item, list) and len(item) == 2 else (None, None)  # noqa: PLR2004
            if is_number(first) and (second is None or is_number(second)):
                pairs.append((first, second))
            else:
                self.add_problem(name, f"Input should be a pair of numbers, got {item!r}", "tuple_type")
        return pairs

    def nested(self, name: str) -> Body:
        """Return a required nested object. Its problems are reported with those of this one, unless it is missing."""
        raw = self.raw_value(name)
        if not self.sent(name):
            self.add_problem(name, "Field required", "missing")
            return Body({}, (*self._loc, name))
        return Body(raw, (*self._loc, name), self._problems)

    def raw_value(self, name: str) -> Any:
        """Return the unchecked value of a field; None if it is missing."""
        self._read.add(name)
        return self._raw.get(name)

    def rest(self) -> dict[str, Any]:
        """Return the unchecked values of all fields that were not read yet."""
        rest = {name: value for name, value in self._raw.items() if name not in self._read}
        self._read.update(rest)
        return rest

    def add_problem(self, name: str, msg: str, kind: str = "value_error") -> None:
        """Record that a field is wrong."""
        self._add((*self._loc, name), msg, kind)

    def reject_others(self) -> None:
        """Raise InvalidError if there are problems, or fields that were not read."""
        for name in self._raw:
            if name not in self._read:
                self.add_problem(name, "Extra inputs are not permitted", "extra_forbidden")
        self.raise_problems()

    def raise_problems(self) -> None:
        """Raise InvalidError if there are problems."""
        if self._problems:
            raise InvalidError(self._problems)

    def _take(self, name: str, expected: type | tuple[type, ...], type_name: str) -> object:
        self._read.add(name)
        value = self._raw.get(name, _MISSING)
        if value is _MISSING:
            self.add_problem(name, "Field required", "missing")
        elif not isinstance(value, expected) or (expected is not bool and isinstance(value, bool)):
            self.add_problem(name, f"Input should be a valid {type_name}", f"{type_name}_type")
            return None
        return value

    def _add(self, loc: tuple[str | int, ...], msg: str, kind: str) -> None:
        self._problems.append(problem(loc, msg, kind))
