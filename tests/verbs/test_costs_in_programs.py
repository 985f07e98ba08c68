"""`get_costs`: what a program reads of what was paid, and under mocks."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from support.stack import settings_of

import flow_resources
from flow_resources import CostsResult
from flow_resources.testing import Clock, FakeMithril, FlowMocks


@pytest.fixture
def cloud(clean_environment: None) -> Iterator[FakeMithril]:
    """A cloud whose time passes only by `advance`, at $12.00 an hour."""
    with FakeMithril(clock=Clock(1_800_000_000.0, speed=0)) as fake:
        fake.set_price("8xa100", fake.region, 12.0)
        yield fake


@pytest.fixture
def monitor(cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A program that runs under an engine, with the settings of the fake."""
    running = SimpleNamespace()
    monkeypatch.setattr(pulumi.runtime.settings, "get_monitor", lambda: running)
    pulumi.runtime.set_all_config(settings_of(cloud))
    yield running
    pulumi.runtime.set_all_config({})


def test_what_was_paid_for_a_bid_is_read_once_per_program(cloud: FakeMithril, monitor: SimpleNamespace) -> None:
    """Over a preemption; with what on-demand would have cost."""
    bid = cloud.add_bid(instance_quantity=2)["fid"]
    cloud.clock.advance(hours=3)
    cloud.preempt(bid, 0)
    cloud.clock.advance(hours=2)
    expected = CostsResult(
        task_id=bid, spent=72.0, is_complete=True, hours=3.0, machine_hours=6.0, preemptions=1, per_gpu_hour=1.5,
        on_demand=300.0,
    )  # fmt: skip
    assert [flow_resources.get_costs(bid) for _ in range(3)] == [expected] * 3
    assert cloud.spend == 72.0
    assert sum("/pricing/history" in request.path for request in cloud.requests) == 1


def test_what_cannot_be_compared_is_not_known_and_what_was_paid_is(
    cloud: FakeMithril, monitor: SimpleNamespace
) -> None:
    """The catalogue and the market may be silent."""
    bid = cloud.add_bid()["fid"]
    cloud.clock.advance(hours=1)
    for path in ("/v2/instance-types", "/v2/pricing/current"):
        cloud.faults.add(path=path, times=None, status=404)
    costs = flow_resources.get_costs(bid)
    assert (costs.spent, costs.per_gpu_hour, costs.on_demand) == (12.0, None, None)


def test_a_bid_that_is_none_of_the_project_is_an_error_and_not_nothing_paid(
    cloud: FakeMithril, monitor: SimpleNamespace
) -> None:
    """In one line, with what to do."""
    with pytest.raises(pulumi.RunError, match=r"get_costs: there is no bid 'bid_nobodys'.* pass the output `task_id`"):
        flow_resources.get_costs("bid_nobodys")
    cloud.add_project("other", keys=[cloud.key])
    theirs = cloud.add_bid(project="other")["fid"]
    with pytest.raises(pulumi.RunError, match=f"get_costs: the bid {theirs} is in project"):
        flow_resources.get_costs(theirs)


def test_a_period_that_cannot_be_read_leaves_a_lower_bound(cloud: FakeMithril, monitor: SimpleNamespace) -> None:
    """And an answer that tells nothing leaves nothing."""
    bid = cloud.add_bid()["fid"]
    row: dict[str, Any] = {"instance_fid": "inst_1", "bid_fid": bid, "events": [{}]}
    cloud.faults.add(path="/v2/instances/pricing/history", status=200, body={"instances": [row]})
    costs = flow_resources.get_costs(bid)
    assert (costs.spent, costs.is_complete) == (None, False)


def test_under_mocks_nothing_is_sent_and_a_test_says_what_was_paid() -> None:
    """As for the other data functions; the output form takes the id of a cluster."""
    pulumi.runtime.set_mocks(FlowMocks({"flow:index:getCosts": {"spent": 12.5}}), project="p", stack="s", preview=False)
    assert (flow_resources.get_costs("bid_1").spent, flow_resources.get_costs("bid_1").per_gpu_hour) == (12.5, None)

    @pulumi.runtime.test
    def program() -> Any:
        cluster = flow_resources.GpuCluster(
            "trainer", instance_type="8xa100", max_price_per_hour=20.0, region="us-central5-a"
        )
        both = pulumi.Output.all(cluster.task_id, flow_resources.get_costs_output(cluster.task_id))
        return both.apply(lambda known: (known[0] == known[1].task_id, known[1].spent) == (True, 12.5) or 1 / 0)

    program()
