"""The cost of bids: the current spot price while they hold machines, and never more than the limit price.

A row of `rates` is the price of one machine of a bid from a time on; NULL means that it is not billed any more.
`lifecycle` writes them. A bid is billed from the win, including the boot, until it loses its machines, including the
notice; that is an assumption about the service.
"""

from __future__ import annotations

from typing import NamedTuple

from flow_resources.testing.service.store import Row, Store

_PERIODS = (
    "SELECT bid, at AS start, lead(at) OVER (PARTITION BY bid ORDER BY seq) AS end, cents FROM rates"
    " WHERE bid = coalesce(?, bid)"
)


class Period(NamedTuple):
    """The price of one machine per hour during an interval; the current interval has no end."""

    start: float
    end: float | None
    cents: int


class Billing:
    """The costs of all bids."""

    def __init__(self, store: Store) -> None:
        """Use the tables of `store`."""
        self._store = store

    def charge(self, bid: str, at: float, cents: int | None) -> None:
        """Set the price of one machine of a bid, per hour, from `at` on; None ends billing."""
        last = self._store.value("SELECT cents FROM rates WHERE bid = ? ORDER BY seq DESC LIMIT 1", bid)
        if last != cents:
            self._store.run("INSERT INTO rates (bid, at, cents) VALUES (?, ?, ?)", bid, at, cents)

    def spent(self, now: float) -> dict[str, float]:
        """Return the cost of each bid up to now, in USD."""
        rows = self._store.rows(
            "SELECT b.fid, b.quantity * sum(p.cents * (coalesce(p.end, ?) - p.start)) / 360000.0 AS usd"  # noqa: S608
            f" FROM ({_PERIODS}) p JOIN bids b ON b.fid = p.bid WHERE p.cents IS NOT NULL GROUP BY b.fid",
            *(now, None),
        )
        return {row["fid"]: round(row["usd"], 6) for row in rows}

    def per_hour(self) -> float:
        """Return the cost of all bids at present prices, in USD per hour."""
        cents: int | None = self._store.value(
            "SELECT sum(b.quantity * r.cents) FROM bids b JOIN rates r ON r.seq ="
            " (SELECT max(seq) FROM rates WHERE bid = b.fid) WHERE b.status IN ('Allocated', 'Preempting')"
        )
        return (cents or 0) / 100.0

    def history(self, instance: Row) -> list[Period]:
        """Return the prices of one instance during its existence, oldest period first."""
        created_at, ended_at = instance["created_at"], instance["ended_at"]
        sql = f"SELECT * FROM ({_PERIODS}) WHERE cents IS NOT NULL ORDER BY start"  # noqa: S608
        periods = []
        for row in self._store.rows(sql, instance["bid"]):
            start, end = max(row["start"], created_at), row["end"]
            if ended_at is not None:
                end = ended_at if end is None else min(end, ended_at)
            if end is None or start < end:
                periods.append(Period(start, end, row["cents"]))
        return periods
