"""Placements under the real engine: chosen, kept while the market moves, replaced with the list, left after a wait."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from support.engine import Project

from flow_resources.testing import FakeMithril

PROGRAM = """
    from flow_resources import GpuCluster, Placement, ResilientCluster

    trainer = GpuCluster("trainer", placements=[
        Placement("8xh100", "us-central5-a", max_price_per_hour=40),
        Placement("8xa100", "us-central1-b"),
        Placement("8xa100", "us-east1-a"),
    ], max_price_per_hour=24, num_instances=2)

    fleet = ResilientCluster("fleet", size=2, min_running=0, max_wait_minutes=30, placements=[
        {"instance_type": "4xa100", "region": region, "max_price_per_hour": 10}
        for region in ("us-central5-a", "us-central1-b")
    ])
"""
PLACED = (
    "placed as 8xa100 in us-central1-b at $24.00/h: 8xh100 in us-central5-a asks $52.10/h, over its bid of $40.00/h"
)
HERE, THERE = "us-central5-a", "us-central1-b"


def regions(project: Project) -> dict[str, str]:
    """Return the recorded region of each cluster."""
    return {
        name: one["inputs"]["region"]
        for name, one in project.resources().items()
        if "instance_type" in one.get("inputs", {})
    }


def test_placements_in_a_moving_market(tmp_path: Path, cloud: FakeMithril) -> None:
    """Each step with its row; a member of a fleet that waits too long moves on, and never has two live bids."""
    cloud.set_price("8xh100", HERE, 52.10)
    project = Project.make(tmp_path, cloud, PROGRAM)
    assert PLACED in project.preview().ok().text
    assert PLACED in project.up().ok().text
    assert regions(project) == {"trainer": THERE, "fleet-0": HERE, "fleet-1": HERE}

    cloud.set_price("8xh100", HERE, 1.00)
    cloud.set_price("8xa100", THERE, 23.99)
    cloud.clear_requests()
    for _ in range(2):
        assert re.search(r"^Resources:\n +\d+ unchanged$", project.preview("--refresh").ok().text, re.MULTILINE)
    assert not cloud.mutations

    project.edit('    Placement("8xa100", "us-central1-b"),\n', "")
    cloud.set_price("8xh100", HERE, 52.10)
    preview = project.preview().ok().text
    assert "placed as 8xa100 in us-east1-a at $24.00/h: 8xh100 in us-central5-a asks $52.10/h" in preview
    assert re.search(r"\+- \S+GpuCluster trainer replace", preview)
    assert "replaced because of instance_type" not in preview
    assert "replaced because of region: what is on the machines' own disks is lost" in preview
    project.up().ok()
    assert regions(project)["trainer"] == "us-east1-a"

    cloud.set_capacity("4xa100", HERE, 1)  # one of the two members loses its machine
    cloud.set_price("4xa100", HERE, 12.00)
    cloud.set_price("4xa100", HERE, 9.00)
    project.up("--refresh").ok()
    (lost,) = (bid for bid in cloud.live_bids if bid["status"] == "Open")
    member = str(lost["name"]).rsplit("-", 3)[0]
    other = next(name for name in ("fleet-0", "fleet-1") if name != member)
    cloud.clock.advance(minutes=31)
    cloud.clear_requests()
    moves = "moves on to 4xa100 in us-central1-b at $10.00/h: as 4xa100 in us-central5-a it has waited 31 minutes"
    preview = project.preview("--refresh").ok().text
    assert moves in preview
    assert "replaced because of max_wait_minutes" in preview
    assert not cloud.mutations
    assert moves in project.up("--refresh").ok().text
    assert [(one.method, one.effect) for one in cloud.mutations] == [("DELETE", True), ("POST", True)]
    own = [one for one in cloud.requests if one.path == f"/v2/spot/bids/{lost['fid']}" or one.method == "POST"]
    methods = [one.method for one in own]
    assert "GET" in methods[methods.index("DELETE") : methods.index("POST")]  # it is seen ended in between
    assert regions(project) == {"trainer": "us-east1-a", member: THERE, other: HERE}
    assert len(cloud.live_bids) == 3
    assert "unchanged" in project.up("--refresh").ok().text
    project.refresh("--expect-no-changes").ok()
    project.destroy().ok()
    assert not cloud.live_bids


WAITING = """
    from flow_resources import Placement, ResilientCluster

    fleet = ResilientCluster("fleet", size=2, min_running=0, max_price_per_hour=10, max_wait_minutes=30, placements=[
        Placement("4xa100", "us-central5-a"), Placement("4xa100", "us-central1-b"),
    ])
"""


def test_the_watch_moves_a_member_on_and_leaves_a_persons_edit(tmp_path: Path, cloud: FakeMithril) -> None:
    """One that waited for too long, without its edited neighbour; the next round has nothing to do."""
    cloud.set_capacity("4xa100", HERE, 1)
    project = Project.make(tmp_path, cloud, WAITING)
    project.up().ok()
    (lost,) = (bid for bid in cloud.live_bids if bid["status"] == "Open")
    cloud.clock.advance(minutes=31)
    cloud.clear_requests()
    healed = watch(project, "--heal", "--json")
    events = [json.loads(line) for line in healed.stdout.splitlines()]
    (event,) = (one for one in events if one["event"] == "healed")
    assert (event["policy"], event["action"]) == ("max_wait_minutes", "replace"), healed.stderr
    assert event["message"].startswith("moves on to 4xa100 in us-central1-b at $10.00/h")
    assert [one.method for one in cloud.mutations if one.effect] == ["DELETE", "POST"]
    assert cloud.bid(lost["fid"])["status"] == "Terminated"
    assert sorted(regions(project).values()) == [THERE, HERE]

    cloud.set_price("4xa100", THERE, 11.0)  # it waits again, and a person edits the bid meanwhile
    project.refresh().ok()
    cloud.clock.advance(minutes=31)
    project.edit("max_price_per_hour=10", "max_price_per_hour=10.50")
    cloud.clear_requests()
    left = watch(project, "--heal", "--json")
    assert '"left_alone"' in left.stdout, left.stderr
    assert not cloud.mutations


def watch(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the watch once."""
    command = [sys.executable, "-m", "flow_resources.cli", "watch", "--once", *arguments]
    return subprocess.run(
        command, cwd=project.folder, env=project.env, capture_output=True, text=True, timeout=600, check=False
    )
