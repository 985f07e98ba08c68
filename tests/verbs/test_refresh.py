"""Refresh and destroy tell the truth, and only proof makes something gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.stack import Stack, VerbError, cluster, settings_of, volume

from flow_resources.testing import FakeMithril

PROGRAM = {"data": volume(), "trainer": cluster()}
Break = Callable[[FakeMithril, Stack, pytest.MonkeyPatch], None]


def fault(**rule: Any) -> Break:
    def apply(cloud: FakeMithril, _stack: Stack, _patch: pytest.MonkeyPatch) -> None:
        cloud.faults.add(times=None, **rule)

    return apply


def other_account(cloud: FakeMithril, stack: Stack, _patch: pytest.MonkeyPatch) -> None:
    cloud.add_project("theirs")
    cloud.add_key("their-key", ["theirs"])
    stack.config |= {"flow:apiKey": "their-key", "flow:project": "theirs"}


def other_account_same_project_name(cloud: FakeMithril, stack: Stack, _patch: pytest.MonkeyPatch) -> None:
    cloud.add_project("theirs")
    cloud.add_key("their-key", ["theirs"])
    stack.config["flow:apiKey"] = "their-key"


def other_project(cloud: FakeMithril, stack: Stack, _patch: pytest.MonkeyPatch) -> None:
    cloud.add_project("second", keys=[cloud.key])
    stack.config["flow:project"] = "second"


def unknown_key(_cloud: FakeMithril, stack: Stack, _patch: pytest.MonkeyPatch) -> None:
    stack.config["flow:apiKey"] = "no-such-key"


def no_key(_cloud: FakeMithril, stack: Stack, _patch: pytest.MonkeyPatch) -> None:
    del stack.config["flow:apiKey"]


def hang(cloud: FakeMithril, _stack: Stack, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("FLOW_RESOURCES_HTTP_SECONDS", "0.2")
    cloud.faults.add(kind="hang", times=None, seconds=30)


UNPROVEN: dict[str, Break] = {
    "401": fault(status=401, when="before"),
    "403": fault(status=403, when="before"),
    "429": fault(status=429, when="before"),
    "500": fault(status=500, when="before"),
    "503": fault(status=503, when="before"),
    "reset": fault(kind="reset", when="before"),
    "truncated": fault(kind="truncate", when="after"),
    "malformed": fault(kind="malformed", when="after"),
    "hang": hang,
    "other account": other_account,
    "other account, same project name": other_account_same_project_name,
    "other project": other_project,
    "unknown key": unknown_key,
    "no key": no_key,
}


@pytest.mark.parametrize("case", UNPROVEN)
@pytest.mark.parametrize("operation", ["refresh", "destroy"])
def test_what_is_not_proven_gone_stays_in_the_state(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch, case: str, operation: str
) -> None:
    """An answer that proves nothing fails in one line, and nothing is forgotten or touched."""
    stack.up(PROGRAM)
    before = dict(stack.state)
    cloud.clear_requests()
    UNPROVEN[case](cloud, stack, monkeypatch)
    with pytest.raises(VerbError) as failed:
        getattr(stack, operation)()
    assert "\n" not in str(failed.value)
    assert "Traceback" not in str(failed.value)
    assert cloud.key not in str(failed.value)
    assert set(stack.state) == set(before)
    assert not [one for one in cloud.mutations if one.effect]


def test_another_api_url_names_both_sides(stack: Stack, cloud: FakeMithril) -> None:
    """The shell that just ran the fake."""
    stack.up(PROGRAM)
    with FakeMithril() as other:
        stack.config["flow:apiUrl"] = other.url
        for operation in (stack.refresh, stack.destroy):
            with pytest.raises(VerbError) as failed:
                operation()
            assert cloud.url in str(failed.value)
            assert other.url in str(failed.value)
        assert not other.mutations
    assert set(stack.state) == {"data", "trainer"}


def test_a_terminated_bid_is_gone_and_made_anew_by_up_with_refresh(stack: Stack, cloud: FakeMithril) -> None:
    """Terminal is one of the two proofs."""
    stack.up(PROGRAM)
    first = stack.state["trainer"].id
    cloud.terminate(first)
    stack.up(PROGRAM, refresh=True)
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id] != [first]


def test_a_bid_that_the_service_does_not_know_is_gone(stack: Stack, cloud: FakeMithril) -> None:
    """A 404 in the recorded project is the other proof."""
    stack.up(PROGRAM)
    stack.state["trainer"].id = "bid_999999"
    stack.refresh()
    assert set(stack.state) == {"data"}


def test_a_deleted_volume_is_gone(stack: Stack, cloud: FakeMithril) -> None:
    """Absent from a whole listing of the recorded project."""
    stack.up(PROGRAM)
    cloud.delete_volume(stack.state["data"].id)
    stack.refresh()
    assert set(stack.state) == {"trainer"}


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
    assert sorted(one["name"] for one in cloud.volumes) == ["corpus", "renamed-too"]


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


def test_deleting_what_is_gone_already_succeeds(stack: Stack, cloud: FakeMithril) -> None:
    """Absent counts as deleted: terminal, unknown to the service, or deleted volume."""
    stack.up(PROGRAM)
    cloud.terminate(stack.state["trainer"].id)
    cloud.delete_volume(stack.state["data"].id)
    stack.destroy()
    assert not stack.state


def test_a_strangers_bid_under_a_recorded_id_is_refused(stack: Stack, cloud: FakeMithril) -> None:
    """Its live name is not the recorded one."""
    stack.up({"trainer": cluster()})
    stranger = cloud.add_bid("somebody-else")
    stack.state["trainer"].id = stranger["fid"]
    with pytest.raises(VerbError, match=r"somebody-else.*state delete"):
        stack.destroy()
    assert stranger["fid"] in [bid["fid"] for bid in cloud.live_bids]


def test_a_delete_sees_the_bid_ended_before_it_returns(cloud: FakeMithril, clock: Any) -> None:
    """A cancel that takes its time is waited for."""
    from flow_resources.testing import Clock

    time = Clock(speed=0)
    with FakeMithril(clock=time, cancel_seconds=3.0) as slow:
        stack = Stack(settings_of(slow), clock=clock)
        clock.meanwhile = lambda: time.advance(1)
        stack.up({"trainer": cluster()})
        stack.destroy()
        assert not slow.live_bids
        assert clock.slept


def test_a_stack_that_was_renamed_refreshes_and_destroys(stack: Stack, cloud: FakeMithril) -> None:
    """A recorded id with its recorded name is ours whatever the URN is now."""
    stack.up(PROGRAM)
    stack.owner = "acme/training/production"
    assert stack.preview(PROGRAM) == {"data": "same", "trainer": "same"}
    stack.refresh()
    stack.destroy()
    assert not cloud.live_bids


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
