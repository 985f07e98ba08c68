"""Refresh records what the service has, and only proof of absence removes a resource."""

from __future__ import annotations

from typing import Any

import pytest
from support.stack import Reports, Stack, VerbError, cluster, settings_of, volume

from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.both_hosts

PROGRAM = {"data": volume(), "trainer": cluster()}


def test_a_terminated_bid_is_created_anew_by_up_with_refresh(stack: Stack, cloud: FakeMithril) -> None:
    """Terminated is one of the two proofs."""
    stack.up(PROGRAM)
    first = stack.state["trainer"].id
    cloud.terminate(first)
    stack.up(PROGRAM, refresh=True)
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id] != [first]


def test_a_resource_that_is_gone_is_reported(stack: Stack, cloud: FakeMithril, reports: Reports) -> None:
    """The engine shows it as deleted, although the refresh deleted nothing."""
    stack.up(PROGRAM)
    trainer, data = (stack.state[name].id for name in ("trainer", "data"))
    cloud.terminate(trainer)
    cloud.delete_volume(data)
    stack.refresh()
    message = "is gone already and leaves the state: the next `pulumi up` makes a new one"
    assert set(reports.kept) >= {f"the task {trainer} {message}", f"the volume {data} {message}"}


def test_a_preempted_cluster_is_kept(stack: Stack, cloud: FakeMithril) -> None:
    """It is Open again: nothing is replaced, and the preemption is counted."""
    stack.up(PROGRAM)
    id_ = stack.state["trainer"].id
    cloud.preempt(id_)
    stack.refresh()
    outputs = stack.state["trainer"].outputs
    assert (outputs["status"], outputs["preemptions"], outputs["public_ips"]) == ("preempted", 1, [])
    assert stack.preview(PROGRAM) == {"data": "same", "trainer": "same"}
    cloud.release(id_)
    stack.refresh()
    outputs = stack.state["trainer"].outputs
    assert (outputs["status"], outputs["preemptions"], stack.state["trainer"].id) == ("running", 1, id_)


@pytest.mark.parametrize(
    ("run_on", "runs", "row"),
    [
        ("every_boot", ["flow-command.service"], "the command runs again"),
        ("first_boot", [], "run_on='first_boot': the command does not run again"),
    ],
)
def test_the_row_of_a_cluster_that_came_back_says_what_its_machines_run(
    stack: Stack, cloud: FakeMithril, reports: Reports, run_on: str, runs: list[str], row: str
) -> None:
    """As the fake reads it from the start-up script: at the second boot the unit, or nothing."""
    stack.up({"trainer": cluster(command="python train.py", run_on=run_on)})
    id_ = stack.state["trainer"].id
    cloud.preempt(id_)
    stack.refresh()
    cloud.release(id_)
    stack.refresh()
    assert [boot["runs"] for boot in cloud.boots(id_)] == [["start-up script"], runs]
    assert f"was preempted, now 1/1 machines running: {row}" in reports.kept
    cloud.preempt(id_)
    cloud.release(id_)
    stack.refresh()
    assert f"was running, preempted meanwhile, now 1/1 machines running: {row}" in reports.kept


def test_a_paused_cluster_is_kept_and_shows_as_drift(stack: Stack, cloud: FakeMithril) -> None:
    """The next `up` resumes it."""
    stack.up(PROGRAM)
    cloud.update_bid(stack.state["trainer"].id, paused=True)
    stack.refresh()
    assert stack.state["trainer"].outputs["status"] == "paused"
    assert stack.preview(PROGRAM)["trainer"] == "update"
    stack.up(PROGRAM)
    assert stack.state["trainer"].outputs["status"] == "running"


def test_a_price_that_was_changed_externally_is_drift_and_set_back(stack: Stack, cloud: FakeMithril) -> None:
    """Live values are read back as inputs, too."""
    stack.up(PROGRAM)
    cloud.update_bid(stack.state["trainer"].id, limit_price="$70.00")
    stack.refresh()
    assert stack.state["trainer"].inputs["max_price_per_hour"] == 70.0
    assert stack.preview(PROGRAM)["trainer"] == "update"
    stack.up(PROGRAM)
    assert cloud.live_bids[0]["limit_price"] == "$50.00"


def test_a_renamed_volume_is_drift_where_the_program_names_it(stack: Stack, cloud: FakeMithril) -> None:
    """A chosen name is an input; a generated one is only an output."""
    program = {"corpus": volume(volume_name="corpus"), "auto": volume()}
    stack.up(program)
    cloud.update_volume(stack.state["corpus"].id, name="renamed")
    cloud.update_volume(stack.state["auto"].id, name="renamed-too")
    stack.refresh()
    assert stack.preview(program) == {"corpus": "update", "auto": "same"}
    assert stack.state["auto"].outputs["volume_name"] == "renamed-too"
    stack.up(program)
    assert sorted(volume["name"] for volume in cloud.volumes) == ["corpus", "renamed-too"]


def test_a_detached_volume_warns_and_replaces_nothing(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """The attached volumes are an output; the mounts are an input."""
    stack.up({"data": volume()})
    data = stack.state["data"].id
    program = {"data": volume(), "trainer": cluster(volumes=[{"volume_id": data, "mount_path": "/data"}])}
    stack.up(program)
    cloud.update_bid(stack.state["trainer"].id, volumes=[])
    stack.refresh()
    assert f"{data} is not attached" in capsys.readouterr().err
    assert stack.state["trainer"].outputs["volume_ids"] == []
    assert stack.preview(program) == {"data": "same", "trainer": "same"}


def test_failed_machines_are_shown_and_replace_nothing(stack: Stack, cloud: FakeMithril) -> None:
    """Their statuses are outputs: the cluster is failed, and stays as it is."""
    program = {"trainer": cluster(num_instances=2)}
    stack.up(program)
    cloud.fail_boot(stack.state["trainer"].id)
    stack.refresh()
    outputs = stack.state["trainer"].outputs
    assert outputs["status"] == "failed"
    assert [instance["status"] for instance in outputs["instances"]] == ["error", "error"]
    assert stack.preview(program) == {"trainer": "same"}


@pytest.mark.parametrize("keeps_ids", [False, True], ids=["other machines", "the same machines"])
def test_addresses_are_those_of_the_current_machines(stack: Stack, cloud: FakeMithril, keeps_ids: bool) -> None:
    """A preempted cluster comes back with other machines or the same: the outputs follow the service."""
    cloud.set_options(keep_instance_ids=keeps_ids)
    program = {"trainer": cluster(num_instances=2)}
    stack.up(program)
    before = stack.state["trainer"].outputs
    cloud.preempt(before["task_id"])
    cloud.release(before["task_id"])
    stack.refresh()
    after, rows = stack.state["trainer"].outputs, {instance["fid"]: instance for instance in cloud.instances}
    instances = [rows[id_] for id_ in cloud.bid(before["task_id"])["instances"]]
    assert after["public_ips"] == [instance["ssh_destination"] for instance in instances]
    assert after["private_ips"] == [instance["private_ip"] for instance in instances]
    assert [instance["id"] for instance in after["instances"]] == [instance["fid"] for instance in instances]
    assert (after["instances"] == before["instances"]) == keeps_ids
    assert stack.preview(program) == {"trainer": "same"}


def test_attached_to_follows_the_service(stack: Stack, cloud: FakeMithril) -> None:
    """Also for foreign bids; it is an output, and no change."""
    stack.up({"data": volume()})
    foreign = cloud.add_bid("somebody-else", volumes=[stack.state["data"].id])["fid"]
    stack.refresh()
    assert stack.state["data"].outputs["attached_to"] == [foreign]
    assert stack.preview({"data": volume()}) == {"data": "same"}
    cloud.terminate(foreign)
    stack.refresh()
    assert stack.state["data"].outputs["attached_to"] == []


def test_an_unchanged_stack_shows_no_change_twenty_times(stack: Stack, cloud: FakeMithril) -> None:
    """Refresh and preview, repeatedly: no change, and no mutation."""
    stack.up(PROGRAM)
    before = {name: (saved.id, saved.inputs, saved.outputs) for name, saved in stack.state.items()}
    cloud.clear_requests()
    for _ in range(20):
        stack.refresh()
        assert stack.preview(PROGRAM) == {"data": "same", "trainer": "same"}
    after = {name: (saved.id, saved.inputs, saved.outputs) for name, saved in stack.state.items()}
    assert after == before
    assert not cloud.mutations


def test_a_delete_returns_after_the_bid_has_ended(cloud: FakeMithril, clock: Any) -> None:
    """It waits for a slow cancel."""
    from flow_resources.testing import Clock

    time = Clock(speed=0)
    with FakeMithril(clock=time, cancel_seconds=3.0) as slow:
        stack = Stack(settings_of(slow), clock=clock)
        clock.on_sleep = lambda: time.advance(1)
        stack.up({"trainer": cluster()})
        stack.destroy()
        assert not slow.live_bids
        assert clock.slept


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 403}, {"kind": "reset"}], ids=["500", "403", "reset"])
def test_a_bid_that_is_not_listed_is_gone_only_with_proof(
    stack: Stack, cloud: FakeMithril, fault: dict[str, Any]
) -> None:
    """Absence from the live bids is not a proof."""
    stack.up({"trainer": cluster()})
    cloud.terminate(stack.state["trainer"].id)
    cloud.faults.add(method="GET", path=r"/v2/spot/bids/bid_\w+$", when="before", times=None, **fault)
    with pytest.raises(VerbError):
        stack.refresh()
    assert "trainer" in stack.state
    cloud.faults.clear()
    stack.refresh()
    assert not stack.state
