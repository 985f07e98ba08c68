"""A Python program whose resources are the plugin's: by a setting of its stack, or by providers; the real engine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support.engine import Project

from flow_resources.cli import plugin
from flow_resources.testing import FakeMithril

PROGRAM = """
    import pulumi
    from flow_resources import GpuCluster, Volume, VolumeMount

    data = Volume("data", size_gb=10, region="us-central5-a")
    trainer = GpuCluster(
        "trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a", num_instances=2,
        env={"TOKEN": "hunter2hunter2"}, volumes=[VolumeMount(data, "/data")],
    )
    pulumi.export("ips", trainer.instances.apply(lambda all_: [one.public_ip for one in all_]))
    pulumi.export("id", trainer.task_id)
"""
TWO_ACCOUNTS = """
    import pulumi
    from flow_resources import GpuCluster, Provider

    config = pulumi.Config()
    for name in ("east", "west"):
        account = Provider(
            name, api_key=config.require(f"{name}Key"), api_url=config.require(f"{name}Url"), project=name,
            max_cost_per_hour=60,
        )
        cluster = GpuCluster(
            f"in-{name}", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a",
            opts=pulumi.ResourceOptions(provider=account),
        )
        pulumi.export(name, cluster.task_id)
"""


@pytest.fixture
def plugin_on_path(tmp_path: Path) -> dict[str, str]:
    """Return a PATH on which the plugin of this checkout is."""
    folder = tmp_path / "bin"
    folder.mkdir()
    plugin._write_executable(folder / "pulumi-resource-flow")
    return {"PATH": os.pathsep.join((str(folder), str(Path(sys.executable).parent), os.environ["PATH"]))}


def types(project: Project) -> dict[str, str]:
    """Return the types of the state's resources by their names."""
    return {name: one["type"] for name, one in project.resources().items()}


def test_a_stack_chooses_the_plugin_by_a_setting(
    tmp_path: Path, cloud: FakeMithril, plugin_on_path: dict[str, str]
) -> None:
    """The same program, the same outputs, and the life of a stack; a word that is no host is one line."""
    project = Project.make(tmp_path, cloud, PROGRAM, **plugin_on_path)
    project.run("config", "set", "flow:host", "plugn").ok()
    refused = project.preview().failed().text
    assert "flow:host is 'plugn': it is 'dynamic' or 'plugin'" in refused
    assert not cloud.mutations
    project.run("config", "set", "flow:host", "plugin").ok()
    project.up().ok()
    found = types(project)
    assert found["trainer"] == "flow:index:GpuCluster"
    assert found["data"] == "flow:index:Volume"
    assert "pulumi-python:dynamic" not in project.export()
    assert "hunter2" not in project.export()
    (bid,) = cloud.live_bids
    assert project.outputs() == {"id": bid["fid"], "ips": ["198.18.0.1", "198.18.0.2"]}
    project.run("preview", "--expect-no-changes").ok()
    project.edit("50.0", "40.0")
    assert "max_price_per_hour: 50 => 40" in project.preview("--diff").ok().text
    project.up().ok()
    project.refresh("--expect-no-changes").ok()
    project.write(
        f"from flow_resources import GpuCluster\n"
        f"import pulumi\n"
        f'pulumi.export("status", GpuCluster.get("read", "{bid["fid"]}").status)\n'
    )
    project.up("--target-dependents", "--target", "**read", "--target", "**proj-dev").ok()
    assert types(project)["read"] == "flow:index:GpuCluster"
    project.destroy().ok()
    assert not cloud.live_bids


def test_two_accounts_in_one_program(tmp_path: Path, clean_environment: None, plugin_on_path: dict[str, str]) -> None:
    """Each with a key, a service and a budget of its own; neither key is in the state in clear."""
    with (
        FakeMithril(key="fkey_of_the_east", project="east") as east,
        FakeMithril(key="fkey_of_the_west", project="west") as west,
    ):
        project = Project.make(tmp_path, east, TWO_ACCOUNTS, **plugin_on_path, MITHRIL_API_KEY="fkey_of_nobody")
        for name, cloud in (("east", east), ("west", west)):
            project.run("config", "set", f"{name}Key", cloud.key).ok()
            project.run("config", "set", f"{name}Url", cloud.url).ok()
        text = project.up().ok().text
        assert "$50.00/h of $60.00/h" in text  # and not $100.00: a budget is of one provider
        outputs = project.outputs()
        for name, cloud in (("east", east), ("west", west)):
            (bid,) = cloud.live_bids
            assert outputs[name] == bid["fid"]
        state = project.export()
        assert "fkey_of" not in state
        project.run("preview", "--expect-no-changes").ok()
        project.refresh("--expect-no-changes").ok()
        project.destroy().ok()
        assert not [*east.live_bids, *west.live_bids]
