"""The machines of bids and reservations: how they boot, pause and end. The order decides when; this room knows how.

Phases are moved by the clock, in SQL, so that a thousand machines cost as much as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from flow_resources.testing.service.accounts import User
from flow_resources.testing.service.listing import Listing
from flow_resources.testing.service.notation import write_time
from flow_resources.testing.service.options import Options
from flow_resources.testing.service.query import Query
from flow_resources.testing.service.store import Row, Store, marks

STATUSES = (
    "STATUS_NEW",
    "STATUS_CONFIRMED",
    "STATUS_INITIALIZING",
    "STATUS_STARTING",
    "STATUS_RUNNING",
    "STATUS_STOPPING",
    "STATUS_TERMINATED",
    "STATUS_RELOCATING",
    "STATUS_PREEMPTING",
    "STATUS_PREEMPTED",
    "STATUS_REPLACED",
    "STATUS_PAUSED",
    "STATUS_ERROR",
)
_COLUMNS = (
    *("fid", "name", "project", "bid", "instance_type", "region", "created_by", "created_at"),
    *("status", "status_at", "boots_from", "ready_at", "due_at", "fails"),
)
_REACHABLE = ("STATUS_RUNNING", "STATUS_PREEMPTING")
_PREFIXES = {"Bid": "bid_", "Reservation": "res_"}
_SORTS = {"created_at": "seq", "instance_status": "status", "instance_type_fid": "instance_type"}


class Machines:
    """Instances, as rows of one table."""

    def __init__(self, store: Store, options: Options) -> None:
        """Work on the tables of `store`."""
        self._store = store
        self._options = options

    def allocate(self, bid: Row, now: float, names: Sequence[str] | None = None) -> None:
        """Boot the machines of an order: those it still holds, or new ones, which get `names` or numbers."""
        held = self._store.rows("SELECT seq FROM instances WHERE bid = ? AND current", bid["fid"])
        if held:
            boots = [(*self._boot(now, f"{row['seq']}/{now}"), row["seq"]) for row in held]
            self._store.run_many(
                "UPDATE instances SET status = ?, status_at = ?, boots_from = ?, ready_at = ?, due_at = ?, fails = ?,"
                " ended_at = NULL"
                " WHERE seq = ?",
                boots,
            )
            return
        shared = (bid["project"], bid["fid"], bid["instance_type"], bid["region"], bid["created_by"], now)
        self._store.run_many(
            f"INSERT INTO instances ({', '.join(_COLUMNS)}) VALUES ({marks(_COLUMNS)})",  # noqa: S608
            [
                (fid, name, *shared, *self._boot(now, fid))
                for name in names or [f"{bid['name']}-{index}" for index in range(1, bid["quantity"] + 1)]
                for fid in [self._store.next_fid("inst")]
            ],
        )

    def mark(self, bid: str, status: str, now: float) -> None:
        """Give all machines that an order holds one status; their boot, if any, is over. What has ended stays so."""
        self._store.run(
            "UPDATE instances SET status = ?, status_at = ?, due_at = NULL"
            " WHERE bid = ? AND current AND ended_at IS NULL",
            *(status, now, bid),
        )

    def end(self, bid: str, status: str, now: float) -> None:
        """Mark the machines of a bid as gone for good."""
        self.mark(bid, status, now)
        self._store.run("UPDATE instances SET ended_at = ? WHERE bid = ? AND current AND ended_at IS NULL", now, bid)

    def let_go(self, bid: str) -> None:
        """Forget that the bid holds its machines; they stay listed, and the next win brings new ones."""
        self._store.run("UPDATE instances SET current = 0 WHERE bid = ? AND current", bid)

    def next_due(self) -> float | None:
        """Return when the next phase of a boot begins."""
        due: float | None = self._store.value("SELECT min(due_at) FROM instances WHERE due_at IS NOT NULL")
        return due

    def boot(self, now: float) -> None:
        """Move every boot that is due one phase on; the last phase first, so that nothing moves twice."""
        self._finish("due_at <= ? AND status = 'STATUS_STARTING'", now, now)
        for status, follows, due in (
            ("STATUS_INITIALIZING", "STATUS_STARTING", "ready_at"),
            ("STATUS_NEW", "STATUS_INITIALIZING", "(boots_from + ready_at) / 2"),
        ):
            self._store.run(
                f"UPDATE instances SET status = ?, status_at = ?, due_at = {due}"  # noqa: S608
                " WHERE due_at <= ? AND status = ?",
                *(follows, now, now, status),
            )

    def finish_boot(self, bid: str | None, now: float) -> None:
        """End the boots of a bid, or all of them."""
        self._finish("due_at IS NOT NULL AND bid = coalesce(?, bid)", now, bid)

    def _finish(self, which: str, now: float, *values: object) -> None:
        self._store.run(
            "UPDATE instances SET status = CASE WHEN fails THEN 'STATUS_ERROR' ELSE 'STATUS_RUNNING' END,"  # noqa: S608
            f" status_at = ?, due_at = NULL WHERE {which}",
            *(now, *values),
        )

    def _boot(self, now: float, lot: str) -> tuple[str, float, float, float, float | None, bool]:
        """Return status, status_at, boots_from, ready_at, due_at and fails of a machine that starts to boot."""
        seconds, rate = self._options.boot_seconds, self._options.boot_failure_rate
        fails = rate > 0 and Random(f"{self._store.fact('seed')}/{lot}").random() < rate
        if seconds <= 0:
            return "STATUS_ERROR" if fails else "STATUS_RUNNING", now, now, now, None, fails
        return "STATUS_NEW", now, now, now + seconds, now + seconds / 4, fails

    def held_by(self, bids: Sequence[str]) -> dict[str, list[str]]:
        """Return the ids of the machines that each bid holds, or held when it ended."""
        held: dict[str, list[str]] = {bid: [] for bid in bids}
        sql = "SELECT bid, fid FROM instances WHERE current AND bid IN ({}) ORDER BY seq"
        for row in self._store.rows_in(sql, bids):
            held[row["bid"]].append(row["fid"])
        return held

    def listing(self, query: Query, project: str, page_limit: int) -> dict[str, Any]:
        """Answer GET /v2/instances for a project that the caller may see."""
        listing = Listing.read("instances", query, _SORTS, page_limit)
        listing.only("project", [project])
        listing.as_asked(query, instance_type="instance_type", region="region")
        if statuses := query.many("status_in", STATUSES):
            listing.only("status", statuses)
        if bids := query.many("bid_fid_in"):
            listing.only("bid", [fid for fid in bids if fid.startswith(_PREFIXES["Bid"])])
        if reservations := query.many("reservation_fid_in"):
            listing.only("bid", [fid for fid in reservations if fid.startswith(_PREFIXES["Reservation"])])
        if orders := query.many("order_type_in", tuple(_PREFIXES)):
            listing.only("substr(bid, 1, 4)", [_PREFIXES[order] for order in orders])
        rows, cursor = listing.page(self._store)
        return {"data": [instance_row(row) for row in rows], "next_cursor": cursor}

    def status(self, user: User, fid: str) -> dict[str, Any]:
        """Answer GET /v2/instances/{fid}/status."""
        row = user.visible(self._store.row("SELECT * FROM instances WHERE fid = ?", fid), f"Instance {fid}")
        return {
            "fid": row["fid"],
            "name": row["name"],
            "status": row["status"],
            **order_of(row),
            "end_time": None if row["ended_at"] is None else write_time(row["ended_at"]),
        }

    def of_order(self, order: str) -> list[dict[str, Any]]:
        """Return the machines that an order ever had, as the API shows them."""
        return [
            instance_row(row) for row in self._store.rows("SELECT * FROM instances WHERE bid = ? ORDER BY seq", order)
        ]

    def all(self) -> list[dict[str, Any]]:
        """Return every machine there ever was, as the API shows it."""
        return [instance_row(row) for row in self._store.rows("SELECT * FROM instances ORDER BY seq")]


def instance_row(row: Row) -> dict[str, Any]:
    """Return an InstanceModel; addresses are only known of a machine that can be reached."""
    reachable = row["status"] in _REACHABLE
    return {
        "fid": row["fid"],
        "name": row["name"],
        "project": row["project"],
        "created_at": write_time(row["created_at"]),
        "created_by": row["created_by"],
        "instance_type": row["instance_type"],
        "region": row["region"],
        **order_of(row),
        "ssh_destination": _address("198.18", row["seq"]) if reachable else None,
        "private_ip": _address("10.0", row["seq"]) if reachable else None,
        "status": row["status"],
    }


def order_of(row: Row) -> dict[str, str | None]:
    """Return what a machine belongs to: a bid or a reservation, by its id."""
    reserved = row["bid"].startswith(_PREFIXES["Reservation"])
    return {"bid": None if reserved else row["bid"], "reservation": row["bid"] if reserved else None}


def _address(network: str, number: int) -> str:
    # 198.18.0.0/15 is set aside for tests of network devices: nobody's machine answers there.
    first, second = network.split(".")
    return f"{first}.{int(second) + (number >> 16) % 2}.{number >> 8 & 255}.{number & 255}"
