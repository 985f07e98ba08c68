"""What bids and reservations have in common: where machines are wanted, and what they are launched with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from flow_resources.testing.service.catalog import BY_FID, check_region
from flow_resources.testing.service.inputs import Body
from flow_resources.testing.service.store import Row

QUANTITY_MAX = 10_000
LAUNCH_COLUMNS = ("ssh_keys", "startup_script", "kubernetes_cluster", "image_version", "memory_gb")


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
    for name in ("startup_script", "kubernetes_cluster", "image_version"):
        columns[name] = launch.text_or_none(name)
    columns["memory_gb"] = launch.whole_or_none("memory_gb")
    return columns, volumes


def launch_row(row: Row, volumes: Sequence[str]) -> dict[str, Any]:
    """Return a LaunchSpecificationModel."""
    rest = {name: row[name] for name in LAUNCH_COLUMNS[1:]}
    return {"volumes": list(volumes), "ssh_keys": json.loads(row["ssh_keys"]), **rest}
