"""`flow-resources sweep` beside the real `pulumi`: what a crash left is found, and ended when told to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.engine import Project, Result, killed_after_acceptance

from flow_resources.testing import FakeMithril

BOTH = """
    from flow_resources import GpuCluster, Volume

    Volume("data", size_gb=100, region="us-central5-a")
    GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a", num_instances=4)
"""
A_JOB = """
    from flow_resources import Job

    Job("train", command="python train.py", instance_type="8xa100", max_price_per_hour=20.0, region="us-central5-a")
"""
KEY, PASSPHRASE = "canary-key-2c81", "canary-passphrase-b7f0"


def sweep(project: Project, *arguments: str, **env: str) -> Result:
    """Run the command in the project's folder."""
    done = subprocess.run(
        [sys.executable, "-m", "flow_resources.cli", "sweep", *arguments],
        cwd=project.folder, env=project.env | env, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert KEY not in done.stdout + done.stderr
    assert PASSPHRASE not in done.stdout + done.stderr
    return Result(done.returncode, done.stdout + done.stderr)


def make(root: Path, cloud: FakeMithril) -> Project:
    """Make a project whose key is a secret of its config, with an owner."""
    cloud.add_key(KEY, [cloud.project])
    project = Project.make(root, cloud, BOTH, PULUMI_CONFIG_PASSPHRASE=PASSPHRASE)
    del project.env["MITHRIL_API_KEY"]
    project.run("config", "set", "--secret", "flow:apiKey", KEY).ok()
    project.run("config", "set", "flow:owner", "ada").ok()
    return project


def test_what_a_dead_plugin_left_is_found_after_a_destroy_and_ended(tmp_path: Path, cloud: FakeMithril) -> None:
    """Listed, kept while it is young, ended, and then there is nothing."""
    project = make(tmp_path, cloud)
    with killed_after_acceptance(project, cloud, "plugin"):
        project.destroy().ok()
    (left,) = cloud.live_bids
    listed = sweep(project)
    assert listed.code == 1
    assert left["fid"] in listed.text
    assert (
        "In project demo with the mark of organization/proj/dev and in no state: 1 bid, at most $200.00/h."
        in listed.text
    )
    young = sweep(project, "--yes")
    assert (young.code, f"kept {left['fid']}: too young" in young.text) == (1, True)
    assert [one["fid"] for one in cloud.live_bids] == [left["fid"]]
    ended = sweep(project, "--yes", "--min-age", "0")
    assert (ended.code, ended.text.splitlines()[-1]) == (1, f"ended {left['fid']}")
    assert not cloud.live_bids
    assert sweep(project) == Result(
        0,
        "Nothing is left over: every live bid and volume of organization/proj/dev in project demo at "
        f"{cloud.url} is in a state.\n",
    )


def test_a_dead_engine_keeps_its_lock_and_sweep_waits_for_it(tmp_path: Path, cloud: FakeMithril) -> None:
    """Nothing is ended under a lock; a pending operation alone, after `pulumi cancel`, is no update under way."""
    project = make(tmp_path, cloud)
    with killed_after_acceptance(project, cloud, "engine"):
        locked = sweep(project, "--yes", "--min-age", "0")
    assert locked.code == 2
    assert locked.text.splitlines()[-1] == (
        "error: an update of organization/proj/dev is under way: "
        "wait for its end; where it has died, `pulumi cancel` takes its lock away"
    )
    (left,) = cloud.live_bids
    project.run("cancel", "--yes").ok()
    assert json.loads(project.export())["deployment"]["pending_operations"]
    before = project.export()
    ended = json.loads(sweep(project, "--yes", "--min-age", "0", "--json").text)
    assert [(one["id"], one["outcome"]) for one in ended["bids"]] == [(left["fid"], "ended")]
    assert not cloud.live_bids
    assert project.export() == before, "looking for the lock must change nothing"
    assert len(cloud.volumes) == 1
    project.destroy().ok()


def test_a_job_that_a_dead_plugin_left_ends_and_its_key_is_revoked(tmp_path: Path, cloud: FakeMithril) -> None:
    """A destroy does not know of them; what a recorded job has is kept."""
    project = make(tmp_path, cloud)
    project.write(A_JOB)
    project.run("config", "set", "flow:allowJobKeys", "true").ok()
    with killed_after_acceptance(project, cloud, "plugin"):
        project.destroy().ok()
    (left,) = cloud.live_bids
    found = json.loads(sweep(project, "--yes", "--min-age", "0", "--json").text)
    assert [(one["id"], one["outcome"]) for one in found["bids"]] == [(left["fid"], "ended")]
    assert [(one["bid"], one["outcome"]) for one in found["api_keys"]] == [(left["fid"], "revoked")]
    assert not cloud.live_bids
    project.up().ok()
    assert sweep(project, "--yes", "--min-age", "0").code == 0
    assert len(cloud.live_bids) == 1
    project.destroy().ok()
    assert sweep(project).code == 0


def test_a_renamed_stacks_cluster_is_not_its_successors_leftover(tmp_path: Path, cloud: FakeMithril) -> None:
    """Its name has the mark of the new stack of the old name; another stack's state records it."""
    project = make(tmp_path, cloud)
    project.run("config", "rm", "flow:owner").ok()
    project.up().ok()
    project.run("stack", "rename", "old").ok()
    project.run("stack", "init", "dev").ok()
    config = sweep(project, "--yes", "--min-age", "0", MITHRIL_API_KEY=KEY)
    assert config.code == 0, config.text
    everyone = sweep(project, "--all", MITHRIL_API_KEY=KEY)
    assert everyone.code == 1
    assert everyone.text.count("recorded by organization/proj/old") == 2
    assert len(cloud.live_bids) == len(cloud.volumes) == 1


def test_bad_inputs_are_one_line_each_and_cancel_nothing(tmp_path: Path, cloud: FakeMithril) -> None:
    """As the real `pulumi` words them."""
    project = make(tmp_path, cloud)
    (state,) = (tmp_path / "backend").rglob("stacks/proj/dev.json")
    whole, bid = state.read_text(), cloud.add_bid("trainer-3f9a1c5d08b67be02d4d-9c01d2-1")["fid"]
    url, key = cloud.url, "could not list the projects of the API key"

    def said(*arguments: str, **env: str) -> str:
        done = sweep(project, *arguments, "--yes", "--min-age", "0", **env)
        assert done.code == 2, done.text
        (line,) = done.text.splitlines()
        return line.removeprefix("error: ")

    nowhere = str(tmp_path / "user")
    assert said("--cwd", nowhere).startswith(f"there is no Pulumi project in {nowhere} or above: go into the folder")
    assert said("--stack", "nope").endswith("is named 'nope': there are organization/proj/dev")
    assert said("--min-age", "soon") == "argument --min-age: must be like 90s, 15m, 2h or 1d, got 'soon'"
    config = "could not read the configuration of organization/proj/dev"
    assert said(PULUMI_CONFIG_PASSPHRASE="wrong") == f"{config}: incorrect passphrase: nothing was touched"
    assert said(PATH=nowhere) == "there is no `pulumi` on PATH: https://www.pulumi.com/docs/install/ has it"
    state.write_text(whole[: len(whole) // 2])
    assert said().startswith("could not list the stacks of the project: ")
    state.write_text(whole)
    project.run("config", "set", "--secret", "flow:apiKey", "another-key").ok()
    assert said().startswith(f"{key}: {url} refused the API key: put a valid one in")
    project.run("config", "rm", "flow:apiKey").ok()
    assert said().startswith("there is no API key: `pulumi config set --secret flow:apiKey ...`")
    cloud.stop()
    assert said(MITHRIL_API_KEY=KEY).startswith(f"{key}: {url} gave no readable answer")
    cloud.start()
    project.run("stack", "unselect").ok()
    assert said().startswith("no stack is selected in ")
    assert [one["fid"] for one in cloud.live_bids] == [bid]
    assert not cloud.mutations
