"""examples/08-job on a machine that boots: its notice, a pulled plug, and the weights of a run in one piece."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs.pages import EXAMPLES
from support.jobs import live_keys
from support.machines import Follower
from support.stack import Stack, job, volume

from flow_resources.testing import FakeMithril

LOG = "/var/log/flow/user-workload.log"
TRAIN = EXAMPLES / "08-job" / "train.py"
STEPS = 400_000
"""About ten seconds of training."""


@pytest.mark.machines
def test_the_training_of_the_example_goes_on_over_a_preemption_and_a_pulled_plug(
    follower: Follower, cloud: FakeMithril, stack: Stack, tmp_path: Path
) -> None:
    """Its checkpoint is that of an undisturbed run, and its machine ends the bid and tells the success."""
    undisturbed = tmp_path / "undisturbed.json"
    subprocess.run([sys.executable, str(TRAIN), str(undisturbed), str(STEPS)], check=True, stdout=subprocess.DEVNULL)
    stack.up({"data": volume()})
    checkpoint = tmp_path / "volumes" / stack.state["data"].id / "circle.json"
    inputs = {
        "command": None,
        "script": f"#!/usr/bin/env python3\n{TRAIN.read_text()}",
        "args": ["/data/circle.json", str(STEPS)],
        "volumes": [{"volume_id": stack.state["data"].id, "mount_path": "/data"}],
        "preemption_signal": "SIGUSR1",
    }
    declared = job(**inputs)
    stack.up({"data": volume(), "job": declared})
    bid = stack.state["job"].id

    def saved() -> int:
        return int(json.loads(checkpoint.read_text())[0]) if checkpoint.exists() else 0

    def told() -> list[int]:
        return [int(step) for step in re.findall(r"^saved step (\d+)$", machine.read(LOG), re.MULTILINE)]

    [machine] = follower.wait_until_up(bid)
    follower.wait_for(lambda: saved() > 0, "the training has saved")
    cloud.preempt(bid)
    follower.wait_for(lambda: any(step % 500 for step in told()), "the training has saved on the signal")
    cloud.finish("notice", bid)
    follower.wait_for(lambda: not machine.is_up, "the machine is off")
    first = saved()
    follower.power_on(bid)
    follower.wait_for(lambda: saved() > first, "the training goes on")
    machine.pull_the_plug()
    second = saved()
    assert second < STEPS
    follower.wait_for(lambda: cloud.bid(bid)["status"] == "Terminated", "the bid has ended")
    follower.wait_for(lambda: not live_keys(cloud), "the key is revoked")
    stack.refresh()
    assert stack.state["job"].outputs["status"] == "succeeded"
    assert checkpoint.read_bytes() == undisturbed.read_bytes()
