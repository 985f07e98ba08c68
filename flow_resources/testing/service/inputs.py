"""Reading what a client sent: bodies and query strings, with everything that is wrong reported at once.

The rooms above get plain values; the 422 envelope is made here and nowhere else.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn, TypeGuard

from flow_resources.testing.service.errors import InvalidError, problem

_PRICE = re.compile(r"\$(\d{1,9})(?:\.(\d{1,2}))?", re.ASCII)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_MISSING = object()
_ITEMS_MAX = 1000
"""No order has that many volumes or keys, and SQLite asks for a limit."""
PAGE_MAX = 100
_DIGITS = 300
WHOLE_MAX = 2**53
"""The largest number that every JSON reader keeps exact; also well inside a SQLite integer."""


def parse_price(text: str) -> int:
    """Return the cents of a price written as "$50.00". Raises ValueError when it is not one, or not above zero."""
    match = _PRICE.fullmatch(text)
    cents = int(match[1]) * 100 + int((match[2] or "0").ljust(2, "0")) if match else 0
    if cents <= 0:
        msg = f'a price is written like "$50.00" and is greater than zero, got {text!r}'
        raise ValueError(msg)
    return cents


def write_price(cents: int) -> str:
    """Return cents as the API writes them: "$50.00"."""
    return f"${cents // 100}.{cents % 100:02d}"


def is_number(value: object) -> TypeGuard[float]:
    """Say whether JSON had a number there; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def parse_time(text: str) -> float:
    """Return an ISO 8601 time with a zone as seconds since 1970. Raises ValueError when it is not one."""
    match = _TIME.fullmatch(text)
    if match is None:
        msg = f"Input should be a time with a zone, such as 2024-01-01T00:00:00Z, got {text!r}"
        raise ValueError(msg)
    second, fraction, zone = match.groups()
    # Python 3.10 reads neither the Z nor fractions of another length than 3 or 6.
    micros = (fraction or "")[:6].ljust(6, "0")
    return datetime.fromisoformat(f"{second}.{micros}{zone.replace('Z', '+00:00')}").timestamp()


def read_json(raw: bytes) -> Any:
    """Return what a client sent. Raises ValueError for what is no JSON, or has numbers that nobody can keep."""
    try:
        return json.loads(raw, parse_constant=_no_number, parse_float=_finite, parse_int=_short)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text[:40]} is no number that can be kept")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _short(text: str) -> int:
    # As long as it fits into a float, a reader can say which field is out of bounds.
    return int(text) if len(text) <= _DIGITS else _no_number(text)


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

    def has(self, name: str) -> bool:
        """Say whether the field was sent with a value."""
        self._read.add(name)
        return self._raw.get(name) is not None

    def sent(self, name: str) -> bool:
        """Say whether the field was sent, if only as null."""
        return name in self._raw

    def text(self, name: str, *, pattern: str | None = None, longest: int = 10_000_000, shortest: int = 1) -> str:
        """Read a string that must be there."""
        value = self._take(name, str, "string")
        if not isinstance(value, str):
            return ""
        if not shortest <= len(value) <= longest:
            self.wrong(name, f"String should have {shortest} to {longest} characters", "string_length")
        elif pattern is not None and not re.fullmatch(pattern, value):
            self.wrong(name, f"String should match pattern '{pattern}'", "string_pattern_mismatch")
        elif not _storable(value):
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

    def texts(self, name: str) -> list[str]:
        """Read a list of strings that must be there, each kept once."""
        value = self._take(name, list, "list")
        if not isinstance(value, list):
            return []
        if len(value) > _ITEMS_MAX:
            self.wrong(name, f"List should have at most {_ITEMS_MAX} items", "too_long")
            return []
        for index, item in enumerate(value):
            if not isinstance(item, str) or not item or not _storable(item):
                self._add((*self._loc, name, index), "Input should be a valid string", "string_type")
        return list(dict.fromkeys(item for item in value if isinstance(item, str)))

    def inner(self, name: str) -> Body:
        """Read an object inside this one; its problems are reported with ours."""
        self._read.add(name)
        raw = self._raw.get(name, _MISSING)
        if raw is _MISSING:
            self.wrong(name, "Field required", "missing")
            raw = {"volumes": [], "ssh_keys": []}
        return Body(raw, (*self._loc, name), self._problems)

    def only(self, *names: str) -> None:
        """Note every field that is none of these, for the few bodies that may have no others."""
        for name in self._raw.keys() - set(names):
            self.wrong(name, "Extra inputs are not permitted", "extra_forbidden")

    def wrong(self, name: str, msg: str, kind: str = "value_error") -> None:
        """Note that a field is wrong."""
        self._add((*self._loc, name), msg, kind)

    def decimal(self, name: str, *, least: float = 0.0, most: float = float("inf")) -> float:
        """Read a number within bounds, which may be a fraction; the upper bound itself is out."""
        value = self._take(name, (int, float), "number")
        if not isinstance(value, (int, float)):
            return least
        if not least <= value < most:
            self.wrong(name, f"Input should be at least {least:g} and below {most:g}", "out_of_range")
        return float(value)

    def decimal_or_none(self, name: str) -> float | None:
        """Read a number that may be missing or null."""
        return self.decimal(name) if self.has(name) else None

    def anything(self, name: str) -> Any:
        """Read whatever the field holds, None when it is missing."""
        self._read.add(name)
        return self._raw.get(name)

    def is_null(self, name: str) -> bool:
        """Say whether the field was sent as null."""
        return name in self._raw and self._raw[name] is None

    def seconds(self, name: str) -> float | None:
        """Read a duration that may be missing or null: a number of seconds, or "manual" for one without an end."""
        if not self.has(name):
            return None
        return math.inf if self._raw[name] in ("manual", math.inf) else self.decimal(name)

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

    def rest(self) -> dict[str, Any]:
        """Return the fields that nobody has read yet, as they came, for another reader."""
        rest = {name: value for name, value in self._raw.items() if name not in self._read}
        self._read.update(rest)
        return rest

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


class Query:
    """The query string of one request; lists may come repeated as well as separated by commas."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        """Group the pairs by name."""
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def plain(self) -> dict[str, str]:
        """Return name to value, repeated values joined with commas."""
        return {name: ",".join(values) for name, values in self._values.items()}

    def text(self, name: str) -> str | None:
        """Return a parameter, or None when it is missing or empty."""
        return self._values.get(name, [""])[-1] or None

    def required(self, name: str) -> str:
        """Return a parameter that must be there."""
        value = self.text(name)
        if value is None:
            raise _wrong(name, "Field required", "missing")
        return value

    def choice(self, name: str, allowed: Sequence[str]) -> str | None:
        """Return one of a few words."""
        value = self.text(name)
        if value is not None and value not in allowed:
            raise _wrong(name, f"Input should be {' or '.join(map(repr, allowed))}", "literal_error")
        return value

    def many(self, name: str, allowed: Sequence[str] | None = None) -> list[str]:
        """Return a list of words."""
        found = [part.strip() for value in self._values.get(name, []) for part in value.split(",") if part.strip()]
        for value in found if allowed is not None else ():
            if value not in (allowed or ()):
                raise _wrong(name, f"{value!r} is not one of {', '.join(allowed or ())}", "literal_error")
        return found

    def whole(self, name: str, *, most: int) -> int | None:
        """Return an integer from 1 to `most`."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,9}", value) or not 1 <= int(value) <= most:
            raise _wrong(name, f"Input should be an integer from 1 to {most}", "int_parsing")
        return int(value)

    def number(self, name: str, *, least: int, most: int, default: int) -> int:
        """Return an integer within bounds, which may be negative."""
        value = self.text(name)
        if value is None:
            return default
        if not re.fullmatch(r"-?[0-9]{1,9}", value) or not least <= int(value) <= most:
            raise _wrong(name, f"Input should be an integer from {least} to {most}", "int_parsing")
        return int(value)

    def moment(self, name: str) -> float | None:
        """Return a time as seconds since 1970, or None when it is missing."""
        value = self.text(name)
        try:
            # A plus sign in a query string is a blank unless it was escaped; clients forget.
            return None if value is None else parse_time(value.replace(" ", "+"))
        except ValueError as error:
            raise _wrong(name, str(error), "datetime_parsing") from error

    def flag(self, name: str) -> bool:
        """Return true or false, false when missing."""
        return (self.choice(name, ("true", "false", "True", "False", "1", "0")) or "false").lower() in ("true", "1")

    def cursor(self) -> tuple[str | int, int] | None:
        """Return the place where the page before this one ended."""
        text = self.text("next_cursor")
        if text is None:
            return None
        try:
            value, seq = json.loads(base64.urlsafe_b64decode(text.encode("ascii")))
        except ValueError as error:
            raise _wrong("next_cursor", "Invalid cursor") from error
        if not isinstance(value, (str, int)) or not isinstance(seq, int) or abs(seq) > WHOLE_MAX:
            raise _wrong("next_cursor", "Invalid cursor")
        if not _storable(value) if isinstance(value, str) else abs(value) > WHOLE_MAX:
            raise _wrong("next_cursor", "Invalid cursor")
        return value, seq


def write_cursor(value: str | int, seq: int) -> str:
    """Return the text from which `Query.cursor` finds the place again."""
    return base64.urlsafe_b64encode(json.dumps([value, seq]).encode()).decode()


def _storable(text: str) -> bool:
    """Say whether it is text: neither a NUL nor half a surrogate pair is."""
    return "\x00" not in text and not any(0xD800 <= ord(c) <= 0xDFFF for c in text)  # noqa: PLR2004


def _wrong(name: str, msg: str, kind: str = "value_error") -> InvalidError:
    return InvalidError([problem(("query", name), msg, kind)])
