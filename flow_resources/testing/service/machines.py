"""The machines of bids and reservations: how they boot, pause and end. The order decides when; this room knows how.

Phases are moved by the clock, in SQL, so that a thousand machines cost as much as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flow_resources.testing.service.accounts import User
from flow_resources.testing.service.clock import wire_time
from flow_resources.testing.service.errors import NotFoundError
from flow_resources.testing.service.inputs import Query
from flow_resources.testing.service.listing import Listing
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
_REACHABLE = ("STATUS_RUNNING", "STATUS_PREEMPTING")
_PREFIXES = {"Bid": "bid_", "Reservation": "res_"}
_SORTS = {"created_at": "seq", "instance_status": "status", "instance_type_fid": "instance_type"}


class Machines:
    """Instances, as rows of one table."""

    def __init__(self, store: Store) -> None:
        """Work on the tables of `store`."""
        self._store = store

    def allocate(self, bid: Row, now: float, boot_seconds: float, names: Sequence[str] | None = None) -> None:
        """Boot the machines of an order: those it still holds, or new ones, which get `names` or numbers."""
        held = self._store.value("SELECT count(*) FROM instances WHERE bid = ? AND current", bid["fid"])
        boot = _boot(now, boot_seconds)
        if held:
            self._store.run(
                "UPDATE instances SET status = ?, boots_from = ?, ready_at = ?, due_at = ? WHERE bid = ? AND current",
                *(*boot, bid["fid"]),
            )
            return
        shared = (bid["project"], bid["fid"], bid["instance_type"], bid["region"], bid["created_by"], now)
        self._store.run_many(
            "INSERT INTO instances (fid, name, project, bid, instance_type, region, created_by, created_at,"
            " status, boots_from, ready_at, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (self._store.next_fid("inst"), name, *shared, *boot)
                for name in names or [f"{bid['name']}-{index}" for index in range(1, bid["quantity"] + 1)]
            ],
        )

    def mark(self, bid: str, status: str) -> None:
        """Give all machines that a bid holds one status; their boot, if any, is over."""
        self._store.run("UPDATE instances SET status = ?, due_at = NULL WHERE bid = ? AND current", status, bid)

    def end(self, bid: str, status: str, now: float) -> None:
        """Mark the machines of a bid as gone for good."""
        self.mark(bid, status)
        self._store.run("UPDATE instances SET ended_at = ? WHERE bid = ? AND current", now, bid)

    def let_go(self, bid: str) -> None:
        """Forget that the bid holds its machines; they stay listed, and the next win brings new ones."""
        self._store.run("UPDATE instances SET current = 0 WHERE bid = ? AND current", bid)

    def next_due(self) -> float | None:
        """Return when the next phase of a boot begins."""
        due: float | None = self._store.value("SELECT min(due_at) FROM instances WHERE due_at IS NOT NULL")
        return due

    def boot(self, now: float) -> None:
        """Move every boot that is due one phase on; the last phase first, so that nothing moves twice."""
        self._store.run(
            "UPDATE instances SET status = 'STATUS_RUNNING', due_at = NULL"
            " WHERE due_at <= ? AND status = 'STATUS_STARTING'",
            now,
        )
        self._store.run(
            "UPDATE instances SET status = 'STATUS_STARTING', due_at = ready_at"
            " WHERE due_at <= ? AND status = 'STATUS_INITIALIZING'",
            now,
        )
        self._store.run(
            "UPDATE instances SET status = 'STATUS_INITIALIZING', due_at = (boots_from + ready_at) / 2"
            " WHERE due_at <= ? AND status = 'STATUS_NEW'",
            now,
        )

    def held_by(self, bids: Sequence[str]) -> dict[str, list[str]]:
        """Return the ids of the machines that each bid holds, or held when it ended."""
        held: dict[str, list[str]] = {bid: [] for bid in bids}
        sql = f"SELECT bid, fid FROM instances WHERE current AND bid IN ({marks(bids)}) ORDER BY seq"  # noqa: S608
        for row in self._store.rows(sql, *bids):
            held[row["bid"]].append(row["fid"])
        return held

    def listing(self, query: Query, project: str, page_limit: int) -> dict[str, Any]:
        """Answer GET /v2/instances for a project that the caller may see."""
        listing = Listing.read("instances", query, _SORTS, page_limit)
        listing.only("project", [project])
        for column in ("instance_type", "region"):
            if value := query.text(column):
                listing.only(column, [value])
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
        row = self._store.row("SELECT * FROM instances WHERE fid = ?", fid)
        if row is None or not user.may_see(row["project"]):
            msg = f"Instance {fid} not found"
            raise NotFoundError(msg)
        return {
            "fid": row["fid"],
            "name": row["name"],
            "status": row["status"],
            **_order(row),
            "end_time": None if row["ended_at"] is None else wire_time(row["ended_at"]),
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
        "created_at": wire_time(row["created_at"]),
        "created_by": row["created_by"],
        "instance_type": row["instance_type"],
        "region": row["region"],
        **_order(row),
        "ssh_destination": _address("198.18", row["seq"]) if reachable else None,
        "private_ip": _address("10.0", row["seq"]) if reachable else None,
        "status": row["status"],
    }


def _order(row: Row) -> dict[str, str | None]:
    reserved = row["bid"].startswith(_PREFIXES["Reservation"])
    return {"bid": None if reserved else row["bid"], "reservation": row["bid"] if reserved else None}


def _boot(now: float, seconds: float) -> tuple[str, float, float, float | None]:
    """Return status, boots_from, ready_at and due_at of a machine that starts to boot."""
    if seconds <= 0:
        return "STATUS_RUNNING", now, now, None
    return "STATUS_NEW", now, now + seconds, now + seconds / 4


def _address(network: str, number: int) -> str:
    # 198.18.0.0/15 is set aside for tests of network devices: nobody's machine answers there.
    first, second = network.split(".")
    return f"{first}.{int(second) + (number >> 16) % 2}.{number >> 8 & 255}.{number & 255}"
