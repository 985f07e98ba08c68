"""Performs the transitions that are due, in order, each at its own time.

The time of the next transition is cached, so that a read is cheap; a change must call `invalidate`.
"""

from __future__ import annotations

from flow_resources.testing.service.clock import Clock
from flow_resources.testing.service.lifecycle import Lifecycle
from flow_resources.testing.service.reservation_lifecycle import ReservationLifecycle
from flow_resources.testing.service.store import Store

PRESENT = "present"
"""The fact in the store with the time up to which all transitions were performed."""


class Timeline:
    """The transitions of bids, instances and reservations over time."""

    def __init__(self, store: Store, clock: Clock, lifecycle: Lifecycle, reservations: ReservationLifecycle) -> None:
        """Continue from the time in `store`."""
        self._store = store
        self._clock = clock
        self._lifecycle = lifecycle
        self._reservations = reservations
        self.recover()

    def recover(self) -> None:
        """Discard all caches after a rollback, and continue from the time in the store."""
        self._caught_up_to = self._saved = float(self._store.fact(PRESENT) or 0.0)
        self._lifecycle.request_auctions()
        self.invalidate()

    def invalidate(self) -> None:
        """Discard the cached time of the next transition."""
        self._is_due_known = False
        self._due: float | None = None

    def catch_up(self, now: float) -> None:
        """Perform all transitions that are due up to `now`."""
        while (due := self._next_due()) is not None and due <= now:
            self._lifecycle.step(due, self._caught_up_to)
            self._reservations.step(due)
            self.save(due)
            self.invalidate()
        if self._lifecycle.settle(now):
            self.invalidate()
        self._caught_up_to = max(self._caught_up_to, now)
        # A restart must not set the clock back behind a time that was returned. One real second of difference is
        # accepted, so that reads cause few writes.
        if now - self._saved >= max(1.0, self._clock.speed):
            self.save(now)

    def save(self, at: float) -> None:
        """Store the time up to which all transitions were performed."""
        self._store.set_fact(PRESENT, at)
        self._caught_up_to = self._saved = at

    def _next_due(self) -> float | None:
        if not self._is_due_known:
            times = (self._lifecycle.next_due(self._caught_up_to), self._reservations.next_due())
            self._due = min((at for at in times if at is not None), default=None)
            self._is_due_known = True
        return self._due
