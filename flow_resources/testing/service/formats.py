"""The formats of values in the API: prices, times, numbers and text."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timezone
from typing import Any, NoReturn, TypeGuard

INTEGER_MAX = 2**53
"""The largest integer that every JSON parser represents exactly; it also fits into a SQLite integer."""
_PRICE = re.compile(r"\$(\d{1,9})(?:\.(\d{1,2}))?", re.ASCII)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DIGITS_MAX = 300


class JsonText(str):
    """A JSON value that is written already; any other text is a value that is still to be written."""

    __slots__ = ()


def parse_price(text: str) -> int:
    """Return a price such as "$50.00" in cents. Raises ValueError when it is not one, or not above zero."""
    match = _PRICE.fullmatch(text)
    cents = int(match[1]) * 100 + int((match[2] or "0").ljust(2, "0")) if match else 0
    if cents <= 0:
        msg = f'a price is written like "$50.00" and is greater than zero, got {text!r}'
        raise ValueError(msg)
    return cents


def write_price(cents: int) -> str:
    """Return an amount in cents as the API writes it, such as "$50.00"."""
    return f"${cents // 100}.{cents % 100:02d}"


def parse_time(text: str) -> float:
    """Return an ISO 8601 time with a zone as seconds since 1970. Raises ValueError when it is not one."""
    match = _TIME.fullmatch(text)
    if match is None:
        msg = f"Input should be a time with a zone, such as 2024-01-01T00:00:00Z, got {text!r}"
        raise ValueError(msg)
    second, fraction, zone = match.groups()
    # Python 3.10 parses neither Z nor fractions of another length than 3 or 6.
    microseconds = (fraction or "")[:6].ljust(6, "0")
    return datetime.fromisoformat(f"{second}.{microseconds}{zone.replace('Z', '+00:00')}").timestamp()


def write_time(at: float) -> str:
    """Return a time in seconds since 1970 as the API writes it: ISO 8601, in UTC."""
    return datetime.fromtimestamp(at, tz=timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a JSON value is a number; booleans are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_storable(text: str) -> bool:
    """Return whether SQLite can store the text: without NUL and without lone surrogates."""
    return "\x00" not in text and not any(0xD800 <= ord(character) <= 0xDFFF for character in text)  # noqa: PLR2004


def read_json(raw: bytes) -> Any:
    """Return the JSON value that a client sent. Raises ValueError for invalid JSON, and for numbers out of range."""
    try:
        return json.loads(raw, parse_constant=_reject_number, parse_float=_parse_float, parse_int=_parse_int)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _reject_number(text: str) -> NoReturn:
    raise ValueError(f"{text[:40]} is no number that can be kept")


def _parse_float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _reject_number(text)


def _parse_int(text: str) -> int:
    # A number that fits into a float is accepted here, so that the error can name the field that is out of bounds.
    return int(text) if len(text) <= _DIGITS_MAX else _reject_number(text)
