"""The command of a cluster over boots: what runs again, and as whom, where, with what, on what."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from support.machines import Follower, Machine
from support.stack import Stack, cluster, volume

from flow_resources.testing import FakeMithril

LOG = "/var/log/flow/user-workload.log"
IMAGE = "local/train:1"
beyond_sample = pytest.mark.machines
each_place = pytest.mark.parametrize(
    "image", [pytest.param(None, id="host"), pytest.param(IMAGE, id="container", marks=beyond_sample)]
)
LIFE = """
life=$(ls /data | grep -c env)
env -0 | sort -z >/data/env-$life.new
mv /data/env-$life.new /data/env-$life
echo "$(id -un) in $PWD, data $(grep -q ' /data ' /proc/mounts && echo mounted || echo missing)"
trap exit TERM
sleep infinity & wait
"""
ENV = {"GREETING": 'it\'s\n "me" $HOME `id` \\ ü', "EMPTY": ""}
OF_THE_BOOT = ("INVOCATION_ID=", "JOURNAL_STREAM=", "SYSTEMD_EXEC_PID=")
"""Variables by which systemd tells one start of a unit from another."""


def declared(stack: Stack, **inputs: Any) -> tuple[str, str]:
    """Bring up a cluster with a volume at /data, and return the ids of both."""
    stack.up({"data": volume()})
    data = stack.state["data"].id
    mounts = [{"volume_id": data, "mount_path": "/data"}]
    stack.up({"data": volume(), "c": cluster(volumes=mounts, **inputs)})
    return stack.state["c"].id, data


def lives(machine: Machine, text: str) -> int:
    """Return how often the log says something."""
    return machine.read(LOG).count(text)


def after(machine: Machine, seconds: float, text: str) -> int:
    """Return how often the log says something when some time has passed: nothing tells that nothing will happen."""
    machine.wait_for_startup()
    time.sleep(seconds)
    return lives(machine, text)


@each_place
def test_the_command_runs_once_at_each_of_three_boots_and_all_is_as_it_was(
    follower: Follower, stack: Stack, tmp_path: Path, image: str | None
):
    follower.container_image = image
    bid, data = declared(stack, command=LIFE, env=ENV, **({"image": image} if image else {}))
    [machine] = follower.wait_until_up(bid)
    count = f"{'docker exec main ' if image else ''}pgrep -c -x -f 'sleep infinity'"
    log = (lambda: machine.run("docker logs main 2>&1", check=False)) if image else (lambda: machine.read(LOG))
    said = f"root in {'/' if image else '/workspace'}, data mounted"
    machine.wait_for(lambda: log().count(said) == 1)
    follower.power_off(bid)
    follower.power_on(bid)
    machine.wait_for(lambda: log().count(said) == 2)
    follower.pull_the_plug(bid)
    machine.wait_for(lambda: log().count(said) == 3)
    assert machine.run(count) == "1\n", "one command, at the third boot, too"
    assert "missing" not in log()
    first, second, third = (environment(tmp_path / "volumes" / data / f"env-{life}") for life in range(3))
    assert first == second == third
    assert {f"GREETING={ENV['GREETING']}", "EMPTY="} <= set(first)


def environment(file: Path) -> list[str]:
    return [one for one in file.read_text().split("\0") if not one.startswith(OF_THE_BOOT)]


def test_with_run_on_first_boot_it_runs_once(follower: Follower, stack: Stack):
    stack.up({"c": cluster(command="echo one life", run_on="first_boot")})
    bid = stack.state["c"].id
    [machine] = follower.wait_until_up(bid)
    machine.wait_for_text(LOG, "one life")
    follower.power_off(bid)
    follower.power_on(bid)
    assert after(machine, 2.0, "one life") == 1
    follower.pull_the_plug(bid)
    assert after(machine, 2.0, "one life") == 1


def test_for_the_default_command_nothing_is_installed(follower: Follower, stack: Stack):
    stack.up({"c": cluster()})
    [machine] = follower.wait_until_up(stack.state["c"].id)
    machine.wait_for_text("/var/run/flow-user-workload.pid", "\n")
    assert machine.run("ls -d /var/lib/flow-command /etc/systemd/system/flow-command* || :").count("No such file") == 0
    assert "flow-command" not in machine.run("ls /var/lib /etc/systemd/system")


@beyond_sample
def test_only_root_reads_the_environment(follower: Follower, stack: Stack):
    stack.up({"c": cluster(command="echo one life; sleep infinity", env={"TOKEN": "s3cret-t0ken"})})
    [machine] = follower.wait_until_up(stack.state["c"].id)
    machine.wait_for_text(LOG, "one life")
    assert machine.run("grep -rl s3cret-t0ken /var/lib/flow-command").strip()
    found = "grep -rls s3cret-t0ken /var /etc /run /tmp /opt /root /home /workspace 2>/dev/null || :"
    assert machine.run(found, user="ubuntu") == ""


HANG = "#!/bin/bash\nwhile [ -e /hang ]; do sleep 0.1; done\nexit 6\n"


def test_the_plug_pulled_before_the_unit_is_there_lets_the_next_boot_run_the_command(follower: Follower, stack: Stack):
    def hang(machine: Machine) -> None:
        machine.write("/usr/bin/curl", HANG)
        machine.run_on_disk("chmod +x /usr/bin/curl; touch /hang")

    follower.prepare = hang
    stack.up({"c": cluster(command="echo one life; sleep infinity")})
    bid = stack.state["c"].id
    [machine] = follower.wait_until_up(bid)
    machine.wait_for(lambda: machine.run("pgrep -x curl", check=False))
    follower.pull_the_plug(bid)
    machine.wait_for(lambda: machine.run("pgrep -x curl", check=False))
    assert lives(machine, "one life") == 0
    machine.remove("/hang")
    machine.wait_for_text(LOG, "one life")
    follower.power_off(bid)
    follower.power_on(bid)
    machine.wait_for(lambda: lives(machine, "one life") == 2)
    assert after(machine, 2.0, "one life") == 2


@beyond_sample  # its neighbours pull the plug at the moments that matter
@pytest.mark.parametrize("moment", [0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0, 1.3, 1.7])
def test_the_plug_pulled_at_any_moment_of_the_first_boot(follower: Follower, stack: Stack, moment: float):
    stack.up({"c": cluster(command="echo life $(cat /proc/sys/kernel/random/boot_id); sleep infinity")})
    bid = stack.state["c"].id
    [machine] = follower.wait_until_up(bid)
    # Before that nothing of ours has run: the service has counted the first boot, and nothing can be done.
    machine.wait_for(lambda: machine.read("/etc/systemd/system/multi-user.target.wants/flow-command-setup.service"))
    time.sleep(moment)
    for _ in range(2):
        follower.pull_the_plug(bid)
        boot = machine.run("cat /proc/sys/kernel/random/boot_id")
        machine.wait_for(lambda boot=boot: lives(machine, f"life {boot}") == 1)
        assert after(machine, 1.0, f"life {boot}") == 1


def test_a_command_waits_for_a_mount_that_comes_late(follower: Follower, stack: Stack, tmp_path: Path):
    bid, data = declared(stack, command="echo one life >>/data/lives; sleep infinity")
    [machine] = follower.wait_until_up(bid)
    written = tmp_path / "volumes" / data / "lives"
    machine.wait_for(written.exists)
    follower.power_off(bid)
    machine.hold_volumes()
    follower.power_on(bid)
    machine.wait_for(lambda: machine.run("systemctl is-active flow-command", check=False).strip() == "active")
    time.sleep(2.0)
    assert written.read_text() == "one life\n"
    assert machine.run("ls /data") == ""
    machine.release_volumes()
    machine.wait_for(lambda: written.read_text() == "one life\n" * 2)


@beyond_sample
@each_place
def test_machines_of_a_cluster_know_their_ranks_of_this_boot(
    follower: Follower, cloud: FakeMithril, stack: Stack, image: str | None
):
    follower.head_moves = True
    follower.container_image = image
    names = "rank $NODE_RANK of $NUM_NODES, head $HEAD_NODE $HEAD_NODE_IP $MASTER_ADDR:$MASTER_PORT"
    command = f'echo "{names}"; trap exit TERM; sleep 999 & wait'
    stack.up({"c": cluster(command=command, num_instances=2, **({"image": image} if image else {}))})
    bid = stack.state["c"].id
    machines = follower.wait_until_up(bid)
    log = "docker logs main 2>&1" if image else f"cat {LOG}"
    for boot in range(2):
        head = machines[1 - boot]
        for machine in machines:
            rank = int(machine is not head)
            said = f"rank {rank} of 2, head {head.name} {head.address} {head.address}:29500\n"
            machine.wait_for(
                lambda machine=machine, said=said: said in machine.run(log, check=False), said=f"says {said}"
            )
        if not boot:
            follower.power_off(bid)
            follower.power_on(bid)


@beyond_sample
@pytest.mark.parametrize(
    ("restart", "code", "lives_"),
    [("never", 3, 1), ("on_failure", 3, 2), ("on_failure", 0, 1), ("always", 0, 2)],
)
def test_restart_decides_what_follows_a_command_that_ends(
    follower: Follower, stack: Stack, restart: str, code: int, lives_: int
):
    stack.up({"c": cluster(command=f"echo one life; exit {code}", restart=restart)})
    [machine] = follower.wait_until_up(stack.state["c"].id)
    machine.wait_for(lambda: lives(machine, "one life") == lives_)
    if lives_ == 1:
        assert after(machine, 7.0, "one life") == 1
