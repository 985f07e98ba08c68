"""The notice of a preemption: who gets the signal, when, how often, and what a training makes of it."""

from __future__ import annotations

import datetime as dt
import textwrap
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
WITHIN = 2.0
"""Seconds from the notice to the signal."""
TRAINING = """
    import os, signal, sys, time

    told = []
    signal.signal(signal.SIGUSR1, lambda *_: told.append(time.time()))
    step = int(open("/data/checkpoint").read()) if os.path.exists("/data/checkpoint") else 0
    print("from step", step, flush=True)
    while not told:
        time.sleep(0.05)  # a step
        with open("/data/steps", "a") as steps:
            steps.write(f"{step}\\n")
        step += 1
    with open("/data/checkpoint.new", "w") as checkpoint:
        checkpoint.write(str(step))
        checkpoint.flush()
        os.fsync(checkpoint.fileno())
    os.replace("/data/checkpoint.new", "/data/checkpoint")
    print("told at", told[0], flush=True)
"""
COUNTING = """
    import signal, time
    signal.signal(signal.SIGUSR1, lambda *_: print("told", flush=True))
    print("waiting", flush=True)
    while True:
        time.sleep(1)
"""


def python(program: str) -> str:
    """Return a line of bash that runs a program as its child."""
    return f"cat >/tmp/program.py <<'EOF'\n{textwrap.dedent(program)}EOF\npython3 /tmp/program.py\n"


def told(machine: Machine) -> int:
    return machine.read(LOG).splitlines().count("told")


def up(stack: Stack, follower: Follower, **inputs: Any) -> tuple[str, Machine]:
    stack.up({"c": cluster(**inputs)})
    bid = stack.state["c"].id
    [machine] = follower.wait_until_up(bid)
    return bid, machine


@each_place
def test_a_training_that_saves_on_the_signal_loses_no_step(
    follower: Follower, cloud: FakeMithril, stack: Stack, tmp_path: Path, image: str | None
):
    follower.container_image = image
    stack.up({"data": volume()})
    data = tmp_path / "volumes" / stack.state["data"].id
    data.mkdir(parents=True)
    (data / "steps").touch()
    mounts = [{"volume_id": stack.state["data"].id, "mount_path": "/data"}]
    command = python(TRAINING) + "echo the shell is alive"
    of_image = {"image": image} if image else {}
    trainer = cluster(command=command, volumes=mounts, preemption_signal="SIGUSR1", **of_image)
    stack.up({"data": volume(), "c": trainer})
    bid = stack.state["c"].id
    [machine] = follower.wait_until_up(bid)
    log = (lambda: machine.run("docker logs main 2>&1", check=False)) if image else (lambda: machine.read(LOG))
    for life in range(1, 3):
        machine.wait_for(lambda life=life: log().count("from step") == life)
        machine.wait_for(lambda: len((data / "steps").read_text().splitlines()) > 5)
        cloud.preempt(bid)
        follower.wait_for(lambda: bid in follower.told, "the machine has the notice")
        noticed = follower.told[bid]
        machine.wait_for(lambda life=life: log().count("the shell is alive") == life)
        assert float(log().rpartition("told at ")[2].split()[0]) - noticed < WITHIN
        cloud.finish("notice", bid)
        follower.wait_for(lambda: not machine.is_up, "the machine is off")
        follower.power_on(bid)
    machine.wait_for(lambda: log().count("from step") == 3)
    machine.pull_the_plug()
    steps = [int(step) for step in (data / "steps").read_text().splitlines()]
    assert steps == list(range(len(steps))), "no step twice, none left out"


def test_a_notice_is_told_once_and_again_when_it_comes_again(follower: Follower, stack: Stack):
    _, machine = up(stack, follower, command=python(COUNTING), preemption_signal="SIGUSR1")
    machine.wait_for_text(LOG, "waiting")
    end = machine.notice()
    machine.wait_for(lambda: told(machine) == 1, WITHIN)
    machine.notice(end)  # the file is written again, as it was
    time.sleep(3)
    assert told(machine) == 1
    machine.withdraw_notice()
    time.sleep(1)
    assert told(machine) == 1
    machine.notice(end)
    machine.wait_for(lambda: told(machine) == 2, WITHIN)
    machine.notice(dt.datetime.now(dt.timezone.utc) + dt.timedelta(minutes=7))  # another notice, without a gap
    machine.wait_for(lambda: told(machine) == 3, WITHIN)
    time.sleep(2)
    assert told(machine) == 3


@beyond_sample
def test_a_file_that_tells_of_no_preemption_is_no_notice(follower: Follower, stack: Stack):
    _, machine = up(stack, follower, command=python(COUNTING), preemption_signal="SIGUSR1")
    machine.wait_for_text(LOG, "waiting")
    for text in ("", "instance_status: STATUS_RUNNING\nend_time: 2040-01-01T00:00:00Z\n", "\0\xff not: [yaml"):
        machine.write("/opt/mithril/MITHRIL_SIGNAL.yml", text)
        time.sleep(1.5)
    assert told(machine) == 0
    end = machine.notice()
    machine.wait_for(lambda: told(machine) == 1, WITHIN)
    assert end in machine.read("/opt/mithril/MITHRIL_SIGNAL.yml")


@beyond_sample
def test_the_file_of_an_earlier_notice_tells_nothing_at_the_next_boot(
    follower: Follower, cloud: FakeMithril, stack: Stack
):
    follower.keeps_notice = True
    cloud.set_options(preemption_notice_seconds=4)
    bid, machine = up(stack, follower, command=python(COUNTING), preemption_signal="SIGUSR1")
    machine.wait_for_text(LOG, "waiting")
    cloud.preempt(bid)
    follower.wait_for(lambda: not machine.is_up, "the machine is off")
    assert told(machine) == 1
    follower.power_on(bid)
    machine.wait_for(lambda: machine.read(LOG).count("waiting") == 2)
    time.sleep(2)
    assert machine.read("/opt/mithril/MITHRIL_SIGNAL.yml")
    assert told(machine) == 1


@beyond_sample
def test_whoever_does_not_catch_the_signal_lives(follower: Follower, stack: Stack):
    family = "sleep 1234 & bash -c 'sleep 1235; true' & (trap 'echo told' USR1; while :; do sleep 0.2; done) & wait"
    _, machine = up(stack, follower, command=f"echo waiting\n{family}", preemption_signal="SIGUSR1")
    machine.wait_for_text(LOG, "waiting")
    machine.wait_for(lambda: "1235" in machine.run("pgrep -a sleep", check=False))
    machine.notice()
    machine.wait_for(lambda: told(machine) == 1, WITHIN)
    time.sleep(1)
    assert {"1234", "1235"} <= set(machine.run("pgrep -a sleep").split())
    assert told(machine) == 1


@beyond_sample
def test_a_notice_that_comes_before_the_command_catches_the_signal_is_told_later(follower: Follower, stack: Stack):
    command = "echo begun; sleep 3\n" + python(COUNTING)
    _, machine = up(stack, follower, command=command, preemption_signal="SIGUSR1")
    machine.wait_for_text(LOG, "begun")
    machine.notice()
    machine.wait_for_text(LOG, "waiting")
    machine.wait_for(lambda: told(machine) == 1, WITHIN)


@beyond_sample
def test_without_a_signal_a_notice_does_nothing(follower: Follower, stack: Stack):
    _, machine = up(stack, follower, command=python(COUNTING))
    machine.wait_for_text(LOG, "waiting")
    machine.notice()
    time.sleep(3)
    assert told(machine) == 0
    assert machine.run("systemctl is-active flow-command") == "active\n"
