"""Jobs on machines that boot: they end their bids themselves, once, and say how they ended."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.jobs import live_keys
from support.machines import Follower, Machine
from support.stack import Declared, Stack, job, volume

from flow_resources.testing import FakeMithril

IMAGE = "local/train:1"
SETUP_UNIT = "/etc/systemd/system/multi-user.target.wants/flow-command-setup.service"
beyond_sample = pytest.mark.machines
COUNT = """
step=$(cat /data/step 2>/dev/null || echo 0)
echo "from step $step" >>/data/lives
while [ $step -lt {steps} ]; do
  sleep 0.1
  step=$((step + 1))
  echo $step >/data/step.new
  mv /data/step.new /data/step
done
echo "ends with {code}" >>/data/lives
exit {code}
"""
"""A work of some steps, which goes on from where it was."""


@dataclass
class Work:
    """A job whose work is to count, with a volume for its counter."""

    follower: Follower
    cloud: FakeMithril
    stack: Stack
    bid: str
    data: Path
    program: dict[str, Declared]

    @property
    def machine(self) -> Machine:
        return self.follower.machines(self.bid)[0]

    def come_up(self) -> None:
        """Wait until it is on its machine.

        A machine that stops before that never runs it: the service has counted the first boot, and nothing has run.
        """
        [machine, *_] = self.follower.wait_until_up(self.bid)
        machine.wait_for(lambda: machine.read(SETUP_UNIT))

    def lives(self) -> list[str]:
        """Return what the work has noted, a line at each begin and each end."""
        return (self.data / "lives").read_text().splitlines() if (self.data / "lives").exists() else []

    def steps(self) -> int:
        return int((self.data / "step").read_text()) if (self.data / "step").exists() else 0

    def begun(self, times: int = 1) -> None:
        """Wait until it has begun so often."""
        self.follower.wait_for(lambda: len(self.lives()) >= times, f"the work has begun for the {times}. time")

    def status_of_bid(self) -> str:
        return self.cloud.bid(self.bid)["status"]

    def ended(self, bid: str = "Terminated", /, **outputs: Any) -> None:
        """Wait until its bid has ended, and its key is revoked; compare what a refresh says."""
        self.follower.wait_for(lambda: self.status_of_bid() == bid, f"the bid is {bid}")
        self.follower.wait_for(lambda: not live_keys(self.cloud), "the key is revoked")
        self.stack.refresh()
        told = self.stack.state["job"].outputs
        assert {name: told.get(name) for name in outputs} == outputs
        assert self.stack.preview(self.program) == dict.fromkeys(self.program, "same")

    def gone(self) -> None:
        """Wait until the machines and their disks are gone."""
        self.follower.wait_for(lambda: not self.follower.machines(self.bid), "the machines are gone")


@pytest.fixture
def start(follower: Follower, cloud: FakeMithril, stack: Stack, tmp_path: Path):
    """Start a work: so many steps of a tenth of a second, then an exit code."""

    def started(*, steps: int = 5, code: int = 0, command: str = COUNT, mounted: bool = True, **inputs: Any) -> Work:
        stack.up({"data": volume()})
        mounts = [{"volume_id": stack.state["data"].id, "mount_path": "/data"}]
        full = command.format(steps=steps, code=code) if command is COUNT else command
        program = {"data": volume(), "job": job(command=full, volumes=mounts if mounted else [], **inputs)}
        stack.up(program)
        data = tmp_path / "volumes" / stack.state["data"].id
        return Work(follower, cloud, stack, stack.state["job"].id, data, program)

    return started


def test_a_job_that_succeeds_ends_its_bid_and_revokes_its_key(start):
    work = start()
    assert len(live_keys(work.cloud)) == 1
    work.ended(status="succeeded", exit_code=0)
    work.gone()
    assert work.lives() == ["from step 0", "ends with 0"]
    work.cloud.clear_requests()
    work.stack.up(work.program)
    assert not work.cloud.mutations
    assert not work.cloud.live_bids


def test_a_job_that_fails_and_keeps_leaves_its_disk_to_look_at(start):
    work = start(code=3, on_failure="keep")
    work.ended("Paused", status="failed", exit_code=None)
    machine = work.machine
    work.follower.wait_for(lambda: not machine.is_up, "the machine is off")
    assert "ended with exit code 3" in machine.read("/var/log/flow/user-workload.log")
    assert work.lives() == ["from step 0", "ends with 3"]
    work.cloud.clear_requests()
    work.stack.up(work.program)
    assert not work.cloud.mutations
    work.cloud.update_bid(work.bid, paused=False)  # somebody looks at it
    work.follower.wait_until_up(work.bid, 2)
    time.sleep(3)
    assert work.status_of_bid() == "Allocated"
    assert len(work.lives()) == 2, "it does not run again"
    work.stack.destroy()
    work.gone()
    assert not work.cloud.live_bids


@beyond_sample
@pytest.mark.parametrize(("code", "outcome"), [(0, "succeeded"), (3, "failed")])
def test_a_job_in_a_container_ends_its_bid_and_says_how(start, follower: Follower, code: int, outcome: str):
    follower.container_image = IMAGE
    work = start(command=f"sleep 2; exit {code}", image=IMAGE, mounted=False)
    work.come_up()
    work.follower.pull_the_plug(work.bid)
    work.ended(status=outcome)


@beyond_sample
def test_a_job_that_fails_and_releases_ends_its_bid(start):
    work = start(code=1)
    work.ended(status="failed", exit_code=None)


def test_a_job_that_is_preempted_twice_goes_on_and_ends_once(start):
    work = start(steps=60)
    for life in (1, 2):
        work.begun(life)
        work.follower.wait_for(lambda life=life: work.steps() > 10 * life, "some steps are done")
        work.follower.power_off(work.bid)
        assert work.machine.read("/var/lib/flow-command/job-exit") == "", "a power-off is no end"
        assert live_keys(work.cloud)
        work.follower.power_on(work.bid)
    work.ended(status="succeeded", exit_code=0)
    begins = [int(line.split()[-1]) for line in work.lives() if line.startswith("from")]
    assert len(begins) == 3
    assert begins == sorted(begins)
    assert begins[2] > begins[1] > begins[0] == 0
    assert len(work.cloud.bids) == 1


@beyond_sample
def test_the_plug_pulled_in_mid_run_is_no_end(start):
    work = start(steps=40)
    work.begun(1)
    work.follower.pull_the_plug(work.bid)
    work.begun(2)
    work.ended(status="succeeded")
    assert work.lives()[-1] == "ends with 0"


@beyond_sample
def test_a_notice_that_stands_lets_no_job_end(start):
    work = start(command="echo begun >>/data/lives; sleep 2; exit 0")
    work.begun(1)
    work.machine.notice()
    time.sleep(4)
    assert work.status_of_bid() == "Allocated"
    assert work.machine.read("/var/lib/flow-command/job-exit") == ""
    work.follower.power_off(work.bid)
    work.machine.withdraw_notice()
    work.follower.power_on(work.bid)
    work.ended(status="succeeded")
    assert work.lives() == ["begun"] * 2


@beyond_sample
def test_a_notice_that_is_withdrawn_lets_the_job_run_again_and_end(start):
    work = start(command="echo begun >>/data/lives; sleep 2; exit 0")
    work.begun(1)
    work.machine.notice()
    time.sleep(4)
    work.machine.withdraw_notice()
    work.ended(status="succeeded")
    assert work.lives() == ["begun"] * 2


def test_of_two_machines_the_first_one_ends_the_job_for_both(start):
    command = "echo begun $NODE_RANK >>/data/lives; if [ $NODE_RANK = 1 ]; then exit 7; fi; sleep 6; exit 0"
    work = start(command=command, num_instances=2)
    work.begun(2)
    time.sleep(3)
    assert work.status_of_bid() == "Allocated", "the second one ended, which ends nothing"
    work.ended(status="succeeded", exit_code=0)
    work.gone()
    assert sorted(work.lives()) == ["begun 0", "begun 1"]


@beyond_sample
def test_of_two_machines_that_change_their_ranks_the_head_ends_the_job(start, follower: Follower):
    follower.head_moves = True
    command = "echo begun $NODE_RANK $(hostname) >>/data/lives; if [ $NODE_RANK = 1 ]; then exit 7; fi; sleep 4; exit 0"
    work = start(command=command, num_instances=2)
    work.begun(2)
    work.follower.power_off(work.bid)
    work.follower.power_on(work.bid)
    work.ended(status="succeeded", exit_code=0)
    heads = [line.split()[-1] for line in work.lives() if line.startswith("begun 0")]
    assert len(set(heads)) == 2, work.lives()


@beyond_sample
def test_a_job_that_runs_too_long_is_stopped_and_has_failed(start):
    work = start(steps=10_000, max_run_time_hours=0.002)
    work.ended(status="failed", exit_code=None)
    assert 20 < work.steps() < 200
    assert "ends with 0" not in work.lives()


@beyond_sample
def test_a_time_limit_that_passes_while_it_waits_ends_it_at_its_next_boot(start):
    work = start(steps=10_000, max_run_time_hours=0.002, on_failure="keep")
    work.begun(1)
    work.follower.power_off(work.bid)
    time.sleep(7.5)
    work.follower.power_on(work.bid)
    work.ended("Paused", status="failed")
    assert len(work.lives()) <= 2


@beyond_sample
def test_a_service_that_is_away_when_the_job_ends_is_waited_for(start):
    work = start(steps=5)
    work.begun(1)
    work.cloud.stop()
    work.machine.wait_for_text("/var/lib/flow-command/job-exit", '"code": 0')
    work.follower.pull_the_plug(work.bid)  # and even then it ends at the next boot, which does not run it again
    time.sleep(2)
    work.cloud.start()
    work.ended(status="succeeded", exit_code=0)
    assert work.lives() == ["from step 0", "ends with 0"]


@beyond_sample
def test_a_job_that_somebody_cancels_has_ended_and_nobody_says_how(start):
    work = start(steps=10_000)
    work.begun(1)
    work.cloud.terminate(work.bid)
    work.gone()
    work.stack.refresh()
    assert work.stack.state["job"].outputs["status"] == "ended"
    work.stack.up(work.program)  # which revokes the key that the machine had no time to revoke
    assert live_keys(work.cloud) == []
    assert len(work.cloud.bids) == 1


@beyond_sample  # lives on a clock that is advanced are in tests/faults/test_job_lives.py
@pytest.mark.parametrize("seed", range(12))
def test_a_made_up_life_ends_once_and_nothing_wrong_is_said(start, seed: int):
    chance = random.Random(seed)
    code, keep = chance.choice([0, 0, 3]), chance.random() < 0.4
    work = start(steps=chance.randrange(10, 60), code=code, on_failure="keep" if keep else "release")
    events = [chance.choice(["preempt", "plug", "notice", "lost", "away"]) for _ in range(chance.randrange(1, 5))]
    says = f"seed {seed}: exit {code}, keep {keep}, {events}"
    work.come_up()
    for event in events:
        time.sleep(chance.random() * 2)
        with_machines = work.status_of_bid() == "Allocated"
        if event == "preempt" and with_machines:
            preempt(work)
        elif event == "plug" and with_machines:
            for machine in work.follower.machines(work.bid):
                if machine.is_up:
                    machine.pull_the_plug()
        elif event == "notice" and with_machines and work.machine.is_up:
            work.machine.notice()
            time.sleep(chance.random() * 3)
            work.machine.withdraw_notice()
        elif event == "lost":
            method, when = chance.choice(["PATCH", "DELETE"]), chance.choice(["before", "after"])
            work.cloud.faults.add(method=method, when=when, kind="reset", times=2)
        elif event == "away":
            work.cloud.stop()
            time.sleep(chance.random() * 3)
            work.cloud.start()
    outcome = "failed" if code else "succeeded"
    end = "Paused" if keep and code else "Terminated"
    try:
        work.ended(end, status=outcome)
    except AssertionError as error:
        raise AssertionError(says) from error
    assert work.lives()[-1] == f"ends with {code}", says
    assert len([line for line in work.lives() if line.startswith("ends")]) >= 1
    assert len(work.cloud.bids) == 1


def preempt(work: Work) -> None:
    """Preempt a job's bid with a short notice, and give its machines back; it can end meanwhile."""
    try:
        work.cloud.preempt(work.bid)
    except ValueError:
        return  # it has just ended
    time.sleep(0.3)
    work.cloud.finish("notice", work.bid)
    work.follower.wait_for(
        lambda: work.status_of_bid() != "Open" or not any(one.is_up for one in work.follower.machines(work.bid)), "off"
    )
    work.cloud.release(work.bid)
