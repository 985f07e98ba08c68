"""The fields that bids and reservations share. The API calls both orders."""

from __future__ import annotations

import json
from typing import Any

from flow_resources.testing.service.body import Body
from flow_resources.testing.service.catalog import BY_FID, check_region
from flow_resources.testing.service.formats import write_time
from flow_resources.testing.service.store import Row

QUANTITY_MAX = 10_000
_TEXTS = ("startup_script", "kubernetes_cluster", "image_version")


def read_type_and_region(body: Body) -> tuple[str, str]:
    """Return the id of the instance type and the region; record a problem if they do not exist."""
    fid, region = body.text("instance_type"), body.text("region")
    instance_type = BY_FID.get(fid)
    if fid and instance_type is None:
        body.add_problem("instance_type", f"Instance type {fid} does not exist")
    if not region:
        return fid, region
    try:
        check_region(region)
    except ValueError as error:
        body.add_problem("region", str(error))
        return fid, region
    if instance_type is not None and region not in instance_type.regions:
        body.add_problem("instance_type", f"Instance type {fid} ({instance_type.name}) is not on offer in {region}")
    return fid, region


def read_launch(body: Body) -> tuple[dict[str, Any], list[str]]:
    """Return the columns of a launch specification, and the ids of its volumes."""
    launch = body.nested("launch_specification")
    volumes = launch.text_list("volumes")
    columns: dict[str, Any] = {"ssh_keys": json.dumps(launch.text_list("ssh_keys"))}
    columns |= {name: launch.text_or_none(name) for name in _TEXTS}
    columns["memory_gb"] = launch.integer_or_none("memory_gb")
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
