"""A ResilientCluster and the data functions from YAML: the plugin constructs the fleet, and answers the functions."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engine import Project
from support.languages import edit, install_plugin

from flow_resources.testing import FakeMithril

SECRET = "canary-fleet-20c7"
PROGRAM = f"""\
name: proj
runtime: yaml
variables:
  market:
    fn::invoke:
      function: flow:getMarket
      arguments: {{instance_type: 8xa100, region: us-central5-a}}
resources:
  fleet:
    type: flow:ResilientCluster
    properties:
      size: 2
      min_running: 1
      instance_type: 8xa100
      bid_policy: {{kind: per_gpu, usd: 3.75}}
      region: us-central5-a
      env: {{TOKEN: {{"fn::secret": {SECRET}}}}}
      volume_per_member: {{size_gb: 10, mount_path: /data}}
    options:
      ignoreChanges: [ports]
      customTimeouts: {{create: 20m}}
outputs:
  price: ${{market.price}}
  tasks: ${{fleet.task_ids}}
  running: ${{fleet.running}}
"""


@pytest.fixture
def project(tmp_path: Path, cloud: FakeMithril) -> Project:
    made = Project.make(tmp_path, cloud, "")
    (made.folder / "__main__.py").unlink()
    (made.folder / "Pulumi.yaml").write_text(PROGRAM)
    install_plugin(made)
    return made


def test_a_fleet_in_yaml_grows_shrinks_and_ends(project: Project, cloud: FakeMithril) -> None:
    """With its members, their volumes, its policy and its options."""
    program = project.folder / "Pulumi.yaml"
    assert "to create" in project.preview().ok().text
    assert not cloud.mutations
    project.up().ok()
    outputs = project.outputs()
    assert (outputs["price"], outputs["running"]) == (12, 2)
    assert set(outputs["tasks"]) == {bid["fid"] for bid in cloud.live_bids}
    assert {bid["limit_price"] for bid in cloud.live_bids} == {"$30.00"}
    assert SECRET not in project.export()
    members = project.resources()
    assert members["fleet-0"]["type"] == "flow:index:GpuCluster"
    assert members["fleet-0"]["customTimeouts"]["create"] == 1200
    cloud.clear_requests()
    project.preview("--expect-no-changes").ok()
    project.refresh("--expect-no-changes").ok()
    assert not cloud.mutations

    kept = cloud.live_bids[:2]
    edit(program, "size: 2", "size: 3")
    project.up().ok()
    assert [bid for bid in cloud.live_bids if bid in kept] == kept
    assert len(cloud.live_bids) == len(cloud.volumes) == 3
    edit(program, "size: 3", "size: 1")
    told = project.preview().failed().text
    assert "allow_data_loss must be True where members go whose volumes go with them" in told
    edit(program, "      region:", "      allow_data_loss: true\n      region:")
    project.up().ok()
    assert len(cloud.live_bids) == len(cloud.volumes) == 1
    project.destroy().ok()
    assert not cloud.live_bids
    assert not cloud.volumes


def test_what_is_wrong_with_a_fleet_or_a_function_is_one_line(project: Project) -> None:
    """Without a traceback, with what to do."""
    program = project.folder / "Pulumi.yaml"
    for wrong, line in (
        ("size: 0", "ResilientCluster 'fleet': size must be a whole number from 1 to 1,000, got 0"),
        ("size: 2\n      skip: [1, 1]", "ResilientCluster 'fleet': skip has an index twice, got [1, 1]"),
    ):
        program.write_text(PROGRAM.replace("size: 2", wrong))
        assert line in project.preview().failed().text
    program.write_text(PROGRAM.replace("{instance_type: 8xa100,", "{instance_type: 9xa100,"))
    assert "getMarket: the instance type '9xa100' is not in the service's catalogue" in project.preview().failed().text
