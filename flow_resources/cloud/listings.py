"""The listings of bids and instances that all threads share, and how old each one may be for which caller.

A listing answers every caller that asked before it began (see `single_flight`). This module also remembers what this
process has changed: no listing that began before a change answers for it, whatever age a caller accepts.

Three readings, each for what it has to tell:

* everything that is live: one listing per status, read to its end;
* what a create judges: everything that was live once, and then only what was placed since;
* what is waited for: exactly those bids, which are among the newest, and exactly their instances.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from flow_resources.cloud.footprint import PAGE
from flow_resources.cloud.parallel import reading_beside
from flow_resources.cloud.retry_budget import RetryBudget
from flow_resources.cloud.single_flight import SingleFlight
from flow_resources.core.models import LIVE_STATUSES, Bid, Instance
from flow_resources.core.moments import TIME_GRAIN, moment_of
from flow_resources.errors import FlowResourcesError, UnavailableError

_STATUSES_WHILE_WAITING = ("Allocated", "Open")  # of a bid that waits for its instances, the likelier one first
_RECENTLY_SECONDS = 60.0
_LAG = timedelta(seconds=5) + TIME_GRAIN
"""For how long a listing may lag behind what was placed."""
_BESIDE = 10
"""How many rows more than the bids that are waited for the first page has: others place bids as well."""
_FEW = 2
"""So many bids that are not among the newest are read by their ids, more of them by listings."""


class Service(Protocol):
    """What the listings send; each method within a retry budget."""

    def list_bids(self, status: str, budget: RetryBudget) -> Iterable[Bid]:
        """List the bids of a status, newest first."""

    def list_newest_bids(self, limit: int, budget: RetryBudget) -> Iterable[Bid]:
        """List the bids of every status, newest first, so many on a page: who stops reading asks for no more pages."""

    def read_bid(self, bid_id: str, budget: RetryBudget) -> Bid | None:
        """Read a bid by its id; None where the service answers 404."""

    def list_instances(self, budget: RetryBudget, bid_ids: Collection[str] = ()) -> Iterable[Instance]:
        """List the live instances of some bids, at most a page of them, or of all where none is named."""

    def service_now(self) -> datetime | None:
        """Return the time of the service; None where it is not known."""


@dataclass(frozen=True)
class LiveBids:
    """What was live when it was last read."""

    bids: Mapping[str, Bid]
    just_read: Collection[str]
    """The ids that the last request itself has told; the others are as an earlier one told them."""
    began_at: datetime | None
    """When the last request was sent, by the service's clock; None where that is not known."""
    newest: datetime | None = None
    """When the newest bid of all that were read was placed; None where nothing tells."""


@dataclass(frozen=True)
class Waited:
    """What a reading told of the bids that were waited for as it began."""

    began: float
    requests: int
    ids: frozenset[str]
    bids: Mapping[str, Bid]
    instances: Mapping[str, tuple[Instance, ...]]
    has_news: bool = False
    """Whether an instance had come up since the reading before, which was for its bid as well."""

    def has_come_up_since(self, before: Waited) -> bool:
        """Whether it has an instance up that was not up before, of a bid that both are for."""
        return any(
            one.up and one not in before.instances.get(bid, ())
            for bid in self.ids & before.ids
            for one in self.instances.get(bid, ())
        )


@dataclass(frozen=True)
class Waiting:
    """One who waits for bids, beside all others who wait."""

    listings: Listings
    bid_ids: Collection[str]

    @property
    def last(self) -> Waited | None:
        """The last reading for anybody who waits."""
        return self.listings.last_waited

    def pausing(self) -> AbstractContextManager[None]:
        """Pause within: each reading that begins meanwhile tells of these bids, too."""
        return self.listings.waiting_for(self.bid_ids)


class Listings:
    """What is live in a project. Every moment is in monotonic seconds; each method may send within a retry budget."""

    def __init__(self, service: Service, now: Callable[[], float]) -> None:
        self._service, self._now = service, now
        self._live_bids = SingleFlight(self._list_live_bids, now)
        self._placed_since = SingleFlight(self._list_placed_since, now)
        self._bids_of_status = {
            status: SingleFlight(functools.partial(self._list_status, status), now)
            for status in _STATUSES_WHILE_WAITING
        }
        self._instances = SingleFlight(self._list_instances, now)
        self._waited = SingleFlight(self._read_waited, now)
        self._lock = threading.Lock()
        self._known: LiveBids | None = None
        """Of the last reading of everything, and what was added to it since."""
        self._ended: set[str] = set()
        """The bids that were seen ended, for good."""
        self._waiters: Counter[str] = Counter()
        """How many wait for a bid, by its id."""
        self._just_read: set[str] = set()
        """The bids that those who have just begun to wait have read themselves: their instances alone are asked for."""
        self._older: set[str] = set()
        """The bids that were waited for and not among the newest: they never are again."""
        self._last_waited: Waited | None = None
        self._changed_at: dict[str, float] = {}
        """When this process last changed a bid, by id."""
        self._last_change = -math.inf
        """When this process last placed or changed any bid."""

    # -- everything -----------------------------------------------------------------------------------------------

    def live_bids(self, begun_after: float, budget: RetryBudget) -> Mapping[str, Bid]:
        """Return all live bids by id."""
        return self._live_bids.get(max(begun_after, self._last_change), budget).bids

    def bid(
        self,
        bid_id: str,
        begun_after: float,
        budget: RetryBudget,
        ended_after: float = math.inf,
        *,
        with_instances: bool = False,
    ) -> Bid | None:
        """Return a bid if it is among all live bids, by a listing that began, or else ended, after a moment.

        `with_instances`: instances are asked for next; where this lists the bids, those are listed at the same time.
        """
        began, ended = self._moments(bid_id, begun_after, ended_after)
        return self._live_bids.get_ended(began, ended, self._live_bids.ended, budget, with_instances).bids.get(bid_id)

    def bid_while_waiting(self, bid_id: str, begun_after: float, budget: RetryBudget) -> Bid | None:
        """Return a bid if it is allocated, or else if it is open."""
        moment = self._since(bid_id, begun_after)
        listings = (listing.get(moment, budget) for listing in self._bids_of_status.values())
        return next((bids[bid_id] for bids in listings if bid_id in bids), None)

    def recently_allocated(self, bid_id: str, budget: RetryBudget) -> Bid | None:
        """Return a bid if it was allocated within the last minute."""
        return self._bids_of_status["Allocated"].get(self._now() - _RECENTLY_SECONDS, budget).get(bid_id)

    def instances(
        self,
        bid: Bid,
        begun_after: float,
        budget: RetryBudget,
        ended_after: float = math.inf,
        asked: int | None = None,
    ) -> tuple[Instance, ...]:
        """Return the instances of a bid, by a listing that began, or else ended, after a moment.

        `asked`: `instance_listings` when the caller began to ask, None for now; an error since then is its answer.
        """
        if bid.has_no_instances:
            return ()
        began, ended = self._moments(bid.id, begun_after, ended_after)
        asked = self.instance_listings if asked is None else asked
        return self._instances.get_ended(began, ended, asked, budget).get(bid.id, ())

    @property
    def instance_listings(self) -> int:
        """How many listings of instances have ended."""
        return self._instances.ended

    # -- before a create ------------------------------------------------------------------------------------------

    def live_bids_before_create(self, begun_after: float, budget: RetryBudget) -> LiveBids:
        """Return what is live: what was live when everything was read last, and what was placed since.

        Of a bid that was not just read, nothing is known but that it was live; what has ended never lives again.
        """
        return self._placed_since.get(begun_after, budget)

    def record_end(self, bid_id: str) -> None:
        """Record that a bid was seen ended."""
        with self._lock:
            self._ended.add(bid_id)

    # -- while waiting --------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def waiting_for(self, bid_ids: Collection[str]) -> Iterator[None]:
        """Wait for bids within: each reading for one who waits tells of all that are waited for.

        Who has just been told waits no more, until it pauses or asks again: what is read meanwhile is no answer to it.
        """
        with self._lock:
            self._waiters.update(bid_ids)
        try:
            yield
        finally:
            with self._lock:
                self._waiters -= Counter(bid_ids)

    def waited(self, bid_ids: Collection[str], begun_after: float, budget: RetryBudget) -> Waited:
        """Return what a reading tells of bids that are waited for.

        One that it does not have may have ended, or be older than what it has read.
        """
        moment = max(self._since(bid_id, begun_after) for bid_id in bid_ids)
        with self.waiting_for(bid_ids):
            reading = self._waited.get(moment, budget)
            if not reading.ids.issuperset(bid_ids):  # it began before somebody waited for these
                reading = self._waited.get(math.nextafter(self._now(), math.inf), budget)
            return reading

    def instances_of_new(self, bid: Bid, budget: RetryBudget) -> tuple[Instance, ...]:
        """Return the instances of a bid that this caller has just read, and waits for from now on."""
        if bid.has_no_instances:
            return ()
        with self._lock:
            self._just_read.add(bid.id)
        try:
            moment = math.nextafter(self._now(), math.inf)
            return self.waited([bid.id], moment, budget).instances.get(bid.id, ())
        finally:
            with self._lock:
                self._just_read.discard(bid.id)

    @property
    def last_waited(self) -> Waited | None:
        """The last reading for those who wait."""
        return self._last_waited

    # -- what this process does -----------------------------------------------------------------------------------

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

    # -- inside ---------------------------------------------------------------------------------------------------

    def _since(self, bid_id: str, begun_after: float) -> float:
        return max(begun_after, self._changed_at.get(bid_id, begun_after))

    def _moments(self, bid_id: str, begun_after: float, ended_after: float) -> tuple[float, float]:
        """Return after which moment a listing began, or else ended, that tells of a bid.

        One that was changed here needs a later beginning, and no end will do.
        """
        if bid_id in self._changed_at:
            return self._since(bid_id, begun_after), math.inf
        return begun_after, ended_after

    def _list_status(self, status: str, budget: RetryBudget) -> dict[str, Bid]:
        return {bid.id: bid for bid in self._service.list_bids(status, budget)}

    def _list_instances(self, budget: RetryBudget) -> dict[str, tuple[Instance, ...]]:
        return _by_bid(self._service.list_instances(budget))

    def _list_live_bids(self, budget: RetryBudget, with_instances: bool = False) -> LiveBids:
        if not with_instances:
            return self._list_all_statuses(budget)
        # Those of a thousand take many pages each, one after the other.
        own, moment = replace(budget), math.nextafter(self._now(), math.inf)
        with reading_beside(lambda: self._instances.get(moment, own)):
            bids = self._list_all_statuses(budget)
        budget.spent = max(budget.spent, own.spent)
        return bids

    def _list_all_statuses(self, budget: RetryBudget) -> LiveBids:
        # One listing per status takes one page, however many bids have ended over the years. The order of the
        # statuses matters: a bid that is allocated in between is in one of the listings.
        began = self._now()
        bids = {id_: bid for status in LIVE_STATUSES for id_, bid in self._list_status(status, budget).items()}
        ended_at = self._service.service_now()  # known now, at the latest
        began_at = ended_at and ended_at - timedelta(seconds=self._now() - began)
        return self._keep(LiveBids(bids, bids.keys(), began_at, _newest(bids.values())))

    def _list_placed_since(self, budget: RetryBudget) -> LiveBids:
        known, began_at = self._known, self._service.service_now()
        if known is None or known.began_at is None or began_at is None:
            return self._list_live_bids(budget)
        newer = self._newer_than(known.began_at - _LAG, known.newest, budget)
        if newer is None:
            return self._list_live_bids(budget)
        with self._lock:
            ended = self._ended | {bid.id for bid in newer.values() if bid.ended}
        bids = {id_: bid for id_, bid in {**known.bids, **newer}.items() if id_ not in ended}
        return self._keep(LiveBids(bids, newer.keys(), began_at, _newest(newer.values()) or known.newest))

    def _keep(self, read: LiveBids) -> LiveBids:
        with self._lock:
            known = self._known
            if known is None or known.began_at is None or (read.began_at and read.began_at >= known.began_at):
                self._known = read
        return read

    def _newer_than(self, moment: datetime, newest: datetime | None, budget: RetryBudget) -> dict[str, Bid] | None:
        """Return the bids that were placed since a moment; None where the listing does not tell.

        `newest`: when the newest was placed that is known; the first of the listing is not older.
        """
        newer, before = dict[str, Bid](), None
        for bid in self._service.list_newest_bids(PAGE, budget):
            created_at, is_first = moment_of(bid.created_at), before is None
            if not bid.has_known_status:  # it can have ended, which the listings of live bids tell
                return None
            if created_at is None or (newest and is_first and created_at < newest) or (before and created_at > before):
                return None
            if created_at >= moment:
                newer[bid.id] = bid
            elif not is_first:  # one alone shows no order
                return newer
            before = created_at
        return newer

    def _read_waited(self, budget: RetryBudget) -> Waited:
        began = self._now()
        with self._lock:
            ids, just_read = frozenset(self._waiters), set(self._just_read)
        bids, requests = self._find_waited(ids - just_read, budget)
        idle = {id_ for id_, bid in bids.items() if bid.has_no_instances}
        instances = dict[str, tuple[Instance, ...]]()
        for page in _pages(sorted(ids - idle)):
            rows = list(self._service.list_instances(budget, page))
            instances.update(_by_bid(rows))
            requests += 1 + len(rows) // PAGE
        read, last = Waited(began, requests, ids, bids, instances), self._last_waited
        self._last_waited = replace(read, has_news=last is not None and read.has_come_up_since(last))
        return self._last_waited

    def _find_waited(self, ids: Collection[str], budget: RetryBudget) -> tuple[dict[str, Bid], int]:
        """Find bids among the newest, then those that were not there; return them and the number of requests."""
        recent, found, read = set(ids) - self._older, dict[str, Bid](), 0
        limit = min(2 * len(recent) + _BESIDE, PAGE)
        if recent:
            rows = itertools.islice(self._service.list_newest_bids(limit, budget), len(recent) + PAGE)
            for read, bid in enumerate(rows, start=1):  # noqa: B007 - how many were read
                if bid.id in recent:
                    found[bid.id] = bid
                    if len(found) == len(recent):
                        break
        requests = math.ceil(read / limit) if read else bool(recent)
        older = set(ids) - found.keys()
        with self._lock:
            self._older |= older
        if len(older) <= _FEW:
            for id_ in older:
                # Who waits for it asks again where this fails: the others must not wait for that.
                with contextlib.suppress(FlowResourcesError), budget.suspended():
                    if alone := self._service.read_bid(id_, budget):
                        found[id_] = alone
            return found, requests + len(older)
        for status in _STATUSES_WHILE_WAITING:
            listed = self._list_status(status, budget)
            requests += 1 + len(listed) // PAGE
            found.update((id_, listed[id_]) for id_ in older & listed.keys())
            if older <= found.keys():
                break
        return found, requests


def _newest(bids: Iterable[Bid]) -> datetime | None:
    return max((moment for bid in bids if (moment := moment_of(bid.created_at))), default=None)


def _by_bid(instances: Iterable[Instance]) -> dict[str, tuple[Instance, ...]]:
    by_bid: dict[str, list[Instance]] = {}
    for instance in instances:
        by_bid.setdefault(instance.bid, []).append(instance)
    return {bid: tuple(found) for bid, found in by_bid.items()}


def _pages(ids: list[str]) -> Iterator[list[str]]:
    """Yield ids, at most a page at once."""
    for start in range(0, len(ids), PAGE):
        yield ids[start : start + PAGE]


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
