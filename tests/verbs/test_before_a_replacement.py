"""What would stop a replacement after it has ended the old machines is told before, or waited for."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from support.crashes import live
from support.stack import CheckError, Declared, FakeClock, Reports, Stack, VerbError, cluster, settings_of, volume

from flow_resources.core.inputs import UNKNOWN
from flow_resources.providers import base
from flow_resources.testing import MANUAL, FakeMithril

NOWHERE = "/proc/nowhere"  # nobody can make a folder there, not even root


def mounting(volume_id: Any, **inputs: Any) -> Declared:
    """Declare a cluster that mounts a volume."""
    hints = {f"__{name}": inputs.pop(name) for name in ("interface", "volume") if name in inputs}
    return cluster(volumes=[{"volume_id": volume_id, "mount_path": "/data", **hints}], **inputs)


# -- a folder that cannot be written ---------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["FLOW_DIR", "HOME"])
def test_a_folder_that_cannot_keep_a_key_is_told_before_the_old_machines_end(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """By its name, and not by that of the service; keys that are named need no folder."""
    cloud.add_ssh_key("laptop")
    stack.up({"it": cluster(ssh_keys=["laptop"])})
    before = live(cloud)
    monkeypatch.delenv("FLOW_DIR")
    monkeypatch.setenv(variable, NOWHERE)
    with pytest.raises(CheckError) as failed:
        stack.up({"it": cluster()})
    text = failed.value.failures["ssh_keys"]
    assert f"the Flow SDK cannot keep the key that it makes then: {NOWHERE}" in text
    assert "set FLOW_DIR to a folder that is, or name platform keys" in text
    assert cloud.url not in text
    assert live(cloud) == before
    stack.up({"it": cluster(ssh_keys=["laptop"], command="echo 2"), "data": volume()})
    assert live(cloud) != before


def test_a_key_that_is_there_already_needs_no_writing(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is mounted read-only with the key in it; a key that the platform has no more is made anew."""
    stack.up({"it": cluster()})
    monkeypatch.setattr("flow_resources.cloud.client.why_not_writable", lambda folder: f"{folder} is read-only")
    stack.up({"it": cluster(command="echo 2")})
    (key,) = cloud.ssh_keys
    stack.destroy()
    headers = {"Authorization": f"Bearer {cloud.key}"}
    httpx.delete(f"{cloud.url}/v2/ssh-keys/{key['fid']}", headers=headers).raise_for_status()
    with pytest.raises(CheckError, match=r"cannot keep the key that it makes then: .*/keys/production is read-only"):
        stack.up({"it": cluster()})


def test_a_file_that_cannot_be_written_while_a_bid_is_placed_is_named(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the preview could not see it: the disk is full by now."""
    monkeypatch.setenv("FLOW_DIR", NOWHERE)
    monkeypatch.setattr("flow_resources.cloud.client.why_not_writable", lambda _: "")
    with pytest.raises(VerbError) as failed:
        stack.up({"it": cluster()})
    assert NOWHERE in str(failed.value)
    assert "which must be writable" in str(failed.value)
    assert "flow:apiUrl" not in str(failed.value)
    assert not cloud.live_bids


# -- block volumes ---------------------------------------------------------------------------------------------------


def test_a_replacement_waits_until_its_block_volume_is_released(
    clean_environment: None, clock: FakeClock, reports: Reports
) -> None:
    """The service releases it some time after the old bid has ended; the row says what holds it."""
    with FakeMithril(detach_seconds=MANUAL) as cloud:
        stack = Stack(settings_of(cloud), clock=clock)
        stack.up({"data": volume(interface="block")})
        id_ = stack.state["data"].id
        stack.up({"data": volume(interface="block"), "it": mounting(id_)})
        old = stack.state["it"].id
        clock.on_sleep = lambda: cloud.finish("detach") if len(clock.slept) == 3 else None
        clock.slept.clear()
        stack.up({"data": volume(interface="block"), "it": mounting(id_, command="echo 2")})
        assert live(cloud) == sorted([id_, stack.state["it"].id])
        assert stack.state["it"].id != old
        assert [row for row in reports.rows if f"and is held: {id_} by {old} (it-" in row]
        base.current().close()


def test_a_block_volume_that_stays_held_fails_the_create_with_the_holder(cloud: FakeMithril, clock: FakeClock) -> None:
    """At the time limit; the preview has said so. Nothing was placed."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up({"data": volume(interface="block")})
    id_ = stack.state["data"].id
    holder = cloud.add_bid("somebody-else", volumes=[id_])["fid"]
    program = {"data": volume(interface="block"), "it": mounting(id_)}
    with pytest.raises(VerbError, match=f"nothing was placed: .*{id_} by {holder} .somebody-else.: end what holds it"):
        stack.up(program)
    assert [bid["fid"] for bid in cloud.live_bids] == [holder]
    assert sum(clock.slept) >= 30 * 60


def test_a_create_first_replacement_does_not_wait_for_what_it_ends_afterwards(
    cloud: FakeMithril, clock: FakeClock
) -> None:
    """The old machines would hold their block volume until the time limit."""
    stack = Stack(settings_of(cloud), clock=clock)
    stack.up({"data": volume(interface="block")})
    program = {"data": volume(interface="block"), "it": mounting(stack.state["data"].id, create_first=True)}
    stack.up(program)
    old = stack.state["it"].id
    clock.slept.clear()
    program["it"] = mounting(stack.state["data"].id, create_first=True, command="echo 2")
    with pytest.raises(VerbError, match=rf"that of {old}, which this replacement ends only afterwards: leave delete_"):
        stack.up(program)
    assert sum(clock.slept) < 60
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["it"].id] == [old]


def test_a_preview_says_that_an_up_will_wait(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """For a stranger; not for the bid that it replaces."""
    stack.up({"data": volume(interface="block")})
    id_ = stack.state["data"].id
    program = {"data": volume(interface="block"), "it": mounting(id_)}
    stack.up(program)
    capsys.readouterr()
    stack.preview({**program, "it": mounting(id_, command="echo 2")})
    assert "is held by" not in capsys.readouterr().err
    stack.preview({**program, "it": cluster(), "other": mounting(id_)})
    warned = capsys.readouterr().err
    assert f"the block volume {id_} is held by {stack.state['it'].id} (it-" in warned
    assert "an `up` waits until it is released" in warned


@pytest.mark.parametrize("is_made", [True, False], ids=["made", "to be made"])
def test_two_clusters_on_one_block_volume_fail_at_preview(stack: Stack, is_made: bool) -> None:
    """Also where the volume is yet to be made: then its URN tells that it is one. The failure names both."""
    urn = stack.urn("data", "Volume")
    program = {"data": volume(interface="block")}
    if is_made:
        stack.up(program)
    id_ = stack.state["data"].id if is_made else UNKNOWN
    mounts = {name: mounting(id_, interface="block", volume=urn) for name in ("a", "b")}
    with pytest.raises(CheckError) as failed:
        stack.preview({**program, **mounts})
    assert list(failed.value.failures) == ["volumes[0].volume_id"]
    assert "the cluster 'b' mounts it, and the cluster 'a'" in failed.value.failures["volumes[0].volume_id"]
    stack.preview({**program, "a": mounts["a"]})


def test_two_clusters_on_one_file_volume_or_on_two_block_volumes_pass(stack: Stack) -> None:
    """Two volumes that are yet to be made are two."""
    stack.preview({name: mounting(UNKNOWN, interface="file", volume=stack.urn("data", "Volume")) for name in "ab"})
    stack.preview({name: mounting(UNKNOWN, interface="block", volume=stack.urn(name, "Volume")) for name in "ab"})


def test_a_volume_that_is_not_known_to_be_a_file_volume_is_not_mounted_as_one(stack: Stack, cloud: FakeMithril) -> None:
    """A preview fails before the old machines end, and a create that learns it then places nothing."""
    stack.up({"data": volume(interface="block")})
    id_ = stack.state["data"].id
    program = {"data": volume(interface="block"), "it": mounting(id_)}
    stack.up(program)
    old = stack.state["it"].id
    cloud.faults.add(method="GET", path="/v2/volumes", kind="alter", body={"interface": None}, times=None)
    with pytest.raises(CheckError, match="whether it is a file or a block volume, got 'vol_000001': run the same"):
        stack.up({**program, "it": mounting(id_, command="echo 2")})
    assert [bid["fid"] for bid in cloud.live_bids] == [old]
