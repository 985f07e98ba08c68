"""`pulumi destroy --target`: what is said of what goes along, with the real engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engine import Project

from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.engine
PROGRAM = """
from flow_resources import GpuCluster, Volume, VolumeMount

data = Volume("data", size_gb=100, region="us-central5-a")
GpuCluster(
    "trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a",
    volumes=[VolumeMount(data, "/data")],
)
"""


def test_what_is_destroyed_with_its_volume_is_not_called_replaced(tmp_path: Path, cloud: FakeMithril) -> None:
    """The engine compares a dependent with an unknown volume, as if it was to be replaced, and then deletes it."""
    project = Project.make(tmp_path, cloud, PROGRAM)
    project.up().ok()
    target = ("--target", project.resources()["data"]["urn"], "--target-dependents")
    said = "warning: ends with what it depends on (volumes): what is on the machines' own disks is lost"
    for text in (project.run("destroy", "--preview-only", *target).ok().text, project.destroy(*target).ok().text):
        assert said in text
        assert "replaced" not in text
    assert not cloud.live_bids
    assert not cloud.volumes
