"""examples/03-infrastructure-and-workload through the real engine: who stays when prices rise."""

from __future__ import annotations

from pathlib import Path

from docs.pages import EXAMPLES
from support.engine import Project

from flow_resources.testing import FakeMithril


def test_when_prices_rise_the_low_bid_is_preempted_and_the_high_one_stays(tmp_path: Path, cloud: FakeMithril) -> None:
    """All prices four times as high: the workload waits and comes back by itself, and neither is drift.

    The first `up` ends, too, where the market is over the workload's bid: it says `wait_for="placed"`.
    """
    cloud.set_price("8xa100", cloud.region, 48.0)
    project = Project.of_example(tmp_path, cloud, EXAMPLES / "03-infrastructure-and-workload")
    assert "3 to create" in project.preview().ok().text
    assert not cloud.mutations
    project.up().ok()
    gateway, sweep = project.id_of("gateway"), project.id_of("sweep")
    assert sorted(one["status"] for one in cloud.live_bids) == ["Allocated", "Open"]
    cloud.set_price("8xa100", cloud.region, 12.0)
    assert [one["status"] for one in cloud.live_bids] == ["Allocated", "Allocated"]
    cloud.clear_requests()
    assert "3 unchanged" in project.up().ok().text
    machine = cloud.bid(gateway)["instances"]

    for kind in ("1xa100", "8xa100"):
        cloud.set_price(kind, cloud.region, 4 * cloud.price(kind, cloud.region))
    assert [cloud.bid(one)["status"] for one in (gateway, sweep)] == ["Allocated", "Open"]
    printed = project.refresh().ok().text
    assert "now preempted, waiting in the auction" in printed
    assert "3 unchanged" in printed
    printed = project.up().ok().text
    assert "warning: the bid $13.00/h is under the market $48.00/h" in printed
    assert project.outputs()["status"] == {"gateway": "running", "sweep": "preempted"}

    for kind in ("1xa100", "8xa100"):
        cloud.set_price(kind, cloud.region, cloud.price(kind, cloud.region) / 4)
    assert cloud.bid(gateway)["instances"] == machine
    assert cloud.bid(sweep)["status"] == "Allocated"
    assert "now 2/2 machines running" in project.refresh().ok().text
    assert not cloud.mutations
    project.destroy().ok()
    assert not cloud.live_bids
