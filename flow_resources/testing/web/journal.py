"""What was asked of the fake, in order of arrival: the thing tests assert on. It never holds a key."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

MUTATING = frozenset({"POST", "PATCH", "PUT", "DELETE"})
_KEPT = 50_000


@dataclass
class Request:
    """One request as it came in, and what became of it."""

    method: str
    path: str
    query: dict[str, str]
    """Repeated parameters are joined with commas, which the API reads the same way."""
    body: Any
    """Parsed JSON; the text itself when it is not JSON; None when there was none."""
    idempotency_key: str | None
    at: float
    status: int | None = None
    """None while nothing was answered, and for ever where no answer was sent."""
    effect: bool = False
    """True when the request changed the state; a refusal or a replay does not."""


class Journal:
    """A list of requests that two threads may use; it forgets the oldest ones of a very long run."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._requests: deque[Request] = deque(maxlen=_KEPT)

    def record(self, request: Request) -> None:
        """Append one request."""
        with self._lock:
            self._requests.append(request)

    def all(self) -> list[Request]:
        """Return a copy of the list."""
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._requests.clear()
