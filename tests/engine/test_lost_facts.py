"""Facts that do not reach the provider, with the real engine: nothing is touched, and what is not known is said.

The cells of all facts are in tests/faults/doubt.py, on a model of the engine; here are the ways in which they get lost.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from support.engine import Project

from flow_resources.testing import FakeMithril

TRAINER = """
    import pulumi
    from flow_resources import GpuCluster

    opts = pulumi.ResourceOptions()
    place = {"instance_type": "8xa100", "region": "us-central5-a", "wait_for": "placed"}
    GpuCluster("trainer", max_price_per_hour=20.0, command="one", opts=opts, **place)
"""


def live(cloud: FakeMithril) -> list[str]:
    return [one["fid"] for one in cloud.live_bids]


def leave_an_orphan(project: Project, cloud: FakeMithril) -> str:
    """Leave what a crash leaves: live, and in no state."""
    project.up().ok()
    project.run("state", "delete", project.resources()["trainer"]["urn"], "--yes").ok()
    (orphan,) = live(cloud)
    return orphan


def test_without_pulumi_on_path_an_orphan_is_named_and_nothing_is_made(tmp_path: Path, cloud: FakeMithril) -> None:
    """A stack that nobody could read may record it; with `pulumi` on PATH again it is taken over."""
    project = Project.make(tmp_path, cloud, TRAINER, PULUMI_ORGANIZATION="acme")
    project.run("config", "set", "flow:owner", "acme/training").ok()
    orphan = leave_an_orphan(project, cloud)
    whole, binaries = project.env["PATH"], Path(str(shutil.which("pulumi"))).parent
    without = tmp_path / "bin"
    without.mkdir()
    for tool in binaries.iterdir():
        if tool.name != "pulumi":
            (without / tool.name).symlink_to(tool)
    project.env["PATH"] = ":".join(str(without) if Path(one) == binaries else one for one in whole.split(":"))
    done = subprocess.run(
        [binaries / "pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--color", "never"],
        cwd=project.folder, env=project.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    printed = done.stdout + done.stderr
    assert done.returncode, printed
    assert "the stacks of the backend could not be listed: there is no `pulumi` on PATH" in printed
    assert f"the bid {orphan} (" in printed
    assert "whether another stack's state records it could not be found out: nothing was touched" in printed
    assert live(cloud) == [orphan]
    project.env["PATH"] = whole
    assert f"({orphan}), which an earlier, interrupted `up` left" in project.up().ok().text
    assert live(cloud) == [orphan]


def test_a_damaged_state_of_another_stack_ends_nothing(tmp_path: Path, cloud: FakeMithril) -> None:
    """A stack was renamed, another one took its name and wants another specification, a third state is cut."""
    project = Project.make(tmp_path, cloud, TRAINER)
    project.run("config", "set", "flow:owner", "acme/training").ok()
    project.up().ok()
    (theirs,) = live(cloud)
    project.run("stack", "rename", "prod").ok()
    (state,) = (tmp_path / "backend").glob(".pulumi/stacks/proj/prod.json")
    state.write_text(state.read_text()[:400])
    project.run("stack", "init", "dev").ok()
    project.run("config", "set", "flow:owner", "acme/training").ok()
    project.edit('"one"', '"two"')
    printed = project.up().failed().text
    assert "the stacks of the backend could not be listed: " in printed  # the CLI reads all states to list them
    assert f"{theirs} (" in printed
    assert "could not be found out: nothing was touched" in printed
    assert live(cloud) == [theirs]


def test_in_the_old_layout_of_a_backend_an_orphan_is_taken_over(tmp_path: Path, cloud: FakeMithril) -> None:
    """A stack has neither organization nor project there."""
    old = {"PULUMI_DIY_BACKEND_LEGACY_LAYOUT": "true", "PULUMI_DIY_BACKEND_IGNORE_DEPRECATION_ERROR": "1"}
    project = Project.make(tmp_path, cloud, TRAINER, **old)
    project.run("config", "set", "flow:owner", "acme/training").ok()
    project.up().ok()
    (orphan,) = live(cloud)
    (state,) = (tmp_path / "backend").glob(".pulumi/stacks/dev.json")
    kept = json.loads(state.read_text())
    resources = kept["checkpoint"]["latest"]["resources"]
    kept["checkpoint"]["latest"]["resources"] = [one for one in resources if "GpuCluster" not in one["type"]]
    state.write_text(json.dumps(kept))
    assert f"({orphan}), which an earlier, interrupted `up` left" in project.up().ok().text
    assert live(cloud) == [orphan] == [project.id_of("trainer")]


def test_a_backend_that_somebody_logged_in_to_meanwhile_proves_nothing(tmp_path: Path, cloud: FakeMithril) -> None:
    """It has a stack of the same name, which records nothing."""
    project = Project.make(tmp_path, cloud, TRAINER)
    project.run("config", "set", "flow:owner", "acme/training").ok()
    orphan = leave_an_orphan(project, cloud)
    here, elsewhere = project.env.pop("PULUMI_BACKEND_URL"), f"file://{tmp_path / 'elsewhere'}"
    (tmp_path / "elsewhere").mkdir()
    project.run("login", elsewhere).ok()
    project.run("stack", "init", "dev").ok()
    project.run("login", here).ok()
    project.edit("import pulumi\n", f"import pulumi, subprocess\nsubprocess.run(['pulumi', 'login', '{elsewhere}'])\n")
    printed = project.up().failed().text
    assert f"the bid {orphan} (" in printed
    assert "could not be found out: nothing was touched" in printed
    assert live(cloud) == [orphan]


IGNORING = """
    import pulumi
    from flow_resources import GpuCluster

    opts = pulumi.ResourceOptions(ignore_changes=["*"])
    place = {"instance_type": "8xa100", "region": "us-central5-a", "wait_for": "placed"}
    for name in ("one", "two"):
        GpuCluster(name, max_price_per_hour=20.0, opts=opts, **place)
"""


def test_what_ignore_changes_drops_neither_ends_a_strangers_cluster_nor_passes_the_budget(
    tmp_path: Path, cloud: FakeMithril
) -> None:
    """Two people with backends of their own, the same names, and no `flow:owner`."""
    project = Project.make(tmp_path, cloud, IGNORING)
    project.up().ok()
    mine = {name: project.id_of(name) for name in ("one", "two")}
    # What the other person runs has the name that a third cluster of ours would get, and another count.
    project.edit('("one", "two")', '("one", "two", "three")')
    project.up().ok()
    prefix, mark, _, generation = project.resources()["three"]["outputs"]["task_name"].split("-")
    project.run("state", "delete", project.resources()["three"]["urn"], "--yes").ok()
    for bid in cloud.live_bids:
        if bid["fid"] not in mine.values():
            cloud.terminate(bid["fid"])
    theirs = cloud.add_bid(f"{prefix}-{mark}-abcdef-{generation}", instance_quantity=2)["fid"]
    printed = project.up().failed().text
    assert f"the bid {theirs} (" in printed
    assert "its owner can be another person's: nothing was touched" in printed
    assert set(live(cloud)) == {*mine.values(), theirs}
    project.run("config", "set", "flow:maxCostPerHour", "50").ok()
    assert "exceeds the stack's budget flow:maxCostPerHour of $50.00/h by $10.00/h" in project.preview().failed().text


DROPPING = """
    import pulumi
    from flow_resources import GpuCluster, Volume

    KNOWN = {"instance_type", "max_price_per_hour", "region", "wait_for", "size_gb", "__provider"}

    def drop(args):
        props = {name: value for name, value in args.props.items() if name in KNOWN}
        return pulumi.ResourceTransformationResult(props, args.opts)

    pulumi.runtime.register_stack_transformation(drop)
    GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=20.0, region="us-central5-a", wait_for="placed")
    Volume("data", size_gb=100, region="us-central5-a")
"""


@pytest.mark.parametrize("owner", [None, "acme/training"])
def test_a_transformation_that_drops_what_it_does_not_know_makes_nothing_of_an_unknown_owner(
    tmp_path: Path, cloud: FakeMithril, owner: str | None
) -> None:
    """One line for each resource at preview, whatever the config says: whose they are must reach the plugin."""
    project = Project.make(tmp_path, cloud, DROPPING)
    if owner:
        project.run("config", "set", "flow:owner", owner).ok()
    for run in (project.preview, project.up):
        printed = run().failed().text
        assert printed.count("whose resource this is is not known") == 2
    assert not cloud.mutations
