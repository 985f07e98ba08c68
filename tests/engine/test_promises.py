"""Promises that only the real engine can break: proof of absence, many at once, odd parents."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from support.engine import Project, end_session

from flow_resources.testing import MANUAL, FakeMithril

ONE = """
    from flow_resources import GpuCluster, Volume

    Volume("data", size_gb=100, region="us-central5-a")
    GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a")
"""


@pytest.mark.both_hosts
@pytest.mark.faults
def test_no_answer_without_proof_drops_anything_from_the_state(tmp_path: Path, cloud: FakeMithril) -> None:
    """Error answers, a hang, another account, project or API URL: refresh and destroy fail, nothing is forgotten."""
    project = Project.make(tmp_path, cloud, ONE)
    project.up().ok()
    cloud.add_project("theirs")
    cloud.add_key("their-key", ["theirs"])
    cloud.add_project("second", keys=[cloud.key])
    before = {name: one["id"] for name, one in project.resources().items() if "id" in one}
    honest = dict(project.env)
    short = {"FLOW_RESOURCES_HTTP_SECONDS": "0.5", "FLOW_RESOURCES_RETRY_SECONDS": "0.5"}
    with FakeMithril() as other:
        cases: dict[str, tuple[dict[str, str], dict[str, object]]] = {
            "401": ({}, {"status": 401}),
            "403": ({}, {"status": 403}),
            "429": ({}, {"status": 429, "headers": {"Retry-After": "0"}}),
            "500": ({}, {"status": 500}),
            "hang": ({}, {"kind": "hang", "seconds": 60}),
            "account": ({"MITHRIL_API_KEY": "their-key", "MITHRIL_PROJECT": "theirs"}, {}),
            "project": ({"MITHRIL_PROJECT": "second"}, {}),
            "url": ({"MITHRIL_API_URL": other.url}, {}),
        }
        for name, (env, fault) in cases.items():
            project.env = honest | short | env
            if fault:
                cloud.faults.add(times=None, **fault)
            for operation in (project.refresh, project.destroy):
                assert "error:" in operation().failed().text, name
            cloud.faults.clear()
            project.env = honest
            assert {n: one["id"] for n, one in project.resources().items() if "id" in one} == before, name
        assert not other.mutations
    assert len(cloud.live_bids) == len(cloud.volumes) == 1
    project.destroy().ok()
    assert not cloud.live_bids


@pytest.mark.both_hosts(plugin="languages")
def test_a_refused_or_missing_key_says_where_to_put_one(tmp_path: Path, cloud: FakeMithril) -> None:
    """At preview, in one line."""
    project = Project.make(tmp_path, cloud, ONE)
    for key, words in (("", "there is no API key"), ("wrong", "refused the API key")):
        project.env["MITHRIL_API_KEY"] = key
        text = project.preview().failed().text
        assert words in text
        for place in ("flow:apiKey", "MITHRIL_API_KEY", "config.yaml"):
            assert place in text
    del project.env["MITHRIL_API_KEY"]
    assert "there is no API key" in project.preview().failed().text
    project.run("config", "set", "--secret", "flow:apiKey", cloud.key).ok()
    project.preview().ok()


@pytest.mark.both_hosts(plugin="languages")
def test_many_clusters_boot_together(tmp_path: Path, cloud: FakeMithril) -> None:
    """32 clusters, `-p 64`: all are placed before the first one has booted, so it is one boot, not eight."""
    cloud.set_options(boot_seconds=MANUAL)
    program = """
        from flow_resources import GpuCluster

        for number in range(32):
            GpuCluster(f"c{number}", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a")
    """
    project = Project.make(tmp_path, cloud, program)
    process = project.start("up", "--yes", "--skip-preview", "-p", "64")
    try:
        until = time.monotonic() + 600
        while len(cloud.live_bids) < 32 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        placed = len(cloud.live_bids)
        cloud.set_options(boot_seconds=0)
        cloud.finish("boot")
        text, _ = process.communicate(timeout=600)
    finally:
        end_session(process)
    assert placed == 32, f"{placed} were placed before any had booted: the others waited for them\n{text}"
    assert process.returncode == 0, text
    assert len(cloud.live_bids) == 32
    project.destroy().ok()
    assert not cloud.live_bids


@pytest.mark.both_hosts(plugin="languages")
def test_the_same_name_under_two_parents_is_two_clusters(tmp_path: Path, cloud: FakeMithril) -> None:
    """The mark is made of the URN as the engine has it."""
    program = """
        import pulumi
        from flow_resources import GpuCluster

        class Team(pulumi.ComponentResource):
            def __init__(self, kind):
                super().__init__(f"acme:index:{kind}", "team")
                GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a",
                           opts=pulumi.ResourceOptions(parent=self))

        Team("Blue")
        Team("Red")
    """
    project = Project.make(tmp_path, cloud, program)
    project.up().ok()
    assert len(cloud.live_bids) == 2
    names = {one["name"] for one in cloud.live_bids}
    assert len(names) == 2
    from flow_resources.core.naming import Mark, take_apart

    states = json.loads(project.export())["deployment"]["resources"]
    urns = [one["urn"] for one in states if one["type"].endswith("GpuCluster")]
    owner = "organization/proj/dev"
    assert {take_apart(name).mark for name in names} == {Mark.of(owner, urn) for urn in urns}
    project.destroy().ok()
    assert not cloud.live_bids


@pytest.mark.both_hosts
@pytest.mark.faults
def test_adoption_by_id_rents_nothing(tmp_path: Path, cloud: FakeMithril) -> None:
    """Adopt, keep unchanged, refuse what differs."""
    theirs = cloud.add_bid("by-hand", instance_quantity=2)
    program = f"""
        from flow_resources import GpuCluster

        GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a", num_instances=2,
                   adopt_task_id="{theirs["fid"]}")
    """
    project = Project.make(tmp_path, cloud, program)
    cloud.clear_requests()
    project.edit("num_instances=2", "num_instances=3")
    assert "has 2 machines, the program says 3" in project.preview().failed().text
    project.edit("num_instances=3", "num_instances=2")
    project.up().ok()
    assert project.id_of("trainer") == theirs["fid"]
    assert "2 unchanged" in project.up().ok().text
    assert not cloud.mutations


@pytest.mark.both_hosts(plugin="languages")
def test_a_budget_stops_the_preview_and_never_the_destroy(tmp_path: Path, cloud: FakeMithril) -> None:
    """`flow:maxCostPerHour` over all clusters of the stack."""
    project = Project.make(tmp_path, cloud, ONE)
    project.up().ok()
    project.run("config", "set", "flow:maxCostPerHour", "40").ok()
    text = project.preview().failed().text
    assert "exceeds the stack's budget flow:maxCostPerHour of $40.00/h by $10.00/h" in text
    project.destroy().ok()
    assert not cloud.live_bids
