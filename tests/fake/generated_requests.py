"""Requests generated from the API's document, for the tests of every endpoint.

The document defines the form of a request, not which ids exist: with `useful` the generated requests contain the ids
that `seed` creates, so that they get past 404.
"""

from __future__ import annotations

import copy
from typing import Any

from flow_resources.testing import FakeMithril
from flow_resources.testing.service.cpu_vms import TYPES as CPU_TYPES
from flow_resources.testing.service.formats import write_time

START = 1_800_000_000.0
_HOUR = 3600.0
_A100S = ("it_Sg1nDx1I8NFep60J", "it_RrgkIZz6c9BZu5gi")


KEY_TAG = "0123abcd"
"""What a fake has in the ids of its SSH keys: each has another one."""


def _ids(prefix: str, count: int, tag: str = "") -> list[str]:
    return [f"{prefix}_{tag}{number:06d}" for number in range(1, count + 1)]


def _times(*hours: float) -> list[str]:
    return [write_time(START + hour * _HOUR) for hour in hours]


def _one(*values: Any) -> dict[str, Any]:
    return {"enum": list(values)}


def _some(values: list[str]) -> dict[str, Any]:
    return {"type": "array", "items": {"enum": values}, "maxItems": 2, "uniqueItems": True}


_USEFUL = {
    "project": _one("proj_000001"),
    "instance_type": _one(*_A100S),
    "region": _one("us-central5-a", "us-east1-a"),
    "name": _one("alpha", "beta", "gamma", "seed-1"),
    "limit_price": _one("$50.00", "$12.00", "$0.01"),
    "instance_quantity": _one(1, 2),
    "quantity": _one(1, 16),
    "size_gb": _one(1, 500),
    "memory_gb": _one(1, 500),
    "volumes": _some(_ids("vol", 6)),
    "ssh_keys": _some(_ids("sshkey", 3, KEY_TAG)),
    "public_key": _one("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO6 me", None),
    "expires_at": _one(*_times(1, 24)),
    "start_time": _one(*_times(0, 1)),
    "earliest_start_time": _one(*_times(0, 1)),
    "end_time": _one(*_times(9, 30)),
    "latest_end_time": _one(*_times(9, 30)),
    "offer_key": _one("standard"),
    "max_unit_price": _one(1_000_000),
    "next_cursor": _one(""),
    "bid_fid_in": _some(_ids("bid", 4)),
    "reservation_fid_in": _some(_ids("res", 4)),
    "bid_fid": _one(*_ids("bid", 4)),
    "reservation_fid": _one(*_ids("res", 4)),
    "volume_fid": _one(*_ids("vol", 6)),
    "ssh_key_fid": _one(*_ids("sshkey", 3, KEY_TAG)),
    "instance_fid": _one(*_ids("inst", 6)),
    "key_fid": _one(*_ids("apikey", 3)),
    "user_fid": _one("user_000001", "user_console"),
}


def seed(mithril: FakeMithril, client: Any) -> None:
    """Create resources of every kind in a new cloud, with the ids that `useful` inserts."""
    project, region = mithril.project_id, mithril.region
    for number, interface in enumerate(("File", "File", "File", "Block"), 1):
        mithril.add_volume(f"seed-{number}", interface=interface)
    keys = [mithril.add_ssh_key(name)["fid"] for name in ("laptop", "desk")]
    launch = {"volumes": ["vol_000001"], "ssh_keys": keys[:1]}
    mithril.add_bid("seed-1", volumes=["vol_000001"], ssh_keys=keys[:1])
    mithril.add_bid("seed-2", limit_price="$1.00")
    mithril.update_bid(mithril.add_bid("seed-3")["fid"], paused=True)
    order = {"project": project, "name": "seed-1", "region": region}
    for start, end in (_times(0, 9), _times(1, 9)):
        gpus = {"instance_type": _A100S[0], "instance_quantity": 1, "launch_specification": launch}
        body = {**order, **gpus, "start_time": start, "end_time": end}
        assert client.post("/v2/reservation", json=body).status_code == 201
    body = {**order, "instance_type": CPU_TYPES[0].fid}
    assert client.post("/v2/cpu/instances", json=body).status_code == 201
    for name in ("alpha", "beta"):
        body = {"name": name, "expires_at": _times(24)[0]}
        assert client.post("/v2/api-keys", json=body).status_code == 201


def askable(document: dict[str, Any], *, useful: bool) -> dict[str, Any]:
    """Return the document to generate requests from: without authentication, and with existing ids if `useful`."""
    made = copy.deepcopy(document)
    made["components"].pop("securitySchemes")
    for operations in made["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
    if useful:
        _fill(made)
        cpu = made["components"]["schemas"]["CreateCpuInstanceRequest"]["properties"]
        cpu["instance_type"] = _one(*(kind.fid for kind in CPU_TYPES))
    return made


def _fill(node: Any) -> None:
    """Replace the schemas of fields and parameters that have useful values, recursively."""
    if isinstance(node, list):
        for item in node:
            _fill(item)
    if not isinstance(node, dict):
        return
    for name, value in node.items():
        if name == "properties":
            node[name] = {field: _USEFUL.get(field, schema) for field, schema in value.items()}
        elif name == "parameters":
            for parameter in value:
                parameter["schema"] = _USEFUL.get(parameter["name"], parameter["schema"])
        _fill(node[name])
