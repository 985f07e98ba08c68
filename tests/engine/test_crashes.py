"""Lost answers and killed processes under the real engine: one live bid, and its id is the one in the state."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest
from support.engine import Project, end_session, kill, plugin_pids

from flow_resources.testing import FakeMithril

BIDS, VOLUMES = r"/v2/spot/bids$", r"/v2/volumes$"
BOTH = """
    from flow_resources import GpuCluster, Volume

    Volume("data", size_gb=100, region="us-central5-a")
    GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a")
"""


def assert_one_of_each(project: Project, cloud: FakeMithril) -> None:
    resources = project.resources()
    assert [one["fid"] for one in cloud.live_bids] == [resources["trainer"]["id"]]
    assert [one["fid"] for one in cloud.volumes] == [resources["data"]["id"]]


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 504}, {"kind": "reset"}], ids=["500", "504", "reset"])
@pytest.mark.parametrize("path", [BIDS, VOLUMES], ids=["bid", "volume"])
def test_a_lost_answer_is_found_again_in_the_same_up(
    tmp_path: Path, cloud: FakeMithril, fault: dict[str, object], path: str
) -> None:
    """The service accepted, the answer was lost."""
    project = Project.make(tmp_path, cloud, BOTH)
    cloud.faults.add(method="POST", path=path, when="after", **fault)
    project.up().ok()
    assert_one_of_each(project, cloud)
    assert len(cloud.bids) == 1


@pytest.mark.parametrize("victim", ["plugin", "engine", "both"])
@pytest.mark.parametrize("path", [BIDS, VOLUMES], ids=["bid", "volume"])
def test_a_kill_right_after_acceptance_is_repaired_by_one_more_up(
    tmp_path: Path, cloud: FakeMithril, victim: str, path: str
) -> None:
    """The process dies between the acceptance and the answer; nothing is in the state."""
    project = Project.make(tmp_path, cloud, BOTH)
    running: list[subprocess.Popen[str]] = []
    started = threading.Event()

    def strike(_request: object) -> None:
        started.wait(30)
        engine = running[0].pid
        victims = {"plugin": plugin_pids(engine), "engine": [engine], "both": [*plugin_pids(engine), engine]}[victim]
        assert victims
        kill(*victims)

    cloud.faults.add(method="POST", path=path, when="after", kind="reset", then=strike)
    running.append(project.start("up", "--yes"))
    started.set()
    try:
        output, _ = running[0].communicate(timeout=120)
    finally:
        end_session(running[0])
    assert running[0].returncode != 0, output
    if victim != "plugin":
        project.run("cancel", "--yes")
    project.up().ok()
    assert_one_of_each(project, cloud)
    assert len(cloud.bids) == 1
    project.destroy().ok()
    assert not cloud.live_bids
    assert not cloud.volumes


def test_a_time_limit_records_the_id_and_the_next_up_goes_on(tmp_path: Path, cloud: FakeMithril) -> None:
    """`custom_timeouts` is honoured; the error says what was seen last; no second bid is placed."""
    program = """
        import pulumi
        from flow_resources import GpuCluster

        GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a", num_instances=4,
                   env={"TOKEN": "canary-7b21"},
                   opts=pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="3s", update="20s")))
    """
    cloud.set_price("8xa100", "us-central5-a", 61.0)
    project = Project.make(tmp_path, cloud, program)
    text = project.up().failed().text
    assert (
        "0/4 machines running, bid $50.00, market $61.00: raise the bid or wait; run `pulumi up` again to go on" in text
    )
    assert "the bid $50.00/h is under the market $61.00/h" in text
    assert [one["fid"] for one in cloud.live_bids] == [project.id_of("trainer")]
    assert "canary-7b21" not in project.export()
    cloud.set_price("8xa100", "us-central5-a", 12.0)
    project.up().ok()
    assert len(cloud.bids) == 1
    assert project.resources()["trainer"]["outputs"]["status"] == "running"
    assert "canary-7b21" not in project.export()


def test_a_service_that_is_down_fails_in_one_line(tmp_path: Path, cloud: FakeMithril) -> None:
    """Preview goes on with a warning, `up` ends in bounded time without a traceback."""
    project = Project.make(tmp_path, cloud, BOTH)
    cloud.stop()
    assert "checked without the service" in project.preview().ok().text
    text = project.up().failed().text
    assert "run the same command again" in text
    cloud.start()
    project.up().ok()
    assert_one_of_each(project, cloud)


def test_a_forced_replacement_in_the_default_order_leaves_one_bid(tmp_path: Path, cloud: FakeMithril) -> None:
    """Delete first, and never adopt what is being deleted."""
    project = Project.make(tmp_path, cloud, BOTH)
    project.up().ok()
    first = project.resources()
    urns = [first[name]["urn"] for name in ("trainer", "data")]
    project.up(*(f"--target-replace={urn}" for urn in urns)).ok()
    assert_one_of_each(project, cloud)
    assert project.id_of("trainer") != first["trainer"]["id"]
    assert project.id_of("data") != first["data"]["id"]


def test_a_replacement_in_the_create_first_order_leaves_one_bid(tmp_path: Path, cloud: FakeMithril) -> None:
    """By diff and forced: the new one is another bid than the one about to be deleted."""
    program = """
        import pulumi
        from flow_resources import GpuCluster

        GpuCluster("trainer", instance_type="8xa100", max_price_per_hour=50.0, region="us-central5-a",
                   command="sleep 1", opts=pulumi.ResourceOptions(delete_before_replace=False))
    """
    project = Project.make(tmp_path, cloud, program)
    project.up().ok()
    seen = [project.id_of("trainer")]
    cloud.clear_requests()
    project.edit("sleep 1", "sleep 2")
    project.up().ok()
    assert [one.method for one in cloud.mutations if "bids" in one.path] == ["POST", "DELETE"]
    seen.append(project.id_of("trainer"))
    project.up(f"--target-replace={project.resources()['trainer']['urn']}").ok()
    seen.append(project.id_of("trainer"))
    assert len(set(seen)) == 3
    assert [one["fid"] for one in cloud.live_bids] == [seen[-1]]
