"""The log of requests to the API, for tests to assert on. It contains no API keys, but in start-up scripts."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Any

MUTATING = frozenset({"POST", "PATCH", "PUT", "DELETE"})
_REQUESTS_MAX, _BYTES_MAX = 50_000, 64_000_000


@dataclass
class Request:
    """One request to the API, and its result."""

    method: str
    path: str
    query: dict[str, str]
    """The parameters by name; repeated ones are joined with commas, which the API treats alike."""
    body: Any
    """The parsed JSON body; the text if it is not valid JSON; None without a body."""
    idempotency_key: str | None
    status: int | None = None
    """The HTTP status of the response; None until it is sent, and where none was sent."""
    effect: bool = False
    """Whether the request changed the state; one that failed or that repeats an Idempotency-Key does not."""
    key: str | None = None
    """The first characters of a hash of the API key, to tell keys apart; None without a key."""
    fault: str | None = None
    """The kind of the fault rule that was applied to it; None if there was none."""
    at: float = 0.0
    """The time of arrival by the cloud's clock, in seconds since 1970."""


class Journal:
    """A thread-safe list of requests, which drops the oldest ones beyond a limit."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._requests: deque[Request] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0

    def record(self, request: Request, size: int = 0) -> None:
        """Append one request; `size` is the length of its body in bytes."""
        with self._lock:
            self._requests.append(request)
            self._sizes.append(size)
            self._bytes += size
            while len(self._requests) > _REQUESTS_MAX or self._bytes > _BYTES_MAX:
                self._requests.popleft()
                self._bytes -= self._sizes.popleft()

    def latest(self, limit: int) -> list[Request]:
        """Return up to `limit` requests, newest first."""
        with self._lock:
            return list(islice(reversed(self._requests), limit))

    def all(self) -> list[Request]:
        """Return all requests, oldest first."""
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        """Remove all requests."""
        with self._lock:
            self._requests.clear()
            self._sizes.clear()
            self._bytes = 0
