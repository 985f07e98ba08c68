"""The installed `flow` command, in a process of its own, against the fake.

Each test also checks that no response was an internal error, and that the command connected to no other host.
"""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from flow_resources.testing.service.keypair import make_key_pair

FLOW = Path(sysconfig.get_path("scripts")) / "flow"
# Run by every Python process that the command starts: logs each address, and blocks all but loopback.
GUARD = """
import os, sys
def guard(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        with open(os.environ["SPOKEN_TO"], "a") as file:
            file.write(arguments[1][0] + "\\n")
        if not arguments[1][0].startswith("127."):
            raise PermissionError("only loopback")
sys.addaudithook(guard)
"""


class Command:
    """The command, in a home of its own."""

    def __init__(self, mithril, home: Path) -> None:
        self._home = home
        self.spoken_to = home / "spoken-to"
        (home / "sitecustomize.py").write_text(GUARD)
        (home / "flow").mkdir()
        private = {"HOME": str(home), "FLOW_DIR": str(home / "flow"), "PYTHONPATH": str(home)}
        talk = {"NO_PROXY": "127.0.0.1", "TERM": "dumb", "COLUMNS": "200", "SPOKEN_TO": str(self.spoken_to)}
        self._environment = {"PATH": os.environ["PATH"], **private, **talk, **mithril.environment}

    def __call__(self, line, *more, code=0):
        """Run the command with the words of `line`, expect an exit code, and return what --json shows."""
        done = subprocess.run(
            [FLOW, *line.split(), *more],
            env=self._environment,
            cwd=self._home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        shown = json.loads(done.stdout) if "--json" in line else {"data": done.stdout}
        return shown["data"] if code == 0 else shown["error"]

    def write(self, name, text):
        """Write a file where the command runs."""
        (self._home / name).write_text(text)


@pytest.fixture
def real_time_cloud(cloud):
    """Return a cloud with the time that the command has, too."""
    from flow_resources.testing import Clock

    return cloud(clock=Clock())


@pytest.fixture
def flow(real_time_cloud, tmp_path):
    """Return the command, and ask the two questions in the end."""
    command = Command(real_time_cloud, tmp_path)
    yield command
    requests = real_time_cloud.requests
    assert requests
    assert [request for request in requests if request.status is None or request.status >= 500] == []
    assert set(command.spoken_to.read_text().split()) == {"127.0.0.1"}


def test_volumes(real_time_cloud, flow):
    """Create, list, show, delete by name; one in use stays."""
    mithril = real_time_cloud
    made = flow("volume create --size 100 --name data --interface file --yes --json")
    (volume,) = mithril.volumes
    assert (made["id"], volume["name"], volume["capacity_gb"], volume["interface"]) == (
        volume["fid"],
        "data",
        100,
        "File",
    )
    assert [row["id"] for row in flow("volume list --json")] == [volume["fid"]]
    assert flow("volume info data --json")["region"] == mithril.region
    bid = mithril.add_bid(volumes=[volume["fid"]])
    assert "attached" in flow("volume delete data --yes --json", code=1)["message"]
    mithril.terminate(bid["fid"])
    flow("volume delete data --yes --json")
    assert mithril.volumes == []


def test_a_task_from_run_to_cancel(real_time_cloud, flow):
    """Run, status, bid list, update, pause, unpause, cancel: each by a part of the name."""
    mithril = real_time_cloud
    run = "run -n trainer -i 8xa100 -r us-central5-a -m 50 --no-upload-code --wait-until running -y --json"
    assert flow(run, "sleep infinity")["status"] == "running"
    (bid,) = mithril.live_bids
    assert (bid["name"].startswith("trainer-"), bid["limit_price"], bid["status"]) == (True, "$50.00", "Allocated")
    (shown,) = flow("status --json")
    assert (shown["task_id"], shown["status"]) == (bid["fid"], "running")
    assert shown["ssh_host"] == mithril.instances[0]["ssh_destination"]
    assert [row["fid"] for row in flow("bid list --json")["bids"]] == [bid["fid"]]
    flow("bid update trainer 60 -y --json")
    assert mithril.bid(bid["fid"])["limit_price"] == "$60.00"
    flow("bid pause trainer -y")
    assert mithril.bid(bid["fid"])["status"] == "Paused"
    flow("bid unpause trainer")
    assert mithril.bid(bid["fid"])["status"] == "Allocated"
    assert flow("cancel trainer -y --json")["cancelled"] is True
    assert mithril.live_bids == []


def test_a_task_with_a_volume_and_an_end(real_time_cloud, flow):
    """A file names its volume; a runtime limit makes a key for the machine, and cancelling revokes it."""
    mithril = real_time_cloud
    volume = mithril.add_volume("data")
    mount = "volumes:\n  - {name: data, interface: file, mount_path: /data}\n"
    place = "instance_type: 8xa100\nregion: us-central5-a\nmax_price_per_hour: 50\n"
    flow.write("job.yaml", f"name: job\ncommand: sleep 60\nmax_run_time_hours: 2\nunique_name: false\n{place}{mount}")
    flow("run job.yaml --no-upload-code --wait-until submitted -y --json")
    (bid,) = mithril.live_bids
    assert bid["launch_specification"]["volumes"] == [volume["fid"]]
    flow("cancel job -y --json")
    keys = [
        (request.method, request.status) for request in mithril.mutations if request.path.startswith("/v2/api-keys")
    ]
    assert keys == [("POST", 201), ("DELETE", 204)]


def test_a_name_that_is_taken_is_refused_before_anything_is_rented(real_time_cloud, flow):
    """By a live bid; a terminated one does not count."""
    mithril = real_time_cloud
    taken = mithril.add_bid("hold")
    grab = "grab 2 8xa100 -n hold -r us-central5-a -m 50 --no-wait -y --json"
    assert "already in use" in flow(grab, code=1)["message"]
    assert mithril.live_bids == [taken]
    mithril.terminate(taken["fid"])
    flow(grab)
    assert [(bid["name"], bid["instance_quantity"]) for bid in mithril.live_bids] == [("hold", 2)]


def test_reservations(real_time_cloud, flow):
    """Now, list, show, machines, pause, resume, extend."""
    mithril = real_time_cloud
    made = flow("reserve now -i 8xa100 -r us-central5-a --duration 8h -N 2 -n night -y --json")
    (row,) = mithril.reservations
    assert (row["fid"], row["status"], row["instance_quantity"]) == (made["reservation_id"], "Active", 2)
    assert flow("reserve show night --json")["price_total_usd"] == 384.0
    hosts = [machine["ssh_host"] for machine in flow("reserve instances night --json")["instances"]]
    assert sorted(hosts) == sorted(machine["ssh_destination"] for machine in mithril.instances)
    flow("reserve pause night -y --json")
    assert mithril.reservations[0]["status"] == "Paused"
    flow("reserve resume night --json")
    assert mithril.reservations[0]["status"] == "Active"
    room = flow("reserve extension-availability night --json")
    flow(f"reserve extend {row['fid']} --end-time {room['latest_extension_time']} -y --json")
    assert mithril.reservations[0]["end_time"] == room["latest_extension_time"]
    slots = flow("reserve availability -i 8xa100 -r us-central5-a --json")
    assert [slot["quantity"] for slot in slots] == [14]


def test_cpu_vms(real_time_cloud, flow):
    """Types, create, status, cancel."""
    mithril = real_time_cloud
    assert [kind["name"] for kind in flow("vm types --json")["types"]] == ["c1-standard", "c2-standard"]
    made = flow("vm create box -i c2 -y --json")
    assert (made["status"], mithril.instances[0]["name"]) == ("running", "box")
    assert flow("status box --json")["task_id"] == made["task_id"]
    flow("cancel box -y --json")
    assert mithril.instances[0]["status"] == "STATUS_TERMINATED"


def test_ssh_keys(real_time_cloud, flow):
    """Upload, require, list, delete."""
    mithril = real_time_cloud
    public, private = make_key_pair("me@here")
    flow.write("id.pub", public)
    flow.write("id", private)
    key = flow("ssh-key upload id.pub --json")["id"]
    assert [row["fid"] for row in mithril.ssh_keys] == [key]
    flow(f"ssh-key require {key}")
    assert mithril.ssh_keys[0]["required"] is True
    assert key in [row["id"] for row in flow("ssh-key list --json")]
    flow(f"ssh-key delete {key} -y --json")
    assert mithril.ssh_keys == []


def test_the_market(real_time_cloud, flow):
    """Prices and what is on offer, as they are set here."""
    mithril = real_time_cloud
    mithril.set_price("8xa100", mithril.region, 8.00)
    mithril.set_capacity("8xa100", mithril.region, 3)
    offers = {
        (row["instance_type"], row["region"]): (row["price_per_instance_hour"], row["available_instances"])
        for row in flow("availability -i 8xa100 --json")["availability"]
    }
    assert offers["a100-80gb.sxm.8x", mithril.region] == (8.0, 3)
    flow("pricing check -i 8xa100 --below 1.01 --json")
    flow("pricing check -i 8xa100 --below 0.99 --json", code=1)
    assert flow("pricing -i 8xa100 --json")
    assert flow("quota --json")["project"] == mithril.project_id
