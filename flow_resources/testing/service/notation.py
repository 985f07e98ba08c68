"""How values are written where the API is spoken: prices, times, numbers, text. It knows no field and no request."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timezone
from typing import Any, NoReturn, TypeGuard

WHOLE_MAX = 2**53
"""The largest number that every JSON reader keeps exact; also well inside a SQLite integer."""
_PRICE = re.compile(r"\$(\d{1,9})(?:\.(\d{1,2}))?", re.ASCII)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DIGITS = 300


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


def write_time(at: float) -> str:
    """Write a moment as the service does: ISO 8601 with a zone."""
    return datetime.fromtimestamp(at, tz=timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def is_number(value: object) -> TypeGuard[float]:
    """Say whether JSON had a number there; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_storable(text: str) -> bool:
    """Say whether it is text: neither a NUL nor half a surrogate pair is."""
    return "\x00" not in text and not any(0xD800 <= ord(c) <= 0xDFFF for c in text)  # noqa: PLR2004


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
