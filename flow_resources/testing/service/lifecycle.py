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
from flow_resources.testing.service.machines import Machines
from flow_resources.testing.service.market import Market, Place, bidder
from flow_resources.testing.service.options import MANUAL, Options
from flow_resources.testing.service.store import Row, Store
from flow_resources.testing.service.ticks import Ticks

Transition = Literal["auction", "boot", "notice", "cancel", "detach"]
"""What takes time, and what `finish` ends."""


class Lifecycle:
    """Moves bids from one status to the next, with their machines, their bills and their history."""

    def __init__(self, store: Store, options: Options, market: Market, machines: Machines, billing: Billing) -> None:
        """Work on the tables of `store`."""
        self._store = store
        self._options = options
        self._market = market
        self._machines = machines
        self._billing = billing
        self.changed: set[Place] = set()
        """Where the next auction may end differently."""
        self.look_again()

    def look_again(self) -> None:
        """Let the next auction be held wherever somebody bids."""
        self.changed.update(self._places_with_bids())

    def next_due(self, since: float) -> float | None:
        """Return when, after a moment, time alone will change something."""
        moments = [
            self._store.value("SELECT min(notice_until) FROM bids WHERE notice_until IS NOT NULL"),
            self._store.value("SELECT min(cancel_at) FROM bids WHERE cancel_at IS NOT NULL"),
            self._store.value("SELECT min(detach_at) FROM bids WHERE detach_at IS NOT NULL"),
            self._machines.next_due(),
            self._market.next_by_hand(since),
            self._market.ticks.after(since) if self._market.seed is not None and self._places_with_bids() else None,
            self._rhythm.after(since) if self._rhythm and self.changed else None,
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
        if self._market.next_by_hand(since) == now or self._market.ticks.has(now):
            # Prices may have moved everywhere.
            self.look_again()
            for place in self._places_with_bids() if not self._holds_auction(now) else ():
                self._clear(place, now)
        if self._holds_auction(now):
            self.hold_auctions(now)

    def hold_auctions(self, now: float) -> None:
        """Decide who holds machines wherever something changed, until nothing changes any more."""
        while self.changed:
            self._decide(self.changed.pop(), now)

    @property
    def at_once(self) -> bool:
        """Say whether auctions wait for nobody."""
        return self._options.auction_seconds == 0

    def finish(self, what: Transition, bid: str | None, now: float) -> None:
        """End what takes time, of one bid or of all; an auction is always held everywhere."""
        if what == "auction":
            self.look_again()
            self.hold_auctions(now)
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
        self.changed.add(place)

    def allocate(self, bid: Row, now: float) -> None:
        """Give the bid its machines."""
        self._set(bid, "status = 'Allocated'")
        self._machines.allocate(bid, now)
        self.note(bid["fid"], "Allocated", now)

    def preempt(self, bid: Row, now: float, notice_seconds: float) -> None:
        """Take the machines away, after a notice if there is one."""
        self.note(bid["fid"], "Preempted", now)
        if notice_seconds > 0:
            self._set(bid, "status = 'Preempting', notice_until = ?", now + notice_seconds)
            self._machines.mark(bid["fid"], "STATUS_PREEMPTING", now)
        else:
            self._reopen(bid, now)

    def change_limit(self, bid: Row, cents: int, now: float, user: User) -> None:
        """Set what the bid pays at most. Somebody who pays more is back in the auction, if he was kept out."""
        self._set(bid, "limit_cents = ?, held = (held AND ? < limit_cents)", cents, cents)
        self.note(bid["fid"], "Limit Price Changed", now, user, cents)

    def keep_out(self, bid: Row) -> None:
        """Keep the bid out of the auction."""
        self._set(bid, "held = 1")

    def let_in(self, bid: Row) -> None:
        """Let the bid take part in the auction, if it did not."""
        self._set(bid, "held = 0")

    def pause(self, bid: Row, now: float, user: User) -> None:
        """Stop the machines of the bid and give them back to the market; their ids stay with the bid."""
        self._set(bid, "status = 'Paused', notice_until = NULL")
        self._machines.mark(bid["fid"], "STATUS_PAUSED", now)
        self._billing.charge(bid["fid"], now, None)
        self.note(bid["fid"], "Paused", now, user)

    def resume(self, bid: Row, now: float, user: User) -> None:
        """Put the bid back into the auction."""
        self._set(bid, "status = 'Open', held = 0")
        self.note(bid["fid"], "Resumed", now, user)

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
        self.note(bid["fid"], "Terminated", now, user)

    def note(
        self,
        bid: str,
        kind: str,
        now: float,
        user: User | None = None,
        limit_cents: int | None = None,
        attached: str | None = None,
        removed: str | None = None,
    ) -> None:
        """Write one line of the bid's history."""
        self._store.run(
            "INSERT INTO events (bid, at, kind, user, limit_cents, attached, removed) VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(bid, now, kind, user.fid if user else None, limit_cents, attached, removed),
        )

    def _reopen(self, bid: Row, now: float) -> None:
        self._set(bid, "status = 'Open', notice_until = NULL")
        self._machines.end(bid["fid"], "STATUS_PREEMPTED", now)
        self._billing.charge(bid["fid"], now, None)
        if not self._options.keep_instance_ids:
            self._machines.let_go(bid["fid"])

    def _holds_auction(self, now: float) -> bool:
        return self.at_once or (self._rhythm is not None and self._rhythm.has(now))

    @property
    def _rhythm(self) -> Ticks | None:
        """The rhythm of auctions; None where they are held at once, or by hand."""
        seconds = self._options.auction_seconds
        return Ticks(self._market.born, seconds) if 0 < seconds < MANUAL else None

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
                self.allocate(self._bid(row["fid"]), now)
                self._billing.charge(row["fid"], now, outcome.price_cents)
        # What the loops above did is what the auction wanted: only time or a request can change it now.
        self.changed.discard(place)

    def _clear(self, place: Place, now: float) -> tuple[list[Row], Outcome]:
        """Return the bids of a place and what an auction would decide, and bill its price to those that hold machines.

        Between auctions a price may pass a limit: then the limit is paid.
        """
        # Bids that wait below the least price are left out here already: there may be a thousand of them.
        rows = self._store.rows(
            "SELECT fid, seq, limit_cents, quantity, status,"
            " (SELECT cents FROM rates WHERE bid = fid ORDER BY rates.seq DESC LIMIT 1) AS rate"
            " FROM bids WHERE instance_type = ? AND region = ? AND status != 'Terminated'"
            " AND (status = 'Preempting' OR (NOT held AND (status = 'Allocated'"
            " OR (status = 'Open' AND limit_cents >= ? AND cancel_at IS NULL)))) ORDER BY limit_cents DESC, seq",
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
        self.changed.add(Place(bid["instance_type"], bid["region"]))
