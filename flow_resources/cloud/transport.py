"""The SDK's HTTP client, made fit for a provider through the seam that the SDK offers (`provider_factory`).

Three things differ from the stock client, each for a reason that was reproduced:

* **Fresh reads.** The stock client answers listings from a disk cache (5 s to 1 h) that a cancel or a pause does not
  clear. Here nothing is cached on disk; only what every launch asks again within seconds is shared in memory.
* **Lost answers are found again.** When the answer to a creating POST is lost, the stock client fails (500) or sends
  it again (504, reset, time-out), which rents twice where the service ignores the Idempotency-Key. Here what the lost
  request may have made is looked for by its exact name first; only where there is nothing is the request sent again.
  All that is sent again is sent again by `retrying`.
* **Writes run side by side.** The stock client lets one slow POST hold up every other write of the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from flow.adapters.http.client import HttpClient

from flow_resources.clock import Clock
from flow_resources.cloud.retries import call_with_retries, is_outcome_unknown, is_rate_limited, is_transient
from flow_resources.cloud.retry_budget import RetryBudget
from flow_resources.cloud.settings import Settings
from flow_resources.cloud.single_flight import SingleFlight
from flow_resources.errors import UnavailableError

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


class Transport(HttpClient):  # type: ignore[misc]  # the SDK is not typed for us
    """One for all threads of the process."""

    def __init__(
        self,
        settings: Settings,
        headers: Mapping[str, str],
        source: Any,
        clock: Clock,
        patience: Callable[[], RetryBudget],
    ) -> None:
        super().__init__(
            base_url=settings.api_url,
            headers=dict(headers),
            api_key_source=source,
            retry_server_errors_max=1,  # one layer of retries, ours
            ordered_writes=False,
        )
        self._seconds, self._now, self._patience = settings.http_seconds, clock.now, patience
        self._lock = threading.Lock()
        self._readings: dict[tuple[str, tuple[Any, ...]], SingleFlight[Any]] = {}
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
            if age is not None:
                return self.shared(url, params).get(self._now() - age)
            return call_with_retries(send, self._patience(), is_transient)
        try:
            if method == "POST" and url in (BIDS, VOLUMES):
                answer = self._create(url, dict(json or {}), send)
                setattr(self.seen, "bid" if url == BIDS else "volume", answer)
                return answer
            answer = call_with_retries(send, self._patience(), is_rate_limited if method == "POST" else is_transient)
            if method == "POST" and url == SSH_KEYS:
                self.seen.keys = [*getattr(self.seen, "keys", ()), str((json or {}).get("name"))]
            return answer
        finally:
            self._forget(url, (json or {}).get("name") if method == "POST" else None)

    def shared(self, url: str, params: Mapping[str, Any] | None = None) -> SingleFlight[Any]:
        """Return the reading of a GET that all threads share."""
        key = (url, tuple(sorted((params or {}).items())))
        with self._lock:
            return self._readings.setdefault(
                key,
                SingleFlight(
                    lambda: call_with_retries(lambda: self._get(url, params), self._patience(), is_transient), self._now
                ),
            )

    def _get(self, url: str, params: Mapping[str, Any] | None) -> Any:
        return super().request("GET", url, params=params, timeout_seconds=self._seconds, bypass_cache=True)

    def invalidate_cache_by_url_pattern(self, url_patterns: list[str]) -> None:
        """Nothing of ours is on disk, and scanning the SDK's own files at every write is slow."""

    def _parse_json(self, response: Any, *about: Any) -> Any:
        """Read an answer and untie it: httpx knots it to its stream, and pages of bids would wait for the collector."""
        answer = super()._parse_json(response, *about)
        vars(response).pop("stream", None)
        return answer

    def _create(self, url: str, body: dict[str, Any], send: Callable[[], Any]) -> Any:
        """Send a creating POST until it is answered, looking first for what a lost one made.

        What was there before the first sending is nobody's lost answer, whatever its name.
        """
        patience, outcome_unknown = self._patience(), False
        # (The verbs have just found that no bid ever had the name; a volume's can be the user's choice.)
        before: set[str] = set()
        if url == VOLUMES:
            before = {row["fid"] for row in call_with_retries(lambda: self._named(url, body), patience, is_transient)}

        def send_or_find() -> Any:
            nonlocal outcome_unknown
            if outcome_unknown and (row := self._made(url, body, before)):
                return row
            try:
                return send()
            except Exception as error:
                outcome_unknown = outcome_unknown or is_outcome_unknown(error)
                raise

        try:
            return call_with_retries(send_or_find, patience, is_transient)
        except Exception as error:
            if not (outcome_unknown and is_transient(error)):
                raise  # heard and refused, after a look that found nothing
            # Not one of the SDK's own errors: its retry loop around this one would begin all over again.
            raise UnavailableError(
                f"no readable answer to the request for {body.get('name')!r}",
                "it may exist: run `pulumi up` again, which looks for it by that name before it makes another",
            ) from error

    def _made(self, url: str, body: Mapping[str, Any], before: set[str]) -> Any:
        """Return the oldest live thing of exactly this name that a lost answer may have made."""
        rows = [row for row in self._named(url, body) if row["fid"] not in before]
        return min(rows, key=lambda row: str(row.get("created_at")), default=None)

    def _named(self, url: str, body: Mapping[str, Any]) -> list[Any]:
        """Return the live things of exactly this name."""
        params: dict[str, Any] = {"project": body["project"]}
        if url == BIDS:
            params |= {"name": body["name"], "sort_by": "created_at", "sort_dir": "asc", "limit": 100}
        answer = self._get(url, params)
        if isinstance(answer, dict) and answer.get("next_cursor"):
            raise UnavailableError(f"the listing of {url} is cut", "it proves nothing; run the same command again")
        rows = answer["data"] if isinstance(answer, dict) else answer
        return [
            row
            for row in rows
            if row.get("name") == body["name"] and row.get("status") != "Terminated" and not row.get("deleted_at")
        ]

    def _forget(self, url: str, made: str | None) -> None:
        """Drop each reading that a write may have made stale; a new bid changes nothing for the bids of other names."""
        with self._lock:
            for path, params in list(self._readings):
                name = dict(params).get("name")
                if (url == path or url.startswith(f"{path}/")) and (made is None or name in (None, made)):
                    self._readings.pop((path, params)).forget()
