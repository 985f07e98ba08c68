"""Every example through the real engine, as its README says to type it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from support.engine import Project, environment

from flow_resources.testing import FakeMithril

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def mutations(cloud: FakeMithril) -> list[tuple[str, str]]:
    """Return the requests that changed something, without those for the SDK's own SSH key."""
    return [(one.method, one.path) for one in cloud.mutations if "ssh-keys" not in one.path]


def nothing_left(cloud: FakeMithril) -> bool:
    return not cloud.live_bids and not cloud.volumes


def stays_as_it_is(project: Project, cloud: FakeMithril) -> None:
    """A second `up` and a `refresh` find nothing to do, and send nothing."""
    cloud.clear_requests()
    for printed in (project.up().ok().text, project.refresh().ok().text):
        assert re.search(r"^Resources:\n +\d+ unchanged\n\nDuration", printed, re.MULTILINE), printed
    assert not cloud.mutations


@pytest.mark.parametrize(
    ("example", "volumes", "machines"), [("01-cluster", 0, 1), ("02-volumes", 2, 4), ("10-pytorch", 1, 4)]
)
def test_an_example_lives_and_dies(
    tmp_path: Path, cloud: FakeMithril, example: str, volumes: int, machines: int
) -> None:
    """Preview rents nothing; up rents what it says, once; nothing drifts; destroy leaves nothing."""
    project = Project.of_example(tmp_path, cloud, EXAMPLES / example)
    assert "to create" in project.preview().ok().text
    assert not cloud.mutations

    project.up().ok()
    assert mutations(cloud) == [("POST", "/v2/volumes")] * volumes + [("POST", "/v2/spot/bids")]
    (bid,) = cloud.live_bids
    assert bid["instance_quantity"] == machines
    assert len(bid["launch_specification"]["volumes"]) == volumes

    stays_as_it_is(project, cloud)
    project.destroy().ok()
    assert nothing_left(cloud)


def test_pulumi_up_at_the_repositorys_root_runs_the_complete_example(tmp_path: Path, cloud: FakeMithril) -> None:
    """The root's Pulumi.yaml names examples/02-volumes."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(ROOT / "Pulumi.yaml", folder)
    shutil.copytree(EXAMPLES, folder / "examples", ignore=shutil.ignore_patterns("__pycache__", "Pulumi.*.yaml"))
    project = Project(folder, environment(tmp_path, cloud), name="flow-resources")
    project.run("stack", "init", "dev").ok()

    project.up().ok()
    (bid,) = cloud.live_bids
    assert project.outputs()["cluster_id"] == bid["fid"]
    assert sorted(bid["launch_specification"]["volumes"]) == sorted(one["fid"] for one in cloud.volumes)
    project.destroy().ok()
    assert nothing_left(cloud)


def test_training_mounts_the_volume_of_infra_and_infra_waits_for_it(tmp_path: Path, cloud: FakeMithril) -> None:
    """Two projects and one volume, whose destruction is refused, naming the bid, while the other one trains."""
    infra = Project.of_example(tmp_path, cloud, EXAMPLES / "06-two-projects" / "infra")
    training = Project.of_example(tmp_path, cloud, EXAMPLES / "06-two-projects" / "training")
    infra.edit(
        'region="us-central5-a")',
        'region="us-central5-a",\n    opts=pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(delete="3s")))',
    )
    infra.preview().ok()
    assert not cloud.mutations
    infra.up().ok()
    (volume,) = cloud.volumes

    cloud.clear_requests()
    training.preview().ok()
    assert not cloud.mutations
    training.up().ok()
    (bid,) = cloud.live_bids
    assert bid["launch_specification"]["volumes"] == [volume["fid"]]
    assert training.outputs()["volume_ids"] == [volume["fid"]]
    stays_as_it_is(training, cloud)
    stays_as_it_is(infra, cloud)

    refused = infra.destroy().failed().text
    assert f"error: the volume {volume['fid']} could not be deleted: held by {bid['fid']}: end what holds it" in refused
    assert [one["fid"] for one in cloud.volumes] == [volume["fid"]] == [infra.id_of("training-data")]
    assert [one["fid"] for one in cloud.live_bids] == [bid["fid"]]
    assert "2 unchanged" in infra.refresh().ok().text

    training.destroy().ok()
    infra.destroy().ok()
    assert nothing_left(cloud)


def test_training_finds_an_infra_stack_of_another_name_by_its_config(tmp_path: Path, cloud: FakeMithril) -> None:
    """`training:infraStack` wins over the stack of the same name."""
    infra = Project.of_example(tmp_path, cloud, EXAMPLES / "06-two-projects" / "infra")
    infra.run("stack", "init", "shared").ok()
    infra.up().ok()
    training = Project.of_example(tmp_path, cloud, EXAMPLES / "06-two-projects" / "training")
    training.run("config", "set", "infraStack", "organization/infra/shared").ok()
    training.up().ok()
    assert training.outputs()["volume_ids"] == [cloud.volumes[0]["fid"]]
    training.destroy().ok()
    infra.destroy().ok()
    assert nothing_left(cloud)
