"""The lifecycle of a volume: it is never lost by accident."""

from __future__ import annotations

import pytest
from pytest_mock import MockerFixture
from support.stack import CheckError, FakeClock, Stack, VerbError, cluster, settings_of, volume

from flow_resources.core.inputs import UNKNOWN
from flow_resources.core.naming import Mark, compose
from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.both_hosts


@pytest.mark.parametrize("change", [{"size_gb": 200}, {"interface": "block"}, {"region": "us-central1-a"}])
def test_a_change_that_loses_data_is_refused_at_preview_unless_allowed(
    stack: Stack, cloud: FakeMithril, change: dict[str, object]
) -> None:
    """The failure contains the property, both values and `allow_replace`."""
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
    """It changes only the state."""
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


@pytest.mark.dynamic_host
def test_the_holders_of_a_volume_are_reported_with_name_and_stack(
    cloud: FakeMithril, clock: FakeClock, mocker: MockerFixture
) -> None:
    """A bid by its name, and by its stack if its mark is that of a stack of this backend, which is listed once."""
    stack_names = mocker.patch(
        "support.stack.ModelBackend.stack_names", return_value=["acme/infra/dev", "acme/training/dev"]
    )
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
    assert stack_names.call_count == 1


def test_the_delete_of_a_held_volume_reports_the_bid_and_deletes_nothing(cloud: FakeMithril, clock: FakeClock) -> None:
    """It waits for the end of the bid, up to the time limit."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up({"data": volume()})
    holder = cloud.add_bid("somebody-else", volumes=[stack.state["data"].id])
    with pytest.raises(VerbError, match=f"held by {holder['fid']}"):
        stack.destroy()
    assert len(cloud.volumes) == 1
    clock.on_sleep = lambda: cloud.terminate(holder["fid"])
    stack.destroy()
    assert not cloud.volumes


def test_a_refused_delete_is_retried_until_the_time_limit(cloud: FakeMithril, clock: FakeClock) -> None:
    """The service can hold a volume for a while after its bid ended."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up({"data": volume()})
    cloud.faults.add(method="DELETE", path="/v2/volumes/", status=400, body={"detail": "Volume is attached"}, times=3)
    stack.destroy()
    assert not cloud.volumes
    assert clock.slept


def test_a_volume_that_a_cluster_mounts_is_attached(stack: Stack, cloud: FakeMithril) -> None:
    """After a refresh."""
    stack.up({"data": volume()})
    mounts = [{"volume_id": stack.state["data"].id, "mount_path": "/data"}]
    stack.up({"data": volume(), "trainer": cluster(volumes=mounts)})
    stack.refresh()
    assert stack.state["data"].outputs["attached_to"] == [stack.state["trainer"].id]
    assert stack.state["trainer"].outputs["volume_ids"] == [stack.state["data"].id]


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 503}, {"kind": "reset"}], ids=["500", "503", "reset"])
def test_a_waiting_delete_survives_an_outage(cloud: FakeMithril, clock: FakeClock, fault: dict[str, object]) -> None:
    """The service is away for a while, in the middle of the wait for the end of the holder."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up({"data": volume()})
    holder = cloud.add_bid("somebody-else", volumes=[stack.state["data"].id])

    def on_sleep() -> None:
        if len(clock.slept) == 2:
            cloud.faults.add(times=None, when="before", **fault)
        if len(clock.slept) == 6:
            cloud.faults.clear()
            cloud.terminate(holder["fid"])

    clock.on_sleep = on_sleep
    stack.destroy()
    assert not cloud.volumes
    assert len(clock.slept) >= 6


def test_a_delete_whose_answer_is_lost_is_confirmed_by_a_read(cloud: FakeMithril, clock: FakeClock) -> None:
    """The volume is gone, whatever the answer was."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up({"data": volume()})
    holder = cloud.add_bid("somebody-else", volumes=[stack.state["data"].id])
    cloud.faults.add(method="DELETE", path="/v2/volumes/", status=500, when="after", times=3)
    clock.on_sleep = lambda: cloud.terminate(holder["fid"])
    stack.destroy()
    assert not cloud.volumes
    assert not stack.state


def test_a_long_outage_fails_a_waiting_delete_after_minutes(cloud: FakeMithril, clock: FakeClock) -> None:
    """The error contains the last seen holder; the state keeps the volume."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up({"data": volume()})
    holder = cloud.add_bid("somebody-else", volumes=[stack.state["data"].id])
    clock.on_sleep = lambda: cloud.faults.add(status=503, times=None) if len(clock.slept) == 2 else None
    with pytest.raises(VerbError, match=f"not be deleted: held by {holder['fid']} .*; then .*503.*end what holds"):
        stack.destroy()
    assert 300 < sum(clock.slept) < 400
    assert "data" in stack.state


def test_an_outage_at_the_start_fails_the_delete_soon(cloud: FakeMithril, clock: FakeClock) -> None:
    """There is nothing to wait for yet: the retry budget of the verb is the limit."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up({"data": volume()})
    cloud.faults.add(path="/v2/volumes", status=503, times=None)
    with pytest.raises(VerbError, match="run the same command again"):
        stack.destroy()
    assert sum(clock.slept) <= 60
    assert "data" in stack.state


def test_a_replaced_cluster_releases_a_removed_volume_before_it_is_deleted(stack: Stack, cloud: FakeMithril) -> None:
    """Also where the new cluster is created first: the engine deletes what mounts a volume before the volume."""
    stack.up({"x": volume()})
    mounts = [{"volume_id": stack.state["x"].id, "mount_path": "/data"}]
    stack.up({"x": volume(), "a": cluster(create_first=True, volumes=mounts)})
    stack.up({"a": cluster(create_first=True)})
    assert not cloud.volumes
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["a"].id]


def test_a_cluster_that_is_compared_for_its_volume_alone_is_not_called_replaced(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the engine does in `destroy --target VOLUME --target-dependents`, where nothing is declared."""
    stack.up({"data": volume()})
    mounts = [{"volume_id": stack.state["data"].id, "mount_path": "/data"}]
    stack.up({"data": volume(), "trainer": cluster(volumes=mounts)})
    saved, lost = stack.state["trainer"], "what is on the machines' own disks is lost"
    unknown = {**saved.inputs, "volumes": [{"volume_id": UNKNOWN, "mount_path": "/data"}]}
    stack.operation()
    assert stack._step("trainer", saved, unknown, cluster()) == "replace"
    assert f"warning: ends with what it depends on (volumes): {lost}" in capsys.readouterr().err
    stack.preview({"data": volume(), "trainer": cluster(image="an/image", volumes=mounts)})
    assert f"warning: replaced because of image: {lost}" in capsys.readouterr().err
