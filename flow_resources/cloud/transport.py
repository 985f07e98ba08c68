"""The SDK's HTTP client, made fit for a provider through the seam that the SDK offers (`provider_factory`).

Three things differ from the stock client, each for a reason that was reproduced:

* **Fresh reads.** The stock client answers listings from a disk cache (5 s to 1 h) that a cancel or a pause does not
  clear. Here nothing is cached on disk; only what every launch asks again within seconds is shared in memory.
* **Lost answers are found again.** When the answer to a creating POST is lost, the stock client fails (500) or sends
  it again (504, reset, time-out), which rents twice where the service ignores the Idempotency-Key. Here what the lost
  request may have made is looked for by its exact name first; only where there is nothing is the request sent again.
* **Writes run side by side.** The stock client lets one slow POST hold up every other write of the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import tenacity
from flow.adapters.http.client import HttpClient
from flow.errors import (
    APIError,
    ApprovalPendingError,
    FlowError,
    FlowTimeoutError,
    InvalidResponseError,
    NetworkError,
    RateLimitError,
)

from flow_resources.cloud.failures import SERVER_ERROR
from flow_resources.cloud.settings import Settings
from flow_resources.cloud.shared import Shared
from flow_resources.errors import UnheardError

BIDS, VOLUMES, SSH_KEYS = "/v2/spot/bids", "/v2/volumes", "/v2/ssh-keys"
# What a launch asks anew each time, and for how many seconds one answer serves all launches of the process.
_SHARED_SECONDS = {
    "/v2/projects": 60.0,
    "/v2/me": 60.0,
    "/v2/instance-types": 60.0,
    "/v2/spot/availability": 10.0,
    "/v2/pricing/current": 10.0,
    "/v2/reservation": 5.0,
    "/v2/kubernetes/clusters": 5.0,
    VOLUMES: 5.0,
    SSH_KEYS: 5.0,
}
# Before it places a bid the SDK asks for its name, which the verbs have just done.
_NAMED_SECONDS = 2.0
_ATTEMPTS = 4


class Transport(HttpClient):  # type: ignore[misc]  # the SDK is not typed for us
    """One for all threads of the process."""

    def __init__(
        self, settings: Settings, headers: Mapping[str, str], source: Any, now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(
            base_url=settings.api_url,
            headers=dict(headers),
            api_key_source=source,
            ordered_writes=False,
        )
        self._seconds, self._now = settings.http_seconds, now
        self._lock = threading.Lock()
        self._readings: dict[tuple[str, tuple[Any, ...]], Shared[Any]] = {}
        self.seen = threading.local()
        """What this thread's last creating request brought: `.bid` or `.volume`, the row, and `.keys`, new SSH keys."""

    def request(  # noqa: D102 - the stock client's
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        json: Any | None = None,
        params: Mapping[str, Any] | None = None,
        retry_server_errors: bool = True,
        timeout_seconds: float | None = None,
        bypass_cache: bool = False,  # noqa: ARG002 - always bypassed
    ) -> Any:
        def send() -> Any:
            seconds = min(timeout_seconds or self._seconds, self._seconds)
            return super(Transport, self).request(
                method, url, headers, json, params, retry_server_errors, timeout_seconds=seconds, bypass_cache=True
            )

        if method == "GET":
            age = _SHARED_SECONDS.get(url, _NAMED_SECONDS if url == BIDS and "name" in (params or {}) else None)
            return send() if age is None else self.shared(url, params).get(self._now() - age)
        try:
            if method == "POST" and url in (BIDS, VOLUMES):
                answer = self._create(url, dict(json or {}), send)
                setattr(self.seen, "bid" if url == BIDS else "volume", answer)
                return answer
            answer = send()
            if method == "POST" and url == SSH_KEYS:
                self.seen.keys = [*getattr(self.seen, "keys", ()), str((json or {}).get("name"))]
            return answer
        finally:
            self._forget(url)

    def shared(self, url: str, params: Mapping[str, Any] | None = None) -> Shared[Any]:
        """Return the reading of a GET that all threads share."""

        def fetch() -> Any:
            return super(Transport, self).request(
                "GET", url, params=params, timeout_seconds=self._seconds, bypass_cache=True
            )

        key = (url, tuple(sorted((params or {}).items())))
        with self._lock:
            return self._readings.setdefault(key, Shared(fetch, self._now))

    def invalidate_cache_by_url_pattern(self, url_patterns: list[str]) -> None:
        """Nothing of ours is on disk, and scanning the SDK's own files at every write is slow."""

    def _create(self, url: str, body: dict[str, Any], send: Callable[[], Any]) -> Any:
        """Send a creating POST until it is answered, looking first for what a lost one made.

        What was there before the first sending is nobody's lost answer, whatever its name.
        """
        # (The verbs have just found that no bid ever had the name; a volume's can be the user's choice.)
        before = {row["fid"] for row in self._named(url, body)} if url == VOLUMES else set()
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=8),
            retry=tenacity.retry_if_exception(_lost),
        )
        try:
            for attempt in retrying:
                with attempt:
                    if attempt.retry_state.attempt_number > 1 and (row := self._made(url, body, before)):
                        return row
                    return send()
        except tenacity.RetryError as exhausted:
            # Not one of the SDK's own errors: its retry loop around this one would begin all over again.
            raise UnheardError(
                f"no readable answer to the request for {body.get('name')!r}, {_ATTEMPTS} times",
                "it may exist: run `pulumi up` again, which looks for it by that name before it makes another",
            ) from exhausted.last_attempt.exception()
        raise AssertionError("unreachable")  # pragma: no cover - tenacity returns or raises

    def _made(self, url: str, body: Mapping[str, Any], before: set[str]) -> Any:
        """Return the oldest live thing of exactly this name that a lost answer may have made."""
        rows = [row for row in self._named(url, body) if row["fid"] not in before]
        return min(rows, key=lambda row: str(row.get("created_at")), default=None)

    def _named(self, url: str, body: Mapping[str, Any]) -> list[Any]:
        """Return the live things of exactly this name."""
        params: dict[str, Any] = {"project": body["project"]}
        if url == BIDS:
            params |= {"name": body["name"], "sort_by": "created_at", "sort_dir": "asc", "limit": 100}
        answer = super().request("GET", url, params=params, timeout_seconds=self._seconds, bypass_cache=True)
        rows = answer.get("data", []) if isinstance(answer, dict) else answer
        return [
            row
            for row in rows
            if row.get("name") == body["name"] and row.get("status") != "Terminated" and not row.get("deleted_at")
        ]

    def _forget(self, url: str) -> None:
        with self._lock:
            for (path, _), reading in self._readings.items():
                if url == path or url.startswith(f"{path}/"):
                    reading.forget()


def _lost(error: BaseException) -> bool:
    """Whether a POST that failed like this may have had its effect all the same."""
    if isinstance(error, (ApprovalPendingError, RateLimitError)):
        return False
    if isinstance(error, (NetworkError, FlowTimeoutError, InvalidResponseError)):
        return True
    if isinstance(error, APIError):
        return error.status_code is not None and error.status_code >= SERVER_ERROR
    return not isinstance(error, FlowError) and isinstance(error, OSError)
