"""Brings the cloud up to the present: every room that time changes, and each thing at its own moment.

What is due next is remembered, so that a mere look costs nothing; whoever changes something says so with `invalidate`.
"""

from __future__ import annotations

from flow_resources.testing.service.clock import Clock
from flow_resources.testing.service.lifecycle import Lifecycle
from flow_resources.testing.service.reservation_life import ReservationLife
from flow_resources.testing.service.store import Store

PRESENT = "present"
"""The fact under which the store knows up to when everything is done."""


class Timeline:
    """The order in which time does things."""

    def __init__(self, store: Store, clock: Clock, lifecycle: Lifecycle, reservations: ReservationLife) -> None:
        """Go on where `store` stopped."""
        self._store = store
        self._clock = clock
        self._lifecycle = lifecycle
        self._reservations = reservations
        self.recover()

    def recover(self) -> None:
        """Believe nothing but what is stored: something was undone half way."""
        self._done = self._saved = float(self._store.fact(PRESENT) or 0.0)
        self._lifecycle.look_again()
        self.invalidate()

    def invalidate(self) -> None:
        """Look anew at what is due next."""
        self._known = False
        self._due: float | None = None

    def catch_up(self, now: float) -> None:
        """Do everything that is due up to `now`."""
        while (due := self._next_due()) is not None and due <= now:
            self._lifecycle.step(due, self._done)
            self._reservations.step(due)
            self.save(due)
            self.invalidate()
        if self._lifecycle.settle(now):
            self.invalidate()
        self._done = max(self._done, now)
        # A restart must not go back behind what somebody has seen; but a look a millisecond later is no news.
        if now - self._saved >= max(1.0, self._clock.speed):
            self.save(now)

    def save(self, moment: float) -> None:
        """Write down that everything up to a moment is done."""
        self._store.learn(PRESENT, moment)
        self._done = self._saved = moment

    def _next_due(self) -> float | None:
        if not self._known:
            moments = (self._lifecycle.next_due(self._done), self._reservations.next_due())
            self._due = min((moment for moment in moments if moment is not None), default=None)
            self._known = True
        return self._due
