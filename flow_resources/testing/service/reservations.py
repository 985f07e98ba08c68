"""Reservations as the API offers them: machines for a fixed time at a fixed price, from a stock of their own.

The auction never sees them. What happens to them later is the business of `reservation_life`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from flow_resources.testing.service.accounts import Accounts, User
from flow_resources.testing.service.catalog import BY_FID
from flow_resources.testing.service.errors import BadRequestError
from flow_resources.testing.service.events import Events
from flow_resources.testing.service.inputs import Body
from flow_resources.testing.service.listing import Listing
from flow_resources.testing.service.machines import Machines
from flow_resources.testing.service.notation import write_price, write_time
from flow_resources.testing.service.options import Options
from flow_resources.testing.service.orders import QUANTITY_MAX, order_row, read_launch, read_place
from flow_resources.testing.service.query import Query
from flow_resources.testing.service.reservation_life import ReservationLife
from flow_resources.testing.service.reservation_terms import (
    Terms,
    check_length,
    check_price,
    read_price,
    total_price,
    unit_price,
)
from flow_resources.testing.service.store import Row, Store
from flow_resources.testing.service.volumes import Volumes

STATUSES = ("Pending", "Active", "Paused", "Canceled", "Ended")
_SORTS = {"created_at": "seq", "status": "status"}


class Reservations:
    """Reservations, as rows of one table. A hidden one stands behind a CPU VM and is shown by no path of this room."""

    def __init__(
        self,
        store: Store,
        options: Options,
        accounts: Accounts,
        volumes: Volumes,
        machines: Machines,
        life: ReservationLife,
        terms: Terms,
        events: Events,
    ) -> None:
        """Work on the tables of `store`."""
        self._store = store
        self._options = options
        self._accounts = accounts
        self._volumes = volumes
        self._machines = machines
        self._life = life
        self._terms = terms
        self._events = events

    def create(self, user: User, raw: object, now: float) -> str:
        """Reserve machines and return the id of the reservation."""
        wanted, volumes, most = _read_reservation(raw)
        self._accounts.require_project(user, wanted["project"])
        self._terms.check_start(wanted["start_at"], wanted["end_at"], now)
        check_price(wanted["unit_cents"], most)
        self._terms.check_room(wanted, wanted["start_at"], wanted["end_at"])
        return self.place(user, wanted, volumes, now)

    def place(self, user: User, wanted: dict[str, Any], volumes: list[str], now: float) -> str:
        """Write down a reservation that there is room for, and begin it if it is time."""
        project, region = wanted["project"], wanted["region"]
        self._accounts.check_ssh_keys(user, json.loads(wanted["ssh_keys"]), project)
        self._volumes.check(user, volumes, None, project, region, wanted["quantity"])
        fid = self._store.next_fid("res")
        self._store.insert("reservations", fid=fid, created_by=user.fid, created_at=now, status="Pending", **wanted)
        self._volumes.attach(fid, volumes)
        self._events.note(fid, "Placed", now, user, cents=wanted["unit_cents"])
        if not wanted["hidden"]:
            self._life.step(now)
        return fid

    def get(self, user: User, fid: str) -> Row:
        """Return one reservation that the user may see, ended or not."""
        found = self._store.row("SELECT * FROM reservations WHERE fid = ? AND NOT hidden", fid)
        return user.visible(found, f"Reservation {fid}")

    def show(self, user: User, fid: str) -> dict[str, Any]:
        """Return one reservation as the API shows it."""
        return self._wire([self.get(user, fid)])[0]

    def listing(self, query: Query, project: str) -> dict[str, Any]:
        """Answer GET /v2/reservation for a project that the caller may see."""
        listing = Listing.read("reservations", query, _SORTS, self._options.page_limit)
        listing.only("project", [project])
        listing.only("hidden", [0])
        listing.as_asked(query, instance_type="instance_type", region="region")
        if status := query.choice("status", STATUSES):
            listing.only("status", [status])
        rows, cursor = listing.page(self._store)
        return {"data": self._wire(rows), "next_cursor": cursor}

    def update(self, user: User, fid: str, raw: object, now: float) -> dict[str, Any]:
        """Change the pause or the volumes of a reservation that has not ended; null means no change."""
        body = Body(raw)
        paused = body.flag("paused") if body.has("paused") else None
        volumes = body.texts("volumes") if body.has("volumes") else None
        body.done()
        row = self._get_live(user, fid)
        before = self._volumes.attached_to([fid])[fid]
        if volumes is not None and volumes != before:
            new = [volume for volume in volumes if volume not in before]
            self._volumes.check(user, new, row, row["project"], row["region"], row["quantity"])
            self._volumes.attach(fid, volumes)
        if paused is not None and row["status"] == "Pending":
            msg = f"Reservation {fid} has not started"
            raise BadRequestError(msg)
        if paused is True and row["status"] == "Active":
            self._life.pause(row, now, user)
        if paused is False and row["status"] == "Paused":
            self._life.resume(row, now, user)
        return self.show(user, fid)

    def extend(self, user: User, fid: str, raw: object, now: float) -> dict[str, Any]:
        """Let a reservation that has not ended end later."""
        body = Body(raw)
        end, most = body.moment("end_time"), read_price(body)
        body.done()
        row = self._get_live(user, fid)
        if end <= row["end_at"]:
            msg = f"Reservation {fid} already lasts until {write_time(row['end_at'])}"
            raise BadRequestError(msg)
        check_length(row["start_at"], end)
        check_price(row["unit_cents"], most)
        self._terms.check_room(row, row["end_at"], end)
        self._life.extend(row, end, now, user)
        return self.show(user, fid)

    def history(self, user: User, fid: str) -> dict[str, Any]:
        """Answer GET /v2/reservation/{fid}/history."""
        self.get(user, fid)
        return {"reservation_fid": fid, "events": [_event_row(row) for row in self._events.of(fid)]}

    def all(self) -> list[dict[str, Any]]:
        """Return every reservation there ever was, in the order of creation."""
        return self._wire(self._store.rows("SELECT * FROM reservations WHERE NOT hidden ORDER BY seq"))

    def _get_live(self, user: User, fid: str) -> Row:
        row = self.get(user, fid)
        if row["status"] == "Ended":
            msg = f"Reservation {fid} has ended"
            raise BadRequestError(msg)
        return row

    def _wire(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        fids = [row["fid"] for row in rows]
        instances, volumes = self._machines.held_by(fids), self._volumes.attached_to(fids)
        return [reservation_row(row, instances[row["fid"]], volumes[row["fid"]]) for row in rows]


def reservation_row(row: Row, instances: list[str], volumes: list[str]) -> dict[str, Any]:
    """Return a ReservationModel."""
    total = total_price(row["unit_cents"], row["quantity"], row["end_at"] - row["start_at"])
    return {
        **order_row(row, instances, volumes),
        "start_time": write_time(row["start_at"]),
        "end_time": write_time(row["end_at"]),
        "total_price": write_price(total),
        "unit_price": write_price(row["unit_cents"]),
    }


def _read_reservation(raw: object) -> tuple[dict[str, Any], list[str], int | None]:
    """Return the columns of a new reservation, its volumes, and the most that it may cost."""
    body = Body(raw)
    wanted: dict[str, Any] = {"project": body.text("project"), "name": body.text("name"), "hidden": False}
    wanted["instance_type"], wanted["region"] = read_place(body)
    wanted["start_at"], wanted["end_at"] = body.moment("start_time"), body.moment("end_time")
    wanted["quantity"] = body.whole("instance_quantity", most=QUANTITY_MAX)
    launch, volumes = read_launch(body)
    most = read_price(body)
    body.text_or_none("notification_email")  # nobody is written to
    body.done()
    wanted["unit_cents"] = unit_price(BY_FID[wanted["instance_type"]])
    return {**wanted, **launch}, volumes, most


def _event_row(row: Row) -> dict[str, Any]:
    return {
        "timestamp": write_time(row["at"]),
        "event_type": row["kind"],
        "user_id": row["user"],
        "unit_price_cents": row["limit_cents"],
        "pause_credit_cents": None,
        "return_credit_cents": None,
    }
