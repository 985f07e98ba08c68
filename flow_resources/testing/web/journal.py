"""What was asked of the fake, in order of arrival: the thing tests assert on. It never holds a key."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Any

MUTATING = frozenset({"POST", "PATCH", "PUT", "DELETE"})
_KEPT, _KEPT_BYTES = 50_000, 64_000_000


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
    status: int | None = None
    """None while nothing was answered, and for ever where no answer was sent."""
    effect: bool = False
    """True when the request changed the state; a refusal or a replay does not."""
    key: str | None = None
    """The first characters of a hash of the API key, to tell keys apart; never the key. None where there was none."""
    fault: str | None = None
    """The kind of the fault that struck it."""
    at: float = 0.0
    """When it came, in seconds since 1970 by the cloud's clock."""


class Journal:
    """A list of requests that two threads may use; it forgets the oldest ones of a very long run."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._requests: deque[Request] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0

    def record(self, request: Request, size: int = 0) -> None:
        """Append one request, whose body has so many bytes."""
        with self._lock:
            self._requests.append(request)
            self._sizes.append(size)
            self._bytes += size
            while len(self._requests) > _KEPT or self._bytes > _KEPT_BYTES:
                self._requests.popleft()
                self._bytes -= self._sizes.popleft()

    def latest(self, most: int) -> list[Request]:
        """Return the last requests, the newest first."""
        with self._lock:
            return list(islice(reversed(self._requests), most))

    def all(self) -> list[Request]:
        """Return a copy of the list."""
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._requests.clear()
            self._sizes.clear()
            self._bytes = 0
