"""What transforms and parents do to a resource after its constructor, through the real engine."""

from __future__ import annotations

from pathlib import Path

from support.engine import Project

from flow_resources.testing import FakeMithril

CANARY = "canary-env-2b8e"
ENV = f"""
    import pulumi
    from flow_resources import GpuCluster

    async def add(args):
        if args.type_.endswith(":GpuCluster"):
            return pulumi.ResourceTransformResult({{**args.props, "env": {{"TOKEN": "{CANARY}"}}}}, args.opts)

    pulumi.runtime.register_resource_transform(add)
    GpuCluster("added", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a")
    GpuCluster("replaced", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a", env={{"A": "1"}})
"""
DELETED_WITH = """
    import pulumi
    from flow_resources import GpuCluster, Volume

    class Team(pulumi.ComponentResource):
        def __init__(self, name, opts=None):
            super().__init__("acme:index:Team", name, None, opts)

    async def tie(args):
        options = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(deleted_with=other))
        return pulumi.ResourceTransformResult(args.props, options)

    def tie_here(args):
        options = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(deleted_with=other))
        return pulumi.ResourceTransformationResult(args.props, options)

    other = Volume("other", size_gb=1, region="us-central5-a")
    team = Team("team", pulumi.ResourceOptions(deleted_with=other))
    plain = Team("plain")
    machine = {"instance_type": "8xa100", "max_price_per_hour": 50.0, "region": "us-central5-a"}
    GpuCluster("hub", **machine, opts=pulumi.ResourceOptions(parent=team))
"""


def test_env_that_a_transform_adds_is_secret(tmp_path: Path, cloud: FakeMithril) -> None:
    """In the state, in what is shown and in the diff; it reaches the machines, and an unchanged stack has no change."""
    project = Project.make(tmp_path, cloud, ENV)
    shown = [project.preview("--diff").ok().text, project.run("up", "--yes", "--diff").ok().text]
    state = project.export()
    assert CANARY not in state
    assert all(
        one[kind]["env"]["4dabf18193072939515e22adb298388d"]
        for name, one in project.resources().items()
        if name in ("added", "replaced")
        for kind in ("inputs", "outputs")
    )
    assert sum(CANARY in str(bid) for bid in cloud.live_bids) == 2
    project.run("preview", "--expect-no-changes").ok()
    project.refresh().ok()
    project.run("preview", "--expect-no-changes").ok()
    assert CANARY not in project.export()

    project.edit(CANARY, f"{CANARY}-other")
    shown.append(project.preview("--diff").ok().text)
    assert "2 to replace" in shown[-1]
    assert [text for text in shown if CANARY in text] == []
    assert "[secret]" in shown[0]


def test_what_others_tie_to_a_deletion_is_refused(tmp_path: Path, cloud: FakeMithril) -> None:
    """From the parent, by an own transform and by a transformation, with one line; what nobody ties is not."""
    project = Project.make(tmp_path, cloud, DELETED_WITH)
    last = "parent=team"
    for options in ("parent=team", "transforms=[tie]", "transformations=[tie_here]"):
        project.edit(f"({last})", f"({options})")
        last = options
        assert "error: pulumi-python:dynamic/flow:GpuCluster resource 'hub'" in (
            text := project.preview().failed().text
        )
        assert "the option deleted_with cannot be used" in text
    project.edit(f"({last})", "(parent=plain)")
    project.preview().ok()


RETAINED = """
    import pulumi
    from flow_resources import ResilientCluster

    ResilientCluster("fleet", size=1, instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a",
                     on_preemption="replace", opts=pulumi.ResourceOptions(retain_on_delete=True))
"""


def test_a_policy_that_ends_bids_is_refused_where_the_parent_retains_them(tmp_path: Path, cloud: FakeMithril) -> None:
    """The engine passes `retain_on_delete` of a fleet on to its members, whose own options do not say it."""
    project = Project.make(tmp_path, cloud, RETAINED)
    assert "on_preemption cannot be 'replace' with retain_on_delete" in " ".join(
        project.preview().failed().text.split()
    )
    project.edit("retain_on_delete=True", "retain_on_delete=False")
    project.preview().ok()
