"""Bids of the fake cloud with machines that boot: what becomes of a disk, and of what the service starts by itself."""

from __future__ import annotations

from pathlib import Path

from support.machines import Follower
from support.stack import Stack, cluster, volume

from flow_resources.testing import FakeMithril

SCRIPT = "#!/bin/bash\necho boot >>/var/log/boots\n"


def test_a_preempted_bid_gets_its_disks_back_and_an_ended_one_loses_them(follower: Follower, cloud: FakeMithril):
    follower.linger_seconds = 0.0
    bid = cloud.add_bid(startup_script=SCRIPT, instance_quantity=2)["fid"]
    machines = follower.wait_until_up(bid)
    for machine in machines:
        machine.wait_for_startup()
    cloud.preempt(bid)
    follower.wait_for(
        lambda: all(one.read("/opt/mithril/MITHRIL_SIGNAL.yml") for one in machines), "the notice is there"
    )
    cloud.release(bid)
    cloud.finish("notice", bid)
    follower.wait_until_up(bid, 2)
    for machine in machines:
        machine.wait_for_startup()
        assert machine.read("/var/log/boots") == "boot\n"
        assert machine.read("/opt/mithril/MITHRIL_SIGNAL.yml") == ""
    cloud.terminate(bid)
    follower.wait_for(lambda: not follower.machines(bid), "the disks are gone")
    assert not any(machine.is_up for machine in machines)


def test_a_pause_keeps_the_disk_and_the_head_can_move(follower: Follower, cloud: FakeMithril):
    follower.head_moves = True
    bid = cloud.add_bid(startup_script=SCRIPT, instance_quantity=2)["fid"]
    first, second = follower.wait_until_up(bid)
    assert first.read("/etc/hosts").endswith(f"{second.name}\n")
    cloud.update_bid(bid, paused=True)
    follower.wait_for(lambda: not first.is_up and not second.is_up, "the machines are off")
    cloud.update_bid(bid, paused=False)
    follower.wait_until_up(bid, 2)
    assert first.read("/var/log/boots") == "boot\n"
    hosts = first.read("/etc/hosts")
    assert hosts == second.read("/etc/hosts")
    assert hosts.endswith(f"{first.name}\n")
    addresses = [row["private_ip"] for row in cloud.instances if row["bid"] == bid]
    assert {line.split()[0] for line in hosts.splitlines()[1:]} == set(addresses)


def test_a_machine_that_loses_its_power_is_switched_on_again(follower: Follower, cloud: FakeMithril):
    bid = cloud.add_bid(startup_script=SCRIPT)["fid"]
    [machine] = follower.wait_until_up(bid)
    machine.wait_for_startup()
    machine.pull_the_plug()
    follower.wait_until_up(bid, 2)
    assert machine.read("/var/log/boots") == "boot\n"
    assert cloud.bid(bid)["status"] == "Allocated"


def test_a_cluster_runs_its_command_on_its_volume(follower: Follower, cloud: FakeMithril, stack: Stack, tmp_path: Path):
    stack.up({"data": volume()})
    data = stack.state["data"].id
    command = 'id -un; pwd; echo "$GREETING" >>/data/greetings'
    mounts = [{"volume_id": data, "mount_path": "/data"}]
    stack.up({"data": volume(), "c": cluster(command=command, env={"GREETING": "it's\n me"}, volumes=mounts)})
    [machine] = follower.wait_until_up(stack.state["c"].id)
    machine.wait_for_text("/var/log/flow/user-workload.log", "/workspace")
    machine.wait_for((tmp_path / "volumes" / data / "greetings").exists)
    assert (tmp_path / "volumes" / data / "greetings").read_text() == "it's\n me\n"
    assert "root" in machine.read("/var/log/flow/user-workload.log")
    assert f"fileshare-{data}.mithril.internal:/ /data nfs4" in machine.read("/etc/fstab")
