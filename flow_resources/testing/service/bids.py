"""Bids in the API: place, read, change, cancel. `lifecycle` implements their status transitions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from flow_resources.testing.service.accounts import Accounts, User
from flow_resources.testing.service.body import Body
from flow_resources.testing.service.errors import BadRequestError
from flow_resources.testing.service.events import Events
from flow_resources.testing.service.formats import JsonText, write_price, write_time
from flow_resources.testing.service.instances import Instances
from flow_resources.testing.service.lifecycle import Lifecycle
from flow_resources.testing.service.listing import Listing
from flow_resources.testing.service.market import Pool
from flow_resources.testing.service.options import Options
from flow_resources.testing.service.orders import QUANTITY_MAX, order_row, read_launch, read_type_and_region
from flow_resources.testing.service.query import Query
from flow_resources.testing.service.quotas import Quotas
from flow_resources.testing.service.store import Row, Store
from flow_resources.testing.service.volumes import Volumes

STATUSES = ("Open", "Allocated", "Preempting", "Terminated", "Paused")
_SORTS = {"created_at": "seq", "status": "status"}
_ROWS_KEPT = 2048  # with start-up scripts of the largest size about 40 MB


class Bids:
    """The bids of all projects."""

    def __init__(
        self,
        store: Store,
        options: Options,
        accounts: Accounts,
        volumes: Volumes,
        instances: Instances,
        lifecycle: Lifecycle,
        quotas: Quotas,
        events: Events,
    ) -> None:
        """Use the tables of `store`."""
        self._store = store
        self._options = options
        self._accounts = accounts
        self._volumes = volumes
        self._instances = instances
        self._lifecycle = lifecycle
        self._quotas = quotas
        self._events = events

    def create(self, user: User, raw: object, now: float) -> str:
        """Place a bid and return its id; the next auction decides whether it wins."""
        columns, volumes = _read_bid(raw)
        project, region = columns["project"], columns["region"]
        self._accounts.require_project(user, project)
        if self._options.unique_bid_names and self._name_is_used(project, columns["name"]):
            msg = "name already used"
            raise BadRequestError(msg)
        self._check_price(Pool(columns["instance_type"], region), columns["limit_cents"], now)
        self._accounts.check_ssh_keys(user, json.loads(columns["ssh_keys"]), project)
        self._volumes.check(user, volumes, None, project, region, columns["quantity"])
        self._quotas.check_machines(project, columns["instance_type"], columns["quantity"])
        fid = self._store.next_fid("bid")
        self._store.insert("bids", fid=fid, created_by=user.fid, created_at=now, status="Open", **columns)
        self._volumes.attach(fid, volumes)
        self._lifecycle.submit(self.get(user, fid), now, user)
        return fid

    def get(self, user: User, fid: str) -> Row:
        """Return one bid that the user has access to, terminated or not."""
        row = self._store.row("SELECT * FROM bids WHERE fid = ?", fid)
        return user.require_visible(row, f"Bid {fid}")

    def show(self, user: User, fid: str) -> dict[str, Any]:
        """Return one bid as the API shows it."""
        return self.wire([self.get(user, fid)])[0]

    def wire(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Return bids as the API shows them."""
        return [bid_row(*bid) for bid in self._with_instances_and_volumes(rows)]

    def _with_instances_and_volumes(self, rows: Sequence[Row]) -> list[tuple[Row, list[str], list[str]]]:
        fids = [row["fid"] for row in rows]
        instances, volumes = self._instances.ids_by_order(fids), self._volumes.attached_to(fids)
        return [(row, instances[row["fid"]], volumes[row["fid"]]) for row in rows]

    def update(self, user: User, fid: str, raw: object, now: float) -> None:
        """Change the limit price, pausing, the volumes or the memory of a live bid; null means no change."""
        body = Body(raw)
        cents = body.price("limit_price") if body.has("limit_price") else None
        paused = body.flag("paused") if body.has("paused") else None
        volumes = body.text_list("volumes") if body.has("volumes") else None
        memory = body.integer_or_none("memory_gb")
        body.raise_problems()
        bid = self.get(user, fid)
        if bid["status"] == "Terminated" or bid["cancel_at"] is not None:
            msg = f"Bid {fid} is terminated"
            raise BadRequestError(msg)
        if volumes is not None:
            self._change_volumes(user, bid, volumes, now)
        if memory is not None and memory != bid["memory_gb"]:
            self._store.run("UPDATE bids SET memory_gb = ? WHERE fid = ?", memory, fid)
            self._events.add(fid, "Memory Adjusted", now, user)
        if cents is not None and cents != bid["limit_cents"]:
            self._check_price(Pool(bid["instance_type"], bid["region"]), cents, now)
            self._lifecycle.change_limit(bid, cents, now, user)
        if paused is True and bid["status"] != "Paused":
            self._lifecycle.pause(bid, now, user)
        if paused is False and bid["status"] == "Paused":
            self._lifecycle.resume(bid, now, user)

    def cancel(self, user: User, fid: str, now: float) -> None:
        """Cancel a bid, at once or after `cancel_seconds`; no effect on one that is terminated or being cancelled."""
        bid = self.get(user, fid)
        if bid["status"] == "Terminated" or bid["cancel_at"] is not None:
            return
        if self._options.cancel_seconds > 0:
            due = now + self._options.cancel_seconds
            self._store.run("UPDATE bids SET cancel_at = ? WHERE fid = ?", due, fid)
        else:
            self._lifecycle.terminate(bid, now, user)

    def listing(self, user: User, query: Query, now: float) -> JsonText:
        """Return the response of GET /v2/spot/bids."""
        listing = Listing.read("bids", query, _SORTS, self._options.page_limit)
        project = query.text("project")
        if project is not None:
            self._accounts.require_project(user, project)
            listing.filter_in("project", [project])
        elif not user.sees_everything:
            listing.filter_in("project", sorted(user.projects))
        if name := query.text("name"):
            listing.filter_by_name(name, prefix=self._options.name_filter == "prefix")
        listing.filter_by_query(query, instance_type="instance_type", region="region")
        if statuses := query.text_list("status", STATUSES):
            listing.filter_in("status", statuses)
        listing.filter_by_creation(self._options.listed_until(now))
        rows, cursor = listing.page(self._store)
        bids = self._with_instances_and_volumes(rows)
        data = ", ".join(_bid_text(row, tuple(instances), tuple(volumes)) for row, instances, volumes in bids)
        return JsonText(f'{{"data": [{data}], "next_cursor": {json.dumps(cursor)}}}')

    def history(self, user: User, fid: str) -> dict[str, Any]:
        """Return the response of GET /v2/spot/bids/{fid}/history."""
        self.get(user, fid)
        return {"bid_fid": fid, "events": [_event_row(row) for row in self._events.for_order(fid)]}

    def all(self) -> list[dict[str, Any]]:
        """Return all bids, including terminated ones, in the order of submission."""
        return self.wire(self._store.rows("SELECT * FROM bids ORDER BY seq"))

    def _check_price(self, pool: Pool, cents: int, now: float) -> None:
        minimum = self._lifecycle.minimum(pool, now)
        if self._options.refuse_below_minimum and cents < minimum:
            msg = f"Limit price below minimum: the minimum is {write_price(minimum)}"
            raise BadRequestError(msg)

    def _name_is_used(self, project: str, name: str) -> bool:
        sql = "SELECT 1 FROM bids WHERE project = ? AND name = ? AND status != 'Terminated'"
        return self._store.row(sql, project, name) is not None

    def _change_volumes(self, user: User, bid: Row, volumes: list[str], now: float) -> None:
        fid = bid["fid"]
        previous = self._volumes.attached_to([fid])[fid]
        if volumes == previous:
            return
        if bid["status"] == "Preempting" or self._is_preempted(bid):
            msg = "Volumes cannot be changed while the bid is preempted"
            raise BadRequestError(msg)
        if self._options.volumes_need_pause and bid["status"] != "Paused":
            msg = "Volumes can only be changed while the bid is paused"
            raise BadRequestError(msg)
        new = [volume for volume in volumes if volume not in previous]
        self._volumes.check(user, new, bid, bid["project"], bid["region"], bid["quantity"])
        self._volumes.attach(fid, volumes)
        for volume in new:
            self._events.add(fid, "Volumes Attached", now, user, attached=volume)
        for volume in previous:
            if volume not in volumes:
                self._events.add(fid, "Volumes Removed", now, user, removed=volume)

    def _is_preempted(self, bid: Row) -> bool:
        """Return whether an open bid had machines and waits to get some again."""
        kinds = [event["kind"] for event in self._events.for_order(bid["fid"])]
        last = next((kind for kind in reversed(kinds) if kind in ("Preempted", "Allocated", "Paused")), None)
        return bid["status"] == "Open" and last == "Preempted"


def bid_row(row: Row, instances: list[str], volumes: list[str]) -> dict[str, Any]:
    """Return a BidModel."""
    return {**order_row(row, instances, volumes), "limit_price": write_price(row["limit_cents"])}


@lru_cache(_ROWS_KEPT)
def _bid_text(row: Row, instances: tuple[str, ...], volumes: tuple[str, ...]) -> str:
    """Return a BidModel as JSON. It is kept by everything that it is made of, so what is kept is never out of date."""
    return json.dumps(bid_row(row, list(instances), list(volumes)))


def _read_bid(raw: object) -> tuple[dict[str, Any], list[str]]:
    """Return the columns of a new bid, and its volumes."""
    body = Body(raw)
    columns: dict[str, Any] = {"project": body.text("project"), "name": body.text("name")}
    columns["instance_type"], columns["region"] = read_type_and_region(body)
    columns["limit_cents"] = body.price("limit_price")
    columns["quantity"] = body.integer("instance_quantity", maximum=QUANTITY_MAX)
    launch, volumes = read_launch(body)
    body.text_or_none("notification_email")  # accepted; no email is sent
    body.raise_problems()
    return {**columns, **launch}, volumes


def _event_row(row: Row) -> dict[str, Any]:
    change = {"attached": row["attached"], "removed": row["removed"]}
    return {
        "timestamp": write_time(row["at"]),
        "event_type": row["kind"],
        "limit_price": None if row["limit_cents"] is None else write_price(row["limit_cents"]),
        "user_id": row["user"],
        "memory_gb": None,
        "persistent_disk_change": change if row["attached"] or row["removed"] else None,
    }
