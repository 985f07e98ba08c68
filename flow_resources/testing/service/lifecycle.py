"""The life of a bid, one function per transition, and the auctions that cause most of them.

Open ──wins──> Allocated ──loses──> Preempting ──notice over──> Open
Open, Allocated, Preempting ──pause──> Paused ──resume──> Open
any of them ──cancel──> Terminated
"""

from __future__ import annotations

from typing import Literal

from flow_resources.testing.service.accounts import User
from flow_resources.testing.service.billing import Billing
from flow_resources.testing.service.machines import Machines
from flow_resources.testing.service.market import Market, Place, bidder
from flow_resources.testing.service.options import MANUAL, Options
from flow_resources.testing.service.store import Row, Store

Transition = Literal["auction", "boot", "notice", "cancel", "detach"]
"""What takes time, and what `finish` ends."""


class Lifecycle:
    """Moves bids from one status to the next, with their machines, their bills and their history."""

    def __init__(
        self, store: Store, options: Options, market: Market, machines: Machines, billing: Billing, settled: float
    ) -> None:
        """Work on the tables of `store`; everything up to the moment `settled` has been done there."""
        self._store = store
        self._options = options
        self._market = market
        self._machines = machines
        self._billing = billing
        self._settled = settled
        self.changed: set[Place] = set()
        """Where an auction may now end differently."""
        self.look_again()

    def look_again(self) -> None:
        """Let the next auction be held everywhere."""
        self.changed.update(self._places_with_bids())

    def next_due(self) -> float | None:
        """Return when time alone will change something."""
        moments = [
            self._store.value("SELECT min(notice_until) FROM bids WHERE notice_until IS NOT NULL"),
            self._store.value("SELECT min(cancel_at) FROM bids WHERE cancel_at IS NOT NULL"),
            self._store.value("SELECT min(detach_at) FROM bids WHERE detach_at IS NOT NULL"),
            self._machines.next_due(),
            self._market.next_by_hand(self._settled),
            self._next_tick(),
        ]
        return min((moment for moment in moments if moment is not None), default=None)

    def step(self, now: float) -> None:
        """Do what time alone does at `now`, and hold the auction if one is due."""
        for row in self._store.rows("SELECT * FROM bids WHERE cancel_at <= ?", now):
            self.terminate(row, now)
        for row in self._store.rows("SELECT * FROM bids WHERE notice_until <= ?", now):
            self._reopen(row, now)
        self._store.run("UPDATE bids SET detach_at = NULL WHERE detach_at <= ?", now)
        self._machines.boot(now)
        if self._market.next_by_hand(self._settled) == now or self._is_tick(now):
            # Prices may have moved everywhere.
            self.look_again()
        if 0 < self._options.auction_seconds < MANUAL and self._is_tick(now):
            self.hold_auctions(now)
        self._settled = now

    def settled(self, now: float) -> None:
        """Hold the auctions that wait for nobody, and remember that everything up to `now` is done."""
        if self._options.auction_seconds == 0:
            self.hold_auctions(now)
        self._settled = max(now, self._settled)

    def hold_auctions(self, now: float) -> None:
        """Decide who holds machines wherever something changed, until nothing changes any more."""
        while self.changed:
            self._decide(self.changed.pop(), now)

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

    def hold(self, bid: Row, *, held: bool) -> None:
        """Keep the bid out of the auction, or let it in again."""
        self._set(bid, "held = ?", held)

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

    def _decide(self, place: Place, now: float) -> None:
        # Bids that wait below the least price are left out here already: there may be a thousand of them.
        rows = self._store.rows(
            "SELECT fid, seq, limit_cents, quantity, status FROM bids WHERE instance_type = ? AND region = ?"
            " AND status != 'Terminated' AND NOT held AND (status = 'Allocated'"
            " OR (status = 'Open' AND limit_cents >= ? AND cancel_at IS NULL)) ORDER BY limit_cents DESC, seq",
            *(*place, self._market.floor(place, now)),
        )
        outcome = self._market.decide(place, [bidder(row) for row in rows], now)
        won = [row for row in rows if row["fid"] in outcome.winners]
        for row in rows:
            if row["status"] == "Allocated" and row["fid"] not in outcome.winners:
                self.preempt(self._bid(row["fid"]), now, self._options.preemption_notice_seconds)
        # Machines under notice are still taken: a winner waits for them.
        room = self._market.capacity(place) - self._market.used(place) - outcome.others
        for row in won:
            if row["status"] == "Open":
                if row["quantity"] > room:
                    continue
                room -= row["quantity"]
                self.allocate(self._bid(row["fid"]), now)
            self._billing.charge(row["fid"], now, outcome.price_cents)
        # What the loops above did is what the auction wanted: only time or a request can change it now.
        self.changed.discard(place)

    def _places_with_bids(self) -> set[Place]:
        rows = self._store.rows(
            "SELECT DISTINCT instance_type, region FROM bids"
            " WHERE status != 'Terminated' AND status IN ('Open', 'Allocated') AND NOT held"
        )
        return {Place(row["instance_type"], row["region"]) for row in rows}

    def _next_tick(self) -> float | None:
        """Return when prices move next or the next auction is held, if that matters to any bid."""
        waits = self.changed and 0 < self._options.auction_seconds < MANUAL
        if not waits and (self._market.seed is None or not self._places_with_bids()):
            return None
        return self._market.moment_of(self._market.tick_at(self._settled) + 1)

    def _is_tick(self, moment: float) -> bool:
        return self._market.moment_of(self._market.tick_at(moment)) == moment

    def _bid(self, fid: str) -> Row:
        return self._store.rows("SELECT * FROM bids WHERE fid = ?", fid)[0]

    def _set(self, bid: Row, assignment: str, *values: object) -> None:
        self._store.run(f"UPDATE bids SET {assignment} WHERE fid = ?", *values, bid["fid"])  # noqa: S608
        self.changed.add(Place(bid["instance_type"], bid["region"]))
