"""examples/11-bids through the real engine: numbers that are found once, and a market that moves."""

from __future__ import annotations

from pathlib import Path

from docs.pages import EXAMPLES
from support.engine import Project

from flow_resources.testing import FakeMithril

BIDS = {"gateway": 50, "sweep": 13.2, "night": 1.5}


def test_policies_are_resolved_once_and_a_moving_market_changes_nothing(tmp_path: Path, cloud: FakeMithril) -> None:
    """A silent market stops the `up` of a changed policy, with the remedy, and ends nothing."""
    project = Project.of_example(tmp_path, cloud, EXAMPLES / "11-bids")
    printed = project.preview().ok().text
    assert "bid $13.20/h (workload 0.1): 10 % above the market $12.00/h; settled by `up`, at most $20.00/h" in printed
    assert "bid $1.50/h (uptime 0.97): would have held 100 % of the last 7 days" in printed
    project.up().ok()
    assert project.outputs()["bids"] == BIDS

    cloud.set_price("8xa100", cloud.region, 14.0)
    cloud.clear_requests()
    assert "4 unchanged" in project.up("--refresh").ok().text
    assert not [one for one in cloud.requests if "/v2/pricing/" in one.path]

    cloud.faults.add(path="/v2/pricing/", status=500, times=None)
    project.edit("cap=60", "cap=70")
    project.edit('"python3 -m', '"exec python3 -m')
    before = {one["fid"] for one in cloud.live_bids}
    printed = project.up().failed().text
    assert "the prices of the market are not known" in printed
    assert "bid_policy is not resolved: an `up` stops here as long as that is so, and ends nothing" in printed
    project.edit('"exec python3 -m', '"python3 -m')
    assert (
        "bid_policy could not be resolved while the prices of the market were not known" in project.up().failed().text
    )
    assert {one["fid"] for one in cloud.live_bids} == before

    cloud.faults.clear()
    project.edit("margin=0.1", "margin=0.3")
    project.up().ok()
    assert project.outputs()["bids"] == {**BIDS, "sweep": 18.2}
    project.destroy().ok()
    assert not cloud.live_bids
