"""Rounds of an auction in which one in five is preempted, under every policy: what is live, and what is bid."""

from __future__ import annotations

import random
from typing import Any

import pytest
from support.stack import CheckError, Declared, Stack, cluster

from flow_resources.testing import FakeMithril

SHARE, SEED = 0.2, 51
REGION, NUMBER, LIMIT = "us-central5-a", 16.0, 18.5
POLICIES: dict[str, dict[str, Any]] = {
    "kept": {},
    "raised": {"on_preemption": "raise_bid", "raise_up_to_per_hour": LIMIT},
    "raised-too": {"on_preemption": "raise_bid", "raise_up_to_per_hour": 17.01},
    "replaced": {"on_preemption": "replace", "wait_for": "placed"},
    "replaced-first": {"on_preemption": "replace", "wait_for": "placed"},
    "failing": {"on_preemption": "fail"},
}
PRICES = (9.0, 12.0, 16.0, 16.19, 17.0, 18.5, 18.51, 25.0)


def declare() -> dict[str, Declared]:
    """Declare a cluster of each policy."""
    return {
        name: cluster(max_price_per_hour=NUMBER, create_first=name == "replaced-first", **policy)
        for name, policy in POLICIES.items()
    }


@pytest.mark.parametrize("rounds", [25, pytest.param(200, marks=pytest.mark.faults)])
def test_each_round_converges_and_nothing_is_doubled_or_overbid(stack: Stack, cloud: FakeMithril, rounds: int) -> None:
    """The market moves and takes what it likes; a round is an `up --refresh`, the next one sends nothing for it."""
    rng, program = random.Random(SEED), declare()
    stack.up(program)
    seen: dict[str, int] = {"raised": 0, "replaced": 0, "stopped": 0}
    most = {name: policy.get("raise_up_to_per_hour", NUMBER) for name, policy in POLICIES.items()}
    live_at_most = [len(program)]
    cloud.faults.add(
        path="/v2/spot/bids", when="after", then=lambda _: live_at_most.append(len(cloud.live_bids)), times=None
    )
    for number in range(rounds):
        cloud.set_price("8xa100", REGION, rng.choice(PRICES))
        for saved in stack.state.values():
            if rng.random() < SHARE and cloud.bid(saved.id)["status"] == "Allocated":
                cloud.preempt(saved.id)
        cloud.clear_requests()
        seen["stopped"] += not converge(stack, program)
        methods = [one.method for one in cloud.mutations if one.effect]
        seen["raised"] += methods.count("PATCH")
        seen["replaced"] += methods.count("POST")
        assert methods.count("POST") == methods.count("DELETE"), (SEED, number)
        bids = {bid["fid"]: bid for bid in cloud.live_bids}
        assert sorted(bids) == sorted(saved.id for saved in stack.state.values()), (SEED, number)
        for name, saved in stack.state.items():
            price = float(bids[saved.id]["limit_price"].removeprefix("$"))
            assert NUMBER <= price <= most[name], (SEED, number, name)
            assert saved.outputs["max_price_per_hour"] == price
    assert max(live_at_most) == len(program)
    assert min(seen.values()) > 3, seen  # the rounds did try each policy


def converge(stack: Stack, program: dict[str, Declared]) -> bool:
    """Run an `up --refresh`; tell whether it went through: a person goes on without `failing` where that stops it."""
    try:
        stack.up(program, refresh=True)
    except CheckError as error:
        if set(error.failures) != {"on_preemption"}:
            raise
        stack.up({**program, "failing": cluster(max_price_per_hour=NUMBER)})
        return False
    return True
