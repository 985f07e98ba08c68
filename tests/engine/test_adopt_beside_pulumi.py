"""`flow-resources adopt` beside the real `pulumi`: what it prints is pasted into an empty project, and all goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.engine import Project
from support.program import rent

from flow_resources.testing import FakeMithril

KEY, SECRET = "canary-key-2c81", "canary-env-71ab"


def adopt(project: Project, *arguments: str) -> tuple[str, str]:
    """Run the command in the project's folder; return the program, and what is said beside it."""
    done = subprocess.run(
        [sys.executable, "-m", "flow_resources.cli", "adopt", *arguments],
        cwd=project.folder, env=project.env, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not [one for one in (KEY, SECRET) if one in done.stdout + done.stderr]
    return done.stdout, done.stderr


@pytest.fixture
def fleet(cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch) -> FakeMithril:
    """What people left running: with volumes, paused, preempted, and one whose script is somebody's own."""
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    data, models = cloud.add_volume("data"), cloud.add_volume("models")
    mounts = [
        {"volume_id": one["fid"], "mount_path": path, "interface": "file"}
        for one, path in ((data, "/data"), (models, "/mnt/models"))
    ]
    rent(name="train", num_instances=2, max_price_per_hour=20.0, env={"TOKEN": SECRET}, volumes=mounts)
    cloud.update_bid(cloud.add_bid("paused")["fid"], paused=True)
    cloud.preempt(cloud.add_bid("preempted")["fid"])
    cloud.add_bid("by-hand", volumes=[data["fid"]])
    cloud.clear_requests()
    return cloud


def test_the_printed_program_is_pasted_and_adopts_without_a_change(tmp_path: Path, fleet: FakeMithril) -> None:
    """Preview, up, up, refresh, up: nothing is placed or restarted; then `destroy` ends everything."""
    fleet.add_key(KEY, [fleet.project])
    project = Project.make(tmp_path, fleet, "")
    for name in fleet.environment:
        project.env.pop(name)
    for name, value in (("apiUrl", fleet.url), ("project", fleet.project)):
        project.run("config", "set", f"flow:{name}", value).ok()
    project.run("config", "set", "--secret", "flow:apiKey", KEY).ok()
    bids, volumes = fleet.live_bids, fleet.volumes
    machines = sorted(one["fid"] for one in fleet.instances)

    program, said = adopt(project)
    assert "where vol_000001 is mounted cannot be read back" in said
    project.write(program)
    refused = project.preview().failed()
    assert "volumes[0].mount_path must be an absolute path" in refused.text
    project.edit('"FILL IN"', '"/data"')

    assert "+ 7 to create" in project.preview().ok().text
    created = project.up().ok()
    assert "+ 7 created" in created.text
    for step in (project.up(), project.refresh(), project.up()):
        assert "7 unchanged" in step.ok().text
    assert not fleet.mutations, "nothing was placed, paused, resumed, priced or cancelled"
    assert fleet.live_bids == bids
    assert sorted(one["fid"] for one in fleet.instances) == machines
    assert {one.get("id") for one in project.resources().values()} >= {one["fid"] for one in [*bids, *volumes]}

    project.edit('"paused",', '"nap",')
    alias = 'opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(name="paused")]),'
    project.edit("paused=True,", f"paused=True,\n    {alias}")
    project.edit("from flow_resources", "import pulumi\nfrom flow_resources")
    assert "7 unchanged" in project.up().ok().text
    assert "nap" in project.resources()
    project.edit('"data",', '"corpus",')
    project.edit('"preempted",', '"patient",')
    assert "2 deleted" in project.up().ok().text
    assert not fleet.mutations, "the new names adopted what the old ones had, and ended nothing"
    assert fleet.live_bids == bids
    assert "7 unchanged" in project.up().ok().text

    again, said = adopt(project)
    assert again == ""
    assert said.count(": recorded by organization/proj/dev") == 6
    project.destroy().ok()
    assert not fleet.live_bids
    assert not fleet.volumes
