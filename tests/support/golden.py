"""States that released versions wrote, with the clouds that they belong to: how they are written and loaded.

`tests/states/<version>/<case>/` contains `program.py`, `state.json` (a `pulumi stack export`) and `cloud.json` (the
content of the service); what the provider plugin wrote is in `<version>-plugin`. The cloud is created again call by
call, in the order of the ids, at the time of its clock: a state file of the fake would tie these states, which must
load for ever, to the format of that file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flow_resources.testing import Clock, FakeMithril

STATES = Path(__file__).parents[1] / "states"
SERVICE = "http://mithril.test"
"""The placeholder for the address of the service."""
KEY_IDS = "sshkey_of_this_cloud_"
"""The placeholder for what the ids of its SSH keys begin with."""
USER, OPERATOR = "user_000001", "user_console"
"""Who placed the bids, and who places them in the cloud that is made again."""
HOUR = 1_767_225_600.0
"""The time of the clock of every cloud: the beginning of 2026."""
PASSPHRASE = "open sesame"


@dataclass(frozen=True)
class Golden:
    """A state of a version."""

    folder: Path

    def __str__(self) -> str:
        return f"{self.folder.parent.name}-{self.folder.name}"

    @property
    def case(self) -> str:
        """What the stack went through."""
        return self.folder.name

    @property
    def host(self) -> str:
        """In which of `support.stack.HOSTS` its verbs ran."""
        return "plugin" if self.folder.parent.name.endswith("-plugin") else "dynamic"

    @property
    def program(self) -> str:
        """The program that wrote it."""
        return (self.folder / "program.py").read_text()

    def export(self, cloud: FakeMithril) -> dict[str, Any]:
        """Return the export with the address of this cloud."""
        text = (self.folder / "state.json").read_text().replace(SERVICE, cloud.url)
        return json.loads(text.replace(KEY_IDS, _key_ids(cloud)))

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources of the export, without the providers of the engine."""
        resources = json.loads((self.folder / "state.json").read_text())["deployment"]["resources"]
        return [resource for resource in resources if not resource["type"].startswith("pulumi:providers:")]

    def cloud(self) -> FakeMithril:
        """Create the cloud again; it is not started."""
        recorded = json.loads((self.folder / "cloud.json").read_text())
        cloud = FakeMithril(clock=Clock(HOUR, speed=0))
        for key in recorded.get("ssh_keys", ()):
            cloud.add_ssh_key(**key)
        for volume in recorded["volumes"]:
            created = cloud.add_volume(**volume["made"])
            assert created["fid"] == volume["fid"], f"{created['fid']} instead of {volume['fid']}: another order of ids"
        for bid in recorded["bids"]:
            created = cloud.add_bid(**bid["made"])
            assert created["fid"] == bid["fid"], f"{created['fid']} instead of {bid['fid']}: another order of ids"
            if bid["paused"]:
                cloud.update_bid(created["fid"], paused=True)
            if bid.get("ended"):
                cloud.terminate(created["fid"])
        return cloud


def list_states() -> list[Golden]:
    """Return all states, by version and case."""
    return [Golden(path.parent) for path in sorted(STATES.glob("*/*/state.json"))]


def folder_of(version: str, host: str) -> Path:
    """Return the folder of the states that a version wrote in a host."""
    return STATES / (version if host == "dynamic" else f"{version}-{host}")


def write_state(folder: Path, program: str, state: str, cloud: FakeMithril) -> None:
    """Write a state with its program and its cloud, without the paths of this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "program.py").write_text(program)
    export = json.loads(state.replace(cloud.url, SERVICE).replace(_key_ids(cloud), KEY_IDS).replace(USER, OPERATOR))
    for resource in export["deployment"]["resources"]:
        resource.pop("sourcePosition", None)
        resource.pop("stackTrace", None)
    (folder / "state.json").write_text(f"{json.dumps(export, indent=1)}\n")
    (folder / "cloud.json").write_text(f"{json.dumps(_describe(cloud), indent=1)}\n")


def _describe(cloud: FakeMithril) -> dict[str, Any]:
    volumes = [
        {
            "fid": volume["fid"],
            "made": {
                "name": volume["name"],
                "region": volume["region"],
                "size_gb": volume["capacity_gb"],
                "interface": volume["interface"],
            },
        }
        for volume in cloud.volumes
    ]
    bids = [
        {
            "fid": bid["fid"],
            "paused": bid["status"] == "Paused",
            **({"ended": True} if bid["status"] == "Terminated" else {}),
            "made": {
                "name": bid["name"],
                "instance_type": bid["instance_type"],
                "region": bid["region"],
                "limit_price": bid["limit_price"],
                "instance_quantity": bid["instance_quantity"],
                "volumes": bid["launch_specification"]["volumes"],
            },
        }
        for bid in cloud.bids
    ]
    keys = [{name: key[name] for name in ("name", "public_key", "required")} for key in cloud.ssh_keys]
    return {"ssh_keys": keys, "volumes": volumes, "bids": bids}


def _key_ids(cloud: FakeMithril) -> str:
    """Return how the ids of this cloud's SSH keys begin; each cloud has other ones."""
    return str(cloud.ssh_keys[0]["fid"][:-6]) if cloud.ssh_keys else KEY_IDS
