"""Reading the query string of a request; only the first wrong parameter is reported."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence

from flow_resources.testing.service.errors import InvalidError, problem
from flow_resources.testing.service.formats import INTEGER_MAX, is_storable, parse_time

PAGE_MAX = 100


class Query:
    """The query string of one request; a list may be a repeated parameter or separated by commas."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        """Group the parameters by name."""
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def to_dict(self) -> dict[str, str]:
        """Return the parameters by name, repeated ones joined with commas."""
        return {name: ",".join(values) for name, values in self._values.items()}

    def text(self, name: str) -> str | None:
        """Return a parameter; None if it is missing or empty."""
        return self._values.get(name, [""])[-1] or None

    def required(self, name: str) -> str:
        """Return a required parameter. Raises InvalidError if it is missing or empty."""
        value = self.text(name)
        if value is None:
            raise _invalid(name, "Field required", "missing")
        return value

    def choice(self, name: str, allowed: Sequence[str]) -> str | None:
        """Return a parameter that is one of `allowed`; None if it is missing."""
        value = self.text(name)
        if value is not None and value not in allowed:
            raise _invalid(name, f"Input should be {' or '.join(map(repr, allowed))}", "literal_error")
        return value

    def text_list(self, name: str, allowed: Sequence[str] | None = None) -> list[str]:
        """Return a list, each item one of `allowed` if given; empty if the parameter is missing."""
        items = [part.strip() for value in self._values.get(name, []) for part in value.split(",") if part.strip()]
        for value in items:
            if allowed is not None and value not in allowed:
                raise _invalid(name, f"{value!r} is not one of {', '.join(allowed)}", "literal_error")
        return items

    def integer(self, name: str, *, minimum: int = 1, maximum: int) -> int | None:
        """Return an integer from `minimum` to `maximum`; None if it is missing."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?[0-9]{1,9}", value) or not minimum <= int(value) <= maximum:
            raise _invalid(name, f"Input should be an integer from {minimum} to {maximum}", "int_parsing")
        return int(value)

    def time(self, name: str) -> float | None:
        """Return an ISO 8601 time with a zone in seconds since 1970; None if it is missing."""
        value = self.text(name)
        try:
            # Clients may send an unescaped plus sign, which is decoded as a blank.
            return None if value is None else parse_time(value.replace(" ", "+"))
        except ValueError as error:
            raise _invalid(name, str(error), "datetime_parsing") from error

    def flag(self, name: str) -> bool:
        """Return a boolean, False if it is missing."""
        return (self.choice(name, ("true", "false", "True", "False", "1", "0")) or "false").lower() in ("true", "1")

    def cursor(self) -> tuple[str | int, int] | None:
        """Return sort value and sequence number of the last row of the previous page; None on the first page."""
        text = self.text("next_cursor")
        if text is None:
            return None
        try:
            value, seq = json.loads(base64.urlsafe_b64decode(text.encode("ascii")))
        except ValueError as error:
            raise _invalid("next_cursor", "Invalid cursor") from error
        if not isinstance(value, (str, int)) or not isinstance(seq, int) or abs(seq) > INTEGER_MAX:
            raise _invalid("next_cursor", "Invalid cursor")
        if not is_storable(value) if isinstance(value, str) else abs(value) > INTEGER_MAX:
            raise _invalid("next_cursor", "Invalid cursor")
        return value, seq


def write_cursor(value: str | int, seq: int) -> str:
    """Return the text of a cursor, which `Query.cursor` parses."""
    return base64.urlsafe_b64encode(json.dumps([value, seq]).encode()).decode()


def _invalid(name: str, msg: str, kind: str = "value_error") -> InvalidError:
    return InvalidError([problem(("query", name), msg, kind)])
