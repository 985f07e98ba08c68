"""One bid, and two processes that could know of it: two providers of an account, or the two hosts of the verbs.

Neither ends what the other one records, and what a crash left in one of them is found by the other one.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engine import Project, killed_after_acceptance
from support.languages import install_plugin
from support.pending import leave_pending_deletion, leave_two

from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.engine

PROGRAM = """
import pulumi
from flow_resources import GpuCluster, Provider

east = Provider("east", owner="acme")
west = Provider("west", owner="acme")
opts = pulumi.ResourceOptions(delete_before_replace=False, provider=east)
place = {"instance_type": "8xa100", "region": "us-central5-a"}
GpuCluster("trainer", max_price_per_hour=50.0, command="one", opts=opts, **place)
"""
ONE_HOST = "".join(line for line in PROGRAM.splitlines(keepends=True) if "Provider(" not in line)
ONE_HOST = ONE_HOST.replace(", provider=east", "")


def live(cloud: FakeMithril) -> list[str]:
    return [one["fid"] for one in cloud.live_bids]


def test_what_waits_for_its_deletion_by_another_provider_is_not_taken_over(tmp_path: Path, cloud: FakeMithril) -> None:
    """The other provider ends it in the same `up`, and knows of nobody who has taken it over."""
    project = Project.make(tmp_path, cloud, PROGRAM, FLOW_RESOURCES_RETRY_SECONDS="1")
    install_plugin(project)
    first = leave_pending_deletion(project, cloud)
    project.edit("provider=east", "provider=west")
    printed = project.up("--refresh").ok().text
    assert live(cloud) == [project.id_of("trainer")]
    assert f"({first}, up to $50.00/h) waits for its deletion by another provider" in printed
    assert "unchanged" in project.up().ok().text
    project.destroy().ok()
    assert not live(cloud)


@pytest.mark.languages
@pytest.mark.parametrize("inputs", ["one", "two"])
def test_a_deletion_that_failed_goes_on_under_another_provider(tmp_path: Path, cloud: FakeMithril, inputs: str) -> None:
    """With the inputs of before the replacement, which replace again, or with those of after it, which move it."""
    project = Project.make(tmp_path, cloud, PROGRAM, FLOW_RESOURCES_RETRY_SECONDS="1")
    install_plugin(project)
    first, _ = leave_two(project, cloud)
    project.edit('"two"', f'"{inputs}"')
    project.edit("provider=east", "provider=west")
    project.up().ok()
    assert live(cloud) == [project.id_of("trainer")]
    assert project.id_of("trainer") != first
    project.destroy().ok()
    assert not live(cloud)


@pytest.mark.languages
@pytest.mark.parametrize("inputs", ["one", "two"])
def test_a_killed_replacement_goes_on_under_another_provider(tmp_path: Path, cloud: FakeMithril, inputs: str) -> None:
    """What it had placed is taken over where the program still wants it, and else named by the next refresh."""
    project = Project.make(tmp_path, cloud, PROGRAM)
    install_plugin(project)
    project.up().ok()
    first = project.id_of("trainer")
    project.edit('"one"', '"two"')
    with killed_after_acceptance(project, cloud, "both"):
        project.run("cancel", "--yes")
    (orphan,) = (one for one in live(cloud) if one != first)
    project.edit('"two"', f'"{inputs}"')
    project.edit("provider=east", "provider=west")
    project.up().ok()
    if inputs == "two":
        assert live(cloud) == [orphan] == [project.id_of("trainer")]
    else:
        assert project.id_of("trainer") == first
        assert f"({orphan}, up to $50.00/h) is live as well, with this resource's mark" in project.refresh().ok().text


@pytest.mark.parametrize("crashes_in", ["dynamic", pytest.param("plugin", marks=pytest.mark.languages)])
def test_what_a_crash_left_in_one_host_is_taken_over_in_the_other(
    tmp_path: Path, cloud: FakeMithril, crashes_in: str
) -> None:
    project = Project.make(tmp_path, cloud, ONE_HOST)
    install_plugin(project)
    project.run("config", "set", "flow:host", crashes_in).ok()
    with killed_after_acceptance(project, cloud, "both"):
        project.up().failed()
    project.run("cancel", "--yes")
    (orphan,) = live(cloud)
    project.run("config", "set", "flow:host", "plugin" if crashes_in == "dynamic" else "dynamic").ok()
    project.up().ok()
    assert live(cloud) == [orphan] == [project.id_of("trainer")]


MOVES = {
    "to the plugin": (ONE_HOST, ("config", "rm", "flow:host"), ("config", "set", "flow:host", "plugin")),
    "to the dynamic host": (ONE_HOST, ("config", "set", "flow:host", "plugin"), ("config", "rm", "flow:host")),
    "to another provider": (PROGRAM, (), ()),
}


@pytest.mark.parametrize(
    "move", [pytest.param(one, marks=() if one == "to another provider" else pytest.mark.languages) for one in MOVES]
)
def test_a_bid_that_the_first_provider_has_still_to_delete_does_not_move(
    tmp_path: Path, cloud: FakeMithril, move: str
) -> None:
    """It was taken over by an `up` that failed before it came to the deletion that was pending."""
    before, *settings = MOVES[move]
    project = Project.make(tmp_path, cloud, before, FLOW_RESOURCES_RETRY_SECONDS="1")
    install_plugin(project)

    def choose(place: int) -> None:
        if settings[place]:
            project.run(*settings[place]).ok()
        project.write(before.replace("provider=east", "provider=west") if place else before)

    choose(0)
    first = leave_pending_deletion(project, cloud)
    project.write(before.replace("GpuCluster(", "trainer = GpuCluster(") + "trainer.id.apply(lambda _: 1 / 0)\n")
    assert project.up("--refresh").code
    assert live(cloud) == [first] == [project.id_of("trainer")]
    choose(1)
    cloud.clear_requests()
    for run in (project.preview, project.up):
        assert f"{first} does not move to this provider: the state has a second record of it" in run().failed().text
    choose(0)
    assert f"{first} is kept: it has been taken over" in project.up().ok().text
    choose(1)
    project.up().ok()
    assert not cloud.mutations
    assert live(cloud) == [first] == [project.id_of("trainer")]
