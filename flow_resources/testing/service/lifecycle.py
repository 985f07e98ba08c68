"""The life of a bid, one function per transition, and the auction that causes most of them.

Open ──wins──> Allocated ──loses──> Preempting ──notice over──> Open
Open, Allocated, Preempting ──pause──> Paused ──resume──> Open
any of them ──cancel──> Terminated
"""

from __future__ import annotations

from flow_resources.testing.service.accounts import User
from flow_resources.testing.service.catalog import BY_FID
from flow_resources.testing.service.machines import Machines
from flow_resources.testing.service.market import Bidder, Market, Place, winners
from flow_resources.testing.service.options import Options
from flow_resources.testing.service.store import Row, Store


class Lifecycle:
    """Moves bids from one status to the next, with their machines and their history."""

    def __init__(self, store: Store, options: Options, market: Market, machines: Machines) -> None:
        """Work on the tables of `store`. Every place with live bids is looked at once, for what happened while off."""
        self._store = store
        self._options = options
        self._market = market
        self._machines = machines
        self.changed: set[Place] = set()
        """Where an auction may now end differently."""
        self.look_again()

    def look_again(self) -> None:
        """Hold the next auction everywhere."""
        rows = self._store.rows("SELECT DISTINCT instance_type, region FROM bids WHERE status != 'Terminated'")
        self.changed.update(Place(row["instance_type"], row["region"]) for row in rows)

    def next_due(self) -> float | None:
        """Return when time alone will change something."""
        moments = [
            self._store.value("SELECT min(notice_until) FROM bids WHERE notice_until IS NOT NULL"),
            self._store.value("SELECT min(cancel_at) FROM bids WHERE cancel_at IS NOT NULL"),
            self._machines.next_due(),
        ]
        return min((moment for moment in moments if moment is not None), default=None)

    def step(self, now: float) -> None:
        """Do what time alone does at `now`."""
        for row in self._store.rows("SELECT * FROM bids WHERE cancel_at <= ?", now):
            self.terminate(row, now)
        for row in self._store.rows("SELECT * FROM bids WHERE notice_until <= ?", now):
            self._reopen(row, now)
        self._machines.boot(now)

    def auction(self, now: float) -> None:
        """Decide who holds machines wherever something changed, until nothing changes any more."""
        while self.changed:
            self._decide(self.changed.pop(), now)

    def allocate(self, bid: Row, now: float) -> None:
        """Give the bid its machines."""
        self._set(bid, "status = 'Allocated'")
        self._machines.allocate(bid, now, self._options.boot_seconds)
        self.note(bid["fid"], "Allocated", now)

    def preempt(self, bid: Row, now: float, notice_seconds: float) -> None:
        """Take the machines away, after a notice if there is one."""
        self.note(bid["fid"], "Preempted", now)
        if notice_seconds > 0:
            self._set(bid, "status = 'Preempting', notice_until = ?", now + notice_seconds)
            self._machines.mark(bid["fid"], "STATUS_PREEMPTING")
        else:
            self._reopen(bid, now)

    def hold(self, bid: Row, *, held: bool) -> None:
        """Keep the bid out of the auction, or let it in again."""
        self._set(bid, "held = ?", held)

    def pause(self, bid: Row, now: float, user: User) -> None:
        """Stop the machines of the bid and give them back to the market; their ids stay with the bid."""
        self._set(bid, "status = 'Paused', notice_until = NULL")
        self._machines.mark(bid["fid"], "STATUS_PAUSED")
        self.note(bid["fid"], "Paused", now, user)

    def resume(self, bid: Row, now: float, user: User) -> None:
        """Put the bid back into the auction."""
        self._set(bid, "status = 'Open', held = 0")
        self.note(bid["fid"], "Resumed", now, user)

    def terminate(self, bid: Row, now: float, user: User | None = None) -> None:
        """End the bid and its machines."""
        self._set(bid, "status = 'Terminated', deactivated_at = ?, notice_until = NULL, cancel_at = NULL", now)
        self._machines.end(bid["fid"], "STATUS_TERMINATED", now)
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
        if not self._options.keep_instance_ids:
            self._machines.let_go(bid["fid"])

    def _decide(self, place: Place, now: float) -> None:
        kind = BY_FID[place.instance_type]
        price = self._market.price(kind, place.region)
        # Bids that wait below the price are left out here already: there may be a thousand of them.
        rows = self._store.rows(
            "SELECT fid, seq, limit_cents, quantity, status FROM bids WHERE instance_type = ? AND region = ?"
            " AND status != 'Terminated' AND NOT held AND (status = 'Allocated'"
            " OR (status = 'Open' AND limit_cents >= ? AND cancel_at IS NULL)) ORDER BY limit_cents DESC, seq",
            *(*place, price),
        )
        bidders = [Bidder(row["fid"], row["seq"], row["limit_cents"], row["quantity"]) for row in rows]
        capacity = self._market.capacity(kind, place.region)
        won = winners(bidders, price, capacity)
        for row in rows:
            if row["status"] == "Allocated" and row["fid"] not in won:
                self.preempt(self._bid(row["fid"]), now, self._options.preemption_notice_seconds)
        # Machines under notice are still taken: a winner waits for them.
        room = capacity - self._market.used(place)
        for row in rows:
            if row["status"] == "Open" and row["fid"] in won and row["quantity"] <= room:
                room -= row["quantity"]
                self.allocate(self._bid(row["fid"]), now)
        # What the loop above did is what the auction wanted: only time or a request can change it now.
        self.changed.discard(place)

    def _bid(self, fid: str) -> Row:
        return self._store.rows("SELECT * FROM bids WHERE fid = ?", fid)[0]

    def _set(self, bid: Row, assignment: str, *values: object) -> None:
        self._store.run(f"UPDATE bids SET {assignment} WHERE fid = ?", *values, bid["fid"])  # noqa: S608
        self.changed.add(Place(bid["instance_type"], bid["region"]))
