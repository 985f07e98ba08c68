"""The instances of bids and reservations: boot, pause and end. The lifecycle of the order decides when.

Each transition is one SQL statement for all instances concerned, so that it takes the same time for a thousand as for
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from flow_resources.testing.service.accounts import User
from flow_resources.testing.service.formats import write_time
from flow_resources.testing.service.listing import Listing
from flow_resources.testing.service.options import Options
from flow_resources.testing.service.query import Query
from flow_resources.testing.service.store import Row, Store, placeholders

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


class Instances:
    """The instances of all orders."""

    def __init__(self, store: Store, options: Options) -> None:
        """Use the tables of `store`."""
        self._store = store
        self._options = options

    def allocate(self, order: Row, now: float, names: Sequence[str] | None = None) -> None:
        """Boot the instances of an order: those it still holds, else new ones, with `names` or numbered."""
        held = self._store.rows("SELECT seq FROM instances WHERE bid = ? AND current", order["fid"])
        if held:
            boots = [(*self._start_boot(now, f"{row['seq']}/{now}"), row["seq"]) for row in held]
            self._store.run_many(
                "UPDATE instances SET status = ?, status_at = ?, boots_from = ?, ready_at = ?, due_at = ?, fails = ?,"
                " ended_at = NULL"
                " WHERE seq = ?",
                boots,
            )
            return
        shared = (order["project"], order["fid"], order["instance_type"], order["region"], order["created_by"], now)
        self._store.run_many(
            f"INSERT INTO instances ({', '.join(_COLUMNS)}) VALUES ({placeholders(_COLUMNS)})",  # noqa: S608
            [
                (fid, name, *shared, *self._start_boot(now, fid))
                for name in names or [f"{order['name']}-{index}" for index in range(1, order["quantity"] + 1)]
                for fid in [self._store.next_fid("inst")]
            ],
        )

    def set_status(self, order: str, status: str, now: float) -> None:
        """Set the status of all instances that an order holds, except ended ones, and stop their boot."""
        self._store.run(
            "UPDATE instances SET status = ?, status_at = ?, due_at = NULL"
            " WHERE bid = ? AND current AND ended_at IS NULL",
            *(status, now, order),
        )

    def end(self, order: str, status: str, now: float) -> None:
        """Set the final status of all instances that an order holds."""
        self.set_status(order, status, now)
        self._store.run("UPDATE instances SET ended_at = ? WHERE bid = ? AND current AND ended_at IS NULL", now, order)

    def release(self, bid: str) -> None:
        """Remove the instances from their bid: they are still listed, and the next win creates new ones."""
        self._store.run("UPDATE instances SET current = 0 WHERE bid = ? AND current", bid)

    def next_due(self) -> float | None:
        """Return the time of the next transition of a boot."""
        due: float | None = self._store.value("SELECT min(due_at) FROM instances WHERE due_at IS NOT NULL")
        return due

    def boot(self, now: float) -> None:
        """Advance each boot that is due by one status; the last status first, so that none advances twice."""
        self._finish("due_at <= ? AND status = 'STATUS_STARTING'", now, now)
        for status, next_status, due in (
            ("STATUS_INITIALIZING", "STATUS_STARTING", "ready_at"),
            ("STATUS_NEW", "STATUS_INITIALIZING", "(boots_from + ready_at) / 2"),
        ):
            self._store.run(
                f"UPDATE instances SET status = ?, status_at = ?, due_at = {due}"  # noqa: S608
                " WHERE due_at <= ? AND status = ?",
                *(next_status, now, now, status),
            )

    def finish_boot(self, order: str | None, now: float) -> None:
        """Complete the boots of an order, or of all orders."""
        self._finish("due_at IS NOT NULL AND bid = coalesce(?, bid)", now, order)

    def _finish(self, condition: str, now: float, *values: object) -> None:
        self._store.run(
            "UPDATE instances SET status = CASE WHEN fails THEN 'STATUS_ERROR' ELSE 'STATUS_RUNNING' END,"  # noqa: S608
            f" status_at = ?, due_at = NULL WHERE {condition}",
            *(now, *values),
        )

    def _start_boot(self, now: float, random_key: str) -> tuple[str, float, float, float, float | None, bool]:
        """Return status, status_at, boots_from, ready_at, due_at and fails of an instance that starts to boot."""
        seconds, rate = self._options.boot_seconds, self._options.boot_failure_rate
        fails = rate > 0 and Random(f"{self._store.fact('seed')}/{random_key}").random() < rate
        if seconds <= 0:
            return "STATUS_ERROR" if fails else "STATUS_RUNNING", now, now, now, None, fails
        return "STATUS_NEW", now, now, now + seconds, now + seconds / 4, fails

    def ids_by_order(self, orders: Sequence[str]) -> dict[str, list[str]]:
        """Return the ids of the instances that each order holds, or held when it ended."""
        ids: dict[str, list[str]] = {order: [] for order in orders}
        sql = "SELECT bid, fid FROM instances WHERE current AND bid IN ({}) ORDER BY seq"
        for row in self._store.rows_in(sql, orders):
            ids[row["bid"]].append(row["fid"])
        return ids

    def listing(self, query: Query, project: str, page_limit: int) -> dict[str, Any]:
        """Return the response of GET /v2/instances for a project that the user has access to."""
        listing = Listing.read("instances", query, _SORTS, page_limit)
        listing.filter_in("project", [project])
        listing.filter_by_query(query, instance_type="instance_type", region="region")
        if statuses := query.text_list("status_in", STATUSES):
            listing.filter_in("status", statuses)
        if bids := query.text_list("bid_fid_in"):
            listing.filter_in("bid", [fid for fid in bids if fid.startswith(_PREFIXES["Bid"])])
        if reservations := query.text_list("reservation_fid_in"):
            listing.filter_in("bid", [fid for fid in reservations if fid.startswith(_PREFIXES["Reservation"])])
        if orders := query.text_list("order_type_in", tuple(_PREFIXES)):
            listing.filter_in("substr(bid, 1, 4)", [_PREFIXES[order] for order in orders])
        rows, cursor = listing.page(self._store)
        return {"data": [instance_row(row) for row in rows], "next_cursor": cursor}

    def status(self, user: User, fid: str) -> dict[str, Any]:
        """Return the response of GET /v2/instances/{fid}/status."""
        row = user.require_visible(self._store.row("SELECT * FROM instances WHERE fid = ?", fid), f"Instance {fid}")
        return {
            "fid": row["fid"],
            "name": row["name"],
            "status": row["status"],
            **order_of(row),
            "end_time": None if row["ended_at"] is None else write_time(row["ended_at"]),
        }

    def for_order(self, order: str) -> list[dict[str, Any]]:
        """Return all instances that an order has or had, as the API shows them."""
        return [
            instance_row(row) for row in self._store.rows("SELECT * FROM instances WHERE bid = ? ORDER BY seq", order)
        ]

    def all(self) -> list[dict[str, Any]]:
        """Return all instances, including ended ones, as the API shows them."""
        return [instance_row(row) for row in self._store.rows("SELECT * FROM instances ORDER BY seq")]


def instance_row(row: Row) -> dict[str, Any]:
    """Return an InstanceModel; its addresses are None unless it can be reached."""
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
    """Return the id of the bid or of the reservation that an instance belongs to."""
    is_reserved = row["bid"].startswith(_PREFIXES["Reservation"])
    return {"bid": None if is_reserved else row["bid"], "reservation": row["bid"] if is_reserved else None}


def _address(network: str, number: int) -> str:
    # 198.18.0.0/15 is reserved for benchmarks of network devices: no host answers there.
    first, second = network.split(".")
    return f"{first}.{int(second) + (number >> 16) % 2}.{number >> 8 & 255}.{number & 255}"
