"""examples/10-resilient through the real engine: a spike, the raise, a loss for good, the end."""

from __future__ import annotations

from pathlib import Path

from docs.pages import EXAMPLES
from support.engine import Project

from flow_resources.testing import FakeMithril


def test_the_fleet_survives_a_spike_up_to_its_limit(tmp_path: Path, cloud: FakeMithril) -> None:
    """Five bids throughout; each is raised once for a spike, to the cent, and never above its limit."""
    project = Project.of_example(tmp_path, cloud, EXAMPLES / "10-resilient")
    project.up().ok()
    members = {bid["fid"] for bid in cloud.live_bids}
    assert len(members) == 5
    assert project.outputs()["running"] == 5

    for market, bid in ((18.20, "$19.11"), (25.00, "$20.00")):
        cloud.set_price("8xa100", "us-central5-a", market)
        cloud.clear_requests()
        project.up("--refresh").ok()
        assert {one["limit_price"] for one in cloud.live_bids} == {bid}
        assert [one.method for one in cloud.mutations] == ["PATCH"] * 5
    cloud.clear_requests()
    project.up("--refresh").ok()
    assert not cloud.mutations

    cloud.set_price("8xa100", "us-central5-a", 12.00)
    (lost, *_) = sorted(members)
    cloud.terminate(lost)
    cloud.clear_requests()
    project.up("--refresh").ok()
    assert [one.method for one in cloud.mutations] == ["POST"]
    assert {bid["fid"] for bid in cloud.live_bids} > members - {lost}
    assert len(cloud.live_bids) == 5
    assert project.outputs()["running"] == 5
    project.destroy().ok()
    assert (cloud.live_bids, cloud.volumes) == ([], [])
