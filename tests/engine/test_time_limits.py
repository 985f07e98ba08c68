"""Time limits under the real engine: what is not ready in time is recorded, and the next `up` goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engine import Project

from flow_resources.testing import FakeMithril


@pytest.mark.both_hosts(plugin="languages")
def test_a_time_limit_records_the_id_and_the_next_up_goes_on(tmp_path: Path, cloud: FakeMithril) -> None:
    """`custom_timeouts` is honoured; the error says what was seen last; no second bid is placed."""
    program = """
        import pulumi
        from flow_resources import GpuCluster

        GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a", num_instances=4,
                   env={"TOKEN": "canary-7b21"},
                   opts=pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="3s", update="20s")))
    """
    cloud.set_price("8xa100", "us-central5-a", 61.0)
    project = Project.make(tmp_path, cloud, program)
    text = project.up().failed().text
    assert (
        "0/4 machines running, bid $50.00, market $61.00: raise the bid or wait; run `pulumi up` again to go on" in text
    )
    assert "the bid $50.00/h is under the market $61.00/h" in text
    assert [one["fid"] for one in cloud.live_bids] == [project.id_of("trainer")]
    assert "canary-7b21" not in project.export()
    cloud.set_price("8xa100", "us-central5-a", 12.0)
    project.up().ok()
    assert len(cloud.bids) == 1
    assert project.resources()["trainer"]["outputs"]["status"] == "running"
    assert "canary-7b21" not in project.export()
