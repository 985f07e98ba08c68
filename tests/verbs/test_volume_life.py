"""A volume's life: never lost by accident."""

from __future__ import annotations

import pytest
from pytest_mock import MockerFixture
from support.stack import CheckError, FakeClock, Stack, VerbError, cluster, settings_of, volume

from flow_resources.core.naming import Mark, compose
from flow_resources.testing import FakeMithril


@pytest.mark.parametrize("change", [{"size_gb": 200}, {"interface": "block"}, {"region": "us-central1-a"}])
def test_what_loses_data_is_refused_at_preview_unless_allowed(
    stack: Stack, cloud: FakeMithril, change: dict[str, object]
) -> None:
    """The failure names the property, both values and the word that allows it."""
    stack.up({"data": volume()})
    first = stack.state["data"].id
    cloud.clear_requests()
    with pytest.raises(CheckError) as failed:
        stack.preview({"data": volume(**change)})
    (path, text), (value,) = next(iter(failed.value.failures.items())), change.values()
    assert path == next(iter(change))
    assert "allow_replace=True" in text
    assert repr(value) in text
    assert not cloud.mutations
    stack.up({"data": volume(**change, allow_replace=True)})
    assert [volume["fid"] for volume in cloud.volumes] == [stack.state["data"].id] != [first]
    assert [request.method for request in cloud.mutations] == ["POST", "DELETE"]


def test_allow_replace_alone_changes_nothing_in_the_service(stack: Stack, cloud: FakeMithril) -> None:
    """State only."""
    stack.up({"data": volume()})
    cloud.clear_requests()
    stack.up({"data": volume(allow_replace=True)})
    assert not cloud.mutations


def test_a_name_changes_in_place(stack: Stack, cloud: FakeMithril) -> None:
    """One PATCH, the same id."""
    stack.up({"data": volume(volume_name="corpus")})
    first = stack.state["data"].id
    cloud.clear_requests()
    stack.up({"data": volume(volume_name="corpus-v2")})
    assert [(request.method, request.body) for request in cloud.mutations] == [("PATCH", {"name": "corpus-v2"})]
    assert stack.state["data"].id == first


def test_a_file_volume_is_the_default(stack: Stack, cloud: FakeMithril) -> None:
    """Only file volumes attach to more than one machine."""
    stack.up({"data": volume()})
    assert cloud.volumes[0]["interface"] == "File"


def test_whoever_holds_a_volume_is_told_by_name_and_stack_as_far_as_they_can_be_known(
    cloud: FakeMithril, clock: FakeClock, mocker: MockerFixture
) -> None:
    """A bid of anybody by its name; one with the mark of a stack of this backend by that stack, asked for once."""
    asked = mocker.patch("support.stack.ModelBackend.stack_names", return_value=["acme/infra/dev", "acme/training/dev"])
    stack = Stack(settings_of(cloud), clock=clock, owner="acme/infra/dev")
    stack.up({"data": volume()})
    names = {
        "theirs": "trainer",
        "training": compose("trainer", Mark.of("acme/training/dev", "urn"), "abcdef", 1),
        "elsewhere": compose("trainer", Mark.of("acme/other/dev", "urn"), "abcdef", 1),
        "own": compose("trainer", Mark.of(stack.owner, "urn"), "abcdef", 1),
    }
    bids = {who: cloud.add_bid(name, volumes=[stack.state["data"].id])["fid"] for who, name in names.items()}
    with pytest.raises(VerbError) as failed:
        stack.destroy()
    assert f"{bids['theirs']} (trainer)" in str(failed.value)
    assert f"{bids['training']} ({names['training']} of the stack acme/training/dev)" in str(failed.value)
    assert f"{bids['elsewhere']} ({names['elsewhere']})" in str(failed.value)
    assert f"{bids['own']} ({names['own']})" in str(failed.value)
    assert asked.call_count == 1


def test_a_held_volume_says_which_bid_holds_it_and_is_not_lost(cloud: FakeMithril, clock: FakeClock) -> None:
    """It waits for the bid to end, up to the time limit."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up({"data": volume()})
    holder = cloud.add_bid("somebody-else", volumes=[stack.state["data"].id])
    with pytest.raises(VerbError, match=f"held by {holder['fid']}"):
        stack.destroy()
    assert len(cloud.volumes) == 1
    clock.on_sleep = lambda: cloud.terminate(holder["fid"])
    stack.destroy()
    assert not cloud.volumes


def test_a_refused_delete_is_tried_until_the_limit(cloud: FakeMithril, clock: FakeClock) -> None:
    """The service can hold a volume for a while after its bid ended."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up({"data": volume()})
    cloud.faults.add(method="DELETE", path="/v2/volumes/", status=400, body={"detail": "Volume is attached"}, times=3)
    stack.destroy()
    assert not cloud.volumes
    assert clock.slept


def test_a_volume_mounted_by_a_cluster_is_seen_as_attached(stack: Stack, cloud: FakeMithril) -> None:
    """After a refresh."""
    stack.up({"data": volume()})
    mounts = [{"volume_id": stack.state["data"].id, "mount_path": "/data"}]
    stack.up({"data": volume(), "trainer": cluster(volumes=mounts)})
    stack.refresh()
    assert stack.state["data"].outputs["attached_to"] == [stack.state["trainer"].id]
    assert stack.state["trainer"].outputs["volume_ids"] == [stack.state["data"].id]


@pytest.mark.parametrize("silence", [{"status": 500}, {"status": 503}, {"kind": "reset"}], ids=["500", "503", "reset"])
def test_a_delete_that_waits_is_not_ended_by_silence(
    cloud: FakeMithril, clock: FakeClock, silence: dict[str, object]
) -> None:
    """The service is away for a while, in the middle of the wait for the holder's end."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up({"data": volume()})
    holder = cloud.add_bid("somebody-else", volumes=[stack.state["data"].id])

    def meanwhile() -> None:
        if len(clock.slept) == 2:
            cloud.faults.add(times=None, when="before", **silence)
        if len(clock.slept) == 6:
            cloud.faults.clear()
            cloud.terminate(holder["fid"])

    clock.on_sleep = meanwhile
    stack.destroy()
    assert not cloud.volumes
    assert len(clock.slept) >= 6


def test_a_delete_whose_answer_is_lost_while_it_waits_is_proven_by_looking(
    cloud: FakeMithril, clock: FakeClock
) -> None:
    """The volume is gone, whatever the answer was."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up({"data": volume()})
    holder = cloud.add_bid("somebody-else", volumes=[stack.state["data"].id])
    cloud.faults.add(method="DELETE", path="/v2/volumes/", status=500, when="after", times=3)
    clock.on_sleep = lambda: cloud.terminate(holder["fid"])
    stack.destroy()
    assert not cloud.volumes
    assert not stack.state


def test_a_service_that_stays_silent_ends_the_delete_after_minutes(cloud: FakeMithril, clock: FakeClock) -> None:
    """The line says what held the volume when it was last seen; the state keeps it."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up({"data": volume()})
    holder = cloud.add_bid("somebody-else", volumes=[stack.state["data"].id])
    clock.on_sleep = lambda: cloud.faults.add(status=503, times=None) if len(clock.slept) == 2 else None
    with pytest.raises(VerbError, match=f"not be deleted: held by {holder['fid']} .*; then .*503.*end what holds"):
        stack.destroy()
    assert 300 < sum(clock.slept) < 400
    assert "data" in stack.state


def test_a_service_that_is_away_from_the_beginning_ends_the_delete_soon(cloud: FakeMithril, clock: FakeClock) -> None:
    """Nothing has begun that could be waited for: the verb's patience is all."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up({"data": volume()})
    cloud.faults.add(path="/v2/volumes", status=503, times=None)
    with pytest.raises(VerbError, match="run the same command again"):
        stack.destroy()
    assert sum(clock.slept) <= 60
    assert "data" in stack.state
