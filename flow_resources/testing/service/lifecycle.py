"""The life of a bid, one function per transition, and the auctions that cause most of them.

Open ──wins──> Allocated ──loses──> Preempting ──notice over──> Open
Open, Allocated, Preempting ──pause──> Paused ──resume──> Open
any of them ──cancel──> Terminated
"""

from __future__ import annotations

from typing import Literal

from flow_resources.testing.service.accounts import User
from flow_resources.testing.service.auction import Outcome
from flow_resources.testing.service.billing import Billing
from flow_resources.testing.service.events import Events
from flow_resources.testing.service.machines import Machines
from flow_resources.testing.service.market import BIDDING, Market, Place, bidder
from flow_resources.testing.service.options import MANUAL, Options
from flow_resources.testing.service.store import Row, Store
from flow_resources.testing.service.ticks import Ticks

Transition = Literal["auction", "boot", "notice", "cancel", "detach"]
"""What takes time, and what `finish` ends."""


class Lifecycle:
    """Moves bids from one status to the next, with their machines, their bills and their history."""

    def __init__(
        self, store: Store, options: Options, market: Market, machines: Machines, billing: Billing, events: Events
    ) -> None:
        """Work on the tables of `store`."""
        self._store = store
        self._options = options
        self._market = market
        self._machines = machines
        self._billing = billing
        self._events = events
        self._changed: set[Place] = set()
        """Where the next auction may end differently."""
        self.look_again()

    def look_again(self) -> None:
        """Let the next auction be held wherever somebody bids."""
        self._changed.update(self._places_with_bids())

    def next_due(self, since: float) -> float | None:
        """Return when, after a moment, time alone will change something."""
        moments = [
            self._store.value("SELECT min(notice_until) FROM bids WHERE notice_until IS NOT NULL"),
            self._store.value("SELECT min(cancel_at) FROM bids WHERE cancel_at IS NOT NULL"),
            self._store.value("SELECT min(detach_at) FROM bids WHERE detach_at IS NOT NULL"),
            self._machines.next_due(),
            self._market.next_by_hand(since),
            self._market.ticks.after(since) if self._market.seed is not None and self._places_with_bids() else None,
            self.next_auction(since) if self._changed else None,
        ]
        return min((moment for moment in moments if moment is not None), default=None)

    def step(self, now: float, since: float) -> None:
        """Do what time alone does at `now`, when everything up to `since` has been done."""
        for row in self._store.rows("SELECT * FROM bids WHERE cancel_at <= ?", now):
            self.terminate(row, now)
        for row in self._store.rows("SELECT * FROM bids WHERE notice_until <= ?", now):
            self._reopen(row, now)
        self._store.run("UPDATE bids SET detach_at = NULL WHERE detach_at <= ?", now)
        self._machines.boot(now)
        prices_moved = self._market.next_by_hand(since) == now or self._market.ticks.has(now)
        if prices_moved:
            self.look_again()
        if self._at_once or (self._rhythm is not None and self._rhythm.has(now)):
            self._hold_auctions(now)
        elif prices_moved:
            for place in self._places_with_bids():
                self._clear(place, now)

    def settle(self, now: float) -> bool:
        """Hold the auctions that wait for nobody, and say whether there were any."""
        due = self._at_once and bool(self._changed)
        if due:
            self._hold_auctions(now)
        return due

    def next_auction(self, now: float) -> float | None:
        """Return when the next auction is due by the clock; None where they are held at once, or by hand."""
        return self._rhythm.after(now) if self._rhythm else None

    def finish(self, what: Transition, bid: str | None, now: float) -> None:
        """End what takes time, of one bid or of all; an auction is always held everywhere."""
        if what == "auction":
            self.look_again()
            self._hold_auctions(now)
        elif what == "boot":
            self._machines.finish_boot(bid, now)
        elif what == "detach":
            self._store.run("UPDATE bids SET detach_at = NULL WHERE fid = coalesce(?, fid)", bid)
        else:
            column, end = ("notice_until", self._reopen) if what == "notice" else ("cancel_at", self.terminate)
            sql = f"SELECT * FROM bids WHERE {column} IS NOT NULL AND fid = coalesce(?, fid) ORDER BY seq"  # noqa: S608
            for row in self._store.rows(sql, bid):
                end(row, now)

    def reprice(self, place: Place, now: float) -> None:
        """Let what somebody did to the price or the capacity of a place count: bills now, winners at the next auction.

        Bids of the place that were kept out of the auction are let in again.
        """
        self._store.run(
            "UPDATE bids SET held = 0 WHERE instance_type = ? AND region = ? AND status != 'Terminated'", *place
        )
        self._clear(place, now)
        self._changed.add(place)

    def begin(self, bid: Row, now: float, user: User) -> None:
        """Let a new bid take part in the auction."""
        self._changed.add(Place(bid["instance_type"], bid["region"]))
        self._events.note(bid["fid"], "Placed", now, user, cents=bid["limit_cents"])

    def preempt(self, bid: Row, now: float, notice_seconds: float) -> None:
        """Take the machines away, after a notice if there is one."""
        self._events.note(bid["fid"], "Preempted", now)
        if notice_seconds > 0:
            self._set(bid, "status = 'Preempting', notice_until = ?", now + notice_seconds)
            self._machines.mark(bid["fid"], "STATUS_PREEMPTING", now)
        else:
            self._reopen(bid, now)

    def change_limit(self, bid: Row, cents: int, now: float, user: User) -> None:
        """Set what the bid pays at most. One that was kept out of the auction and pays more now is let in again."""
        self._set(bid, "limit_cents = ?, held = (held AND ? < limit_cents)", cents, cents)
        self._events.note(bid["fid"], "Limit Price Changed", now, user, cents=cents)

    def keep_out(self, bid: Row) -> None:
        """Keep the bid out of the auction."""
        self._set(bid, "held = 1")

    def let_in(self, bid: Row) -> None:
        """Let the bid take part in the auction again, if it was kept out."""
        self._set(bid, "held = 0")

    def pause(self, bid: Row, now: float, user: User) -> None:
        """Stop the machines of the bid and give them back to the market; their ids stay with the bid."""
        self._set(bid, "status = 'Paused', notice_until = NULL")
        self._machines.mark(bid["fid"], "STATUS_PAUSED", now)
        self._billing.charge(bid["fid"], now, None)
        self._events.note(bid["fid"], "Paused", now, user)

    def resume(self, bid: Row, now: float, user: User) -> None:
        """Put the bid back into the auction."""
        self._set(bid, "status = 'Open', held = 0")
        self._events.note(bid["fid"], "Resumed", now, user)

    def terminate(self, bid: Row, now: float, user: User | None = None) -> None:
        """End the bid and its machines; its volumes may stay attached for a while."""
        slow = self._options.detach_seconds
        self._set(
            bid,
            "status = 'Terminated', deactivated_at = ?, notice_until = NULL, cancel_at = NULL, detach_at = ?",
            *(now, now + slow if slow > 0 else None),
        )
        self._machines.end(bid["fid"], "STATUS_TERMINATED", now)
        self._billing.charge(bid["fid"], now, None)
        self._events.note(bid["fid"], "Terminated", now, user)

    def _allocate(self, bid: Row, cents: int, now: float) -> None:
        self._set(bid, "status = 'Allocated'")
        self._machines.allocate(bid, now)
        self._billing.charge(bid["fid"], now, cents)
        self._events.note(bid["fid"], "Allocated", now)

    def _reopen(self, bid: Row, now: float) -> None:
        self._set(bid, "status = 'Open', notice_until = NULL")
        self._machines.end(bid["fid"], "STATUS_PREEMPTED", now)
        self._billing.charge(bid["fid"], now, None)
        if not self._options.keep_instance_ids:
            self._machines.let_go(bid["fid"])

    @property
    def _at_once(self) -> bool:
        """Whether auctions wait for nobody."""
        return self._options.auction_seconds == 0

    @property
    def _rhythm(self) -> Ticks | None:
        """The rhythm of auctions; None where they are held at once, or by hand."""
        seconds = self._options.auction_seconds
        return Ticks(self._market.born, seconds) if 0 < seconds < MANUAL else None

    def _hold_auctions(self, now: float) -> None:
        """Decide who holds machines wherever something changed, until nothing changes any more."""
        while self._changed:
            self._decide(self._changed.pop(), now)

    def _decide(self, place: Place, now: float) -> None:
        rows, outcome = self._clear(place, now)
        for row in rows:
            if row["status"] == "Allocated" and row["fid"] not in outcome.winners:
                self.preempt(self._bid(row["fid"]), now, self._options.preemption_notice_seconds)
        # Machines under notice are still taken: a winner waits for them.
        room = self._market.capacity(place, now) - self._market.used(place) - outcome.others
        for row in rows:
            if row["status"] == "Open" and row["fid"] in outcome.winners and row["quantity"] <= room:
                room -= row["quantity"]
                self._allocate(self._bid(row["fid"]), outcome.price_cents, now)
        # What the loops above did is what the auction wanted: only time or a request can change it now.
        self._changed.discard(place)

    def _clear(self, place: Place, now: float) -> tuple[list[Row], Outcome]:
        """Return the bids of a place and what an auction would decide, and bill its price to those that hold machines.

        Between auctions a price may pass a limit: then the limit is paid.
        """
        # Bids that wait below the least price are left out here already: there may be a thousand of them.
        rows = self._store.rows(
            "SELECT fid, seq, limit_cents, quantity, status,"  # noqa: S608
            " (SELECT cents FROM rates WHERE bid = fid ORDER BY rates.seq DESC LIMIT 1) AS rate"
            " FROM bids WHERE instance_type = ? AND region = ? AND status != 'Terminated'"
            f" AND (status = 'Preempting' OR ({BIDDING} AND (status = 'Allocated' OR limit_cents >= ?)))"
            " ORDER BY limit_cents DESC, seq",
            *(*place, self._market.floor(place, now)),
        )
        bidding = [row for row in rows if row["status"] != "Preempting"]
        outcome = self._market.clear(place, [bidder(row) for row in bidding], now)
        for row in rows:
            cents = min(outcome.price_cents, row["limit_cents"])
            if row["status"] != "Open" and row["rate"] != cents:
                self._billing.charge(row["fid"], now, cents)
        return bidding, outcome

    def _places_with_bids(self) -> set[Place]:
        rows = self._store.rows(
            "SELECT DISTINCT instance_type, region FROM bids WHERE status != 'Terminated'"
            " AND (status = 'Preempting' OR (status IN ('Open', 'Allocated') AND NOT held))"
        )
        return {Place(row["instance_type"], row["region"]) for row in rows}

    def _bid(self, fid: str) -> Row:
        return self._store.rows("SELECT * FROM bids WHERE fid = ?", fid)[0]

    def _set(self, bid: Row, assignment: str, *values: object) -> None:
        self._store.run(f"UPDATE bids SET {assignment} WHERE fid = ?", *values, bid["fid"])  # noqa: S608
        self._changed.add(Place(bid["instance_type"], bid["region"]))
