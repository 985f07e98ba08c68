"""The SDK's HTTP client, adapted for a provider through the extension point that the SDK offers (`provider_factory`).

It differs from the stock client in three ways, each for a reason that was reproduced:

* **Fresh reads.** The stock client answers listings from a disk cache (5 s to 1 h) that a cancel or a pause does not
  clear. Here nothing is cached on disk; only what every launch reads again within seconds is shared in memory.
* **Retries that rent nothing twice.** All retries are made by `retries`, and creating requests by `creation`.
* **Concurrent writes.** In the stock client one slow POST blocks every other write of the process.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

from flow.adapters.http.client import HttpClient
from flow.errors import APIError

from flow_resources.clock import Clock
from flow_resources.cloud.creation import KINDS, NamedKind, create_once, require_key
from flow_resources.cloud.errors import HELD, NOT_FOUND
from flow_resources.cloud.footprint import release_response, without_scripts
from flow_resources.cloud.gathering import Gathering
from flow_resources.cloud.paths import AVAILABILITY, BIDS, INSTANCE_TYPES, SSH_KEYS, VOLUMES
from flow_resources.cloud.retries import call_with_retries, is_rate_limited, is_transient
from flow_resources.cloud.retry_budget import RetryBudget
from flow_resources.cloud.service_clock import ServiceClock
from flow_resources.cloud.settings import Settings
from flow_resources.cloud.single_flight import SingleFlight
from flow_resources.errors import ApprovalPendingError

# What the SDK reads anew for each launch, and for how many seconds one answer serves all launches of the process.
_MAX_AGE = {
    "/v2/projects": 60.0,
    "/v2/me": 60.0,
    INSTANCE_TYPES: 60.0,
    AVAILABILITY: 10.0,
    "/v2/pricing/current": 10.0,
    "/v2/reservation": 60.0,  # only their names, among which none has a mark
    "/v2/kubernetes/clusters": 5.0,
    VOLUMES: 5.0,
    SSH_KEYS: 5.0,
}
# The same for a listing by name: before the SDK places a bid, it looks for its name, as the same verb has just done.
# Where a hundred verbs run at once, that takes seconds.
_MAX_AGE_BY_NAME = {BIDS: 10.0}


Key = tuple[str, tuple[Any, ...]]
"""A path and its parameters."""


class Created(NamedTuple):
    """The answer to a POST."""

    path: str
    name: str
    row: Any
    doubles: tuple[Any, ...] = ()
    """What a lost request created beside it."""


@dataclass(frozen=True)
class SdkCall:
    """What belongs to one call of the SDK, which passes none of our arguments on to `Transport.request`."""

    budget: RetryBudget
    created: list[Created]
    """Receives what the call creates."""


_sdk_call: ContextVar[SdkCall] = ContextVar("flow_resources_sdk_call")


class Transport(HttpClient):  # type: ignore[misc]  # the SDK has no types for mypy
    """One client for all threads of the process."""

    def __init__(
        self, settings: Settings, headers: Mapping[str, str], source: Any, clock: Clock, service_clock: ServiceClock
    ) -> None:
        super().__init__(
            base_url=settings.api_url,
            headers=dict(headers),
            api_key_source=source,
            retry_server_errors_max=1,  # one layer of retries, ours
            ordered_writes=False,
        )
        self._seconds, self._now, self._service_clock = settings.http_seconds, clock.now, service_clock
        self.creators = Gathering(clock)
        """Who creates, until it asks whether what it has created is among the newest."""
        self._lock = threading.Lock()
        self._readings: dict[Key, SingleFlight[[RetryBudget], Any]] = {}
        self._together: dict[Key, SingleFlight[[float], Any]] = {}

    @contextlib.contextmanager
    def sdk_call(self, budget: RetryBudget, created: list[Created]) -> Iterator[None]:
        """Let the SDK send requests within: they share the retry budget, and `created` receives what they create."""
        token = _sdk_call.set(SdkCall(budget, created))
        try:
            yield
        finally:
            _sdk_call.reset(token)

    # -- what the SDK calls ---------------------------------------------------------------------------------------

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

        call = _sdk_call.get()
        if method == "POST":
            body = dict(json or {})
            created = self._create(url, body, send, call.budget, None if url == SSH_KEYS else KINDS.get(url))
            call.created.append(created)
            return created.row
        if method != "GET":
            return self._change(url, send, call.budget)
        age = _MAX_AGE.get(url, _MAX_AGE_BY_NAME.get(url) if "name" in (params or {}) else None)
        if age is not None:
            return self.get_shared(url, params, self._now() - age, call.budget)
        return call_with_retries(send, call.budget, is_transient)

    def invalidate_cache_by_url_pattern(self, url_patterns: list[str]) -> None:
        """Do nothing: this client caches nothing on disk, and a scan of the SDK's files at every write is slow."""

    def _parse_json(self, response: Any, *details: Any) -> Any:
        answer = super()._parse_json(response, *details)
        # Only here: an error page, or an answer that is not JSON, can be a proxy's, with a clock of its own.
        self._service_clock.record(response.headers.get("Date"))
        if response.status_code == HELD and not (isinstance(answer, Mapping) and answer.keys() & {"held", "fid"}):
            raise ApprovalPendingError(
                "the answer 202 names neither a thing nor a proposal: the request may be held for approval",
                "look whether it is, and approve it, then run `pulumi up` again",
            )
        release_response(response)
        return answer

    # -- what this package calls ----------------------------------------------------------------------------------

    def get(self, url: str, budget: RetryBudget, params: Mapping[str, Any] | None = None) -> Any:
        """Read anew."""
        return call_with_retries(lambda: self._get(url, params, budget.request_seconds), budget, is_transient)

    def get_shared(self, url: str, params: Mapping[str, Any] | None, begun_after: float, budget: RetryBudget) -> Any:
        """Read, or share a reading of another thread that began at or after a moment."""
        query = dict(params or {})  # the caller's own may change while others share this reading
        with self._lock:
            reading = self._readings.setdefault(
                _key(url, query), SingleFlight(lambda budget: self.get(url, budget, query or None), self._now)
            )
        return reading.get(begun_after, budget)

    def get_together(self, url: str, params: Mapping[str, Any], budget: RetryBudget) -> Any:
        """Read, or share a reading that another thread begins from now on; rows come without start-up scripts.

        It begins a moment later where others, who create something, are about to ask for it. Each caller retries within
        its own budget: who has none left fails alone.
        """
        query = dict(params)  # the caller's own may change while others share this reading
        with self._lock:
            reading = self._together.setdefault(
                _key(url, query),
                SingleFlight(
                    lambda seconds: without_scripts(self._get(url, query, seconds)), self._now, self.creators.wait
                ),
            )
        # A grain later than now: a reading that began in the same grain of the clock may have begun before.
        moment = math.nextafter(self._now(), math.inf)
        self.creators.has_asked()
        return call_with_retries(lambda: reading.get(moment, budget.request_seconds), budget, is_transient)

    def get_once(self, url: str, params: Mapping[str, Any]) -> Any:
        """Read anew, without retries."""
        return self._get(url, params)

    def create(self, url: str, body: Mapping[str, Any], budget: RetryBudget) -> Created:
        """Create a named thing, once."""

        def send() -> Any:
            return super(Transport, self).request(
                "POST", url, json=dict(body), timeout_seconds=self._seconds, bypass_cache=True
            )

        return self._create(url, dict(body), send, budget, KINDS[url])

    def patch(self, url: str, body: Mapping[str, Any], budget: RetryBudget) -> Any:
        """Change something."""

        def send() -> Any:
            return super(Transport, self).request(
                "PATCH", url, json=dict(body), timeout_seconds=self._seconds, bypass_cache=True
            )

        return self._change(url, send, budget)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _get(self, url: str, params: Mapping[str, Any] | None, seconds: float = math.inf) -> Any:
        seconds = min(seconds, self._seconds)
        return super().request("GET", url, params=params, timeout_seconds=seconds, bypass_cache=True)

    def _create(
        self, url: str, body: dict[str, Any], send: Callable[[], Any], budget: RetryBudget, kind: NamedKind | None
    ) -> Created:
        name = str(body.get("name"))
        try:
            if kind:
                made = create_once(kind, body, send, self, budget, lambda id_: self._discard(f"{url}/{id_}"))
                return Created(url, name, *made)
            row = call_with_retries(send, budget, is_rate_limited)
            if url == SSH_KEYS:
                require_key(body, row)
            return Created(url, name, row)
        finally:
            self._forget(url, body.get("name"))

    def _discard(self, url: str) -> None:
        try:
            super().request("DELETE", url, timeout_seconds=self._seconds, bypass_cache=True)
        except APIError as error:
            if error.status_code != NOT_FOUND:
                raise

    def _change(self, url: str, send: Callable[[], Any], budget: RetryBudget) -> Any:
        try:
            return call_with_retries(send, budget, is_transient)
        finally:
            self._forget(url, None)

    def _forget(self, url: str, created: str | None) -> None:
        """Drop each reading that a write may have made stale; a new name changes no listing of other names."""
        with self._lock:
            for path, params in list(self._readings):
                name = dict(params).get("name")
                if (url == path or url.startswith(f"{path}/")) and (created is None or name in (None, created)):
                    self._readings.pop((path, params)).forget()


def _key(url: str, params: Mapping[str, Any] | None) -> Key:
    return url, tuple(sorted((params or {}).items()))
