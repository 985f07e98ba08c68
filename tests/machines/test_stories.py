"""Through the real engine: a cluster and jobs that come back on machines that boot, with their work."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.engine import Project
from support.jobs import live_keys
from support.machines import Follower

from flow_resources.testing import MANUAL, FakeMithril

pytestmark = pytest.mark.engine

beyond_sample = pytest.mark.machines
LOG = "/var/log/flow/user-workload.log"
COUNTER = """#!/bin/bash
count=$(cat /data/count 2>/dev/null || echo 0)
echo "counts from $count"
while [ $count -lt {until} ]; do
  sleep 0.1
  echo $((++count)) >/data/count.new
  mv /data/count.new /data/count
done
echo "counted to $count"
exit {code}
"""
CLUSTER = """
    import pathlib, pulumi
    from flow_resources import GpuCluster, Volume, VolumeMount

    data = Volume("data", size_gb=10, region="us-central5-a")
    cluster = GpuCluster("counter", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a",
                         command=pathlib.Path("count.sh").read_text(), volumes=[VolumeMount(data, "/data")])
    pulumi.export("volume", data.volume_id)
"""
JOB = """
    import pulumi
    from flow_resources import Job, Volume, VolumeMount

    data = Volume("data", size_gb=10, region="us-central5-a")
    job = Job("counter", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a",
              script="count.sh", volumes=[VolumeMount(data, "/data")], on_failure="keep")
    pulumi.export("volume", data.volume_id)
"""


@pytest.fixture(autouse=True)
def _engine(cloud: FakeMithril) -> None:
    """Say what to do where there is no engine. Machines run when they have booted."""
    if not shutil.which("pulumi"):
        pytest.fail('no `pulumi` on PATH: run `make machines`, or `eval "$(make -s env)"` first')
    cloud.set_options(boot_seconds=MANUAL)


def count(follower: Follower, folder: Path, at_least: int) -> int:
    """Wait until the counter stands so high, and return it."""
    file = folder / "count"
    follower.wait_for(lambda: file.exists() and int(file.read_text()) >= at_least, f"the counter is at {at_least}")
    return int(file.read_text())


def counting(root: Path, cloud: FakeMithril, program: str, *, until: int, code: int) -> Project:
    """Make a project that counts to a number and exits with a code."""
    project = Project.make(root, cloud, program)
    (project.folder / "count.sh").write_text(COUNTER.format(until=until, code=code))
    project.run("config", "set", "flow:allowJobKeys", "true").ok()
    return project


def status(project: Project) -> str:
    """Return the recorded status."""
    recorded: str = project.resources()["counter"]["outputs"]["status"]
    return recorded


@beyond_sample
def test_a_preempted_cluster_comes_back_and_counts_on(follower: Follower, cloud: FakeMithril, tmp_path: Path):
    project = counting(tmp_path, cloud, CLUSTER, until=100_000, code=0)
    assert "1/1 machines running" in project.up().ok().text
    bid, folder = project.id_of("counter"), tmp_path / "volumes" / project.outputs()["volume"]
    [machine] = follower.machines(bid)
    count(follower, folder, 10)
    follower.power_off(bid)
    stood = count(follower, folder, 10)
    project.refresh().ok()
    assert status(project) == "preempted"
    follower.power_on(bid)
    count(follower, folder, stood + 10)
    assert machine.read(LOG).splitlines().count("counts from 0") == 1
    [_, second] = [line for line in machine.read(LOG).splitlines() if line.startswith("counts from")]
    assert stood <= int(second.split()[-1]) <= stood + 1
    project.refresh().ok()
    assert "3 unchanged" in project.up().ok().text
    assert len(cloud.bids) == 1
    project.destroy().ok()
    follower.wait_for(lambda: not follower.machines(bid), "the machine is gone")


def test_a_job_that_was_preempted_twice_has_ended_and_runs_no_more(
    follower: Follower, cloud: FakeMithril, tmp_path: Path
):
    project = counting(tmp_path, cloud, JOB, until=80, code=0)
    project.up().ok()
    bid, folder = project.id_of("counter"), tmp_path / "volumes" / project.outputs()["volume"]
    assert len(live_keys(cloud)) == 1
    for at_least in (10, 30):
        count(follower, folder, at_least)
        follower.power_off(bid)
        assert cloud.bid(bid)["status"] == "Open"
        follower.power_on(bid)
    follower.wait_for(lambda: cloud.bid(bid)["status"] == "Terminated", "the bid has ended")
    follower.wait_for(lambda: not live_keys(cloud), "the key is revoked")
    follower.wait_for(lambda: not follower.machines(bid), "the machine is gone")
    cloud.clear_requests()
    project.refresh().ok()
    assert status(project) == "succeeded"
    assert "unchanged" in project.up().ok().text
    assert "unchanged" in project.preview().ok().text
    assert not cloud.mutations
    assert (folder / "count").read_text() == "80\n"
    assert len(cloud.bids) == 1
    project.destroy().ok()
    assert not cloud.volumes


@beyond_sample
def test_a_job_that_failed_leaves_its_disk_to_look_at_until_it_is_destroyed(
    follower: Follower, cloud: FakeMithril, tmp_path: Path
):
    project = counting(tmp_path, cloud, JOB, until=5, code=3)
    project.up().ok()
    bid = project.id_of("counter")
    [machine] = follower.machines(bid)
    follower.wait_for(lambda: cloud.bid(bid)["status"] == "Paused", "the bid is paused")
    follower.wait_for(lambda: not live_keys(cloud), "the key is revoked")
    project.refresh().ok()
    assert status(project) == "failed"
    again = project.up().ok().text
    assert "the job has failed, and is not run again" in again
    assert "counted to 5" in machine.read(LOG)
    cloud.update_bid(bid, paused=False)
    follower.wait_until_up(bid, 2)
    assert "exit code 3" in machine.read(LOG)
    project.destroy().ok()
    follower.wait_for(lambda: not follower.machines(bid), "the disk is gone")
    assert not cloud.live_bids
