"""The listings of bids and machines that all threads of a process share, and how old each may be for whom.

A reading serves whoever asked before it began (see `shared`). What this process has changed itself is remembered here:
no reading that began before tells of it, whatever age somebody accepts.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flow_resources.cloud.single_flight import SingleFlight
from flow_resources.core.models import LIVE_STATUSES, Bid, Instance
from flow_resources.errors import UnavailableError

PAGE = 100  # the most rows a page holds (openapi.json of flow-compute: limit, maximum)
_WAITED_IN = ("Allocated", "Open")  # the statuses of a bid whose machines are waited for, the likelier first
_ROLL_SECONDS = 60.0


class Listings:
    """What is live in a project. Every moment is in monotonic seconds."""

    def __init__(
        self,
        list_bids: Callable[[str], dict[str, Bid]],
        list_machines: Callable[[], dict[str, list[Instance]]],
        now: Callable[[], float],
    ) -> None:
        def list_live() -> dict[str, Bid]:
            # One listing a status: a page of them stays a page, however many bids have ended over the years. And in
            # this order: a bid that wins while they are read is in one of them.
            return {id_: bid for status in LIVE_STATUSES for id_, bid in list_bids(status).items()}

        self._now = now
        self._live = SingleFlight(list_live, now)
        self._waited_for = {status: SingleFlight(functools.partial(list_bids, status), now) for status in _WAITED_IN}
        self._machines = SingleFlight(list_machines, now)
        self._touched: dict[str, float] = {}
        """When this process last changed a bid, by id."""
        self._changed = -math.inf
        """When it last placed or changed any."""

    def live(self, begun_after: float) -> dict[str, Bid]:
        """Return all live bids by id."""
        return self._live.get(max(begun_after, self._changed))

    def bid(self, bid_id: str, begun_after: float) -> Bid | None:
        """Return a bid where it is among all live ones."""
        return self._live.get(self._since(bid_id, begun_after)).get(bid_id)

    def waited_for(self, bid_id: str, begun_after: float) -> Bid | None:
        """Return a bid where it is among those that have machines, or else the open ones."""
        moment = self._since(bid_id, begun_after)
        listings = (one.get(moment) for one in self._waited_for.values())
        return next((bids[bid_id] for bids in listings if bid_id in bids), None)

    def recently_allocated(self, bid_id: str) -> Bid | None:
        """Return a bid where it had machines within the last minute."""
        return self._waited_for["Allocated"].get(self._now() - _ROLL_SECONDS).get(bid_id)

    def machines(self, bid: Bid, begun_after: float) -> tuple[Instance, ...]:
        """Return the machines of a bid."""
        if not bid.instances or bid.ended:
            return ()
        return tuple(self._machines.get(self._since(bid.id, begun_after)).get(bid.id, ()))

    def placed(self) -> None:
        """Remember that a bid may just have been placed."""
        # A grain later than now: what began in the same grain of the clock may have begun before.
        self._changed = math.nextafter(self._now(), math.inf)

    @contextlib.contextmanager
    def changing(self, bid_id: str) -> Iterator[None]:
        """Remember that a bid is changed within."""
        try:
            yield
        finally:
            self.placed()
            self._touched[bid_id] = self._changed

    def _since(self, bid_id: str, begun_after: float) -> float:
        return max(begun_after, self._touched.get(bid_id, begun_after))


def every_row(list_page: Callable[..., Any], params: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of all pages. Raises UnavailableError where they do not end: half a list proves nothing."""
    asked = {**params, "limit": PAGE}
    while True:
        page = list_page(asked, bypass_cache=True)
        yield from page.rows
        cursor = page.next_cursor
        del page  # a page of bids with their scripts is large: one at a time
        if not cursor:
            return
        if cursor == asked.get("next_cursor"):
            raise UnavailableError("a listing of the service does not end", "run the same command again")
        asked["next_cursor"] = cursor
