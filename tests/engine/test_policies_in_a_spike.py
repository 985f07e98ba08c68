"""Clusters with a policy each, and one spike: what the preview says, what the `up` does, and that it is once."""

from __future__ import annotations

import re
from pathlib import Path

from support.engine import Project

from flow_resources.testing import FakeMithril
from flow_resources.testing.web.journal import Request

REGION = "us-central5-a"
PROGRAM = """
    import pulumi
    from flow_resources import GpuCluster

    def cluster(name, **policy):
        return GpuCluster(name, instance_type="8xa100", max_price_per_hour=16, region="us-central5-a", **policy)

    kept = cluster("kept")
    raised = cluster("raised", on_preemption="raise_bid", raise_up_to_per_hour=18.50)
    replaced = cluster("replaced", on_preemption="replace", wait_for="placed")
    first = cluster("first", on_preemption="replace", wait_for="placed",
                    opts=pulumi.ResourceOptions(delete_before_replace=False))
    failing = cluster("failing", on_preemption="fail")
    pulumi.export("waits", kept.preempted_for_minutes)
    pulumi.export("since", kept.last_preempted_at)
"""
NAMES = ["failing", "first", "kept", "raised", "replaced"]


def test_each_policy_does_what_it_says(tmp_path: Path, cloud: FakeMithril) -> None:
    """A spike takes all: the journal shows a PATCH for one, a new bid after the old one for two, and no more."""
    project = Project.make(tmp_path, cloud, PROGRAM)
    project.up().ok()
    ids = {name: project.id_of(name) for name in NAMES}
    cloud.set_price("8xa100", REGION, 18.20)
    cloud.clear_requests()

    preview = project.preview("--refresh").failed().text
    assert re.search(r"the bid goes from \$16.00 to \$18.50: preempted \d+ minutes? ago, market \$18.20", preview)
    assert "replaced because of on_preemption: what is on the machines' own disks is lost" in preview
    assert re.search(r"raised update \[diff: ~max_price_per_hour\]", preview)
    assert re.search(r"\+- \S+GpuCluster replaced replace", preview)
    assert re.search(r"on_preemption is 'fail', and the bid waits in the auction: preempted \d+ minutes? ago", preview)
    assert not re.search(r"GpuCluster kept (update|replace)", preview)
    assert not cloud.mutations
    (urn,) = set(re.findall(r"--exclude (urn:\S+)", preview))

    up = project.up("--refresh").failed().text
    assert "on_preemption is 'fail'" in up
    project.up("--refresh", "--exclude", urn).ok()
    effects = [request for request in cloud.mutations if request.effect]
    assert [one.path for one in effects if one.method == "PATCH"] == [f"/v2/spot/bids/{ids['raised']}"]
    for name in ("first", "replaced"):  # the old one is seen ended before the new one is placed, in both orders
        own = [one for one in cloud.requests if is_about(one, name, ids[name])]
        (end,) = [index for index, one in enumerate(own) if one.method == "DELETE"]
        (new,) = [index for index, one in enumerate(own) if one.method == "POST"]
        assert "GET" in [one.method for one in own[end:new]]
    assert len(effects) == 5
    now = {name: project.id_of(name) for name in NAMES}
    assert sorted(now.values()) == sorted(bid["fid"] for bid in cloud.live_bids)
    assert {name for name in NAMES if now[name] != ids[name]} == {"first", "replaced"}
    assert cloud.bid(ids["raised"])["limit_price"] == "$18.50"
    assert 0 <= project.outputs()["waits"] < 60

    cloud.clear_requests()
    assert "6 unchanged" in project.up("--refresh", "--exclude", urn).ok().text
    cloud.set_price("8xa100", REGION, 5.0)
    assert "6 unchanged" in project.up("--refresh").ok().text  # all run again, also the one that fails
    project.refresh("--expect-no-changes").ok()
    assert not cloud.mutations
    resources = project.resources()
    for name in NAMES:
        assert resources[name]["outputs"]["status"] == "running"
        assert resources[name]["inputs"].get("__preemption") == resources[name]["outputs"].get("__preemption")
    assert resources["raised"]["outputs"]["max_price_per_hour"] == 18.5
    assert project.outputs().get("waits") is None

    project.destroy().ok()
    assert not cloud.live_bids


def is_about(request: Request, name: str, bid_id: str) -> bool:
    """Whether a request places the bid of a cluster, or is about the old one."""
    if request.method == "POST" and request.path == "/v2/spot/bids":
        return str(request.body["name"]).startswith(f"{name}-")
    return request.path == f"/v2/spot/bids/{bid_id}"
