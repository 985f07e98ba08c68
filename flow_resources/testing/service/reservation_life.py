"""The life of a reservation, one function per transition; most of them are the clock's.

Pending ──start time──> Active ──pause──> Paused ──resume──> Active
any of them ──end time──> Ended; nothing else ends one
"""

from __future__ import annotations

from collections.abc import Sequence

from flow_resources.testing.service.accounts import User
from flow_resources.testing.service.events import Events
from flow_resources.testing.service.machines import Machines
from flow_resources.testing.service.store import Row, Store


class ReservationLife:
    """Moves reservations from one status to the next, with their machines and their history."""

    def __init__(self, store: Store, machines: Machines, events: Events) -> None:
        """Work on the tables of `store`."""
        self._store = store
        self._machines = machines
        self._events = events

    def next_due(self) -> float | None:
        """Return when time alone will change something."""
        due: float | None = self._store.value(
            "SELECT min(CASE status WHEN 'Pending' THEN start_at ELSE end_at END) FROM reservations"
            " WHERE status != 'Ended'"
        )
        return due

    def step(self, now: float) -> None:
        """Do what time alone does at `now`."""
        for row in self._store.rows("SELECT * FROM reservations WHERE status = 'Pending' AND start_at <= ?", now):
            self.begin(row, now)
        for row in self._store.rows("SELECT * FROM reservations WHERE status != 'Ended' AND end_at <= ?", now):
            self.end(row, now)

    def begin(self, row: Row, now: float, names: Sequence[str] | None = None) -> None:
        """Boot the machines, with these names or numbered."""
        self._set(row, "status = 'Active'")
        self._machines.allocate(row, now, names)
        self._events.note(row["fid"], "Active", now)

    def pause(self, row: Row, now: float, user: User) -> None:
        """Stop the machines; the end comes no later for it."""
        self._set(row, "status = 'Paused'")
        self._machines.mark(row["fid"], "STATUS_PAUSED", now)
        self._events.note(row["fid"], "Paused", now, user)

    def resume(self, row: Row, now: float, user: User) -> None:
        """Boot the same machines again."""
        self._set(row, "status = 'Active'")
        self._machines.allocate(row, now)
        self._events.note(row["fid"], "Resumed", now, user)

    def extend(self, row: Row, end: float, now: float, user: User) -> None:
        """Let it end later."""
        self._set(row, "end_at = ?", end)
        self._events.note(row["fid"], "Terms Changed", now, user, cents=row["unit_cents"])

    def end(self, row: Row, now: float, user: User | None = None) -> None:
        """Take the machines away for good."""
        self._set(row, "status = 'Ended', deactivated_at = ?", now)
        self._machines.end(row["fid"], "STATUS_TERMINATED", now)
        self._events.note(row["fid"], "Ended", now, user)

    def _set(self, row: Row, assignment: str, *values: object) -> None:
        self._store.run(f"UPDATE reservations SET {assignment} WHERE fid = ?", *values, row["fid"])  # noqa: S608
