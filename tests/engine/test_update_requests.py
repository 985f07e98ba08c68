"""Updates under the real engine: requests of the diff alone, and nothing of what the program ignores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.engine import Project

from flow_resources.testing import FakeMithril

PROGRAM = """
    import pulumi
    from flow_resources import GpuCluster, Volume

    GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a", num_instances=4,
               opts=pulumi.ResourceOptions(ignore_changes=["paused"],
                                           custom_timeouts=pulumi.CustomTimeouts(create="3s", update="20s")))
    Volume("data", size_gb=100, region="us-central5-a", volume_name="corpus", allow_replace=False)
"""


def bodies(cloud: FakeMithril) -> list[Any]:
    """Return what was sent since the last look."""
    sent = [request.body for request in cloud.mutations]
    cloud.clear_requests()
    return sent


def test_an_update_sends_what_its_diff_shows(tmp_path: Path, cloud: FakeMithril) -> None:
    """Four machines are paused in the console while they boot, and stay paused whatever the program changes."""
    cloud.set_price("8xa100", "us-central5-a", 61.0)
    project = Project.make(tmp_path, cloud, PROGRAM)
    assert "0/4 machines running" in project.up().failed().text
    (bid,) = cloud.live_bids
    cloud.update_bid(bid["fid"], paused=True)
    bodies(cloud)
    project.up().ok()  # goes on with the create, but for the pause
    assert bodies(cloud) == []
    assert "3 unchanged" in project.up("--expect-no-changes").ok().text
    cloud.update_volume(project.id_of("data"), name="theirs")
    project.edit("max_price_per_hour=50.0", "max_price_per_hour=62.0")
    project.edit("allow_replace=False", "allow_replace=True")
    project.up().ok()
    assert bodies(cloud) == [{"limit_price": "$62.00"}]
    outputs = project.resources()["data"]["outputs"]
    assert (outputs["volume_name"], outputs["__inputs"]) == ("theirs", {"volume_name": "corpus"})
    assert (cloud.bid(bid["fid"])["status"], project.resources()["trainer"]["outputs"]["paused"]) == ("Paused", True)
    assert "3 unchanged" in project.up("--expect-no-changes").ok().text
    project.refresh().ok()
    assert "volume_name" in project.preview("--diff").ok().text  # the drift shows now, and is sent
    project.up().ok()
    assert bodies(cloud) == [{"name": "corpus"}]
    assert "__inputs" not in project.resources()["data"]["outputs"]
