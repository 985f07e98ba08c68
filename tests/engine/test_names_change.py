"""Names change, and names are shared: what a state records stays its own, and nobody touches another's.

A stack, a project or a resource gets another name, a parent or a stack: the URN changes, and with it the mark that a
new bid would get. Two stacks call their resources alike in one account: only the owner in the mark tells them apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.engine import Project

from flow_resources.testing import FakeMithril

PROGRAM = """
    import pulumi
    from flow_resources import GpuCluster, Volume, VolumeMount

    data = Volume("data", size_gb=100, region="us-central5-a")
    GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a", command="sleep 1",
               volumes=[VolumeMount(data, "/data")], opts=pulumi.ResourceOptions())
"""
TEAM = 'team = pulumi.ComponentResource("acme:index:Team", "team")\n'
UNCHANGED = re.compile(r"^Resources:\n +\d+ unchanged$", re.MULTILINE)
ONLY_THE_PARENT = re.compile(r"^Resources:\n +\+ 1 created\n +\d+ unchanged$", re.MULTILINE)


def rename_the_stack(project: Project) -> None:
    """`pulumi stack rename`."""
    project.run("stack", "rename", "prod").ok()


def rename_the_project(project: Project) -> None:
    """`pulumi stack rename` with a project in it, and the name in Pulumi.yaml."""
    stack = project.run("stack", "--show-name").ok().text.strip()
    project.run("stack", "rename", f"organization/renamed/{stack}").ok()
    settings = project.folder / "Pulumi.yaml"
    settings.write_text(settings.read_text().replace("name: proj", "name: renamed"))
    project.run("stack", "select", stack).ok()


def rename_in_the_state(project: Project) -> None:
    """`pulumi state rename`, and the same in the program."""
    project.run("state", "rename", project.resources()["trainer"]["urn"], "coach", "--yes").ok()
    project.edit('"trainer"', '"coach"')


def alias(project: Project) -> None:
    """Another name in the program, and the old one as an alias."""
    (old,) = re.findall(r'GpuCluster\("(\w+)"', (project.folder / "__main__.py").read_text())
    project.edit(f'"{old}"', '"driver"')
    project.edit("ResourceOptions()", f'ResourceOptions(aliases=[pulumi.Alias(name="{old}")])')


def move_to_another_stack(project: Project) -> None:
    """`pulumi state move` to a new stack of the project, which then is the one to work with."""
    (stack,) = json.loads(project.run("stack", "ls", "--json").ok().text)
    urns = [one["urn"] for one in project.resources().values() if "dynamic" in one["type"]]
    project.run("stack", "init", "other").ok()
    project.run("state", "move", "--source", stack["name"], "--dest", "other", "--yes", *urns).ok()


def give_a_parent(project: Project) -> None:
    """A component around it, and an alias for the time without."""
    project.edit("import pulumi\n", f"import pulumi\n{TEAM}")
    project.edit(
        "ResourceOptions(", "ResourceOptions(parent=team, aliases=[pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)]"
    )


CHANGES = [rename_the_stack, rename_the_project, rename_in_the_state, move_to_another_stack, alias, give_a_parent]


def ids(cloud: FakeMithril) -> list[str]:
    return [one["fid"] for one in (*cloud.live_bids, *cloud.volumes)]


def test_one_change_of_a_name_after_another_changes_nothing(tmp_path: Path, cloud: FakeMithril) -> None:
    """After each: a refresh sees nothing, an `up` does nothing; in the end `destroy` empties the account."""
    project = Project.make(tmp_path, cloud, PROGRAM)
    project.up().ok()
    made = ids(cloud)
    cloud.clear_requests()
    for change in CHANGES[:-1]:
        change(project)
        printed = project.up("--refresh", "--expect-no-changes").ok().text
        assert UNCHANGED.search(printed), f"{change.__doc__}: {printed}"
        assert not cloud.mutations, change.__doc__
    assert ids(cloud) == made
    project.destroy().ok()
    assert not ids(cloud)


@pytest.mark.faults
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_right_after_a_change_of_a_name_everything_works(
    tmp_path: Path, cloud: FakeMithril, change: Callable[[Project], None]
) -> None:
    """Refresh shows nothing, preview no change (but for the parent itself), and `destroy` empties the account."""
    project = Project.make(tmp_path, cloud, PROGRAM)
    project.up().ok()
    cloud.clear_requests()
    change(project)
    assert UNCHANGED.search(project.refresh().ok().text)
    planned = json.loads(project.preview("--json").ok().text)["changeSummary"]
    assert planned == ({"same": 3} if change is not give_a_parent else {"same": 3, "create": 1})
    assert not cloud.mutations
    project.destroy().ok()
    assert not ids(cloud)


@pytest.mark.faults
@pytest.mark.parametrize("edited", [False, True], ids=["same", "changed"])
def test_the_next_stack_of_a_renamed_ones_name_leaves_it_alone(
    tmp_path: Path, cloud: FakeMithril, edited: bool
) -> None:
    """What it made has the new stack's marks, and stands in the renamed one's state: neither taken over nor ended."""
    project = Project.make(tmp_path, cloud, PROGRAM)
    project.run("config", "set", "flow:owner", "ada").ok()
    project.up().ok()
    theirs = ids(cloud)
    rename_the_stack(project)
    project.run("stack", "init", "dev").ok()
    project.run("config", "set", "flow:owner", "ada").ok()
    if edited:
        project.edit("sleep 1", "sleep 2")
    said = project.up().ok().text
    assert "is of the stack organization/proj/prod: it is left alone" in said
    assert len(ids(cloud)) == 2 * len(theirs)
    project.destroy().ok()
    assert ids(cloud) == theirs


@pytest.mark.faults
def test_two_backends_that_call_everything_alike(tmp_path: Path, cloud: FakeMithril) -> None:
    """With `flow:owner` they never meet; without it what is the other's is named, and ended by nobody's `up`."""
    ada, bob = (folder(tmp_path, name) for name in ("ada", "bob"))
    hers = Project.make(ada, cloud, PROGRAM)
    hers.edit('volumes=[VolumeMount(data, "/data")], ', "")
    hers.up().ok()
    (trainer,) = cloud.live_bids
    made = ids(cloud)

    his = Project.make(bob, cloud, (hers.folder / "__main__.py").read_text())
    his.run("config", "set", "flow:owner", "bob").ok()
    his.up().ok()
    assert len(ids(cloud)) == 2 * len(made)
    his.destroy().ok()
    assert ids(cloud) == made

    his.run("config", "rm", "flow:owner").ok()
    his.edit("sleep 1", "sleep 2")
    refused = his.up().failed().text
    assert f"the bid {trainer['fid']} ({trainer['name']}, of {trainer['created_at']}) carries this" in refused
    assert f"`flow cancel {trainer['fid']}` ends it; adopt_task_id='{trainer['fid']}' takes it over" in refused
    assert trainer["fid"] in ids(cloud)

    his.edit("sleep 2", "sleep 1")
    taken = his.up().ok().text
    assert f"taking over {trainer['name']} ({trainer['fid']})" in taken
    assert "or another person's stack of the same names has it, and `pulumi destroy` here would end it" in taken
    assert "set flow:owner where people share an account" in taken
    assert UNCHANGED.search(hers.refresh().ok().text)


@pytest.mark.faults
def test_what_others_can_have_made_is_not_taken_over(tmp_path: Path, cloud: FakeMithril) -> None:
    """A volume that a cluster mounts, and what another user's key placed: two backends, no `flow:owner`."""
    ada, bob = (folder(tmp_path, name) for name in ("ada", "bob"))
    hers = Project.make(ada, cloud, PROGRAM)
    hers.up().ok()
    made, (trainer,), (data,) = ids(cloud), cloud.live_bids, cloud.volumes
    cloud.add_key("bobs-key", [cloud.project])
    his = Project.make(bob, cloud, PROGRAM, MITHRIL_API_KEY="bobs-key")
    assert f"adopt_volume_id='{data['fid']}' takes it over" in his.up().failed().text
    his.edit("VolumeMount(data,", f'VolumeMount("{data["fid"]}",')
    his.edit('data = Volume("data", size_gb=100, region="us-central5-a")', "")
    assert f"adopt_task_id='{trainer['fid']}' takes it over" in his.up().failed().text
    his.destroy().ok()
    assert ids(cloud) == made
    assert UNCHANGED.search(hers.refresh().ok().text)


@pytest.mark.faults
def test_two_stacks_and_two_projects_that_call_everything_alike(tmp_path: Path, cloud: FakeMithril) -> None:
    """In one backend: the owner is the stack, with its project."""
    first = Project.make(tmp_path, cloud, PROGRAM)
    first.up().ok()
    made = ids(cloud)
    other = Project.make(tmp_path, cloud, PROGRAM, name="other")
    other.up().ok()
    first.run("stack", "init", "prod").ok()
    first.up().ok()
    assert len(set(ids(cloud))) == 3 * len(made)
    for project in (other, first):
        assert UNCHANGED.search(project.refresh().ok().text)
        project.destroy().ok()
    assert ids(cloud) == made


def folder(root: Path, name: str) -> Path:
    """Make a folder: a machine of somebody's own."""
    (root / name).mkdir()
    return root / name
