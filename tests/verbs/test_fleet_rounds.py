"""A fleet in a moving market, with policies: it converges in each of 200 rounds, and is never more than declared."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import ItemsView, Iterator
from typing import Any

import pytest
from support.stack import Declared, Stack, cluster, settings_of

from flow_resources.providers import base
from flow_resources.testing import Clock, FakeMithril

REGION, BID, LIMIT = "us-central5-a", 12.5, 15.0
RAISE: dict[str, Any] = {"on_preemption": "raise_bid", "raise_up_to_per_hour": LIMIT}
POLICIES: list[dict[str, Any]] = [RAISE, {"on_preemption": "replace"}, RAISE, {"on_preemption": "replace"}, {}]
SHARE = 0.2


class Program(dict[str, Declared]):
    """A fleet: its members, and then its status, which is declared with the ids that the members have by then."""

    def __init__(self, stack: Stack) -> None:
        place = {"region": REGION, "max_price_per_hour": BID, "wait_for": "placed"}
        super().__init__({f"t-{index}": cluster(**place, **policy) for index, policy in enumerate(POLICIES)})
        self.stack = stack
        self["t-status"] = Declared("FleetStatus", {})

    def items(self) -> Any:
        """Yield what the program declares, in order."""
        for name, declared in ItemsView(self):
            if declared.type == "FleetStatus":
                ids = {str(index): self.stack.state[f"t-{index}"].id for index in range(len(POLICIES))}
                yield name, Declared("FleetStatus", {"task_ids": ids, "min_running": 0, "recorded_volumes": ""})
            else:
                yield name, declared


@pytest.fixture
def time() -> Clock:
    """The clock of the market."""
    return Clock(speed=0)


@pytest.fixture
def market(clean_environment: None, time: Clock) -> Iterator[FakeMithril]:
    """A cloud whose prices move by themselves; what loses its machines does so at once, what wins boots at once."""
    with FakeMithril(seed=5, clock=time, boot_seconds=0.0, preemption_notice_seconds=0.0) as cloud:
        yield cloud


class Bounds:
    """What holds at every moment, and not only at the end of a round: looked at whenever a bid is made or changed."""

    def __init__(self, cloud: FakeMithril) -> None:
        self.cloud, self.broken = cloud, list[str]()
        cloud.faults.add(path="/v2/spot/bids", method="POST", times=None, then=self._look)
        cloud.faults.add(path="/v2/spot/bids", method="PATCH", times=None, then=self._look)

    def _look(self, _request: object) -> None:
        live = self.cloud.live_bids
        if len(live) > len(POLICIES):
            self.broken.append(f"{len(live)} are live")
        marks = Counter(bid["name"].rsplit("-", 2)[0] for bid in live)
        self.broken += [f"{mark} is live twice" for mark, count in marks.items() if count > 1]
        prices = [float(bid["limit_price"].removeprefix("$")) for bid in live]
        self.broken += [f"a bid of {price}" for price in prices if price > LIMIT]


def run_rounds(market: FakeMithril, time: Clock, rounds: int) -> Counter[str]:
    """Run rounds of losses and `up --refresh`; return how often what happened."""
    rng, stack, happened = random.Random(20), Stack(settings_of(market)), Counter[str]()
    program, bounds = Program(stack), Bounds(market)
    stack.up(program)
    for number in range(rounds):
        time.advance(rng.choice([120.0, 1800.0, 7200.0]))
        for name in program:
            id_ = stack.state[name].id
            if name != "t-status" and rng.random() < SHARE and market.bid(id_)["status"] == "Allocated":
                market.preempt(id_)
        before = {name: saved.id for name, saved in stack.state.items()}
        market.clear_requests()
        stack.up(program, refresh=True)
        assert not bounds.broken, (number, bounds.broken)
        check_round(stack, market, number)
        happened.update(one.method for one in market.mutations)
        changed = [name for name, saved in stack.state.items() if saved.id != before[name]]
        assert all(stack.state[name].inputs["on_preemption"] == "replace" for name in changed), (number, changed)
        market.clear_requests()
        stack.up(program, refresh=True)
        assert not market.mutations, (number, "a round is not settled by one `up --refresh`")
    stack.destroy()
    assert not market.live_bids
    base.current().close()
    return happened


def check_round(stack: Stack, market: FakeMithril, number: int) -> None:
    """Hold that the state is what is live, and that the status tells it."""
    members = {name: saved for name, saved in stack.state.items() if saved.type == "GpuCluster"}
    live = {bid["fid"]: bid for bid in market.live_bids}
    assert set(live) == {saved.id for saved in members.values()}, number
    status = stack.state["t-status"].outputs
    assert [one["task_id"] for one in status["members"]] == [saved.id for saved in members.values()], number
    for name, policy in zip(members, POLICIES, strict=True):
        price = float(live[members[name].id]["limit_price"].removeprefix("$"))
        assert price == members[name].outputs["max_price_per_hour"], (number, name)
        assert price <= (LIMIT if policy is RAISE else BID), (number, name)


def test_a_fleet_converges_in_each_of_some_rounds(market: FakeMithril, time: Clock) -> None:
    """A sample of the next test."""
    happened = run_rounds(market, time, 25)
    assert happened["PATCH"]
    assert happened["POST"]


@pytest.mark.faults
def test_a_fleet_converges_in_each_of_two_hundred_rounds(market: FakeMithril, time: Clock) -> None:
    """One in five loses its machine, beside what the market takes; every policy acts often."""
    happened = run_rounds(market, time, 200)
    assert happened["DELETE"] == happened["POST"] > 20
    assert happened["PATCH"] > 5
