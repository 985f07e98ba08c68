"""States that released versions wrote, and the clouds that they speak of: how they are kept, and how they come back.

`tests/states/<version>/<case>/` holds `program.py`, `state.json` (a `pulumi stack export`) and `cloud.json` (what the
service held then). The cloud is made again by hand, in the order of the ids, at the hour of its clock: a file of the
fake's own would bind these states, which must load for ever, to the form of that file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flow_resources.testing import Clock, FakeMithril

STATES = Path(__file__).parents[1] / "states"
SERVICE = "http://mithril.test"
"""What stands in the files for the address of the service."""
HOUR = 1_767_225_600.0
"""The hour of every cloud that these states were written at: 2026 began."""
PASSPHRASE = "open sesame"


@dataclass(frozen=True)
class Golden:
    """One state of one version."""

    folder: Path

    def __str__(self) -> str:
        return f"{self.folder.parent.name}-{self.folder.name}"

    @property
    def program(self) -> str:
        """The program that made it."""
        return (self.folder / "program.py").read_text()

    def export(self, cloud: FakeMithril) -> dict[str, Any]:
        """Return the export, as it were written at this cloud."""
        return json.loads((self.folder / "state.json").read_text().replace(SERVICE, cloud.url))

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources of the export, but for the engine's providers."""
        told = json.loads((self.folder / "state.json").read_text())["deployment"]["resources"]
        return [one for one in told if not one["type"].startswith("pulumi:providers:")]

    def cloud(self) -> FakeMithril:
        """Make the cloud again; it is not started."""
        was = json.loads((self.folder / "cloud.json").read_text())
        cloud = FakeMithril(clock=Clock(HOUR, speed=0))
        for volume in was["volumes"]:
            made = cloud.add_volume(**volume["made"])
            assert made["fid"] == volume["fid"], f"{made['fid']} instead of {volume['fid']}: another order of ids"
        for bid in was["bids"]:
            made = cloud.add_bid(**bid["made"])
            assert made["fid"] == bid["fid"], f"{made['fid']} instead of {bid['fid']}: another order of ids"
            if bid["paused"]:
                cloud.update_bid(made["fid"], paused=True)
        return cloud


def every() -> list[Golden]:
    """Return all that are kept, by version and case."""
    return [Golden(path.parent) for path in sorted(STATES.glob("*/*/state.json"))]


def keep(folder: Path, program: str, state: str, cloud: FakeMithril) -> None:
    """Write a state down, with the program and the cloud that it speaks of, and without this machine's paths."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "program.py").write_text(program)
    told = json.loads(state.replace(cloud.url, SERVICE))
    for resource in told["deployment"]["resources"]:
        resource.pop("sourcePosition", None)
        resource.pop("stackTrace", None)
    (folder / "state.json").write_text(f"{json.dumps(told, indent=1)}\n")
    (folder / "cloud.json").write_text(f"{json.dumps(_what_is_there(cloud), indent=1)}\n")


def _what_is_there(cloud: FakeMithril) -> dict[str, Any]:
    volumes = [
        {
            "fid": one["fid"],
            "made": {
                "name": one["name"],
                "region": one["region"],
                "size_gb": one["capacity_gb"],
                "interface": one["interface"],
            },
        }
        for one in cloud.volumes
    ]
    bids = [
        {
            "fid": one["fid"],
            "paused": one["status"] == "Paused",
            "made": {
                "name": one["name"],
                "instance_type": one["instance_type"],
                "region": one["region"],
                "limit_price": one["limit_price"],
                "instance_quantity": one["instance_quantity"],
                "volumes": one["launch_specification"]["volumes"],
            },
        }
        for one in cloud.bids
    ]
    return {"volumes": volumes, "bids": bids}
