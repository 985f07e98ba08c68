"""Replacements that Pulumi is asked for, and no input: a volume is not replaced without the program's permission."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support.engine import Project, Result

from flow_resources.testing import FakeMithril

PROGRAM = """
    import pulumi
    from flow_resources import GpuCluster, Volume

    trainer = GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a",
                         command="echo 1")
    Volume("data", size_gb=100, region="us-central5-a", allow_replace=False,
           opts=pulumi.ResourceOptions(replacement_trigger=1))
    Volume("ignoring", size_gb=100, region="us-central5-a", opts=pulumi.ResourceOptions(ignore_changes=["*"]))
"""
ASKS = "allow_replace must be True for a replacement that Pulumi is asked for"


def test_whatever_asks_for_it(tmp_path: Path, cloud: FakeMithril) -> None:
    """`--replace`, `--target-replace`, a taint, a trigger, `replace_with`: refused, and said where it is allowed."""
    project = Project.make(tmp_path, cloud, PROGRAM)
    project.up().ok()
    data, ignoring = project.id_of("data"), project.id_of("ignoring")
    urn, ignoring_urn = project.resources()["data"]["urn"], project.resources()["ignoring"]["urn"]

    def refused(ask: Callable[[], Result]) -> None:
        text = ask().failed().text
        assert ASKS in text, text
        assert {volume["fid"] for volume in cloud.volumes} == {data, ignoring}

    refused(lambda: project.preview("--replace", urn))
    refused(lambda: project.up("--target-replace", urn))
    refused(lambda: project.up("--replace", ignoring_urn))
    project.run("state", "taint", urn, "--yes").ok()
    refused(project.up)
    aliased = 'replacement_trigger=1, aliases=[pulumi.Alias(name="data")]'
    project.edit('Volume("data"', 'Volume("corpus"')
    project.edit("replacement_trigger=1", aliased)
    refused(project.up)
    project.edit(aliased, "replacement_trigger=1")
    project.edit('Volume("corpus"', 'Volume("data"')
    project.run("state", "untaint", urn, "--yes").ok()
    project.edit("replacement_trigger=1", "replacement_trigger=2")
    refused(project.up)
    project.edit("replacement_trigger=2", "replacement_trigger=1")
    project.up().ok()
    # The trainer is deleted first, and the engine deletes with it what is replaced with it, before it is checked.
    with_trainer = "replacement_trigger=1, replace_with=[trainer]"
    project.edit("replacement_trigger=1", with_trainer)
    assert "replace_with" in project.up().failed().text
    project.edit("echo 1", "echo 2")
    assert "replace_with" in project.up().failed().text
    assert {volume["fid"] for volume in cloud.volumes} == {data, ignoring}
    project.edit(with_trainer, "replacement_trigger=1")
    project.edit("allow_replace=False", "allow_replace=True")
    text = project.up("--replace", urn).ok().text
    assert "replaced because Pulumi is asked for it: the data on it is lost" in text
    assert project.id_of("data") != data
    assert {volume["fid"] for volume in cloud.volumes} == {project.id_of("data"), ignoring}


LATE = """
    import pulumi
    from flow_resources import GpuCluster, Volume

    trainer = GpuCluster(
        "trainer", instance_type="8xa100", max_price_per_hour=20.0, region="us-central5-a", wait_for="placed"
    )
    Volume(
        "data", size_gb=100, region="us-central5-a", allow_replace=pulumi.Output.from_input(False),
        opts=pulumi.ResourceOptions(replace_with=[trainer]),
    )
"""


def test_replace_with_a_permission_that_is_known_later_is_refused_by_check(tmp_path: Path, cloud: FakeMithril) -> None:
    """Before the state has the option: after that the engine deletes without a check."""
    project = Project.make(tmp_path, cloud, LATE)
    assert "allow_replace must be True with the option replace_with" in project.up().failed().text
    assert not cloud.volumes
