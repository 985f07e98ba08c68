"""Reading a query string: the first parameter that is wrong is reported alone, in the 422 envelope."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence

from flow_resources.testing.service.errors import InvalidError, problem
from flow_resources.testing.service.notation import WHOLE_MAX, is_storable, parse_time

PAGE_MAX = 100


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
        for value in found:
            if allowed is not None and value not in allowed:
                raise _wrong(name, f"{value!r} is not one of {', '.join(allowed)}", "literal_error")
        return found

    def whole(self, name: str, *, least: int = 1, most: int) -> int | None:
        """Return an integer within bounds."""
        value = self.text(name)
        if value is None:
            return None
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
        if not is_storable(value) if isinstance(value, str) else abs(value) > WHOLE_MAX:
            raise _wrong("next_cursor", "Invalid cursor")
        return value, seq


def write_cursor(value: str | int, seq: int) -> str:
    """Return the text from which `Query.cursor` finds the place again."""
    return base64.urlsafe_b64encode(json.dumps([value, seq]).encode()).decode()


def _wrong(name: str, msg: str, kind: str = "value_error") -> InvalidError:
    return InvalidError([problem(("query", name), msg, kind)])
