"""What a program says about placements, under mocks: what travels to the plugin, and which one the mocks take."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pulumi
import pytest

from flow_resources import Bid, GpuCluster, Job, MemberVolume, Placement, ResilientCluster
from flow_resources.testing import FlowMocks

PLACEMENTS = [Placement("8xh100", "us-central5-a", Decimal("40.00")), Placement("8xa100", "us-central1-b")]
SENT = [
    {"instance_type": "8xh100", "region": "us-central5-a", "max_price_per_hour": 40.0},
    {"instance_type": "8xa100", "region": "us-central1-b"},
]


def run(declare: Callable[[], pulumi.Output[Any]]) -> tuple[dict[str, dict[str, Any]], Any]:
    """Run a program; return the inputs that it sent, by name, and the value of an output."""
    mocks, values = FlowMocks(), list[Any]()
    pulumi.runtime.set_mocks(mocks, project="training", stack="dev", preview=False)
    pulumi.runtime.test(lambda: declare().apply(values.append))()
    return {name: inputs for _, name, inputs in mocks.resources}, values[0]


@pytest.mark.parametrize(
    "placements",
    [
        PLACEMENTS,
        tuple(PLACEMENTS),
        SENT,
        [PLACEMENTS[0], SENT[1]],
        [pulumi.Output.from_input(PLACEMENTS[0]), PLACEMENTS[1]],
    ],
    ids=["list", "tuple", "mappings", "mixed", "an output in it"],
)
def test_placements_travel_as_mappings(placements: Any) -> None:
    """In every way that a program writes them; the mocks take the first."""

    def program() -> pulumi.Output[Any]:
        it = GpuCluster("it", placements=placements, max_price_per_hour=24, max_wait_minutes=30)
        return pulumi.Output.all(it.instance_type, it.region, it.max_price_per_hour)

    sent, outputs = run(program)
    assert sent["it"]["placements"] == SENT
    assert sent["it"]["max_wait_minutes"] == 30
    assert not {"instance_type", "region", "choose"} & sent["it"].keys()
    assert outputs == ["8xh100", "us-central5-a", 40.0]


def test_a_list_that_is_known_later_travels_too() -> None:
    """As one output."""
    later = pulumi.Output.from_input(list[Any](PLACEMENTS))
    sent, region = run(lambda: Job("it", command="true", placements=later, choose="cheapest").region)
    assert (sent["it"]["placements"], sent["it"]["choose"], region) == (SENT, "cheapest", "us-central5-a")


def test_the_members_of_a_fleet_get_them_and_its_region_is_that_of_their_volumes() -> None:
    """Without volumes of their own the region goes along, so that check refuses both together."""

    def program() -> pulumi.Output[Any]:
        volume = MemberVolume(10, "/data")
        ResilientCluster("a", size=2, placements=PLACEMENTS, region="us-central1-b", max_wait_minutes=5)
        return ResilientCluster(
            "b", size=1, placements=PLACEMENTS, region="us-central1-b", volume_per_member=volume
        ).running

    sent, _ = run(program)
    assert [sent[f"a-{index}"]["placements"] for index in range(2)] == [SENT, SENT]
    assert (sent["a-0"]["region"], sent["a-0"]["max_wait_minutes"]) == ("us-central1-b", 5)
    assert "region" not in sent["b-0"]
    assert sent["b-0-data"]["region"] == "us-central1-b"


def test_a_policy_of_a_placement_travels_as_the_property_of_it() -> None:
    """Also out of a mapping; the mocks take its cap."""
    listed = [Placement("8xa100", "us-central1-b", Bid.workload(cap=30))]
    sent, price = run(lambda: GpuCluster("it", placements=listed, max_price_per_hour=1).max_price_per_hour)
    policy = {"kind": "workload", "margin": 0.1, "cap": 30}
    expected = [{"instance_type": "8xa100", "region": "us-central1-b", "bid_policy": policy}]
    assert (sent["it"]["placements"], price) == (expected, 30.0)
    mapping: Any = {"instance_type": "8xa100", "region": "us-central1-b", "max_price_per_hour": Bid.workload(cap=30)}
    sent, _ = run(lambda: GpuCluster("it", placements=[mapping]).max_price_per_hour)
    assert sent["it"]["placements"] == expected


@pytest.mark.parametrize("wrong", [[7], ["8xa100"], 7, [None]])
def test_what_is_no_placement_is_left_to_check(wrong: Any) -> None:
    """Which reports it with its path."""
    sent, _ = run(lambda: GpuCluster("it", instance_type="8xa100", max_price_per_hour=1, volumes=None).region)
    assert "placements" not in sent["it"]
    from flow_resources.placement import placement_props

    assert placement_props(wrong) == wrong
