"""CPU VMs: single machines at a fixed price, launched in the request that asks for them.

As in the service, a hidden reservation without an end stands behind each: their machines name it, no list shows it.
"""

from __future__ import annotations

import json
from typing import Any

from flow_resources.testing.service.accounts import Accounts, User
from flow_resources.testing.service.catalog import InstanceType, region_rows
from flow_resources.testing.service.inputs import Body
from flow_resources.testing.service.machines import Machines
from flow_resources.testing.service.reservation_life import ReservationLife
from flow_resources.testing.service.reservations import Reservations
from flow_resources.testing.service.store import Store

REGIONS = ("us-central5-a", "us-east1-a")
TYPES = (
    InstanceType("it_Mq4Zc1Std0Cpu4Gb", "c1-standard", 0, "", 0, "", 4, "AMD", 4, 64, 12, REGIONS),
    InstanceType("it_Wx7Tc2Std0Cpu8Gb", "c2-standard", 0, "", 0, "", 4, "AMD", 8, 64, 15, REGIONS),
)
_BY_FID = {kind.fid: kind for kind in TYPES}


class CpuVms:
    """Machines that belong to a hidden reservation."""

    def __init__(
        self, store: Store, accounts: Accounts, reservations: Reservations, life: ReservationLife, machines: Machines
    ) -> None:
        """Work on the tables of `store`."""
        self._store = store
        self._accounts = accounts
        self._reservations = reservations
        self._life = life
        self._machines = machines

    def create(self, user: User, raw: object, now: float) -> dict[str, Any]:
        """Launch one machine and return its row."""
        wanted, volumes = _read_vm(raw)
        self._accounts.require_project(user, wanted["project"])
        order = self._reservations.place(user, {**wanted, "start_at": now}, volumes, now)
        row = self._store.rows("SELECT * FROM reservations WHERE fid = ?", order)[0]
        self._life.begin(row, now, names=[wanted["name"]])
        return self._machines.of_order(order)[0]

    def delete(self, user: User, fid: str, now: float) -> None:
        """End a machine for good; one that has ended stays so."""
        sql = "SELECT r.* FROM reservations r JOIN instances i ON i.bid = r.fid WHERE r.hidden AND i.fid = ?"
        row = user.visible(self._store.row(sql, fid), f"CPU instance {fid}")
        if row["status"] != "Ended":
            self._life.end(row, now, user)


def cpu_type_rows() -> list[dict[str, Any]]:
    """Return what can be launched, with the price of an hour in dollars."""
    return [{**kind.wire(), "hourly_price": kind.spot_cents / 100} for kind in TYPES]


def cpu_region_rows() -> list[dict[str, Any]]:
    """Return the regions where it can be launched."""
    return [row for row in region_rows() if row["name"] in REGIONS]


def _read_vm(raw: object) -> tuple[dict[str, Any], list[str]]:
    """Return the columns of the hidden reservation, and its volumes."""
    body = Body(raw)
    wanted: dict[str, Any] = {"project": body.text("project"), "name": body.text("name")}
    wanted["instance_type"] = body.choice("instance_type", tuple(_BY_FID))
    wanted["region"] = body.choice("region", REGIONS)
    volumes = body.texts("volumes") if body.sent("volumes") else []
    ssh_keys = body.texts("ssh_keys") if body.has("ssh_keys") else []
    wanted["image_version"] = body.text_or_none("image_version")
    body.nothing_else()
    kind = _BY_FID[wanted["instance_type"]]
    nothing = dict.fromkeys(("startup_script", "kubernetes_cluster", "memory_gb", "end_at"))
    fixed = {"quantity": 1, "unit_cents": kind.spot_cents, "hidden": True, "ssh_keys": json.dumps(ssh_keys)}
    return {**wanted, **nothing, **fixed}, volumes
