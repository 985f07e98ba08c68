"""The listings of bids and instances that all threads share, and how old each one may be for which caller.

A listing answers every caller that asked before it began (see `single_flight`). This module also remembers what this
process has changed: no listing that began before a change answers for it, whatever age a caller accepts.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from flow_resources.cloud.retry_budget import RetryBudget
from flow_resources.cloud.single_flight import SingleFlight
from flow_resources.core.models import LIVE_STATUSES, Bid, Instance
from flow_resources.errors import UnavailableError

_STATUSES_WHILE_WAITING = ("Allocated", "Open")  # of a bid that waits for its instances, the likelier one first
_RECENTLY_SECONDS = 60.0


class Listings:
    """What is live in a project. Every moment is in monotonic seconds; each method may send within a retry budget."""

    def __init__(
        self,
        list_bids: Callable[[str, RetryBudget], dict[str, Bid]],
        list_instances: Callable[[RetryBudget], dict[str, list[Instance]]],
        now: Callable[[], float],
    ) -> None:
        def list_live_bids(budget: RetryBudget) -> dict[str, Bid]:
            # One listing per status takes one page, however many bids have ended over the years. The order of the
            # statuses matters: a bid that is allocated in between is in one of the listings.
            return {id_: bid for status in LIVE_STATUSES for id_, bid in list_bids(status, budget).items()}

        self._now = now
        self._live_bids = SingleFlight(list_live_bids, now)
        self._bids_while_waiting = {
            status: SingleFlight(functools.partial(list_bids, status), now) for status in _STATUSES_WHILE_WAITING
        }
        self._instances = SingleFlight(list_instances, now)
        self._changed_at: dict[str, float] = {}
        """When this process last changed a bid, by id."""
        self._last_change = -math.inf
        """When this process last placed or changed any bid."""

    def live_bids(self, begun_after: float, budget: RetryBudget) -> dict[str, Bid]:
        """Return all live bids by id."""
        return self._live_bids.get(max(begun_after, self._last_change), budget)

    def bid(self, bid_id: str, begun_after: float, budget: RetryBudget) -> Bid | None:
        """Return a bid if it is among all live bids."""
        return self._live_bids.get(self._since(bid_id, begun_after), budget).get(bid_id)

    def bid_while_waiting(self, bid_id: str, begun_after: float, budget: RetryBudget) -> Bid | None:
        """Return a bid if it is allocated, or else if it is open."""
        moment = self._since(bid_id, begun_after)
        listings = (listing.get(moment, budget) for listing in self._bids_while_waiting.values())
        return next((bids[bid_id] for bids in listings if bid_id in bids), None)

    def recently_allocated(self, bid_id: str, budget: RetryBudget) -> Bid | None:
        """Return a bid if it was allocated within the last minute."""
        return self._bids_while_waiting["Allocated"].get(self._now() - _RECENTLY_SECONDS, budget).get(bid_id)

    def instances(self, bid: Bid, begun_after: float, budget: RetryBudget) -> tuple[Instance, ...]:
        """Return the instances of a bid."""
        if bid.instances == () or bid.ended:
            return ()
        return tuple(self._instances.get(self._since(bid.id, begun_after), budget).get(bid.id, ()))

    def record_placement(self) -> None:
        """Record that a bid may just have been placed."""
        # A grain later than now: a listing that began in the same grain of the clock may have begun before.
        self._last_change = math.nextafter(self._now(), math.inf)

    @contextlib.contextmanager
    def recording_change(self, bid_id: str) -> Iterator[None]:
        """Record, at the end, that a bid was changed within."""
        try:
            yield
        finally:
            self.record_placement()
            self._changed_at[bid_id] = self._last_change

    def _since(self, bid_id: str, begun_after: float) -> float:
        return max(begun_after, self._changed_at.get(bid_id, begun_after))


class Page(NamedTuple):
    """One page of a listing as the service sends it."""

    rows: list[Any]
    next_cursor: str | None = None

    @classmethod
    def read(cls, answer: Any, key: str = "data") -> Page:
        """Read an answer, a list or an object with its rows under a key.

        For another one raise InvalidResponseError, which is retried.
        """
        if isinstance(answer, list):
            return cls(answer)
        rows = answer.get(key) if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            from flow.errors import InvalidResponseError

            raise InvalidResponseError("the answer to a request for a listing is no listing")
        return cls(rows, answer.get("next_cursor"))

    def whole(self, what: str) -> list[Any]:
        """Return the rows; raise UnavailableError where they are not all rows of the listing."""
        if self.next_cursor:
            raise UnavailableError(f"the listing of {what} is cut", "it proves nothing; run the same command again")
        return self.rows
