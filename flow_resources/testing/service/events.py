"""The history of bids and reservations: a line for whatever happens to an order, and who did it."""

from __future__ import annotations

from flow_resources.testing.service.accounts import User
from flow_resources.testing.service.store import Row, Store


class Events:
    """Lines, as rows of one table."""

    def __init__(self, store: Store) -> None:
        """Work on the tables of `store`."""
        self._store = store

    def note(
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
        """Write one line; without a user it was the clock, the market or the operator. `cents`: the price agreed on."""
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

    def of(self, order: str) -> list[Row]:
        """Return the lines of an order, the oldest first."""
        return self._store.rows("SELECT * FROM events WHERE bid = ? ORDER BY seq", order)
