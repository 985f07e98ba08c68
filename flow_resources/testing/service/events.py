"""The events of bids and reservations: what happened, when, and who did it."""

from __future__ import annotations

from flow_resources.testing.service.accounts import User
from flow_resources.testing.service.store import Row, Store


class Events:
    """The events of all orders."""

    def __init__(self, store: Store) -> None:
        """Use the tables of `store`."""
        self._store = store

    def add(
        self,
        order: str,
        kind: str,
        now: float,
        user: User | None = None,
        *,
        cents: int | None = None,
        attached: str | None = None,
        removed: str | None = None,
    ) -> None:
        """Record an event; `user` is None for the clock, the market and the operator, `cents` the price in effect."""
        self._store.insert(
            "events",
            bid=order,
            at=now,
            kind=kind,
            user=user.fid if user else None,
            limit_cents=cents,
            attached=attached,
            removed=removed,
        )

    def for_order(self, order: str) -> list[Row]:
        """Return the events of an order, oldest first."""
        return self._store.rows("SELECT * FROM events WHERE bid = ? ORDER BY seq", order)
