"""The status transitions of bids, one method each, and the auctions that cause most of them.

Open ──wins──> Allocated ──loses──> Preempting ──notice ends──> Open
Open, Allocated, Preempting ──pause──> Paused ──resume──> Open
any status ──cancel──> Terminated
"""

from __future__ import annotations

from typing import Literal

from flow_resources.testing.service.accounts import User
from flow_resources.testing.service.auction import Outcome
from flow_resources.testing.service.billing import Billing
from flow_resources.testing.service.events import Events
from flow_resources.testing.service.instances import Instances
from flow_resources.testing.service.market import BIDDING, Market, Pool, bidder
from flow_resources.testing.service.options import MANUAL, Options
from flow_resources.testing.service.schedule import Schedule
from flow_resources.testing.service.store import Row, Store

Transition = Literal["auction", "boot", "notice", "cancel", "detach"]
"""The transitions that may take time, which `finish` completes."""


class Lifecycle:
    """Changes the status of bids, and with it their instances, their billing and their events."""

    def __init__(
        self, store: Store, options: Options, market: Market, instances: Instances, billing: Billing, events: Events
    ) -> None:
        """Use the tables of `store`."""
        self._store = store
        self._options = options
        self._market = market
        self._instances = instances
        self._billing = billing
        self._events = events
        self._changed: set[Pool] = set()
        """The pools in which the next auction may have another result than the last one."""
        self.request_auctions()

    def request_auctions(self) -> None:
        """Hold the next auction in every pool that has bids."""
        self._changed.update(self._pools_with_bids())

    def next_due(self, since: float) -> float | None:
        """Return the time after `since` at which the next transition is due."""
        times = [
            self._store.value("SELECT min(notice_until) FROM bids WHERE notice_until IS NOT NULL"),
            self._store.value("SELECT min(cancel_at) FROM bids WHERE cancel_at IS NOT NULL"),
            self._store.value("SELECT min(detach_at) FROM bids WHERE detach_at IS NOT NULL"),
            self._instances.next_due(),
            self._market.next_scheduled_price(since),
            self._market.schedule.next_after(since)
            if self._market.seed is not None and self._pools_with_bids()
            else None,
            self.next_auction(since) if self._changed else None,
        ]
        return min((at for at in times if at is not None), default=None)

    def step(self, now: float, since: float) -> None:
        """Perform the transitions that are due at `now`, given that those up to `since` were performed."""
        for row in self._store.rows("SELECT * FROM bids WHERE cancel_at <= ?", now):
            self.terminate(row, now)
        for row in self._store.rows("SELECT * FROM bids WHERE notice_until <= ?", now):
            self._reopen(row, now)
        self._store.run("UPDATE bids SET detach_at = NULL WHERE detach_at <= ?", now)
        self._instances.boot(now)
        prices_moved = self._market.next_scheduled_price(since) == now or self._market.schedule.includes(now)
        if prices_moved:
            self.request_auctions()
        if self._holds_auctions_at_once or (self._auctions is not None and self._auctions.includes(now)):
            self._hold_auctions(now)
        elif prices_moved:
            for pool in self._pools_with_bids():
                self._clear_pool(pool, now)

    def settle(self, now: float) -> bool:
        """Hold pending auctions if they are held at once, and return whether there were any."""
        is_due = self._holds_auctions_at_once and bool(self._changed)
        if is_due:
            self._hold_auctions(now)
        return is_due

    def next_auction(self, now: float) -> float | None:
        """Return the time of the next scheduled auction; None if auctions are held at once or manually."""
        return self._auctions.next_after(now) if self._auctions else None

    def finish(self, what: Transition, bid: str | None, now: float) -> None:
        """Complete a transition that takes time, for one bid or for all; an auction is always held in every pool."""
        if what == "auction":
            self.request_auctions()
            self._hold_auctions(now)
        elif what == "boot":
            self._instances.finish_boot(bid, now)
        elif what == "detach":
            self._store.run("UPDATE bids SET detach_at = NULL WHERE fid = coalesce(?, fid)", bid)
        else:
            column, complete = ("notice_until", self._reopen) if what == "notice" else ("cancel_at", self.terminate)
            sql = f"SELECT * FROM bids WHERE {column} IS NOT NULL AND fid = coalesce(?, fid) ORDER BY seq"  # noqa: S608
            for row in self._store.rows(sql, bid):
                complete(row, now)

    def minimum(self, pool: Pool, now: float) -> int:
        """Return the lowest limit price that can win in a pool, in cents."""
        return self._market.floor(pool, now)

    def reprice(self, pool: Pool, now: float) -> None:
        """Apply a new price or capacity of a pool: to billing now, to winners at the next auction.

        Bids in the pool that are excluded from auctions are included again.
        """
        self._store.run(
            "UPDATE bids SET held = 0 WHERE instance_type = ? AND region = ? AND status != 'Terminated'", *pool
        )
        self._clear_pool(pool, now)
        self._changed.add(pool)

    def submit(self, bid: Row, now: float, user: User) -> None:
        """Enter a new bid into auctions."""
        self._changed.add(Pool(bid["instance_type"], bid["region"]))
        self._events.add(bid["fid"], "Placed", now, user, cents=bid["limit_cents"])

    def preempt(self, bid: Row, now: float, notice_seconds: float) -> None:
        """Take the instances from the bid, after the notice if it is not 0."""
        self._events.add(bid["fid"], "Preempted", now)
        if notice_seconds > 0:
            self._set(bid, "status = 'Preempting', notice_until = ?", now + notice_seconds)
            self._instances.set_status(bid["fid"], "STATUS_PREEMPTING", now)
        else:
            self._reopen(bid, now)

    def relocate(self, bid: Row, now: float) -> None:
        """Move the machines of the bid to other hosts: they boot again from the boot disks that they have."""
        self._instances.set_status(bid["fid"], "STATUS_RELOCATING", now)
        self._instances.allocate(bid, now)

    def change_limit(self, bid: Row, cents: int, now: float, user: User) -> None:
        """Set the limit price of the bid. A higher one includes an excluded bid in auctions again."""
        self._set(bid, "limit_cents = ?, held = (held AND ? < limit_cents)", cents, cents)
        self._events.add(bid["fid"], "Limit Price Changed", now, user, cents=cents)

    def exclude(self, bid: Row) -> None:
        """Exclude the bid from auctions."""
        self._set(bid, "held = 1")

    def include(self, bid: Row) -> None:
        """Include the bid in auctions again, if it was excluded."""
        self._set(bid, "held = 0")

    def pause(self, bid: Row, now: float, user: User) -> None:
        """Pause the bid: its instances stop and their capacity is free, but the bid keeps their ids."""
        self._set(bid, "status = 'Paused', notice_until = NULL")
        self._instances.set_status(bid["fid"], "STATUS_PAUSED", now)
        self._billing.charge(bid["fid"], now, None)
        self._events.add(bid["fid"], "Paused", now, user)

    def resume(self, bid: Row, now: float, user: User) -> None:
        """Enter the paused bid into auctions again."""
        self._set(bid, "status = 'Open', held = 0")
        self._events.add(bid["fid"], "Resumed", now, user)

    def terminate(self, bid: Row, now: float, user: User | None = None) -> None:
        """Terminate the bid and its instances; its volumes stay attached for `detach_seconds`."""
        delay = self._options.detach_seconds
        self._set(
            bid,
            "status = 'Terminated', deactivated_at = ?, notice_until = NULL, cancel_at = NULL, detach_at = ?",
            *(now, now + delay if delay > 0 else None),
        )
        self._instances.end(bid["fid"], "STATUS_TERMINATED", now)
        self._billing.charge(bid["fid"], now, None)
        self._events.add(bid["fid"], "Terminated", now, user)

    def _allocate(self, bid: Row, cents: int, now: float) -> None:
        self._set(bid, "status = 'Allocated'")
        self._instances.allocate(bid, now)
        self._billing.charge(bid["fid"], now, cents)
        self._events.add(bid["fid"], "Allocated", now)

    def _reopen(self, bid: Row, now: float) -> None:
        self._set(bid, "status = 'Open', notice_until = NULL")
        self._instances.end(bid["fid"], "STATUS_PREEMPTED", now)
        self._billing.charge(bid["fid"], now, None)
        if not self._options.keep_instance_ids:
            self._instances.release(bid["fid"])

    @property
    def _holds_auctions_at_once(self) -> bool:
        """Whether an auction is held after each change."""
        return self._options.auction_seconds == 0

    @property
    def _auctions(self) -> Schedule | None:
        """The schedule of auctions; None if they are held at once or manually."""
        seconds = self._options.auction_seconds
        return Schedule(self._market.started_at, seconds) if 0 < seconds < MANUAL else None

    def _hold_auctions(self, now: float) -> None:
        """Hold auctions in the pools that changed, until none changes."""
        while self._changed:
            self._hold_auction(self._changed.pop(), now)

    def _hold_auction(self, pool: Pool, now: float) -> None:
        rows, outcome = self._clear_pool(pool, now)
        for row in rows:
            if row["status"] == "Allocated" and row["fid"] not in outcome.winners:
                self.preempt(self._bid(row["fid"]), now, self._options.preemption_notice_seconds)
        # Machines under notice are still in use: a winner waits for them.
        free = self._market.capacity(pool, now) - self._market.used(pool) - outcome.competitor_machines
        for row in rows:
            if row["status"] == "Open" and row["fid"] in outcome.winners and row["quantity"] <= free:
                free -= row["quantity"]
                self._allocate(self._bid(row["fid"]), outcome.price_cents, now)
        # The loops above marked the pool as changed, but applied the result of this auction: it needs no other one.
        self._changed.discard(pool)

    def _clear_pool(self, pool: Pool, now: float) -> tuple[list[Row], Outcome]:
        """Return the bids in a pool and the result of an auction, and bill its price to bids that hold machines.

        Between auctions the price may exceed the limit of a bid, which is billed its limit then.
        """
        # The query leaves out open bids below the minimum price: there may be a thousand of them.
        rows = self._store.rows(
            "SELECT fid, seq, limit_cents, quantity, status,"  # noqa: S608
            " (SELECT cents FROM rates WHERE bid = fid ORDER BY rates.seq DESC LIMIT 1) AS rate"
            " FROM bids WHERE instance_type = ? AND region = ? AND status != 'Terminated'"
            f" AND (status = 'Preempting' OR ({BIDDING} AND (status = 'Allocated' OR limit_cents >= ?)))"
            " ORDER BY limit_cents DESC, seq",
            *(*pool, self._market.floor(pool, now)),
        )
        bidding = [row for row in rows if row["status"] != "Preempting"]
        outcome = self._market.clear(pool, [bidder(row) for row in bidding], now)
        for row in rows:
            cents = min(outcome.price_cents, row["limit_cents"])
            if row["status"] != "Open" and row["rate"] != cents:
                self._billing.charge(row["fid"], now, cents)
        return bidding, outcome

    def _pools_with_bids(self) -> set[Pool]:
        rows = self._store.rows(
            "SELECT DISTINCT instance_type, region FROM bids WHERE status != 'Terminated'"
            " AND (status = 'Preempting' OR (status IN ('Open', 'Allocated') AND NOT held))"
        )
        return {Pool(row["instance_type"], row["region"]) for row in rows}

    def _bid(self, fid: str) -> Row:
        return self._store.rows("SELECT * FROM bids WHERE fid = ?", fid)[0]

    def _set(self, bid: Row, assignment: str, *values: object) -> None:
        self._store.run(f"UPDATE bids SET {assignment} WHERE fid = ?", *values, bid["fid"])  # noqa: S608
        self._changed.add(Pool(bid["instance_type"], bid["region"]))
