"""Every example through the real engine, as its README says to type it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from support.engine import Project, environment

from flow_resources.testing import FakeMithril

ROOT = Path(__file__).parents[2]
STACKS = {"dev": "dev", "prod": "live"}  # of infra, and the one of training that uses it
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
    ("example", "volumes", "machines"),
    # 02 lives in test_main_job, the others in tests of their own. 01 is a part of 02, and its page shows its life.
    [pytest.param("01-cluster", 0, 1, marks=pytest.mark.faults), ("07-pytorch", 1, 4)],
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


def test_two_projects_of_two_stacks_each_share_volumes_and_nothing_is_lost(tmp_path: Path, cloud: FakeMithril) -> None:
    """Training mounts the volume of infra's stack of its name, or of its config; infra cannot take it away."""
    infra = Project.of_example(tmp_path, cloud, EXAMPLES / "04-two-projects" / "infra")
    training = Project.of_example(tmp_path, cloud, EXAMPLES / "04-two-projects" / "training")
    infra.edit(
        'region="us-central5-a")',
        'region="us-central5-a",\n    opts=ResourceOptions(custom_timeouts=CustomTimeouts(delete="6s")))',
    )
    infra.edit("from flow", "from pulumi import CustomTimeouts, ResourceOptions\n\nfrom flow")
    volumes, bids = {}, {}
    for stack, trains in STACKS.items():
        if stack != "dev":
            infra.run("stack", "init", stack).ok()
            training.run("stack", "init", trains).ok()
            training.run("config", "set", "infraStack", f"organization/infra/{stack}").ok()
        infra.up().ok()
        volumes[stack] = infra.id_of("training-data")
        cloud.clear_requests()
        training.preview().ok()
        assert not cloud.mutations
        training.up().ok()
        bids[stack] = training.id_of("trainer")
        assert training.outputs()["volume_ids"] == [volumes[stack]]
        assert training.outputs()["trainer"]["task_id"] == bids[stack]
    stays_as_it_is(training, cloud)
    stays_as_it_is(infra, cloud)
    mounted = {one["fid"]: one["launch_specification"]["volumes"] for one in cloud.live_bids}
    assert mounted == {bids[stack]: [volumes[stack]] for stack in volumes}
    assert len({*volumes.values()}) == len({*bids.values()}) == 2

    refused = infra.destroy().failed().text
    (held,) = (one["name"] for one in cloud.live_bids if one["fid"] == bids["prod"])
    who = f"held by {bids['prod']} ({held} of the stack organization/training/live): end what holds it"
    assert f"error: the volume {volumes['prod']} could not be deleted: {who}" in refused
    assert sorted(one["fid"] for one in cloud.volumes) == sorted(volumes.values())
    assert {one["fid"] for one in cloud.live_bids} == {*bids.values()}
    assert "2 unchanged" in infra.refresh().ok().text

    for project, stacks in ((training, STACKS.values()), (infra, STACKS)):
        for stack in stacks:
            project.run("stack", "select", stack).ok()
            project.destroy().ok()
    assert nothing_left(cloud)


LEADS_NOWHERE = [
    ('"data")', '"dta")', "'dta' of the stack organization/infra/dev is missing; there is 'data' (a volume)"),
    ("/infra/", "/infar/", "stack organization/infar/dev, of which the output 'data' is read, cannot be read: unk"),
]


def test_a_reference_that_leads_nowhere_says_so_in_one_line_and_what_to_add(tmp_path: Path, cloud: FakeMithril) -> None:
    """At preview, without a traceback, whatever is wrong with it."""
    Project.of_example(tmp_path, cloud, EXAMPLES / "04-two-projects" / "infra").up().ok()
    training = Project.of_example(tmp_path, cloud, EXAMPLES / "04-two-projects" / "training")
    for written, instead, why in LEADS_NOWHERE:
        training.edit(written, instead)
        printed = training.preview().failed().text
        (line,) = {line.strip() for line in printed.splitlines() if line.startswith("    error: the ")}
        assert why in line
        assert "export_volume(" in line
        assert "Traceback" not in printed
        training.edit(instead, written)
