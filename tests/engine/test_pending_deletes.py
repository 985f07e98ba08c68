"""What the engine still has to delete, hidden in its state, and a program that wants the same thing again."""

from __future__ import annotations

from pathlib import Path

from support.engine import Project
from support.pending import leave_pending_deletion

from flow_resources.testing import FakeMithril

PROGRAM = """
    import pulumi
    from flow_resources import GpuCluster

    opts = pulumi.ResourceOptions(delete_before_replace=False)
    place = {"instance_type": "8xa100", "region": "us-central5-a"}
    GpuCluster("trainer", max_price_per_hour=50.0, command="one", opts=opts, **place)
"""


def test_a_bid_that_waits_for_its_deletion_is_kept_when_it_is_taken_over(tmp_path: Path, cloud: FakeMithril) -> None:
    """Replaced, but not yet ended; its replacement ends elsewhere; the program goes back to what it was."""
    project = Project.make(tmp_path, cloud, PROGRAM, FLOW_RESOURCES_RETRY_SECONDS="1")
    first = leave_pending_deletion(project, cloud)
    cloud.clear_requests()
    printed = project.up("--refresh").ok().text
    assert f"{first} is kept: it has been taken over" in printed
    assert not cloud.mutations
    assert [one["fid"] for one in cloud.live_bids] == [first] == [project.id_of("trainer")]
    assert "2 unchanged" in project.up().ok().text
    project.destroy().ok()
    assert not cloud.live_bids
