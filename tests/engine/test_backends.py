"""Self-managed backends that teams use: S3 and Postgres. A crash, the lock that it leaves, two stacks, sweep.

Both call the organization "organization", so that the owner is shared unless `flow:owner` says whose it is. A backend
that this machine does not have is skipped: `pip install -e '.[backends]'`, and `apt-get install postgresql` as root.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from docs.pages import ROOT, blocks
from support.backends import S3, BackendServer, Postgres
from support.engine import Project, Result, killed_after_acceptance

from flow_resources.testing import FakeMithril

SHARE_STATE = ROOT / "docs" / "how-to" / "share-state.md"
ONE = """
    from flow_resources import GpuCluster

    GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a")
"""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(S3, id="s3", marks=pytest.mark.xdist_group("s3")),
        pytest.param(Postgres, id="postgres", marks=pytest.mark.xdist_group("postgres")),
    ],
)
def server(request: pytest.FixtureRequest) -> Iterator[BackendServer]:
    """A server of each kind that this machine has."""
    kind: type[BackendServer] = request.param
    if reason := kind.missing():
        pytest.skip(reason)
    running = kind()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def project(tmp_path: Path, cloud: FakeMithril, server: BackendServer) -> Project:
    """A project on a backend of its own, with an owner."""
    made = Project.make(tmp_path, cloud, ONE, **server.new())
    made.run("config", "set", "flow:owner", "ada").ok()
    return made


def recorded(project: Project) -> dict[str, Any]:
    """Return the ids in the state by name; the AWS SDK warns behind what `pulumi` prints."""
    state, _ = json.JSONDecoder().raw_decode(project.export())
    rows = state["deployment"].get("resources", [])
    return {row["urn"].rpartition("::")[2]: row["id"] for row in rows if row.get("id", "").startswith("bid_")}


def sweep(project: Project, *arguments: str) -> Result:
    """Run the command in the project's folder; return what it prints on standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "flow_resources.cli", "sweep", "--stack", project.stack, *arguments],
        cwd=project.folder, env=project.env, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return Result(done.returncode, done.stdout + done.stderr)


def test_a_crash_after_acceptance_is_recovered(project: Project, cloud: FakeMithril) -> None:
    """The lock of the killed engine stops the next `up`; after `pulumi cancel` it takes the bid over."""
    with killed_after_acceptance(project, cloud, "engine"):
        (left,) = cloud.live_bids
    locked = project.up().failed()
    assert "currently locked" in locked.text
    assert sweep(project, "--yes", "--min-age", "0").code == 2
    assert [bid["fid"] for bid in cloud.live_bids] == [left["fid"]]
    project.run("cancel", "--yes").ok()
    project.up().ok()
    assert [bid["fid"] for bid in cloud.bids] == [left["fid"]] == [*recorded(project).values()]
    project.refresh("--expect-no-changes").ok()
    project.destroy().ok()
    assert not cloud.live_bids


@pytest.mark.faults
def test_two_stacks_do_not_touch_each_other(project: Project, cloud: FakeMithril) -> None:
    """Of one program on one backend: what one destroys and sweeps is its own."""
    other = replace(project, stack="prod")
    other.run("stack", "init", "prod").ok()
    other.run("config", "set", "flow:owner", "grace", "--stack", "prod").ok()
    for one in (project, other):
        one.up("--stack", one.stack).ok()
    assert len(cloud.live_bids) == 2
    project.destroy("--stack", "dev").ok()
    (kept,) = cloud.live_bids
    assert "Nothing is left over" in sweep(project).text
    other.refresh("--stack", "prod", "--expect-no-changes").ok()
    assert [*recorded(other).values()] == [kept["fid"]]
    other.destroy("--stack", "prod").ok()
    assert not cloud.live_bids


@pytest.mark.faults
def test_what_a_dead_plugin_left_is_found_by_sweep_and_ended(project: Project, cloud: FakeMithril) -> None:
    """Where somebody destroys the stack instead of recovering it; a stack that records its bid keeps it."""
    other = replace(project, stack="prod")
    with killed_after_acceptance(project, cloud, "plugin"):
        project.destroy().ok()
    (left,) = cloud.live_bids
    other.run("stack", "init", "prod").ok()
    other.up("--stack", "prod").ok()
    listed = sweep(project)
    assert (listed.code, left["fid"] in listed.text) == (1, True)
    ended = sweep(project, "--yes", "--min-age", "0")
    assert f"ended {left['fid']}" in ended.text
    assert [bid["fid"] for bid in cloud.live_bids] == [*recorded(other).values()]


def test_a_stack_moves_there_from_a_folder(project: Project, cloud: FakeMithril, tmp_path: Path) -> None:
    """As docs/how-to/share-state.md types it: nothing is rented or ended, and its secrets are encrypted there again."""
    (moved,) = blocks(SHARE_STATE, "sh")[1:2]
    assert "--show-secrets" in moved
    with_secret = ONE.replace("price_per_hour=50.0", 'price_per_hour=50.0, env={"TOKEN": "canary-93aa"}')
    folder = {"PULUMI_BACKEND_URL": (tmp_path / "states").as_uri()}
    (tmp_path / "states").mkdir()
    laptop = replace(project, env=project.env | folder, stack="prod")
    project.write(with_secret)
    laptop.run("stack", "init", "prod").ok()
    laptop.run("config", "set", "flow:owner", "ada").ok()
    laptop.up().ok()
    (bid,) = cloud.live_bids
    cloud.clear_requests()

    there = replace(project, stack="prod")
    for line in moved.splitlines():
        words = line.partition("#")[0].split()
        if words[0] == "pulumi":
            (there if words[1:3] in (["stack", "init"], ["stack", "import"]) else laptop).run(*words[1:]).ok()
    assert "canary-93aa" in (project.folder / "prod.json").read_text()
    assert "canary-93aa" not in there.export()
    assert [*recorded(there).values()] == [bid["fid"]]
    assert "2 unchanged" in there.up().ok().text
    there.refresh("--expect-no-changes").ok()
    (forget,) = re.findall(r"`pulumi (stack rm [^`]+)`", SHARE_STATE.read_text())
    laptop.run(*forget.split(), "--yes").ok()
    assert not cloud.mutations
    there.destroy().ok()
    assert not cloud.live_bids
