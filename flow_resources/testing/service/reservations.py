"""Reservations in the API: machines for a fixed time at a fixed price, from a stock that the auction does not use.

`reservation_lifecycle` implements their status transitions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from flow_resources.testing.service.accounts import Accounts, User
from flow_resources.testing.service.body import Body
from flow_resources.testing.service.catalog import BY_FID
from flow_resources.testing.service.errors import BadRequestError
from flow_resources.testing.service.events import Events
from flow_resources.testing.service.formats import write_price, write_time
from flow_resources.testing.service.instances import Instances
from flow_resources.testing.service.listing import Listing
from flow_resources.testing.service.options import Options
from flow_resources.testing.service.orders import QUANTITY_MAX, order_row, read_launch, read_type_and_region
from flow_resources.testing.service.query import Query
from flow_resources.testing.service.reservation_lifecycle import ReservationLifecycle
from flow_resources.testing.service.reservation_terms import (
    Terms,
    check_length,
    check_price,
    read_max_price,
    total_price,
    unit_price,
)
from flow_resources.testing.service.store import Row, Store
from flow_resources.testing.service.volumes import Volumes

STATUSES = ("Pending", "Active", "Paused", "Canceled", "Ended")
_SORTS = {"created_at": "seq", "status": "status"}


class Reservations:
    """The reservations of all projects; hidden ones, which belong to CPU VMs, are not returned by any read method."""

    def __init__(
        self,
        store: Store,
        options: Options,
        accounts: Accounts,
        volumes: Volumes,
        instances: Instances,
        lifecycle: ReservationLifecycle,
        terms: Terms,
        events: Events,
    ) -> None:
        """Use the tables of `store`."""
        self._store = store
        self._options = options
        self._accounts = accounts
        self._volumes = volumes
        self._instances = instances
        self._lifecycle = lifecycle
        self._terms = terms
        self._events = events

    def create(self, user: User, raw: object, now: float) -> str:
        """Reserve machines and return the id of the reservation."""
        columns, volumes, max_cents = _read_reservation(raw)
        self._accounts.require_project(user, columns["project"])
        self._terms.check_start(columns["start_at"], columns["end_at"], now)
        check_price(columns["unit_cents"], max_cents)
        self._terms.check_available(columns, columns["start_at"], columns["end_at"])
        return self.insert(user, columns, volumes, now)

    def insert(self, user: User, columns: dict[str, Any], volumes: list[str], now: float) -> str:
        """Insert a reservation whose terms were checked, and start it if its start time has come."""
        project, region = columns["project"], columns["region"]
        self._accounts.check_ssh_keys(user, json.loads(columns["ssh_keys"]), project)
        self._volumes.check(user, volumes, None, project, region, columns["quantity"])
        fid = self._store.next_fid("res")
        self._store.insert("reservations", fid=fid, created_by=user.fid, created_at=now, status="Pending", **columns)
        self._volumes.attach(fid, volumes)
        self._events.add(fid, "Placed", now, user, cents=columns["unit_cents"])
        if not columns["hidden"]:
            self._lifecycle.step(now)
        return fid

    def get(self, user: User, fid: str) -> Row:
        """Return one reservation that the user has access to, ended or not."""
        row = self._store.row("SELECT * FROM reservations WHERE fid = ? AND NOT hidden", fid)
        return user.require_visible(row, f"Reservation {fid}")

    def show(self, user: User, fid: str) -> dict[str, Any]:
        """Return one reservation as the API shows it."""
        return self._wire([self.get(user, fid)])[0]

    def listing(self, query: Query, project: str) -> dict[str, Any]:
        """Return the response of GET /v2/reservation for a project that the user has access to."""
        listing = Listing.read("reservations", query, _SORTS, self._options.page_limit)
        listing.filter_in("project", [project])
        listing.filter_in("hidden", [0])
        listing.filter_by_query(query, instance_type="instance_type", region="region")
        if statuses := query.text_list("status", STATUSES):
            listing.filter_in("status", statuses)
        rows, cursor = listing.page(self._store)
        return {"data": self._wire(rows), "next_cursor": cursor}

    def update(self, user: User, fid: str, raw: object, now: float) -> dict[str, Any]:
        """Change pausing or the volumes of a reservation that has not ended; null means no change."""
        body = Body(raw)
        paused = body.flag("paused") if body.has("paused") else None
        volumes = body.text_list("volumes") if body.has("volumes") else None
        body.raise_problems()
        row = self._get_live(user, fid)
        previous = self._volumes.attached_to([fid])[fid]
        if volumes is not None and volumes != previous:
            new = [volume for volume in volumes if volume not in previous]
            self._volumes.check(user, new, row, row["project"], row["region"], row["quantity"])
            self._volumes.attach(fid, volumes)
        if paused is not None and row["status"] == "Pending":
            msg = f"Reservation {fid} has not started"
            raise BadRequestError(msg)
        if paused is True and row["status"] == "Active":
            self._lifecycle.pause(row, now, user)
        if paused is False and row["status"] == "Paused":
            self._lifecycle.resume(row, now, user)
        return self.show(user, fid)

    def extend(self, user: User, fid: str, raw: object, now: float) -> dict[str, Any]:
        """Set a later end time of a reservation that has not ended."""
        body = Body(raw)
        end, max_cents = body.time("end_time"), read_max_price(body)
        body.raise_problems()
        row = self._get_live(user, fid)
        if end <= row["end_at"]:
            msg = f"Reservation {fid} already lasts until {write_time(row['end_at'])}"
            raise BadRequestError(msg)
        check_length(row["start_at"], end)
        check_price(row["unit_cents"], max_cents)
        self._terms.check_available(row, row["end_at"], end)
        self._lifecycle.extend(row, end, now, user)
        return self.show(user, fid)

    def history(self, user: User, fid: str) -> dict[str, Any]:
        """Return the response of GET /v2/reservation/{fid}/history."""
        self.get(user, fid)
        return {"reservation_fid": fid, "events": [_event_row(row) for row in self._events.for_order(fid)]}

    def all(self) -> list[dict[str, Any]]:
        """Return all reservations, including ended ones, in the order of creation."""
        return self._wire(self._store.rows("SELECT * FROM reservations WHERE NOT hidden ORDER BY seq"))

    def _get_live(self, user: User, fid: str) -> Row:
        row = self.get(user, fid)
        if row["status"] == "Ended":
            msg = f"Reservation {fid} has ended"
            raise BadRequestError(msg)
        return row

    def _wire(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        fids = [row["fid"] for row in rows]
        instances, volumes = self._instances.ids_by_order(fids), self._volumes.attached_to(fids)
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
    """Return the columns of a new reservation, its volumes, and its maximum price per machine and hour."""
    body = Body(raw)
    columns: dict[str, Any] = {"project": body.text("project"), "name": body.text("name"), "hidden": False}
    columns["instance_type"], columns["region"] = read_type_and_region(body)
    columns["start_at"], columns["end_at"] = body.time("start_time"), body.time("end_time")
    columns["quantity"] = body.integer("instance_quantity", maximum=QUANTITY_MAX)
    launch, volumes = read_launch(body)
    max_cents = read_max_price(body)
    body.text_or_none("notification_email")  # accepted; no email is sent
    body.raise_problems()
    columns["unit_cents"] = unit_price(BY_FID[columns["instance_type"]])
    return {**columns, **launch}, volumes, max_cents


def _event_row(row: Row) -> dict[str, Any]:
    return {
        "timestamp": write_time(row["at"]),
        "event_type": row["kind"],
        "user_id": row["user"],
        "unit_price_cents": row["limit_cents"],
        "pause_credit_cents": None,
        "return_credit_cents": None,
    }
