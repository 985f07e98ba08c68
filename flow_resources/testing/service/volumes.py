"""Volumes in the API: create, rename, attach, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flow_resources.testing.service.accounts import Accounts, User
from flow_resources.testing.service.body import Body
from flow_resources.testing.service.catalog import check_region
from flow_resources.testing.service.clock import HORIZON
from flow_resources.testing.service.errors import (
    ApiError,
    BadRequestError,
    ConflictError,
    InvalidError,
    NotFoundError,
    problem,
)
from flow_resources.testing.service.formats import write_time
from flow_resources.testing.service.options import Options
from flow_resources.testing.service.quotas import Quotas
from flow_resources.testing.service.store import Row, Store

NAME = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_NAME_MAX = 64
_SIZE_MAX = 32_768
"""In GB: 32 TB, the limit in RegionDTO."""
_ORDERS_OF_VOLUMES = (
    "SELECT a.volume, a.bid FROM attachments a"
    " LEFT JOIN bids b ON b.fid = a.bid LEFT JOIN reservations r ON r.fid = a.bid"
    " WHERE (coalesce(b.status, r.status) NOT IN ('Terminated', 'Ended') OR b.detach_at IS NOT NULL)"
    " AND a.volume IN ({}) ORDER BY a.rowid"
)


class Volumes:
    """The volumes of all projects, and the orders that use them."""

    def __init__(self, store: Store, options: Options, accounts: Accounts, quotas: Quotas) -> None:
        """Use the tables of `store`."""
        self._store = store
        self._options = options
        self._accounts = accounts
        self._quotas = quotas

    def create(self, user: User, raw: object, now: float) -> str:
        """Create a volume and return its id."""
        body = Body(raw)
        name, project = body.text("name", pattern=NAME, longest=_NAME_MAX), body.text("project")
        interface, region = body.choice("disk_interface", ("Block", "File")), body.text("region")
        size = body.integer("size_gb", maximum=_SIZE_MAX)
        if region:
            try:
                check_region(region)
            except ValueError as error:
                body.add_problem("region", str(error))
        body.raise_problems()
        self._accounts.require_project(user, project)
        self._require_unused_name(project, name)
        self._quotas.check_storage(project, size)
        fid = self._store.next_fid("vol")
        columns = {"name": name, "region": region, "capacity_gb": size, "interface": interface, "created_at": now}
        self._store.insert("volumes", fid=fid, project=project, **columns)
        return fid

    def get(self, user: User, fid: str) -> Row:
        """Return one volume that is not deleted and that the user has access to."""
        row = self._store.row("SELECT * FROM volumes WHERE fid = ? AND deleted_at IS NULL", fid)
        return user.require_visible(row, f"Volume {fid}")

    def wire(self, fid: str) -> dict[str, Any]:
        """Return one volume, deleted or not, as the API shows it."""
        return self._wire(self._store.rows("SELECT * FROM volumes WHERE fid = ?", fid))[0]

    def rename(self, user: User, fid: str, raw: object) -> None:
        """Rename a volume."""
        body = Body(raw)
        name = body.text("name", pattern=NAME, longest=_NAME_MAX)
        body.raise_problems()
        volume = self.get(user, fid)
        if name != volume["name"]:
            self._require_unused_name(volume["project"], name)
            self._store.run("UPDATE volumes SET name = ? WHERE fid = ?", name, fid)

    def delete(self, user: User, fid: str, now: float, *, force: bool = False) -> None:
        """Delete a volume that no order uses; with `force` any volume."""
        self.get(user, fid)
        orders = self.orders_of([fid])[fid]
        if orders and not force:
            raise _in_use_error(f"Volume is attached to {', '.join(orders)}", self._options.attached_volume_status)
        self._store.run("UPDATE volumes SET deleted_at = ? WHERE fid = ?", now, fid)

    def listing(
        self,
        project: str | None = None,
        region: str | None = None,
        *,
        deleted: bool = False,
        until: float = HORIZON,
    ) -> list[dict[str, Any]]:
        """Return volumes created by a time, in that order. The service does not paginate this list."""
        rows = self._store.rows(
            "SELECT * FROM volumes WHERE coalesce(?, project) = project AND coalesce(?, region) = region"
            " AND (? OR deleted_at IS NULL) AND created_at <= ? ORDER BY seq",
            *(project, region, deleted, until),
        )
        return self._wire(rows)

    def check(
        self, user: User, fids: Sequence[str], order: Row | None, project: str, region: str, quantity: int
    ) -> None:
        """Raise an ApiError for volumes that an order cannot mount.

        They do not exist in the project, are in another region, or have the Block interface and would be shared.
        """
        users = self.orders_of(fids)
        for fid in fids:
            volume = self.get(user, fid)
            if volume["project"] != project:
                msg = f"Volume {fid} not found"
                raise NotFoundError(msg)
            if volume["region"] != region:
                msg = f"Volume {fid} is in region {volume['region']}, not in {region}"
                raise BadRequestError(msg)
            others = [user_fid for user_fid in users[fid] if order is None or user_fid != order["fid"]]
            if volume["interface"] == "Block" and (others or quantity > 1):
                reason = f"is attached to {others[0]}" if others else f"cannot serve {quantity} instances"
                msg = f"Volume {fid} has the Block interface and {reason}"
                raise BadRequestError(msg)

    def attach(self, order: str, fids: Sequence[str]) -> None:
        """Set the volumes of an order."""
        self._store.run("DELETE FROM attachments WHERE bid = ?", order)
        self._store.run_many("INSERT INTO attachments VALUES (?, ?)", [(order, fid) for fid in fids])

    def attached_to(self, orders: Sequence[str]) -> dict[str, list[str]]:
        """Return the ids of the volumes of each order."""
        attached: dict[str, list[str]] = {order: [] for order in orders}
        sql = "SELECT bid, volume FROM attachments WHERE bid IN ({}) ORDER BY rowid"
        for row in self._store.rows_in(sql, orders):
            attached[row["bid"]].append(row["volume"])
        return attached

    def orders_of(self, fids: Sequence[str]) -> dict[str, list[str]]:
        """Return the ids of the orders that use each volume: live orders, and bids until they are detached."""
        orders: dict[str, list[str]] = {fid: [] for fid in fids}
        for row in self._store.rows_in(_ORDERS_OF_VOLUMES, fids):
            orders[row["volume"]].append(row["bid"])
        return orders

    def _require_unused_name(self, project: str, name: str) -> None:
        sql = "SELECT 1 FROM volumes WHERE project = ? AND name = ? AND deleted_at IS NULL"
        if self._store.row(sql, project, name):
            msg = "Volume name already exists"
            raise ConflictError(msg)

    def _wire(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        orders = self.orders_of([row["fid"] for row in rows])
        return [volume_row(row, orders[row["fid"]]) for row in rows]


def _in_use_error(message: str, status: int) -> ApiError:
    if status == InvalidError.status:
        return InvalidError([problem(("path", "volume_fid"), message)])
    return ConflictError(message) if status == ConflictError.status else BadRequestError(message)


def volume_row(row: Row, orders: list[str]) -> dict[str, Any]:
    """Return a VolumeModel."""
    is_deleted = row["deleted_at"] is not None
    users = [] if is_deleted else orders
    return {
        "fid": row["fid"],
        "name": row["name"],
        "region": row["region"],
        "created_at": write_time(row["created_at"]),
        "deleted_at": write_time(row["deleted_at"]) if is_deleted else None,
        "capacity_gb": row["capacity_gb"],
        "project": row["project"],
        "interface": row["interface"],
        "bids": [fid for fid in users if fid.startswith("bid_")],
        "reservations": [fid for fid in users if fid.startswith("res_")],
        "attachments": {},
    }
