"""A stack that nobody touched: `refresh` and `up` find nothing to change, however often."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.engine import Project

from flow_resources.testing import FakeMithril

MUCH = """
    from flow_resources import GpuCluster, Volume, VolumeMount

    data = Volume("data", size_gb=100, region="us-central5-a")
    Volume("models", size_gb=50, region="us-central5-a", volume_name="models", interface="block")
    GpuCluster("trainer", instance_type="8xa100", num_instances=2, max_price_per_hour=50, region="us-central5-a",
               command=["python", "-m", "train"], env={"TOKEN": "t", "DEPTH": "3"}, ports=[8080, 9000],
               volumes=[VolumeMount(data, "/data")])
    GpuCluster("outbid", instance_type="8xh100", max_price_per_hour=0.5, wait_for="placed")
    GpuCluster("paused", instance_type="8xa100", max_price_per_hour=12.34, paused=True)
"""


@pytest.mark.both_hosts(plugin="languages")
@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.faults)])
def test_an_unchanged_stack_shows_no_change(tmp_path: Path, cloud: FakeMithril, rounds: int) -> None:
    """Clusters that run, wait in the auction and are paused; volumes of both interfaces. Only questions are sent."""
    project = Project.make(tmp_path, cloud, MUCH)
    project.up().ok()
    project.refresh().ok()  # a volume learns which cluster came to hold it
    state = known(project)
    cloud.clear_requests()
    for _ in range(rounds):
        for operation in (project.refresh, project.up):
            assert "6 unchanged" in operation("--expect-no-changes").ok().text
    assert not cloud.mutations
    assert known(project) == state


def known(project: Project) -> dict[str, Any]:
    """Return inputs and outputs by URN, the secrets in clear: encrypted, they look different each time."""
    exported = json.loads(project.run("stack", "export", "--show-secrets").ok().text)["deployment"]["resources"]
    return {one["urn"]: (one.get("inputs"), one.get("outputs")) for one in exported}
