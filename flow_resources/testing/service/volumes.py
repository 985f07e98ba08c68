"""Volumes: what they are, who uses them, and when they may go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flow_resources.testing.service.accounts import Accounts, User
from flow_resources.testing.service.catalog import check_region
from flow_resources.testing.service.errors import (
    ApiError,
    BadRequestError,
    ConflictError,
    InvalidError,
    NotFoundError,
    problem,
)
from flow_resources.testing.service.inputs import Body
from flow_resources.testing.service.notation import write_time
from flow_resources.testing.service.options import Options
from flow_resources.testing.service.quotas import Quotas
from flow_resources.testing.service.store import Row, Store

NAME = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_NAME_MAX = 64
_SIZE_MAX = 32_768
"""32 TB, the limit that the regions announce."""
_USERS = (
    "SELECT a.volume, a.bid FROM attachments a"
    " LEFT JOIN bids b ON b.fid = a.bid LEFT JOIN reservations r ON r.fid = a.bid"
    " WHERE (coalesce(b.status, r.status) NOT IN ('Terminated', 'Ended') OR b.detach_at IS NOT NULL)"
    " AND a.volume IN ({}) ORDER BY a.rowid"
)


class Volumes:
    """Volumes, as rows of one table; who uses them is read from the live bids and reservations."""

    def __init__(self, store: Store, options: Options, accounts: Accounts, quotas: Quotas) -> None:
        """Work on the tables of `store`."""
        self._store = store
        self._options = options
        self._accounts = accounts
        self._quotas = quotas

    def create(self, user: User, raw: object, now: float) -> str:
        """Make a volume and return its id."""
        body = Body(raw)
        name, project = body.text("name", pattern=NAME, longest=_NAME_MAX), body.text("project")
        interface, region = body.choice("disk_interface", ("Block", "File")), body.text("region")
        size = body.whole("size_gb", most=_SIZE_MAX)
        if region:
            try:
                check_region(region)
            except ValueError as error:
                body.wrong("region", str(error))
        body.done()
        self._accounts.require_project(user, project)
        self._name_must_be_free(project, name)
        self._quotas.check_storage(project, size)
        fid = self._store.next_fid("vol")
        columns = {"name": name, "region": region, "capacity_gb": size, "interface": interface, "created_at": now}
        self._store.insert("volumes", fid=fid, project=project, **columns)
        return fid

    def get(self, user: User, fid: str) -> Row:
        """Return one volume that is not deleted and that the user may see."""
        found = self._store.row("SELECT * FROM volumes WHERE fid = ? AND deleted_at IS NULL", fid)
        return user.visible(found, f"Volume {fid}")

    def wire(self, fid: str) -> dict[str, Any]:
        """Return one volume, deleted or not, as the API shows it."""
        return self._rows(self._store.rows("SELECT * FROM volumes WHERE fid = ?", fid))[0]

    def rename(self, user: User, fid: str, raw: object) -> None:
        """Give a volume another name."""
        body = Body(raw)
        name = body.text("name", pattern=NAME, longest=_NAME_MAX)
        body.done()
        volume = self.get(user, fid)
        if name != volume["name"]:
            self._name_must_be_free(volume["project"], name)
            self._store.run("UPDATE volumes SET name = ? WHERE fid = ?", name, fid)

    def delete(self, user: User, fid: str, now: float, *, force: bool = False) -> None:
        """Delete a volume, unless a bid or a reservation that has not ended uses it."""
        self.get(user, fid)
        orders = self.users([fid])[fid]
        if orders and not force:
            raise _in_use(f"Volume is attached to {', '.join(orders)}", self._options.attached_volume_status)
        self._store.run("UPDATE volumes SET deleted_at = ? WHERE fid = ?", now, fid)

    def listing(
        self, project: str | None = None, region: str | None = None, *, deleted: bool = False
    ) -> list[dict[str, Any]]:
        """Return volumes in the order of their creation. The service does not page this list."""
        rows = self._store.rows(
            "SELECT * FROM volumes WHERE coalesce(?, project) = project AND coalesce(?, region) = region"
            " AND (? OR deleted_at IS NULL) ORDER BY seq",
            *(project, region, deleted),
        )
        return self._rows(rows)

    def check(
        self, user: User, fids: Sequence[str], order: Row | None, project: str, region: str, quantity: int
    ) -> None:
        """Refuse volumes that an order cannot mount: unknown, elsewhere, or Block ones that would have to be shared."""
        users = self.users(fids)
        for fid in fids:
            volume = self.get(user, fid)
            if volume["project"] != project:
                msg = f"Volume {fid} not found"
                raise NotFoundError(msg)
            if volume["region"] != region:
                msg = f"Volume {fid} is in region {volume['region']}, not in {region}"
                raise BadRequestError(msg)
            others = [one for one in users[fid] if order is None or one != order["fid"]]
            if volume["interface"] == "Block" and (others or quantity > 1):
                why = f"is attached to {others[0]}" if others else f"cannot serve {quantity} instances"
                msg = f"Volume {fid} has the Block interface and {why}"
                raise BadRequestError(msg)

    def attach(self, order: str, fids: Sequence[str]) -> None:
        """Make these the volumes of a bid or a reservation."""
        self._store.run("DELETE FROM attachments WHERE bid = ?", order)
        self._store.run_many("INSERT INTO attachments VALUES (?, ?)", [(order, fid) for fid in fids])

    def attached_to(self, orders: Sequence[str]) -> dict[str, list[str]]:
        """Return the volumes that each bid or reservation has."""
        attached: dict[str, list[str]] = {order: [] for order in orders}
        sql = "SELECT bid, volume FROM attachments WHERE bid IN ({}) ORDER BY rowid"
        for row in self._store.rows_in(sql, orders):
            attached[row["bid"]].append(row["volume"])
        return attached

    def users(self, fids: Sequence[str]) -> dict[str, list[str]]:
        """Return the orders that use each volume: live bids and reservations, and ended bids that have not let go."""
        users: dict[str, list[str]] = {fid: [] for fid in fids}
        for row in self._store.rows_in(_USERS, fids):
            users[row["volume"]].append(row["bid"])
        return users

    def _name_must_be_free(self, project: str, name: str) -> None:
        taken = "SELECT 1 FROM volumes WHERE project = ? AND name = ? AND deleted_at IS NULL"
        if self._store.row(taken, project, name):
            msg = "Volume name already exists"
            raise ConflictError(msg)

    def _rows(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        users = self.users([row["fid"] for row in rows])
        return [volume_row(row, users[row["fid"]]) for row in rows]


def _in_use(why: str, status: int) -> ApiError:
    if status == InvalidError.status:
        return InvalidError([problem(("path", "volume_fid"), why)])
    return ConflictError(why) if status == ConflictError.status else BadRequestError(why)


def volume_row(row: Row, orders: list[str]) -> dict[str, Any]:
    """Return a VolumeModel."""
    gone = row["deleted_at"] is not None
    users = [] if gone else orders
    return {
        "fid": row["fid"],
        "name": row["name"],
        "region": row["region"],
        "created_at": write_time(row["created_at"]),
        "deleted_at": write_time(row["deleted_at"]) if gone else None,
        "capacity_gb": row["capacity_gb"],
        "project": row["project"],
        "interface": row["interface"],
        "bids": [one for one in users if one.startswith("bid_")],
        "reservations": [one for one in users if one.startswith("res_")],
        "attachments": {},
    }
