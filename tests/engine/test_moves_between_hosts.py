"""A stack moves between the dynamic host and the plugin: nothing is made, changed or ended, and every id stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engine import Project
from support.languages import install_plugin

from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.engine

SECRET = "canary-env-4471"
PROGRAM = f"""
from flow_resources import GpuCluster, Job, MemberVolume, ResilientCluster, SshKey, Volume, VolumeMount

REGION = "us-central5-a"
data = Volume("data", size_gb=100, region=REGION)
key = SshKey("me", public_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN+noB6se0KHOVaZ5tG10kVc0usqscTHdo83NboI+mF6")
machines = dict(instance_type="8xa100", max_price_per_hour=20, region=REGION, ssh_keys=[key])
GpuCluster(
    "trainer", command="python train.py", env={{"TOKEN": "{SECRET}"}}, volumes=[VolumeMount(data, "/data")], **machines
)
Job("job", command="python once.py", **machines)
ResilientCluster("fleet", size=2, volume_per_member=MemberVolume(10, "/mnt/own"), **machines)
"""
KINDS = {"FleetStatus", "GpuCluster", "Job", "SshKey", "Volume"}


def ids(project: Project) -> dict[str, str]:
    """Return the ids of what the stack has made, by name."""
    return {
        name: one["id"]
        for name, one in project.resources().items()
        if one.get("custom") and not one["type"].startswith("pulumi:")
    }


def types(project: Project) -> set[str]:
    """Return the types of these resources."""
    return {one["type"] for one in project.resources().values() if one["type"].endswith(tuple(KINDS))}


def test_a_stack_moves_to_the_plugin_and_back(tmp_path: Path, cloud: FakeMithril) -> None:
    """With a fleet and its volumes; no request changes anything, and the secret is in the state at no time."""
    project = Project.make(tmp_path, cloud, PROGRAM)
    install_plugin(project)
    project.run("config", "set", "flow:allowJobKeys", "true").ok()
    project.up().ok()
    before, bids = ids(project), cloud.live_bids
    assert len(before) == 9
    cloud.clear_requests()

    project.run("config", "set", "flow:host", "plugin").ok()
    project.preview("--expect-no-changes").ok()
    project.up().ok()
    assert types(project) == {f"flow:index:{kind}" for kind in KINDS}
    project.refresh("--expect-no-changes").ok()
    project.preview("--expect-no-changes").ok()
    assert (ids(project), cloud.live_bids) == (before, bids)
    assert SECRET not in project.export()

    project.run("config", "rm", "flow:host").ok()
    preview = project.preview().ok().text
    assert "9 to update" in preview  # what the dynamic host finds its verbs by comes into the state
    assert "create" not in preview
    assert "replace" not in preview
    assert "[diff: ~provider]" in project.up().ok().text
    assert types(project) == {f"pulumi-python:dynamic/flow:{kind}" for kind in KINDS}
    project.refresh("--expect-no-changes").ok()
    project.preview("--expect-no-changes").ok()
    assert (ids(project), cloud.live_bids) == (before, bids)
    assert SECRET not in project.export()
    assert not cloud.mutations

    project.run("config", "set", "flow:host", "plugin").ok()
    project.up().ok()
    assert not cloud.mutations
    project.destroy().ok()
    assert not cloud.live_bids
    assert not cloud.volumes


def test_two_resources_of_one_name_in_two_hosts_are_refused_by_pulumi(tmp_path: Path, cloud: FakeMithril) -> None:
    """Each is known under the type that it has in the other host, too."""
    one = (
        "import pulumi\n"
        "from flow_resources import GpuCluster, Provider\n\n"
        'machines = dict(instance_type="8xa100", max_price_per_hour=20, region="us-central5-a")\n'
        'GpuCluster("trainer", **machines)\n'
    )
    project = Project.make(tmp_path, cloud, one)
    install_plugin(project)
    project.up().ok()
    cloud.clear_requests()
    project.write(one + 'GpuCluster("trainer", **machines, opts=pulumi.ResourceOptions(provider=Provider("own")))\n')
    told = project.preview()  # a traceback of Pulumi's
    assert told.code != 0
    assert "error: Duplicate resource " in told.text  # "alias" or "URN", by which one comes first
    assert not cloud.mutations
