"""A service that moves to another address, with the real engine: `change-api-url` lets the state follow it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.engine import Project, Result

from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.engine
PROGRAM = """
from flow_resources import GpuCluster, Volume, VolumeMount

data = Volume("data", size_gb=100, region="us-central5-a")
GpuCluster(
    "trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a",
    env={"TOKEN": "canary-51d0"}, volumes=[VolumeMount(data, "/data")],
)
"""


def change_api_url(project: Project, *arguments: str) -> Result:
    """Run the command in the project's folder."""
    done = subprocess.run(
        [sys.executable, "-m", "flow_resources.cli", "change-api-url", *arguments],
        cwd=project.folder, env=project.env, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    return Result(done.returncode, done.stdout + done.stderr)


def unsealed(export: str) -> str:
    """Leave the sealed secrets out, which Pulumi seals anew each time."""
    return re.sub(r'"ciphertext": "[^"]*"', "", export)


def test_a_state_follows_the_service_to_another_address(tmp_path: Path, cloud: FakeMithril) -> None:
    """The same service under another name of this machine: refused, looked up, written, and nothing is to change."""
    project = Project.make(tmp_path, cloud, PROGRAM)
    project.up().ok()
    ids = {name: project.id_of(name) for name in ("data", "trainer")}
    moved = cloud.url.replace("127.0.0.1", "localhost")
    project.env["MITHRIL_API_URL"] = moved
    refused = project.preview().failed().text
    assert f"the state records {cloud.url}, but the settings point at {moved}" in refused
    assert "use `flow-resources change-api-url URL`" in refused

    before = project.export()
    looked = change_api_url(project, moved).ok().text
    assert f"`flow-resources change-api-url {moved} --yes` writes this" in looked
    assert project.export() == before
    cloud.clear_requests()
    assert f"records {moved} now" in change_api_url(project, moved, "--yes").ok().text
    assert not cloud.mutations
    after = project.export()
    assert unsealed(after.replace(moved, cloud.url)) == unsealed(before)
    assert "canary" not in after
    assert "canary-51d0" in project.run("stack", "export", "--show-secrets").ok().text

    cloud.clear_requests()
    assert "3 unchanged" in project.preview().ok().text
    project.refresh("--expect-no-changes").ok()
    project.up("--expect-no-changes").ok()
    assert not cloud.mutations
    assert {name: project.id_of(name) for name in ids} == ids
    cloud.terminate(ids["trainer"])
    cloud.delete_volume(ids["data"])
    gone = change_api_url(project, cloud.url, "--yes", "--json")
    assert gone.code == 2
    problems = {one["id"]: one["problem"] for one in json.loads(gone.text.partition("error: ")[0])["resources"]}
    assert problems == {ids["trainer"]: None, ids["data"]: "not there"}
    assert {project.resources()[name]["outputs"]["__service"] for name in ids} == {moved}
