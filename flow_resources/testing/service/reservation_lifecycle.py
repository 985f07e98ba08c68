"""The status transitions of reservations, one method each.

Pending ──start time──> Active ──pause──> Paused ──resume──> Active
any status ──end time──> Ended
"""

from __future__ import annotations

from collections.abc import Sequence

from flow_resources.testing.service.accounts import User
from flow_resources.testing.service.events import Events
from flow_resources.testing.service.instances import Instances
from flow_resources.testing.service.store import Row, Store


class ReservationLifecycle:
    """Changes the status of reservations, and with it their instances and their events."""

    def __init__(self, store: Store, instances: Instances, events: Events) -> None:
        """Use the tables of `store`."""
        self._store = store
        self._instances = instances
        self._events = events

    def next_due(self) -> float | None:
        """Return the time at which the next transition is due."""
        due: float | None = self._store.value(
            "SELECT min(CASE status WHEN 'Pending' THEN start_at ELSE end_at END) FROM reservations"
            " WHERE status != 'Ended'"
        )
        return due

    def step(self, now: float) -> None:
        """Perform the transitions that are due at `now`."""
        for row in self._store.rows("SELECT * FROM reservations WHERE status = 'Pending' AND start_at <= ?", now):
            self.activate(row, now)
        for row in self._store.rows("SELECT * FROM reservations WHERE status != 'Ended' AND end_at <= ?", now):
            self.end(row, now)

    def activate(self, row: Row, now: float, names: Sequence[str] | None = None) -> None:
        """Start the reservation: boot its instances, with these names or numbered."""
        self._set(row, "status = 'Active'")
        self._instances.allocate(row, now, names)
        self._events.add(row["fid"], "Active", now)

    def pause(self, row: Row, now: float, user: User) -> None:
        """Stop the instances; the end time does not change."""
        self._set(row, "status = 'Paused'")
        self._instances.set_status(row["fid"], "STATUS_PAUSED", now)
        self._events.add(row["fid"], "Paused", now, user)

    def resume(self, row: Row, now: float, user: User) -> None:
        """Boot the same instances again."""
        self._set(row, "status = 'Active'")
        self._instances.allocate(row, now)
        self._events.add(row["fid"], "Resumed", now, user)

    def extend(self, row: Row, end: float, now: float, user: User) -> None:
        """Set a later end time."""
        self._set(row, "end_at = ?", end)
        self._events.add(row["fid"], "Terms Changed", now, user, cents=row["unit_cents"])

    def end(self, row: Row, now: float, user: User | None = None) -> None:
        """End the reservation and its instances."""
        self._set(row, "status = 'Ended', deactivated_at = ?", now)
        self._instances.end(row["fid"], "STATUS_TERMINATED", now)
        self._events.add(row["fid"], "Ended", now, user)

    def _set(self, row: Row, assignment: str, *values: object) -> None:
        self._store.run(f"UPDATE reservations SET {assignment} WHERE fid = ?", *values, row["fid"])  # noqa: S608
