"""A job under the real engine, ended by the program that its machines run: once, and recorded as it ended."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support.engine import Project, killed_after_acceptance
from support.job_machine import JobMachine
from support.jobs import live_keys

from flow_resources.cloud.machine.wire import unpack
from flow_resources.core.moments import moment_of
from flow_resources.lifecycle.ledger import HISTORY_GRAIN
from flow_resources.testing import FakeMithril

PROGRAM = """
    import pulumi
    from flow_resources import Job

    job = Job(
        "training", script="train.py", args=["--epochs", "3"], triggers={"dataset": 1}, wait_for="running",
        instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a", max_run_time_hours=5,
    )
    pulumi.export("status", job.status)
    pulumi.export("exit_code", job.exit_code)
"""


def make(root: Path, cloud: FakeMithril) -> Project:
    """Make a project with a script and the consent to keys."""
    project = Project.make(root, cloud, PROGRAM)
    (project.folder / "train.py").write_text("print('hello')\n")
    project.run("config", "set", "flow:allowJobKeys", "true").ok()
    return project


def machine_of(cloud: FakeMithril, disk: Path) -> JobMachine:
    """Return the machine of the live bid, with what its start-up script installs."""
    (bid,) = cloud.live_bids
    script = unpack(bid["launch_specification"]["startup_script"])
    assert script is not None
    assert "print('hello')" in script
    found = re.search(r"^cat >job\.json <<'E+'\n(\{.*)$", script, re.MULTILINE)
    assert found is not None
    job: dict[str, Any] = json.loads(found[1])
    assert job["placed_cents"] == 5000
    return JobMachine(cloud, disk, job)


def test_a_job_runs_once_and_ends_itself(tmp_path: Path, cloud: FakeMithril) -> None:
    """Up, up again, the end, a refresh, an up: nothing runs twice. New triggers run it anew; destroy leaves nothing."""
    project = make(tmp_path, cloud)
    shown = project.preview().ok().text
    assert "create max $50.00/h, " in shown
    project.up().ok()
    assert "unchanged" in project.up("--expect-no-changes").ok().text
    machine = machine_of(cloud, tmp_path / "disk")
    secret = machine.read("job.json")["key"]
    first = project.id_of("training")
    assert machine.command_ends(0)
    assert not cloud.live_bids
    assert not live_keys(cloud)
    assert project.outputs()["status"] == "running"  # nobody has looked
    assert "was running, now succeeded" in project.refresh().ok().text
    assert "unchanged" in project.up("--expect-no-changes").ok().text
    assert (project.outputs()["status"], project.outputs()["exit_code"]) == ("succeeded", 0)
    assert secret not in project.export()
    assert len(cloud.bids) == 1
    project.edit('"dataset": 1', '"dataset": 2')
    assert "replaced because of triggers: the job runs anew" in project.up().ok().text
    assert [bid["fid"] for bid in cloud.live_bids] == [project.id_of("training")] != [first]
    assert len(live_keys(cloud)) == 1
    # What was replaced is due again, under its old name: the history of the stack says so.
    project.edit('"dataset": 2', '"dataset": 1')
    project.up().ok()
    assert [bid["fid"] for bid in cloud.live_bids] == [project.id_of("training")]
    assert len(cloud.bids) == 3
    assert machine_of(cloud, tmp_path / "another disk").command_ends(0)
    assert "was running, now succeeded" in project.refresh().ok().text
    created = moment_of(cloud.bids[-1]["created_at"])
    assert created is not None
    # What a destroy that begins within the grain of the history came after, the history does not tell.
    while datetime.now(timezone.utc) <= created + HISTORY_GRAIN + timedelta(seconds=1):
        assert "unchanged" in project.up("--expect-no-changes").ok().text
    project.destroy().ok()
    assert not cloud.live_bids
    assert not live_keys(cloud)
    project.up().ok()  # what was destroyed, too
    assert [bid["fid"] for bid in cloud.live_bids] == [project.id_of("training")]
    assert len(cloud.bids) == 4


def test_a_job_whose_engine_was_killed_and_that_ended_meanwhile_is_recorded_as_done(
    tmp_path: Path, cloud: FakeMithril
) -> None:
    """The history of the real backend is asked."""
    project = make(tmp_path, cloud)
    with killed_after_acceptance(project, cloud, "engine"):
        machine = machine_of(cloud, tmp_path / "disk")
        assert machine.command_ends(3)
    project.run("cancel", "--yes").ok()
    shown = project.up().ok().text
    assert "ran already and failed" in shown
    assert "change `triggers`" in shown
    assert project.outputs()["status"] == "failed"
    assert len(cloud.bids) == 1
    assert "the job has failed, and is not run again" in project.up("--expect-no-changes").ok().text


def test_a_stack_that_was_removed_and_made_anew_takes_no_run_of_the_old_one_for_its_own(
    tmp_path: Path, cloud: FakeMithril
) -> None:
    """Its history went with it: whether an `up` died, or a destroy came after the run, is not known."""
    project = make(tmp_path, cloud)
    project.up().ok()
    assert machine_of(cloud, tmp_path / "disk").command_ends(0)
    project.destroy().ok()
    project.run("stack", "rm", "--yes", "--preserve-config", "dev").ok()
    project.run("stack", "init", "dev").ok()
    shown = project.up().failed().text
    assert "ran already and succeeded" in shown
    assert "could not be found out: nothing was placed: to run it again, change `triggers`" in shown
    project.edit('"dataset": 1', '"dataset": 2')
    project.up().ok()
    assert [bid["fid"] for bid in cloud.live_bids] == [project.id_of("training")]


def test_bad_inputs_of_a_job_are_lines_of_the_preview(tmp_path: Path, cloud: FakeMithril) -> None:
    """All of them at once, with their paths; nothing of them travels further."""
    project = make(tmp_path, cloud)
    project.run("config", "rm", "flow:allowJobKeys").ok()
    project.edit('script="train.py"', 'script="missing.py", command="true"')
    project.edit('triggers={"dataset": 1}', 'triggers=[pulumi.Output.secret("hunter2")], preemption_signal="SIGKILL"')
    project.edit("max_run_time_hours=5", "max_run_time_hours=500, on_failure='pause'")
    shown = project.preview().failed().text
    for part in (
        "script names a file that is not there, 'missing.py'",
        "script cannot be set beside command",
        "triggers[0] is a secret",
        "preemption_signal must be one of",
        "max_run_time_hours must be a number of hours, more than 0 and at most 168, got 500",
        "on_failure must be 'release' or 'keep', got 'pause'",
        "machine_api_key is not set, and flow:allowJobKeys is not true",
    ):
        assert part in shown, shown
    assert "hunter2" not in shown
    assert not cloud.mutations


pytestmark = pytest.mark.engine
