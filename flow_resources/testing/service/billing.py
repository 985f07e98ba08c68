"""What bids cost: the spot price while they hold machines, as it moves, and never more than the limit.

A row of `rates` says what one machine of a bid costs from a moment on, or that it costs nothing any more; `lifecycle`
decides both. Bills run from the win, boots included, to the loss, the notice included; that is a guess about the
service.
"""

from __future__ import annotations

from typing import NamedTuple

from flow_resources.testing.service.store import Row, Store

_PERIODS = (
    "SELECT bid, at AS start, lead(at) OVER (PARTITION BY bid ORDER BY seq) AS end, cents FROM rates"
    " WHERE bid = coalesce(?, bid)"
)


class Period(NamedTuple):
    """What one machine cost an hour, and from when to when; the present one has no end."""

    start: float
    end: float | None
    cents: int


class Billing:
    """The meter of every bid."""

    def __init__(self, store: Store) -> None:
        """Work on the tables of `store`."""
        self._store = store

    def charge(self, bid: str, at: float, cents: int | None) -> None:
        """Set what one machine of a bid costs from a moment on; None ends the bill."""
        last = self._store.value("SELECT cents FROM rates WHERE bid = ? ORDER BY seq DESC LIMIT 1", bid)
        if last != cents:
            self._store.run("INSERT INTO rates (bid, at, cents) VALUES (?, ?, ?)", bid, at, cents)

    def spent(self, now: float) -> dict[str, float]:
        """Return what each bid has cost up to now, in USD."""
        rows = self._store.rows(
            "SELECT b.fid, b.quantity * sum(p.cents * (coalesce(p.end, ?) - p.start)) / 360000.0 AS usd"  # noqa: S608
            f" FROM ({_PERIODS}) p JOIN bids b ON b.fid = p.bid WHERE p.cents IS NOT NULL GROUP BY b.fid",
            *(now, None),
        )
        return {row["fid"]: round(row["usd"], 6) for row in rows}

    def per_hour(self) -> float:
        """Return what all bids together cost an hour at the present prices, in USD."""
        cents: int | None = self._store.value(
            "SELECT sum(b.quantity * r.cents) FROM bids b JOIN rates r ON r.seq ="
            " (SELECT max(seq) FROM rates WHERE bid = b.fid) WHERE b.status IN ('Allocated', 'Preempting')"
        )
        return (cents or 0) / 100.0

    def history(self, machine: Row) -> list[Period]:
        """Return what one machine has cost while it was there, the oldest period first."""
        born, gone = machine["created_at"], machine["ended_at"]
        sql = f"SELECT * FROM ({_PERIODS}) WHERE cents IS NOT NULL ORDER BY start"  # noqa: S608
        periods = []
        for row in self._store.rows(sql, machine["bid"]):
            start, end = max(row["start"], born), row["end"]
            if gone is not None:
                end = gone if end is None else min(end, gone)
            if end is None or start < end:
                periods.append(Period(start, end, row["cents"]))
        return periods
