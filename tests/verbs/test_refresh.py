"""Refresh and destroy tell the truth, and only proof makes something gone."""

from __future__ import annotations

from typing import Any

import pytest
from support.stack import Reports, Stack, VerbError, cluster, settings_of, volume

from flow_resources.testing import FakeMithril

PROGRAM = {"data": volume(), "trainer": cluster()}


def test_a_terminated_bid_is_gone_and_made_anew_by_up_with_refresh(stack: Stack, cloud: FakeMithril) -> None:
    """Terminal is one of the two proofs."""
    stack.up(PROGRAM)
    first = stack.state["trainer"].id
    cloud.terminate(first)
    stack.up(PROGRAM, refresh=True)
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id] != [first]


def test_what_is_gone_is_said_because_the_engine_says_deleted(
    stack: Stack, cloud: FakeMithril, reports: Reports
) -> None:
    """Nobody should think that it was the refresh that ended a cluster or deleted a volume."""
    stack.up(PROGRAM)
    trainer, data = (stack.state[name].id for name in ("trainer", "data"))
    cloud.terminate(trainer)
    cloud.delete_volume(data)
    stack.refresh()
    left = "is gone already and leaves the state: the next `pulumi up` makes a new one"
    assert set(reports.kept) >= {f"the task {trainer} {left}", f"the volume {data} {left}"}


def test_a_preempted_cluster_is_alive_and_kept(stack: Stack, cloud: FakeMithril) -> None:
    """Open again: queued, nothing replaced, counted."""
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


def test_a_paused_cluster_is_kept_and_shows_as_drift(stack: Stack, cloud: FakeMithril) -> None:
    """Pausing behind the program's back is repaired by the next `up`."""
    stack.up(PROGRAM)
    cloud.update_bid(stack.state["trainer"].id, paused=True)
    stack.refresh()
    assert stack.state["trainer"].outputs["status"] == "paused"
    assert stack.preview(PROGRAM)["trainer"] == "update"
    stack.up(PROGRAM)
    assert stack.state["trainer"].outputs["status"] == "running"


def test_a_price_changed_behind_our_back_shows_and_is_set_back(stack: Stack, cloud: FakeMithril) -> None:
    """Live values come back as inputs, too."""
    stack.up(PROGRAM)
    cloud.update_bid(stack.state["trainer"].id, limit_price="$70.00")
    stack.refresh()
    assert stack.state["trainer"].inputs["max_price_per_hour"] == 70.0
    assert stack.preview(PROGRAM)["trainer"] == "update"
    stack.up(PROGRAM)
    assert cloud.live_bids[0]["limit_price"] == "$50.00"


def test_a_renamed_volume_shows_and_is_renamed_back_where_the_program_names_it(
    stack: Stack, cloud: FakeMithril
) -> None:
    """A chosen name is an input; a made-up one is only an output."""
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
    """What is attached is an output; the program's mounts are an input."""
    stack.up({"data": volume()})
    data = stack.state["data"].id
    program = {"data": volume(), "trainer": cluster(volumes=[{"volume_id": data, "mount_path": "/data"}])}
    stack.up(program)
    cloud.update_bid(stack.state["trainer"].id, volumes=[])
    stack.refresh()
    assert f"{data} is not attached" in capsys.readouterr().err
    assert stack.state["trainer"].outputs["volume_ids"] == []
    assert stack.preview(program) == {"data": "same", "trainer": "same"}


def test_machines_that_break_show_and_replace_nothing(stack: Stack, cloud: FakeMithril) -> None:
    """Their states are outputs: one in error makes the cluster failed, and it stays as it is."""
    program = {"trainer": cluster(num_instances=2)}
    stack.up(program)
    cloud.fail_boot(stack.state["trainer"].id)
    stack.refresh()
    outputs = stack.state["trainer"].outputs
    assert outputs["status"] == "failed"
    assert [instance["status"] for instance in outputs["instances"]] == ["error", "error"]
    assert stack.preview(program) == {"trainer": "same"}


@pytest.mark.parametrize("kept", [False, True], ids=["other machines", "the same machines"])
def test_addresses_are_those_of_the_machines_that_are_there_now(stack: Stack, cloud: FakeMithril, kept: bool) -> None:
    """A cluster that was preempted comes back with others, or with the same: the outputs follow the service."""
    cloud.set_options(keep_instance_ids=kept)
    program = {"trainer": cluster(num_instances=2)}
    stack.up(program)
    before = stack.state["trainer"].outputs
    cloud.preempt(before["task_id"])
    cloud.release(before["task_id"])
    stack.refresh()
    after, rows = stack.state["trainer"].outputs, {instance["fid"]: instance for instance in cloud.instances}
    now = [rows[id_] for id_ in cloud.bid(before["task_id"])["instances"]]
    assert after["public_ips"] == [instance["ssh_destination"] for instance in now]
    assert after["private_ips"] == [instance["private_ip"] for instance in now]
    assert [instance["id"] for instance in after["instances"]] == [instance["fid"] for instance in now]
    assert (after["instances"] == before["instances"]) == kept
    assert stack.preview(program) == {"trainer": "same"}


def test_what_a_volume_is_attached_to_follows_the_service(stack: Stack, cloud: FakeMithril) -> None:
    """Also what strangers do with it; it is an output, and no change."""
    stack.up({"data": volume()})
    theirs = cloud.add_bid("somebody-else", volumes=[stack.state["data"].id])["fid"]
    stack.refresh()
    assert stack.state["data"].outputs["attached_to"] == [theirs]
    assert stack.preview({"data": volume()}) == {"data": "same"}
    cloud.terminate(theirs)
    stack.refresh()
    assert stack.state["data"].outputs["attached_to"] == []


def test_an_untouched_stack_shows_no_change_twenty_times(stack: Stack, cloud: FakeMithril) -> None:
    """Refresh and preview, again and again: nothing moves, nothing is written."""
    stack.up(PROGRAM)
    before = {name: (saved.id, saved.inputs, saved.outputs) for name, saved in stack.state.items()}
    cloud.clear_requests()
    for _ in range(20):
        stack.refresh()
        assert stack.preview(PROGRAM) == {"data": "same", "trainer": "same"}
    after = {name: (saved.id, saved.inputs, saved.outputs) for name, saved in stack.state.items()}
    assert after == before
    assert not cloud.mutations


def test_a_delete_sees_the_bid_ended_before_it_returns(cloud: FakeMithril, clock: Any) -> None:
    """A cancel that takes its time is waited for."""
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
def test_a_bid_that_no_listing_shows_is_gone_only_when_the_service_says_so(
    stack: Stack, cloud: FakeMithril, fault: dict[str, Any]
) -> None:
    """Absence from the live bids is a question, not an answer."""
    stack.up({"trainer": cluster()})
    cloud.terminate(stack.state["trainer"].id)
    cloud.faults.add(method="GET", path=r"/v2/spot/bids/bid_\w+$", when="before", times=None, **fault)
    with pytest.raises(VerbError):
        stack.refresh()
    assert "trainer" in stack.state
    cloud.faults.clear()
    stack.refresh()
    assert not stack.state
