"""A program that says `Bid` in place of a number, under mocks: what travels to the plugin, and what its tests see."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pulumi
import pytest

from flow_resources import Bid, GpuCluster, Job, Placement, ResilientCluster
from flow_resources.core.cluster_fields import FIELDS
from flow_resources.core.inputs import check
from flow_resources.testing import FlowMocks

PLACE: dict[str, Any] = {"instance_type": "8xa100", "region": "us-central5-a"}


def run(declare: Callable[[], Any]) -> FlowMocks:
    """Run a program."""
    mocks = FlowMocks()
    pulumi.runtime.set_mocks(mocks, project="p", stack="s", preview=False)

    @pulumi.runtime.test
    def program() -> Any:
        made = declare()
        return getattr(made, "max_price_per_hour", None)

    program()
    return mocks


def sent(bid: Any) -> dict[str, Any]:
    """Return the inputs of a cluster with a bid."""
    ((_, _, inputs),) = run(lambda: GpuCluster("it", **PLACE, max_price_per_hour=bid)).resources
    return inputs


@pytest.mark.parametrize(
    ("bid", "policy", "price"),
    [
        (Bid.per_gpu(6.25), {"kind": "per_gpu", "usd": 6.25}, 50.0),
        (Bid.infrastructure(cap=60), {"kind": "infrastructure", "cap": 60}, 60.0),
        (Bid.infrastructure(cap=60, reference=30), {"kind": "infrastructure", "cap": 60, "reference": 30}, 60.0),
        (Bid.workload(cap=Decimal("40.50")), {"kind": "workload", "margin": 0.1, "cap": 40.5}, 40.5),
        (Bid.market(1.5, cap=pulumi.Output.from_input(20)), {"kind": "market", "multiplier": 1.5, "cap": 20}, 20.0),
        (Bid.uptime(0.97, cap=40), {"kind": "uptime", "target": 0.97, "days": 7, "cap": 40}, 40.0),
        (Bid.uptime(0.97), {"kind": "uptime", "target": 0.97, "days": 7}, 1.0),
    ],
)
def test_a_bid_travels_as_a_mapping_and_a_test_sees_a_number(bid: Bid, policy: dict[str, Any], price: float) -> None:
    """What check fails, it has to see: a cap that is left out is left out."""
    inputs = sent(bid)
    assert (inputs["bid_policy"], inputs["max_price_per_hour"]) == (policy, price)


def test_a_number_travels_as_ever() -> None:
    """Without a policy."""
    inputs = sent(12.5)
    assert inputs["max_price_per_hour"] == 12.5
    assert "bid_policy" not in inputs


def test_jobs_and_all_members_of_a_fleet_take_a_bid() -> None:
    """The same policy for each."""
    mocks = run(
        lambda: [
            Job("job", command="true", **PLACE, max_price_per_hour=Bid.per_gpu(1)),
            ResilientCluster("fleet", size=3, **PLACE, max_price_per_hour=Bid.per_gpu(1)),
        ]
    )
    policies = {name: inputs.get("bid_policy") for _, name, inputs in mocks.resources if "instance_type" in inputs}
    assert set(policies) == {"job", "fleet-0", "fleet-1", "fleet-2"}
    assert list(policies.values()) == [{"kind": "per_gpu", "usd": 1}] * 4


def test_a_bid_inside_an_output_is_one_line_with_the_remedy() -> None:
    """Its policy is an input of its own, which an output cannot become."""
    with pytest.raises(pulumi.RunError, match="is a Bid inside an Output: pass the Bid itself"):
        run(lambda: GpuCluster("it", **PLACE, max_price_per_hour=pulumi.Output.from_input(1).apply(Bid.per_gpu)))


def test_a_bid_does_not_change() -> None:
    """It is a value: it reads as it was written, and equals another one of the same values."""
    bid = Bid.uptime(0.97, cap=40)
    assert repr(bid) == "Bid.uptime(target=0.97, days=7, cap=40)"
    assert {bid, Bid.uptime(0.97, days=7, cap=Decimal(40))} == {bid}
    assert bid not in (Bid.uptime(0.97, cap=41), Bid.workload(cap=40), bid._props)
    assert Bid.per_gpu(cap := pulumi.Output.from_input(1)) == Bid.per_gpu(cap) != Bid.per_gpu(1)
    with pytest.raises(AttributeError, match="cannot be changed"):
        bid.cap = 50  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="cannot be changed"):
        del bid._props


@pytest.mark.parametrize(
    ("inputs", "path"),
    [
        (lambda secret: {"max_price_per_hour": secret}, "max_price_per_hour"),
        (lambda secret: {"max_price_per_hour": Bid.market(2, cap=secret)}, "bid_policy.cap"),
        (lambda secret: {"max_price_per_hour": Bid.workload(margin=secret, cap=50)}, "bid_policy.margin"),
        (lambda secret: {"raise_up_to_per_hour": secret, "on_preemption": "raise_bid"}, "raise_up_to_per_hour"),
        (
            lambda secret: {"placements": [Placement(**PLACE), Placement("8xh100", "us-central5-a", secret)]},
            "placements[1].max_price_per_hour",
        ),
        (
            lambda secret: {"placements": [Placement("8xh100", "us-central5-a", Bid.infrastructure(cap=secret))]},
            "placements[0].bid_policy.cap",
        ),
        (lambda secret: {"placements": pulumi.Output.all(secret).apply(lambda _: [Placement(**PLACE)])}, "placements"),
    ],
)
def test_a_secret_price_does_not_travel_and_check_refuses_it(
    inputs: Callable[[Any], dict[str, Any]], path: str
) -> None:
    """With its path and the remedy: rows and derived values would show it."""
    sent = dict[str, Any]()

    class Raw(FlowMocks):
        def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
            sent.update({name: value for name, value in args.inputs.items() if not name.startswith("__")})
            return "bid_1", {}

    pulumi.runtime.set_mocks(Raw(), project="p", stack="s", preview=False)

    def program() -> Any:
        made = {**PLACE, "max_price_per_hour": 12, **inputs(pulumi.Output.secret(43.21))}
        if "placements" in made:
            del made["instance_type"], made["region"]
        return GpuCluster("it", **made).id

    pulumi.runtime.test(program)()
    assert "43.21" not in repr(sent)
    (failure,) = check(FIELDS, sent).failures
    assert failure.path == path
    assert failure.text.startswith(f"{path} is a secret: ")
    assert "pulumi.Output.unsecret(...)" in failure.text
