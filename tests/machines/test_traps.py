"""What goes wrong on machines: a volume that is late at the first boot, a full disk, work in the background."""

from __future__ import annotations

import pytest
from support.jobs import live_keys
from support.machines import Follower
from support.stack import Stack, cluster, job, volume

from flow_resources.testing import FakeMithril

LOG = "/var/log/flow/user-workload.log"
beyond_sample = pytest.mark.machines


def mounted(stack: Stack) -> list[dict[str, str]]:
    """Return the volumes of a machine, one, which the stack has now."""
    stack.up({"data": volume()})
    return [{"volume_id": stack.state["data"].id, "mount_path": "/data"}]


def test_a_first_boot_whose_volume_comes_late_runs_the_command(follower: Follower, stack: Stack):
    """Without a second boot: the SDK's script gives up at the first mount that fails."""
    follower.prepare = lambda machine: machine.hold_volumes()
    mounts = mounted(stack)
    stack.up({"data": volume(), "c": cluster(command="echo one life; sleep infinity", volumes=mounts)})
    [machine] = follower.wait_until_up(stack.state["c"].id)
    machine.wait_for(lambda: "does not answer" in machine.story())
    assert machine.read(LOG) == ""
    machine.release_volumes()
    machine.wait_for_text(LOG, "one life")
    assert machine.read(LOG).count("one life") == 1
    assert machine.boots == 1


@beyond_sample
def test_a_time_limit_ends_a_job_whose_volume_never_comes(follower: Follower, cloud: FakeMithril, stack: Stack):
    """Nothing of its command was ever run."""
    follower.prepare = lambda machine: machine.hold_volumes()
    mounts = mounted(stack)
    stack.up({"data": volume(), "job": job(command="exit 0", volumes=mounts, max_run_time_hours=0.003)})
    bid = stack.state["job"].id
    follower.wait_for(lambda: cloud.bid(bid)["status"] == "Terminated", "the bid has ended")
    follower.wait_for(lambda: not live_keys(cloud), "the key is revoked")
    stack.refresh()
    assert stack.state["job"].outputs["status"] == "failed"


@beyond_sample
@pytest.mark.parametrize("image", [None, "local/train:1"], ids=["host", "container"])
def test_a_job_that_fills_the_disk_ends_all_the_same(
    follower: Follower, cloud: FakeMithril, stack: Stack, image: str | None
):
    """Its machine cannot note how it ended, and tells it."""
    follower.container_image = image
    # A small file system with all that is ours in it; the command takes the last of its room.
    place = "/var/lib/flow-command"
    follower.prepare = lambda machine: machine.run_on_disk(
        f"mkdir -p {place}; echo 'none {place} tmpfs size=512k,mode=700 0 0' >>/etc/fstab"
    )
    command = f"cat /dev/zero >{place}/filled; exit 4"
    in_container = {"image": image, "volumes": []} if image else {}
    stack.up({"job": job(command=command if not image else "sleep 3; exit 4", **in_container)})
    bid = stack.state["job"].id
    [machine] = follower.wait_until_up(bid)
    if image:
        machine.wait_for(lambda: machine.run("docker inspect main 2>/dev/null", check=False).strip(" []\n"))
        machine.run(f"cat /dev/zero >{place}/filled", check=False)
    follower.wait_for(lambda: cloud.bid(bid)["status"] == "Terminated", "the bid has ended")
    follower.wait_for(lambda: not live_keys(cloud), "the key is revoked")
    stack.refresh()
    assert stack.state["job"].outputs["status"] == "failed"


@beyond_sample
def test_what_a_command_has_left_in_the_background_goes_on(follower: Follower, stack: Stack):
    """As after a start-up script of the SDK."""
    stack.up({"c": cluster(command="nohup sleep 4321 & setsid sleep 4322 & echo the command has ended")})
    [machine] = follower.wait_until_up(stack.state["c"].id)
    machine.wait_for_text(LOG, "ended with exit code 0")
    machine.wait_for(lambda: "inactive" in machine.run("systemctl is-active flow-command", check=False))
    assert {"4321", "4322"} <= set(machine.run("pgrep -a sleep").split())
