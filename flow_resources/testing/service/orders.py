"""What bids and reservations share: where machines are wanted, what they are launched with, how they are shown."""

from __future__ import annotations

import json
from typing import Any

from flow_resources.testing.service.catalog import BY_FID, check_region
from flow_resources.testing.service.inputs import Body
from flow_resources.testing.service.notation import write_time
from flow_resources.testing.service.store import Row

QUANTITY_MAX = 10_000
_TEXTS = ("startup_script", "kubernetes_cluster", "image_version")


def read_place(body: Body) -> tuple[str, str]:
    """Return type and region; note one that does not exist, or a type that is not on offer in the region."""
    instance_type, region = body.text("instance_type"), body.text("region")
    kind = BY_FID.get(instance_type)
    if instance_type and kind is None:
        body.wrong("instance_type", f"Instance type {instance_type} does not exist")
    if not region:
        return instance_type, region
    try:
        check_region(region)
    except ValueError as error:
        body.wrong("region", str(error))
        return instance_type, region
    if kind is not None and region not in kind.regions:
        body.wrong("instance_type", f"Instance type {instance_type} ({kind.name}) is not on offer in {region}")
    return instance_type, region


def read_launch(body: Body) -> tuple[dict[str, Any], list[str]]:
    """Return the columns of a launch specification, and its volumes."""
    launch = body.inner("launch_specification")
    volumes = launch.texts("volumes")
    columns: dict[str, Any] = {"ssh_keys": json.dumps(launch.texts("ssh_keys"))}
    columns |= {name: launch.text_or_none(name) for name in _TEXTS}
    columns["memory_gb"] = launch.whole_or_none("memory_gb")
    return columns, volumes


def order_row(row: Row, instances: list[str], volumes: list[str]) -> dict[str, Any]:
    """Return the fields that BidModel and ReservationModel share."""
    ended = row["deactivated_at"]
    return {
        "fid": row["fid"],
        "name": row["name"],
        "project": row["project"],
        "created_by": row["created_by"],
        "created_at": write_time(row["created_at"]),
        "deactivated_at": None if ended is None else write_time(ended),
        "instance_quantity": row["quantity"],
        "instance_type": row["instance_type"],
        "region": row["region"],
        "instances": instances,
        "launch_specification": _launch_row(row, volumes),
        "status": row["status"],
    }


def _launch_row(row: Row, volumes: list[str]) -> dict[str, Any]:
    """Return a LaunchSpecificationModel."""
    rest = {name: row[name] for name in (*_TEXTS, "memory_gb")}
    return {"volumes": volumes, "ssh_keys": json.loads(row["ssh_keys"]), **rest}
