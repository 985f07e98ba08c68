"""examples/08-job through the real engine: agreed to, preempted, back with its work, ended once."""

from __future__ import annotations

from pathlib import Path

from docs.pages import EXAMPLES
from support.engine import Project
from support.jobs import end_job, live_keys

from flow_resources.testing import FakeMithril
from flow_resources.testing.service.startup_script import expand

EXAMPLE = EXAMPLES / "08-job"


def test_the_job_lives_over_a_preemption_ends_once_and_runs_again_when_its_script_changes(
    tmp_path: Path, cloud: FakeMithril
) -> None:
    """One bid and one key at a time, none at the end; what the machines run is the file of the folder."""
    project = Project.of_example(tmp_path, cloud, EXAMPLE)
    refused = project.preview().failed().text
    assert "flow:allowJobKeys" in refused
    assert "Traceback" not in refused
    assert not cloud.mutations

    project.run("config", "set", "flow:allowJobKeys", "true").ok()
    project.up().ok()
    (bid,) = cloud.live_bids
    script = str(bid["launch_specification"]["startup_script"])
    assert (EXAMPLE / "train.py").read_text() in expand(script)
    assert len(live_keys(cloud)) == 1
    cloud.clear_requests()
    assert "3 unchanged" in project.up().ok().text
    assert not cloud.mutations

    cloud.preempt(bid["fid"])
    assert "now preempted, waiting in the auction" in project.refresh().ok().text
    cloud.release(bid["fid"])
    assert "the command runs again, unless it has ended" in project.refresh().ok().text
    first, second = (boot["runs"] for boot in cloud.boots(bid["fid"]))
    assert first == ["start-up script"]
    assert "flow-command.service" in second

    end_job(cloud, bid["fid"], "succeeded", placed=1.60)
    cloud.clear_requests()
    assert "now succeeded" in project.refresh().ok().text
    assert "3 unchanged" in project.up().ok().text
    assert not cloud.mutations
    assert project.outputs()["status"] == "succeeded"
    assert (cloud.live_bids, live_keys(cloud)) == ([], [])

    with (project.folder / "train.py").open("a") as script_file:
        script_file.write("# a new version\n")
    project.up().ok()
    (again,) = cloud.live_bids
    assert again["fid"] != bid["fid"]
    project.destroy().ok()
    assert (cloud.live_bids, cloud.volumes, live_keys(cloud)) == ([], [], [])
