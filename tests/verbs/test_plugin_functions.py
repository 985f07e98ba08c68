"""The data functions through the plugin, against the fake: the readings of Python programs, as properties."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2
from support.plugin_host import PluginHost
from support.stack import Aborted, Context, ModelBackend, SkippingClock, Stack, settings_of

import flow_resources
from flow_resources import costs, data
from flow_resources.plugin import wire
from flow_resources.plugin.functions import FUNCTIONS
from flow_resources.plugin.schema import schema
from flow_resources.plugin.servicer import FlowServicer
from flow_resources.testing import Clock, FakeMithril

REGION = "us-central5-a"


@pytest.fixture
def cloud(clean_environment: None) -> Iterator[FakeMithril]:
    """A cloud whose time passes only by `advance`."""
    with FakeMithril(clock=Clock(1_800_000_000.0, speed=0)) as fake:
        yield fake


@pytest.fixture
def plugin(cloud: FakeMithril, stack: Stack) -> Iterator[FlowServicer]:
    """A plugin that an engine has configured."""
    host = PluginHost(Context)
    host.begin(settings_of(cloud), ModelBackend(stack), SkippingClock())
    yield host.servicer
    host.servicer.deployment.close()


def call(plugin: FlowServicer, function: str, **arguments: Any) -> dict[str, Any]:
    """Call a function."""
    request = provider_pb2.InvokeRequest(tok=f"flow:index:{function}", args=wire.write(arguments))
    return wire.read(getattr(plugin.Invoke(request, Context()), "return")).values


def refusal(plugin: FlowServicer, function: str, **arguments: Any) -> str:
    """Return the line with which a call fails."""
    with pytest.raises(Aborted) as aborted:
        call(plugin, function, **arguments)
    assert "\n" not in str(aborted.value)
    return str(aborted.value)


def test_a_market_is_what_python_programs_read(cloud: FakeMithril, plugin: FlowServicer) -> None:
    """Under the same names; what the service does not say is left out."""
    cloud.set_price("8xa100", REGION, 20.03)
    market = call(plugin, "getMarket", instance_type="a100x8", region=REGION)
    assert (market["instance_type"], market["region"]) == ("8xa100", REGION)
    assert (market["price"], market["price_per_gpu"]) == (20.03, 2.5)
    assert "lowest_allocated" not in market
    assert market.keys() <= vars(data.MarketResult)["__dataclass_fields__"].keys()
    assert not cloud.mutations


def test_types_and_regions_are_lists_with_a_name(plugin: FlowServicer) -> None:
    """A function of the protocol returns an object."""
    names = call(plugin, "getRegions")["names"]
    types = call(plugin, "getInstanceTypes")["instance_types"]
    assert REGION in names
    (eight,) = [one for one in types if one["spelling"] == "8xa100"]
    assert eight["gpus"] == 8
    assert set(eight["regions"]) <= set(names)


def test_costs_are_those_of_a_bid(cloud: FakeMithril, plugin: FlowServicer) -> None:
    """Whoever placed it."""
    bid = cloud.add_bid("theirs")
    cloud.clock.advance(hours=3)
    paid = call(plugin, "getCosts", task_id=bid["fid"])
    assert paid["task_id"] == bid["fid"]
    assert paid["spent"] > 0
    assert paid["is_complete"] is True
    assert refusal(plugin, "getCosts", task_id="bid_nowhere").startswith("getCosts: there is no bid 'bid_nowhere'")


def test_each_thing_is_read_once_per_process(cloud: FakeMithril, plugin: FlowServicer) -> None:
    """However often a program asks for it."""
    for _ in range(3):
        call(plugin, "getRegions")
        call(plugin, "getInstanceTypes")
        call(plugin, "getMarket", instance_type="8xa100", region=REGION)
    paths = sorted(request.path for request in cloud.requests)
    assert paths == ["/v2/instance-types", "/v2/pricing/current", "/v2/spot/availability"]


def test_what_a_function_does_not_take_is_named(plugin: FlowServicer) -> None:
    """With what it takes."""
    assert refusal(plugin, "getMarket", instance_type="8xa100", regoin=REGION) == (
        "getMarket: regoin is not an argument: did you mean region?"
    )
    assert refusal(plugin, "getMarket", region=REGION).startswith("getMarket: instance_type is required")
    assert refusal(plugin, "getMarket", instance_type=8, region=REGION).startswith("getMarket: instance_type must be a")
    assert refusal(plugin, "getRegions", name="x") == "getRegions: name is not an argument: it takes none"
    assert refusal(plugin, "getPrice").startswith("there is no function flow:index:getPrice: there are ")


def test_what_the_service_does_not_have_is_one_line(plugin: FlowServicer) -> None:
    """As in Python, with the function's name before it."""
    line = refusal(plugin, "getMarket", instance_type="9xa100", region=REGION)
    assert line.startswith("getMarket: the instance type '9xa100' is not in the service's catalogue: there are ")


@pytest.mark.parametrize("fault", [{"status": 500}, {"kind": "hang"}, {"status": 401}])
def test_a_service_that_does_not_answer_ends_a_call_soon(
    cloud: FakeMithril, plugin: FlowServicer, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    """Without the key in the line."""
    monkeypatch.setattr(data, "_SECONDS", 0.3)
    cloud.faults.add(path="/v2/", times=None, **fault)
    line = refusal(plugin, "getRegions")
    assert line.startswith("getRegions: could not read the market")
    assert cloud.key not in line


def test_the_functions_are_those_of_the_schema_and_of_python() -> None:
    """With the same arguments."""
    declared = {
        name.rpartition(":")[2]: tuple(function.get("inputs", {}).get("properties", {}))
        for name, function in schema()["functions"].items()
    }
    assert {name: arguments for name, (arguments, _) in FUNCTIONS.items()} == declared
    assert len(declared) == sum(name.startswith("get_") for name in flow_resources.__all__) / 2
    assert costs.CostsResult
