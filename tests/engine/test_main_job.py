"""The main job through the real engine, the real SDK and the fake cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.engine import Project

from flow_resources.testing import FakeMithril

EXAMPLES = Path(__file__).parents[2] / "examples"


def mutations(cloud: FakeMithril) -> list[tuple[str, str]]:
    return [(one.method, one.path) for one in cloud.mutations if "ssh-keys" not in one.path]


def test_the_complete_example_lives_and_dies(tmp_path: Path, cloud: FakeMithril) -> None:
    """Preview, up, up again, re-price, resize, refresh, destroy: exactly the requests that it takes."""
    cloud.boot_seconds = 0.5
    project = Project.of_example(tmp_path, cloud, EXAMPLES / "02-volumes")

    preview = project.preview().ok()
    assert not cloud.mutations
    costs = "max $200.00/h (4 x $50.00), market $48.00/h now, about $1,152 a day, in us-central5-a"
    assert f"trainer create {costs}; stack so far $200.00/h" in preview.text

    up = project.up().ok()
    assert mutations(cloud) == [("POST", "/v2/volumes")] * 2 + [("POST", "/v2/spot/bids")]
    bid = cloud.live_bids[0]
    assert (bid["limit_price"], bid["instance_quantity"]) == ("$50.00", 4)
    assert sorted(bid["launch_specification"]["volumes"]) == sorted(one["fid"] for one in cloud.volumes)
    assert "4/4 machines running" in up.text
    outputs = project.outputs()
    assert outputs["cluster_id"] == bid["fid"] == project.id_of("trainer")
    assert len(outputs["gpu_ips"]) == 4
    assert sorted(outputs["storage"].values()) == sorted(one["fid"] for one in cloud.volumes)

    cloud.clear_requests()
    assert "4 unchanged" in project.up().ok().text
    assert "4 unchanged" in project.refresh().ok().text
    assert not cloud.mutations

    project.edit("max_price_per_hour=50.0", "max_price_per_hour=60.0")
    project.up().ok()
    assert [(one.method, one.path, one.body) for one in cloud.mutations] == [
        ("PATCH", f"/v2/spot/bids/{bid['fid']}", {"limit_price": "$60.00"})
    ]

    cloud.clear_requests()
    project.edit("num_instances=4", "num_instances=2")
    project.up().ok()
    assert [one.method for one in cloud.mutations] == ["DELETE", "POST"]
    assert [one["fid"] for one in cloud.live_bids] == [project.id_of("trainer")]

    project.destroy().ok()
    assert not cloud.live_bids
    assert not cloud.volumes


def test_outputs_are_typed_as_people_write_them(tmp_path: Path, cloud: FakeMithril) -> None:
    """`instances[0].public_ip` works, integers come back as integers, ssh commands can be pasted."""
    program = """
        import pulumi
        from flow_resources import GpuCluster, Volume

        data = Volume("data", size_gb=100, region="us-central5-a")
        one = GpuCluster("one", instance_type="8xa100", max_price_per_hour=50, region="us-central5-a",
                         command=["python", "-m", "train"], env={"A": "1"}, ports=[8080])
        pulumi.export("ip", one.instances[0].public_ip)
        pulumi.export("types", pulumi.Output.all(one.num_instances, data.size_gb, one.instances[0].ssh_port,
                                                 one.preemptions).apply(lambda v: [type(x).__name__ for x in v]))
        pulumi.export("ssh", one.ssh_commands[0])
        pulumi.export("cost", one.max_cost_per_hour)
    """
    project = Project.make(tmp_path, cloud, program)
    project.up().ok()
    outputs = project.outputs()
    assert outputs["ip"] == cloud.instances[0]["ssh_destination"]
    assert outputs["types"] == ["int"] * 4
    assert outputs["ssh"] == f"ssh ubuntu@{outputs['ip']}"
    assert outputs["cost"] == 50


def test_refresh_keeps_the_preempted_and_up_with_refresh_remakes_the_terminated(
    tmp_path: Path, cloud: FakeMithril
) -> None:
    """Open again is alive; terminal is gone. What the state holds for it is small, and stays."""
    project = Project.make(tmp_path, cloud, ONE)
    project.up().ok()
    trainer = project.resources()["trainer"]
    the_provider_token_is_short(trainer)
    the_state_is_small(trainer)
    cloud.preempt(trainer["id"])
    project.refresh().ok()
    outputs = project.resources()["trainer"]["outputs"]
    assert (outputs["status"], outputs["preemptions"]) == ("preempted", 1)
    assert outputs["__provider"] == trainer["outputs"]["__provider"], "it makes no diff"
    assert "2 unchanged" in project.preview().ok().text
    cloud.terminate(trainer["id"])
    project.up("--refresh").ok()
    assert [one["fid"] for one in cloud.live_bids] == [project.id_of("trainer")] != [trainer["id"]]


def the_provider_token_is_short(trainer: dict[str, Any]) -> None:
    """A name, not code: an upgrade of the package takes effect at once."""
    token = trainer["outputs"]["__provider"]
    assert isinstance(token, str)
    assert len(token) <= 128


def the_state_is_small(trainer: dict[str, Any]) -> None:
    """At most 400 bytes beyond the declared inputs and outputs."""
    ours = {key: value for key, value in trainer["outputs"].items() if key.startswith("__") and key != "__provider"}
    assert len(json.dumps(ours)) <= 400


def test_every_bad_input_is_reported_at_preview_with_its_path(tmp_path: Path, cloud: FakeMithril) -> None:
    """All of them together, no traceback, nothing rented."""
    program = """
        from flow_resources import GpuCluster, VolumeMount

        GpuCluster("bad", instance_type="a100", num_instances=101, max_price_per_hour=-1, wait_for="soon",
                   on_preemption="panic", region="us-central5-a", env={"TOKEN": 7},
                   volumes=[VolumeMount("vol_000009", "/data"), VolumeMount("vol_000009", "/models")])
    """
    project = Project.make(tmp_path, cloud, program)
    text = project.preview().failed().text
    paths = ("instance_type", "num_instances", "max_price_per_hour", "wait_for", "on_preemption", "env.TOKEN")
    for path in (*paths, "volumes[0].volume_id", "volumes[1].volume_id", "volumes[1].mount_path"):
        assert f"has a problem: {path} " in text, text
    assert not cloud.mutations


def test_a_volume_in_another_region_and_a_block_volume_are_refused_before_they_exist(
    tmp_path: Path, cloud: FakeMithril
) -> None:
    """Preview knows region and interface of a volume that is not made yet."""
    program = """
        from flow_resources import GpuCluster, Volume, VolumeMount

        far = Volume("far", size_gb=10, region="us-central1-a")
        block = Volume("block", size_gb=10, region="us-central5-a", interface="block")
        GpuCluster("one", instance_type="8xa100", max_price_per_hour=50, num_instances=2, region="us-central5-a",
                   volumes=[VolumeMount(far, "/data"), VolumeMount(block, "/mnt/block")])
    """
    project = Project.make(tmp_path, cloud, program)
    text = project.preview().failed().text
    assert "volumes[0].volume_id is a volume in us-central1-a, the cluster is in us-central5-a" in text
    assert "volumes[1].volume_id is a block volume, which attaches to one machine" in text


def test_the_region_of_a_cluster_comes_from_its_volumes_where_nothing_else_says(
    tmp_path: Path, cloud: FakeMithril
) -> None:
    """Also at preview, before the volume exists."""
    program = """
        from flow_resources import GpuCluster, Volume, VolumeMount

        far = Volume("far", size_gb=10, region="us-central1-a")
        GpuCluster("one", instance_type="8xa100", max_price_per_hour=50, volumes=[VolumeMount(far, "/data")])
    """
    project = Project.make(tmp_path, cloud, program)
    del project.env["MITHRIL_REGION"]
    assert "in us-central1-a" in project.preview().ok().text
    project.up().ok()
    assert cloud.live_bids[0]["region"] == "us-central1-a"


def test_get_reads_what_pulumi_does_not_own(tmp_path: Path, cloud: FakeMithril) -> None:
    """Neither rented nor destroyed."""
    bid, volume = cloud.add_bid("theirs", instance_quantity=2), cloud.add_volume("corpus")
    program = f"""
        import pulumi
        from flow_resources import GpuCluster, Volume

        theirs = GpuCluster.get("theirs", "{bid["fid"]}")
        corpus = Volume.get("corpus", "{volume["fid"]}")
        pulumi.export("status", theirs.status)
        pulumi.export("ips", theirs.public_ips)
        pulumi.export("corpus", corpus.volume_name)
    """
    project = Project.make(tmp_path, cloud, program)
    project.up().ok()
    outputs = project.outputs()
    assert (outputs["status"], len(outputs["ips"]), outputs["corpus"]) == ("running", 2, "corpus")
    project.up().ok()
    project.destroy().ok()
    assert [one["fid"] for one in cloud.live_bids] == [bid["fid"]]
    assert [one["fid"] for one in cloud.volumes] == [volume["fid"]]


ONE = """
    from flow_resources import GpuCluster

    GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a")
"""
