"""A user's program with a ResilientCluster: which children it declares, what it tells, and what it refuses."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import pulumi
import pytest
from pulumi.runtime.mocks import MockMonitor

from flow_resources import FleetMember, GpuCluster, MemberVolume, ResilientCluster, Volume, VolumeMount
from flow_resources.cluster import TYPE as TYPE_OF_CLUSTER
from flow_resources.core import cluster_fields, fleet_fields
from flow_resources.core.recorded import index_of
from flow_resources.program import find_siblings
from flow_resources.resilient import STATUS_TYPE, TYPE, FleetStatus, volume_names
from flow_resources.testing import FlowMocks
from flow_resources.volume import TYPE as TYPE_OF_VOLUME

LEAST: dict[str, Any] = {"instance_type": "8xa100", "max_price_per_hour": 16.0}


def run(program: Callable[[], Any], mocks: FlowMocks | None = None, *, preview: bool = False) -> FlowMocks:
    """Run a program to its end, with what it awaits."""
    mocks = mocks or FlowMocks()
    pulumi.runtime.set_mocks(mocks, project="training", stack="dev", preview=preview)
    pulumi.runtime.test(program)()
    return mocks


def declared(mocks: FlowMocks, type_: str) -> dict[str, dict[str, Any]]:
    return {name: inputs for typ, name, inputs in mocks.resources if typ == type_}


def test_the_members_are_clusters_of_one_machine_that_are_placed_and_not_waited_for() -> None:
    """With everything that the program says of them."""
    arguments: dict[str, Any] = {
        "region": "eu-central1-b",
        "command": "python train.py",
        "image": "pytorch/pytorch",
        "env": {"A": "1"},
        "ports": [8080],
        "ssh_keys": ["mine"],
        "run_on": "every_boot",
        "restart": "always",
        "preemption_signal": "SIGUSR1",
        "paused": False,
        "on_preemption": "raise_bid",
        "raise_up_to_per_hour": 20.0,
        "name_prefix": "team",
    }

    def program() -> Any:
        return ResilientCluster("t", size=2, skip=[1], **LEAST, **arguments).task_ids

    clusters = declared(run(program), TYPE_OF_CLUSTER)
    sent = {name: value for name, value in arguments.items() if name != "env"}
    assert sorted(clusters) == ["t-0", "t-2"]
    for inputs in clusters.values():
        assert inputs.pop("env")["value"] == arguments["env"]  # sealed as a secret
        assert inputs == {**LEAST, **sent, "num_instances": 1, "wait_for": "placed"}


def test_every_input_of_a_cluster_can_be_said_of_a_fleet() -> None:
    """But for the ones that the fleet itself decides."""
    parameters = inspect.signature(ResilientCluster).parameters
    own = {"size", "min_running", "skip", "volume_per_member", "allow_data_loss", "name", "opts"}
    decided = {"num_instances", "wait_for", "adopt_task_id", "bid_policy"}  # the last one is a Bid as the price
    assert set(parameters) - own == {field.name for field in cluster_fields.FIELDS} - decided
    of_cluster = inspect.signature(GpuCluster).parameters
    for name in set(parameters) - own:
        assert parameters[name].default == of_cluster[name].default, name
        assert parameters[name].annotation == of_cluster[name].annotation, name


def test_the_outputs_are_those_of_the_members_that_run() -> None:
    """A member that waits has no address; all have a task."""
    mocks = FlowMocks({"t-1": {"status": "preempted"}})

    def program() -> Any:
        fleet = ResilientCluster("t", size=3, min_running=2, **LEAST)

        def check(values: dict[str, Any]) -> None:
            assert values["size"] == 3
            assert values["running"] == 2
            assert len(values["task_ids"]) == 3
            members = values["members"]
            assert [one["task_id"] for one in members] == values["task_ids"]
            assert [one["public_ip"] for one in members if one["public_ip"]] == values["public_ips"]
            assert len(values["public_ips"]) == 2
            assert members[0]["public_ip"] == values["own"][0]

        def check_members(members: Sequence[FleetMember]) -> None:  # `Output.all` loses the types of what it gathers
            assert [(one.index, one.status) for one in members] == [(0, "running"), (1, "waiting"), (2, "running")]
            assert type(members[1].index) is int
            assert (members[0].ssh_port, members[1].private_ip) == (22, None)

        assert [type(one) for one in fleet.clusters] == [GpuCluster] * 3
        assert fleet.volumes == []
        named = {name: getattr(fleet, name) for name in ("size", "running", "task_ids", "public_ips", "members")}
        checked = pulumi.Output.all(**named, own=fleet.clusters[0].public_ips).apply(check)
        return pulumi.Output.all(checked, fleet.members.apply(check_members))

    (status,) = declared(run(program, mocks), STATUS_TYPE).values()
    assert status["min_running"] == 2


@pytest.mark.parametrize(("min_running", "waited_for"), [(None, 3), (0, 0), (3, 3)])
def test_all_members_are_waited_for_unless_the_program_says_how_many(min_running: int | None, waited_for: int) -> None:
    """0 is a number."""

    def program() -> Any:
        return ResilientCluster("t", size=3, min_running=min_running, **LEAST).running

    (status,) = declared(run(program), STATUS_TYPE).values()
    assert status["min_running"] == waited_for
    assert sorted(status["task_ids"]) == ["0", "1", "2"]


@pytest.mark.parametrize("as_mapping", [False, True])
def test_each_member_gets_a_volume_of_its_own_beside_the_shared_ones(as_mapping: bool) -> None:
    """In the members' region."""
    own: Any = {"size_gb": 10, "mount_path": "/data"} if as_mapping else MemberVolume(10, "/data")

    def program() -> Any:
        shared = Volume("shared", size_gb=1, region="r")
        fleet = ResilientCluster(
            "t", size=2, region="r", volume_per_member=own, volumes=[VolumeMount(shared, "/mnt/shared")], **LEAST
        )
        assert len(fleet.volumes) == 2
        return pulumi.Output.all(fleet.running, *(one.volume_id for one in fleet.volumes))

    mocks = run(program)
    volumes = declared(mocks, TYPE_OF_VOLUME)
    assert volumes["t-1-data"] == {"size_gb": 10, "interface": "file", "region": "r", "allow_replace": False}
    mounts = [inputs["volumes"] for inputs in declared(mocks, TYPE_OF_CLUSTER).values()]
    assert [[mount["mount_path"] for mount in one] for one in mounts] == [["/mnt/shared", "/data"]] * 2
    assert mounts[0][0]["volume_id"] == mounts[1][0]["volume_id"]
    assert mounts[0][1]["volume_id"] != mounts[1][1]["volume_id"]
    (status,) = declared(mocks, STATUS_TYPE).values()
    assert sorted(status["volume_ids"].values()) == sorted(one[1]["volume_id"] for one in mounts)
    assert sorted(status["volume_ids"]) == ["0", "1"]


def test_allowing_the_loss_of_data_allows_replacements_of_the_members_volumes() -> None:
    """Which lose it, too; and the guard of shrinks is told."""

    def program() -> Any:
        own = MemberVolume(10, "/data", interface="block")
        return ResilientCluster("t", size=1, volume_per_member=own, allow_data_loss=True, **LEAST).running

    mocks = run(program)
    assert declared(mocks, TYPE_OF_VOLUME)["t-0-data"]["allow_replace"] is True
    assert declared(mocks, TYPE_OF_VOLUME)["t-0-data"]["interface"] == "block"
    assert declared(mocks, STATUS_TYPE)["t-status"]["allow_data_loss"] is True


@pytest.mark.parametrize("shared", [None, [], "output"])
def test_a_volume_of_its_own_is_mounted_whatever_is_shared(shared: Any) -> None:
    """Nothing, an empty list, or what is known only later."""

    def program() -> Any:
        volumes: Any = shared
        if shared == "output":
            volumes = pulumi.Output.from_input([{"volume_id": "vol_1", "mount_path": "/mnt/shared"}])
        fleet = ResilientCluster("t", size=1, volume_per_member=MemberVolume(1, "/data"), volumes=volumes, **LEAST)
        return fleet.running

    ((_, inputs),) = declared(run(program), TYPE_OF_CLUSTER).items()
    assert [mount["mount_path"] for mount in inputs["volumes"]][-1] == "/data"
    assert len(inputs["volumes"]) == (2 if shared == "output" else 1)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the program registers, by name, as it arrives at the engine."""
    requests: dict[str, Any] = {}
    register = MockMonitor.RegisterResource

    def remember(monitor: MockMonitor, request: Any) -> Any:
        requests[request.name] = request
        return register(monitor, request)

    monkeypatch.setattr(MockMonitor, "RegisterResource", remember)
    return requests


def test_the_children_have_the_options_that_the_fleet_is_given(registered: dict[str, Any]) -> None:
    """Its parent, the time limit, what it depends on; what is ignored in the members alone."""

    def program() -> Any:
        first = Volume("first", size_gb=1)
        fleet = ResilientCluster(
            "t", size=1, volume_per_member=MemberVolume(1, "/data"), **LEAST,
            opts=pulumi.ResourceOptions(
                custom_timeouts=pulumi.CustomTimeouts(create="2h"), depends_on=[first], protect=True,
                ignore_changes=["max_price_per_hour"], delete_before_replace=False,
            ),
        )  # fmt: skip
        return fleet.running

    run(program)
    member, volume, status = (registered[name] for name in ("t-0", "t-0-data", "t-status"))
    for child in (member, volume, status):
        assert child.parent.endswith(f"{TYPE}::t")
        assert child.customTimeouts.create == "2h"
        assert child.protect
    assert any("Volume::first" in urn for urn in member.dependencies)
    assert list(member.ignoreChanges) == ["max_price_per_hour"]
    assert not status.ignoreChanges
    assert not volume.ignoreChanges
    assert not member.deleteBeforeReplace
    assert any(urn.endswith("::t-0") for urn in status.dependencies)


def test_a_subclass_of_the_program_keeps_the_type_of_the_fleet(registered: dict[str, Any]) -> None:
    """It is part of the URN of every member."""

    class Trainers(ResilientCluster):
        """A fleet of this program."""

        def __init__(self, size: int) -> None:
            super().__init__("t", size=size, **LEAST)

    run(lambda: Trainers(1).running)
    assert registered["t"].type == TYPE


VALID: dict[str, Any] = {"size": 3, **LEAST}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"size": 0}, "size must be a whole number from 1 to 1,000, got 0"),
        ({"size": -1}, "size must be"),
        ({"size": 1001}, "size must be"),
        ({"size": 2.5}, "size must be a whole number from 1 to 1,000, got 2.5"),
        ({"size": True}, "size must be"),
        ({"size": "3"}, "size must be a whole number from 1 to 1,000, got '3': pass a number: `config.require_int`"),
        ({"size": None}, "size must be"),
        ({"min_running": 4}, "min_running must be a whole number from 0 to size, which is 3, got 4"),
        ({"min_running": -1}, "min_running must be"),
        ({"min_running": "2"}, "min_running must be"),
        ({"skip": [-1]}, "skip must be a list of indices from 0 on, got [-1]"),
        ({"skip": [1.5]}, "skip must be"),
        ({"skip": 1}, "skip must be a list of indices from 0 on, got 1"),
        ({"skip": "1"}, "skip must be"),
        ({"skip": {1}}, "skip must be"),
        ({"skip": [1, 2, 1]}, "skip has an index twice, got [1, 2, 1]"),
        ({"volume_per_member": 100}, "volume_per_member must be a MemberVolume, got 100"),
        ({"volume_per_member": {"size_gb": 1}}, "volume_per_member must be a MemberVolume"),
        ({"volume_per_member": {"size_gb": 1, "mount_path": "/data", "x": 1}}, "volume_per_member must be"),
        ({"opts": pulumi.ResourceOptions(deleted_with="urn:x")}, "the option deleted_with cannot be used"),
    ],
)
def test_bad_arguments_end_the_program_in_one_line_before_anything_is_declared(
    inputs: dict[str, Any], message: str
) -> None:
    """As the other arguments of the program do."""
    mocks = FlowMocks()
    with pytest.raises(pulumi.RunError) as failed:
        run(lambda: ResilientCluster("t", **{**VALID, **inputs}), mocks)
    assert str(failed.value).startswith("ResilientCluster 't': ")
    assert message in str(failed.value)
    assert "\n" not in str(failed.value)
    assert mocks.resources == []


def test_all_bad_arguments_are_named_at_once() -> None:
    """One line."""
    with pytest.raises(pulumi.RunError, match=r"size must be .*; skip has .*; volume_per_member must be"):
        run(lambda: ResilientCluster("t", **{**VALID, "size": 0, "skip": [1, 1], "volume_per_member": 1}))


def test_an_argument_that_cannot_be_carried_is_named_with_the_member() -> None:
    """The members' own check of types."""
    with pytest.raises(pulumi.RunError, match="GpuCluster 't-0': command cannot be"):
        run(lambda: ResilientCluster("t", **VALID, command={1, 2}))  # type: ignore[arg-type]


def test_the_mocked_status_has_the_outputs_of_the_real_one() -> None:
    """By its class and its fields."""
    inputs = {"task_ids": {"0": "bid_1"}, "min_running": 1}
    args = pulumi.runtime.MockResourceArgs(STATUS_TYPE, "t-status", inputs, "", None, True)
    _, outputs = FlowMocks().new_resource(args)
    assert outputs.keys() <= {*inspect.get_annotations(FleetStatus), *(field.name for field in fleet_fields.FIELDS)}
    assert outputs.keys() >= {"members", "running", "public_ips", "project"}
    (member,) = outputs["members"]
    properties = {name for name, one in vars(FleetMember).items() if isinstance(one, property)}
    assert member.keys() == properties


OTHERS = "urn:pulumi:dev::training::acme:index:Team$flow:index:ResilientCluster"


@pytest.mark.parametrize("name", ["t", "t.x"])
def test_the_volumes_that_the_state_holds_of_a_fleet_are_found_by_their_place(name: str) -> None:
    """Not those of another fleet, of another parent, of another kind or name; under an alias as well."""
    mark = {"__mark": "0123456789ab01234567"}

    def volume(place: str, name: str, id_: str) -> tuple[str, Any]:
        return f"{place}${TYPE_OF_VOLUME}::{name}", {"outputs": {"volume_id": id_, **mark}}

    state = dict(
        [
            volume(OTHERS, f"{name}-0-data", "vol_1"),
            volume(OTHERS, f"{name}-11-data", "vol_2"),
            volume(f"{OTHERS}x", f"{name}-2-data", "vol_3"),
            volume(OTHERS, f"{name}x-3-data", "vol_4"),
            volume(OTHERS, "tyx-3-data", "vol_4"),
            volume(OTHERS, f"{name}-x-data", "vol_5"),
            volume(OTHERS, f"{name}-3-data2", "vol_6"),
            (f"{OTHERS}${TYPE_OF_CLUSTER}::{name}-5-data", {"outputs": {"task_id": "bid_1", **mark}}),
        ]
    )
    urn = f"{OTHERS}${STATUS_TYPE}::{name}-status"
    find = functools.partial(find_siblings, index_of(state), sibling_type=TYPE_OF_VOLUME, sibling=volume_names(name))
    assert find([urn]) == {"0": "vol_1", "11": "vol_2"}
    assert find([f"urn:pulumi:new::training::flow:index:ResilientCluster${STATUS_TYPE}::x", urn]) == find([urn])
    assert find([]) == {}


def test_what_the_state_holds_travels_as_a_text() -> None:
    """Nothing and not known differ."""
    for ids in ({"0": "vol_1", "11": "vol_2"}, {}, None):
        assert fleet_fields.read_ids(fleet_fields.write_ids(ids)) == ids
    assert fleet_fields.read_ids(None) is None
