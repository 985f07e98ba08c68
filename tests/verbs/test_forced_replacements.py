"""Replacements that the engine decides and no diff tells of: permission to lose data, and the region that stays."""

from __future__ import annotations

import dataclasses

import pytest
from support.stack import CheckError, Declared, Stack, cluster, volume

from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.both_hosts

ASKED = "allow_replace must be True for a replacement that Pulumi is asked for"
UNSURE = "allow_replace must be True where it cannot be found out whether the state holds this volume already"
WEST, CENTRAL = "us-central1-a", "us-central5-a"


def ids(cloud: FakeMithril) -> set[str]:
    return {volume["fid"] for volume in cloud.volumes}


def forget_what_the_program_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.stack.write_recorded", lambda *_: "?")


@pytest.mark.parametrize("create_first", [True, False])
def test_a_forced_replacement_of_a_volume_is_refused(stack: Stack, cloud: FakeMithril, create_first: bool) -> None:
    """The engine checks it as if it were new, and calls no diff."""
    program = {"data": volume(create_first=create_first)}
    stack.up(program)
    before = ids(cloud)
    with pytest.raises(CheckError, match=ASKED) as failed:
        stack.up(program, force={"data"})
    assert set(failed.value.failures) == {"allow_replace"}
    assert stack.state["data"].id in failed.value.failures["allow_replace"]
    assert ids(cloud) == before


def test_an_allowed_one_is_said_once(stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]) -> None:
    """And one by diff is told of by the diff, which knows why."""
    stack.up({"data": volume(allow_replace=True)})
    assert "replaced" not in capsys.readouterr().err
    before = ids(cloud)
    stack.up({"data": volume(allow_replace=True)}, force={"data"})
    assert capsys.readouterr().err.count("replaced because Pulumi is asked for it: the data on it is lost") == 1
    assert not ids(cloud) & before
    stack.up({"data": volume(allow_replace=True, size_gb=200)})
    assert capsys.readouterr().err.splitlines() == ["warning: replaced because of size_gb: the data on it is lost"]


def test_a_forced_replacement_of_a_cluster_says_what_it_loses(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is refused: what lasts is on volumes."""
    stack.up({"trainer": cluster()})
    first = stack.state["trainer"].id
    stack.up({"trainer": cluster()}, force={"trainer"})
    assert stack.state["trainer"].id != first
    assert "replaced because Pulumi is asked for it: what is on the machines' own disks" in capsys.readouterr().err


def test_what_a_refresh_of_the_same_operation_found_gone_is_made_anew(stack: Stack, cloud: FakeMithril) -> None:
    """The program has read the state before, where it still stood."""
    stack.up({"data": volume()})
    gone = stack.state["data"].id
    cloud.delete_volume(gone)
    stack.up({"data": volume()}, refresh=True)
    assert ids(cloud) == {stack.state["data"].id} != {gone}


@pytest.mark.dynamic_host
def test_a_first_create_asks_nobody(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program has read that the state holds nothing."""
    monkeypatch.setattr(stack, "export", None)  # reading it would fail
    stack.up({"data": volume()})


@pytest.mark.dynamic_host
@pytest.mark.parametrize("state", ["held", "not held", "unreadable"])
def test_where_the_program_could_not_read_the_state_the_stored_one_is_read(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """It proves a record, and not that there is none: it can be the state of another backend's stack of the name."""
    forget_what_the_program_read(monkeypatch)
    outputs = {"__mark": "0" * 20, "region": CENTRAL}
    row = {"urn": stack.urn("data", "Volume"), "id": "vol_1", "outputs": outputs}
    export = {"deployment": {"resources": [row] if state == "held" else []}}
    monkeypatch.setattr(stack, "export", lambda: None if state == "unreadable" else export)
    with pytest.raises(CheckError, match=ASKED if state == "held" else UNSURE):
        stack.up({"data": volume()})
    assert not cloud.volumes
    stack.up({"data": volume(allow_replace=True)})
    assert len(cloud.volumes) == 1


def test_recorded_inputs_in_the_place_of_the_programs_tell_of_a_record(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `ignore_changes=["*"]` what the program passes along does not arrive."""
    stack.up({"data": volume()})
    recorded = {**stack.state["data"].inputs, "__recorded": None, "__urn": None}
    monkeypatch.setattr(stack, "export", None)  # reading it would fail
    monkeypatch.setattr("support.stack.write_recorded", lambda *_: None)
    with pytest.raises(CheckError, match=ASKED):
        stack.up({"data": Declared("Volume", recorded)}, force={"data"})
    assert len(cloud.volumes) == 1


def test_a_volume_that_was_only_read_is_not_replaced(stack: Stack) -> None:
    """`Volume.get`, then a volume of that name: Pulumi owns nothing there yet."""
    stack.up({"data": volume()})
    for name in ("__mark", "__owner"):
        stack.state["data"].outputs.pop(name, None)
    stack.operation()
    stack.check("data", volume(size_gb=200), None)  # it raises where it refuses


# -- the region ------------------------------------------------------------------------------------------------------


def without_region(declared: Declared) -> Declared:
    inputs = {name: value for name, value in declared.inputs.items() if name != "region"}
    return dataclasses.replace(declared, inputs=inputs)


EACH = pytest.mark.parametrize(
    ("first", "second"),
    [
        (cluster(command="echo 1"), cluster(command="echo 2")),
        (cluster(), cluster()),
        (volume(allow_replace=True), volume(allow_replace=True)),
        (volume(allow_replace=True), volume(allow_replace=True, size_gb=200)),
    ],
    ids=["cluster by diff", "cluster forced", "volume forced", "volume by diff"],
)
READ = pytest.mark.parametrize("read", [True, False], ids=["read by the program", "not read"])


@EACH
@READ
def test_a_replacement_stays_in_its_region(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch, first: Declared, second: Declared, read: bool
) -> None:
    """Settled once, also on a laptop with another default."""
    stack.config["flow:region"] = CENTRAL
    stack.up({"it": without_region(first)})
    before = stack.state["it"].id
    if not read:
        forget_what_the_program_read(monkeypatch)
    stack.config["flow:region"] = WEST
    stack.up({"it": without_region(second)}, force={"it"} if first == second else None)
    assert stack.state["it"].id != before
    assert stack.state["it"].outputs["region"] == CENTRAL


def test_a_program_that_names_another_region_moves_it(stack: Stack) -> None:
    """What it says holds."""
    stack.config["flow:region"] = CENTRAL
    stack.up({"it": without_region(cluster())})
    stack.up({"it": cluster(region=WEST, command="echo 2")})
    assert stack.state["it"].outputs["region"] == WEST


@pytest.mark.parametrize("forced", [False, True])
def test_a_cluster_goes_with_its_volumes(stack: Stack, cloud: FakeMithril, forced: bool) -> None:
    """Another volume in another region; the setting does not hold it back."""
    stack.config["flow:region"] = CENTRAL
    made = {region: cloud.add_volume(f"data-{region}", region=region)["fid"] for region in (CENTRAL, WEST)}

    def mounting(region: str) -> dict[str, Declared]:
        mounts = [{"volume_id": made[region], "mount_path": "/data"}]
        return {"it": without_region(cluster(volumes=mounts))}

    stack.up(mounting(CENTRAL))
    stack.up(mounting(WEST), force={"it"} if forced else None)
    assert stack.state["it"].outputs["region"] == WEST


@pytest.mark.dynamic_host
def test_a_region_that_nobody_can_find_out_is_not_guessed(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default of this machine may be another one than that of the cluster that is replaced."""
    stack.config["flow:region"] = CENTRAL
    forget_what_the_program_read(monkeypatch)
    monkeypatch.setattr(stack, "export", lambda: None)
    with pytest.raises(CheckError, match="region is not set, and it could not be found out where an earlier `up`"):
        stack.up({"it": without_region(cluster())})
    assert not cloud.live_bids
    stack.up({"it": cluster()})
    assert len(cloud.live_bids) == 1
