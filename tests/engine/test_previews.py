"""What a preview says of an `up`, of programs as people write them."""

from __future__ import annotations

from pathlib import Path

from support.engine import Project

from flow_resources.testing import FakeMithril

TRAINER = """
    import pulumi
    from flow_resources import GpuCluster

    GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, command="echo 1",
               opts=pulumi.ResourceOptions(retain_on_delete=False))
"""
SHARED = """
    from flow_resources import GpuCluster, Volume, VolumeMount

    data = Volume("data", size_gb=100, interface="block")
    for name in ("a", "b"):
        GpuCluster(name, instance_type="8xa100", max_price_per_hour=50.0, volumes=[VolumeMount(data, "/data")])
"""


def test_what_an_up_would_end_where_a_replacement_stays_and_what_two_clusters_share(
    tmp_path: Path, cloud: FakeMithril
) -> None:
    """A retained cluster of the last hour; a replacement on a laptop with another default; a volume yet to be made."""
    elsewhere = "us-central1-a"
    project = Project.make(tmp_path, cloud, TRAINER, MITHRIL_REGION="us-central5-a")
    project.run("config", "set", "flow:owner", "acme").ok()
    project.up().ok()
    project.env["MITHRIL_REGION"] = elsewhere
    project.edit("echo 1", "echo 2")
    project.up().ok()
    assert project.resources()["trainer"]["outputs"]["region"] == "us-central5-a"
    urn = project.resources()["trainer"]["urn"]
    project.up("--replace", urn).ok()
    assert project.resources()["trainer"]["outputs"]["region"] == "us-central5-a"
    project.edit("retain_on_delete=False", "retain_on_delete=True")
    project.up().ok()
    retained, program = project.id_of("trainer"), (project.folder / "__main__.py").read_text()
    project.write(SHARED)
    text = project.preview().failed().text
    both = ("the cluster 'b' mounts it, and the cluster 'a'", "the cluster 'a' mounts it, and the cluster 'b'")
    assert any(f"is a block volume, which attaches to one machine: {one}" in text for one in both)
    project.write("")
    project.up().ok()
    assert [bid["fid"] for bid in cloud.live_bids] == [retained]
    project.write(program)
    project.edit("echo 2", "echo 3")
    text = project.preview().ok().text
    assert "an `up` ends trainer-" in text
    assert f"({retained}, up to $50.00/h) first" in text
    project.up().ok()
    assert [bid["fid"] for bid in cloud.live_bids] == [project.id_of("trainer")] != [retained]
