"""The provider plugin under the real engine, beyond what both hosts share: its process, its previews, its versions."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from support.engine import environment, make_plugin
from support.languages import YamlProject

from flow_resources.plugin.settings import WRITTEN_BY, own_version
from flow_resources.testing import FakeMithril

NEEDS_YAML = pytest.mark.skipif(
    not shutil.which("pulumi-language-yaml"), reason="this `pulumi` has no language host for YAML"
)
PROGRAM = """
    resources:
      data:
        type: flow:index:Volume
        properties: {size_gb: 100, region: us-central5-a, allow_replace: true}
      trainer:
        type: flow:index:GpuCluster
        properties:
          instance_type: 8xa100
          max_price_per_hour: 50
          region: us-central5-a
          env: {TOKEN: canary-of-a-token}
          volumes: [{volume_id: "${data.volume_id}", mount_path: /data}]
    outputs:
      bid: ${trainer.task_id}
"""


@NEEDS_YAML
def test_a_preview_shows_old_and_new_and_what_it_knows_and_changes_nothing(tmp_path: Path, cloud: FakeMithril) -> None:
    """A replacement makes the new volume before the old one goes, and ends the machines before it rents others."""
    project = YamlProject.make(tmp_path, cloud, PROGRAM)
    text = project.preview("--diff").ok().text
    assert "bid: [unknown]" in text
    assert not cloud.mutations
    project.up().ok()
    first = project.outputs()["bid"]

    project.edit("max_price_per_hour: 50", "max_price_per_hour: 45.5")
    cloud.clear_requests()
    text = project.preview("--diff").ok().text
    assert "~ max_price_per_hour: 50 => 45.5" in text
    assert "outputs" not in text, "the id of what stays is known, so the stack's output is as it was"
    assert not cloud.mutations

    project.edit("size_gb: 100", "size_gb: 200")
    project.edit("TOKEN: canary-of-a-token", "TOKEN: canary-of-another")
    text = project.preview("--diff").ok().text
    assert "~ size_gb: 100 => 200" in " ".join(text.split())
    assert "canary" not in text
    assert not cloud.mutations
    project.up().ok()
    order = [(one.method, one.path.split("/")[-2 if one.method == "DELETE" else -1]) for one in cloud.mutations]
    assert [one for one in order if one[1] in ("bids", "volumes")] == [
        ("POST", "volumes"),
        ("DELETE", "bids"),
        ("POST", "bids"),
        ("DELETE", "volumes"),
    ]
    assert project.outputs()["bid"] != first


@NEEDS_YAML
def test_the_state_of_a_newer_plugin_is_refused_by_every_command(tmp_path: Path, cloud: FakeMithril) -> None:
    """In one line, with what to install; nothing is sent."""
    project = YamlProject.make(tmp_path, cloud, PROGRAM)
    project.up().ok()
    state = json.loads(project.export())
    (provider,) = [row for row in state["deployment"]["resources"] if row["type"] == "pulumi:providers:flow"]
    assert provider["inputs"][WRITTEN_BY] == own_version()
    for kept in (provider["inputs"], provider["outputs"]):
        kept[WRITTEN_BY] = "99.1.0"
    (tmp_path / "state.json").write_text(json.dumps(state))
    project.run("stack", "import", "--file", str(tmp_path / "state.json")).ok()
    cloud.clear_requests()
    for command in (project.preview, project.up, project.refresh, project.destroy):
        text = command().failed().text
        assert f"the state was written by flow-resources 99.1.0, and this is {own_version()}" in text
        assert "install flow-resources 99.1.0 or newer; nothing was touched" in text
    assert not cloud.mutations


def plugins_of(folder: Path) -> list[str]:
    """Return the plugin processes that run with a folder in their environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            arguments, variables = (place / "cmdline").read_bytes(), (place / "environ").read_bytes()
        except OSError:  # it has ended
            continue
        if b"flow_resources.plugin" in arguments and str(folder).encode() in variables:
            found.append(place.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="this system has no /proc")
def test_a_plugin_that_is_started_for_its_schema_ends_with_the_command(tmp_path: Path, cloud: FakeMithril) -> None:
    """Pulumi does not end it."""
    command = ["pulumi", "package", "get-schema", str(make_plugin(tmp_path / "plugin") / "pulumi-resource-flow")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(tmp_path, cloud), capture_output=True, text=True, timeout=600, check=True
    )
    assert "flow:index:GpuCluster" in json.loads(done.stdout)["resources"]
    deadline = time.monotonic() + 60
    while plugins_of(tmp_path):
        assert time.monotonic() < deadline, "the plugin is still there"
        time.sleep(0.05)
