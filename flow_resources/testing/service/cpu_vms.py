"""CPU VMs: single machines at a fixed price, launched by the request.

As in the service, each belongs to a hidden reservation without an end: the machine names it, but no list shows it.
"""

from __future__ import annotations

import json
from typing import Any

from flow_resources.testing.service.accounts import Accounts, User
from flow_resources.testing.service.body import Body
from flow_resources.testing.service.catalog import InstanceType, region_rows
from flow_resources.testing.service.instances import Instances
from flow_resources.testing.service.reservation_lifecycle import ReservationLifecycle
from flow_resources.testing.service.reservations import Reservations
from flow_resources.testing.service.store import Store

REGIONS = ("us-central5-a", "us-east1-a")
TYPES = (
    InstanceType("it_Mq4Zc1Std0Cpu4Gb", "c1-standard", 0, "", 0, "", 4, "AMD", 4, 64, 12, REGIONS),
    InstanceType("it_Wx7Tc2Std0Cpu8Gb", "c2-standard", 0, "", 0, "", 4, "AMD", 8, 64, 15, REGIONS),
)
_BY_FID = {instance_type.fid: instance_type for instance_type in TYPES}


class CpuVms:
    """The CPU VMs of all projects."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        reservations: Reservations,
        lifecycle: ReservationLifecycle,
        instances: Instances,
    ) -> None:
        """Use the tables of `store`."""
        self._store = store
        self._accounts = accounts
        self._reservations = reservations
        self._lifecycle = lifecycle
        self._instances = instances

    def create(self, user: User, raw: object, now: float) -> dict[str, Any]:
        """Launch one machine and return its row."""
        columns, volumes = _read_vm(raw)
        self._accounts.require_project(user, columns["project"])
        order = self._reservations.insert(user, {**columns, "start_at": now}, volumes, now)
        row = self._store.rows("SELECT * FROM reservations WHERE fid = ?", order)[0]
        self._lifecycle.activate(row, now, names=[columns["name"]])
        return self._instances.for_order(order)[0]

    def delete(self, user: User, fid: str, now: float) -> None:
        """Terminate a machine; no effect on one that has ended."""
        sql = "SELECT r.* FROM reservations r JOIN instances i ON i.bid = r.fid WHERE r.hidden AND i.fid = ?"
        row = user.require_visible(self._store.row(sql, fid), f"CPU instance {fid}")
        if row["status"] != "Ended":
            self._lifecycle.end(row, now, user)


def cpu_type_rows() -> list[dict[str, Any]]:
    """Return the types of CPU VMs, with their price in USD per hour."""
    return [{**instance_type.wire(), "hourly_price": instance_type.spot_cents / 100} for instance_type in TYPES]


def cpu_region_rows() -> list[dict[str, Any]]:
    """Return the regions that have CPU VMs."""
    return [row for row in region_rows() if row["name"] in REGIONS]


def _read_vm(raw: object) -> tuple[dict[str, Any], list[str]]:
    """Return the columns of the hidden reservation, and its volumes."""
    body = Body(raw)
    columns: dict[str, Any] = {"project": body.text("project"), "name": body.text("name")}
    columns["instance_type"] = body.choice("instance_type", tuple(_BY_FID))
    columns["region"] = body.choice("region", REGIONS)
    volumes = body.text_list("volumes") if body.sent("volumes") else []
    ssh_keys = body.text_list("ssh_keys") if body.has("ssh_keys") else []
    columns["image_version"] = body.text_or_none("image_version")
    body.reject_others()
    instance_type = _BY_FID[columns["instance_type"]]
    empty = dict.fromkeys(("startup_script", "kubernetes_cluster", "memory_gb", "end_at"))
    fixed = {"quantity": 1, "unit_cents": instance_type.spot_cents, "hidden": True, "ssh_keys": json.dumps(ssh_keys)}
    return {**columns, **empty, **fixed}, volumes
