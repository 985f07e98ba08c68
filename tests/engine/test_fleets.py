"""ResilientCluster under the real engine: all placed before any is waited for, shrinks, losses, another name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from support.engine import Project

from flow_resources.testing import MANUAL, FakeMithril

PROGRAM = """
    import pulumi
    from flow_resources import MemberVolume, ResilientCluster

    fleet = ResilientCluster(
        "trainer",
        size=3,
        instance_type="8xa100",
        max_price_per_hour=16.0,
        region="us-central5-a",
        opts=pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="2m", update="2m")),
    )
    for output in ("task_ids", "public_ips", "running", "size", "members"):
        pulumi.export(output, getattr(fleet, output))
"""
UNCHANGED = re.compile(r"^Resources:\n +\d+ unchanged$", re.MULTILINE)


def boot_when_all_are_placed(cloud: FakeMithril, size: int) -> None:
    """Let machines boot only once so many bids are placed: whoever waits for one before that waits in vain."""
    cloud.set_options(boot_seconds=MANUAL)

    def look(_request: Any) -> None:
        if len(cloud.live_bids) == size:
            for bid in cloud.live_bids:
                cloud.finish("boot", bid["fid"])

    cloud.faults.add(method="POST", path="/v2/spot/bids$", times=None, then=look)


def members_of(project: Project) -> dict[int, str]:
    """Return the recorded tasks of the members, by index."""
    found = {re.fullmatch(r"trainer-(\d+)", name): one for name, one in project.resources().items()}
    return {int(match[1]): one["id"] for match, one in found.items() if match}


def mutated(cloud: FakeMithril) -> list[str]:
    return [f"{request.method} {request.path.rpartition('/')[2]}" for request in cloud.mutations]


def test_a_fleet_lives(tmp_path: Path, cloud: FakeMithril) -> None:
    """Up one after the other, losses, a larger and a smaller size, chosen members, another stack's name, destroy."""
    project = Project.make(tmp_path, cloud, PROGRAM)
    boot_when_all_are_placed(cloud, 3)
    project.up("-p", "1").ok()
    members = members_of(project)
    outputs = project.outputs()
    assert sorted(members) == [0, 1, 2]
    assert outputs["task_ids"] == [members[index] for index in range(3)]
    assert (outputs["running"], outputs["size"], len(set(outputs["public_ips"]))) == (3, 3, 3)
    assert [one["status"] for one in outputs["members"]] == ["running"] * 3
    cloud.set_options(boot_seconds=0)
    cloud.faults.clear()

    lose_members(project, cloud)
    grow_and_shrink(project, cloud)
    project.run("stack", "rename", "prod").ok()
    cloud.clear_requests()
    assert UNCHANGED.search(project.up("--refresh").ok().text)
    assert not cloud.mutations
    project.edit("size=3, skip=[1]", "size=2")
    project.up().ok()
    assert len(cloud.live_bids) == 2
    project.destroy().ok()
    assert not cloud.live_bids


def lose_members(project: Project, cloud: FakeMithril) -> None:
    """One is preempted, another one ends for good: the others are nobody's business."""
    members = members_of(project)
    cloud.clear_requests()
    cloud.preempt(members[1])
    assert "2 of 3 members run (member 1 in the auction)" in project.refresh().ok().text
    assert UNCHANGED.search(project.up().ok().text)
    assert not cloud.mutations
    outputs = project.outputs()
    assert (outputs["running"], len(outputs["public_ips"])) == (2, 2)
    assert [one["status"] for one in outputs["members"]] == ["running", "waiting", "running"]
    cloud.terminate(members[2])
    cloud.release(members[1])
    cloud.clear_requests()
    project.up("--refresh").ok()
    assert mutated(cloud) == ["POST bids"]
    again = members_of(project)
    assert {index for index in range(3) if again[index] != members[index]} == {2}
    assert project.outputs()["running"] == 3


def grow_and_shrink(project: Project, cloud: FakeMithril) -> None:
    """A larger size touches no other member; a smaller one ends the highest indices, or what the program chooses."""
    before = members_of(project)
    project.edit("size=3", "size=5")
    cloud.clear_requests()
    project.up().ok()
    assert mutated(cloud) == ["POST bids"] * 2
    grown = members_of(project)
    assert {index: grown[index] for index in range(3)} == before

    cloud.preempt(grown[1])
    project.edit("size=5", "size=3")
    warned = project.preview().ok().text
    assert "members 3, 4, which run, are ended, and member 1, which waits in the auction, stays: skip=[1]" in warned
    project.edit("size=3", "size=3, skip=[1]")
    assert "which run" not in project.preview().ok().text
    cloud.clear_requests()
    project.up().ok()
    assert sorted(mutated(cloud)) == sorted(f"DELETE {grown[index]}" for index in (1, 4))
    assert {bid["fid"] for bid in cloud.live_bids} == {grown[index] for index in (0, 2, 3)}
    assert [one["index"] for one in project.outputs()["members"]] == [0, 2, 3]


def test_an_up_is_content_with_min_running_and_goes_on_after_its_limit(tmp_path: Path, cloud: FakeMithril) -> None:
    """All bids are placed and recorded, whatever runs; with bids under the market the limit ends the wait."""
    project = Project.make(tmp_path, cloud, PROGRAM)
    project.edit('create="2m", update="2m"', 'create="3s", update="2m"')
    cloud.set_price("8xa100", "us-central5-a", 17.0)
    failed = project.up().failed().text
    assert (
        "0 of 3 members run (members 0, 1, 2 in the auction), and min_running is 3: raise the bid, lower min_running "
        "or wait; run `pulumi up` again to go on"
    ) in failed
    members = members_of(project)
    assert len(members) == len(cloud.live_bids) == 3
    cloud.set_price("8xa100", "us-central5-a", 12.0)
    project.up().ok()
    assert members_of(project) == members
    assert project.outputs()["running"] == 3

    cloud.set_price("8xa100", "us-central5-a", 17.0)
    cloud.hold_auction()
    project.edit("size=3", "size=4, min_running=0")
    assert "of 4 members run" in project.up().ok().text
    assert len(cloud.live_bids) == 4
    project.destroy().ok()
    assert not cloud.live_bids


def test_no_member_takes_its_volume_along_unless_the_program_allows_it(tmp_path: Path, cloud: FakeMithril) -> None:
    """Refused by preview and `up`, before anything is deleted; then done; destroy deletes all of them."""
    project = Project.make(tmp_path, cloud, PROGRAM)
    project.edit("size=3", 'size=3, volume_per_member=MemberVolume(10, "/data")')
    cloud.faults.add(method="POST", path="/v2/spot/bids$", status=400, body={"detail": "no"}, nth=3, times=None)
    project.up().failed()  # before the status of the fleet is recorded
    cloud.faults.clear()
    project.edit("size=3", "size=1")
    assert len(re.findall(r"vol_\d+ of member [12]", project.preview().failed().text.partition("Diagnostics")[2])) == 2
    project.edit("size=1", "size=3")
    project.up().ok()
    resources = project.resources()
    volumes = [resources[f"trainer-{index}-data"]["id"] for index in range(3)]
    mounted = {bid["fid"]: bid["launch_specification"]["volumes"] for bid in cloud.live_bids}
    assert [mounted[resources[f"trainer-{index}"]["id"]] for index in range(3)] == [[one] for one in volumes]

    project.edit("size=3", "size=2")
    cloud.clear_requests()
    for change in (project.preview, project.up):
        refused = change().failed().text
        assert f"which loses their data: {volumes[2]} of member 2" in refused
        assert "allow_data_loss=True" in refused or "set it" in refused
    assert not cloud.mutations
    project.edit("size=2", "size=2, allow_data_loss=True")
    project.up().ok()
    assert sorted(volume["fid"] for volume in cloud.volumes) == sorted(volumes[:2])
    assert len(cloud.live_bids) == 2
    project.destroy().ok()
    assert (cloud.live_bids, cloud.volumes) == ([], [])
