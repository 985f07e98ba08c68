"""The data functions under mocks: nothing is sent, and a test says what they answer."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import pulumi
import pytest

import flow_resources
from flow_resources.testing import FlowMocks


def mock(mocks: pulumi.runtime.Mocks) -> None:
    """Run what follows under mocks."""
    pulumi.runtime.set_mocks(mocks, project="p", stack="s", preview=False)


def test_flow_mocks_answer_from_a_catalogue_of_their_own() -> None:
    """With results of the same types as the real ones."""
    mock(FlowMocks())
    market = flow_resources.get_market("a100:8", "us-central5-a")
    assert market == flow_resources.MarketResult(
        instance_type="8xa100",
        region="us-central5-a",
        price=12.0,
        price_per_gpu=1.5,
        floor=12.0,
        lowest_to_win=12.0,
        lowest_allocated=None,
        available=64,
        total=64,
    )
    assert isinstance(market.available, int)
    assert "us-central5-a" in flow_resources.get_regions() == sorted(flow_resources.get_regions())
    types = {type_.id: type_ for type_ in flow_resources.get_instance_types()}
    a100 = next(type_ for type_ in types.values() if type_.spelling == "8xa100")
    assert (a100.gpus, a100.gpu, a100.hourly_price) == (8, "A100", None)
    assert "us-central5-a" in a100.regions
    assert [field.name for field in dataclasses.fields(a100)][:3] == ["id", "name", "spelling"]


def test_a_test_says_what_the_market_asks() -> None:
    """By the token of the function; the rest is filled in."""
    mock(FlowMocks({"flow:index:getMarket": {"price": 99.0, "lowest_allocated": 40.0}}))
    market = flow_resources.get_market("8xh100", "eu-central1-a")
    assert (market.price, market.lowest_allocated, market.lowest_to_win) == (99.0, 40.0, 20.0)


def test_the_output_forms_take_outputs() -> None:
    """Of resources of the program, as any function of a provider."""
    mock(FlowMocks())

    @pulumi.runtime.test
    def program() -> Any:
        data = flow_resources.Volume("data", size_gb=1, region="us-central1-a")
        market = flow_resources.get_market_output("8xa100", data.region)
        everything = pulumi.Output.all(
            market.region, market.price, flow_resources.get_regions_output(), flow_resources.get_instance_types_output()
        )

        def check(values: list[Any]) -> None:
            region, price, regions, types = values
            assert (region, price) == ("us-central1-a", 12.0)
            assert regions == flow_resources.get_regions()
            assert types == flow_resources.get_instance_types()

        return everything.apply(check)

    program()


@pytest.mark.parametrize(("type_", "region", "words"), [
    ("9xa100", "us-central5-a", "no instance type '9xa100'; there are"),
    ("8xa100", "nowhere", "no region 'nowhere'; there are"),
])  # fmt: skip
def test_what_the_mocks_do_not_know_is_one_line(type_: str, region: str, words: str) -> None:
    """As of the real service."""
    mock(FlowMocks())
    with pytest.raises(pulumi.RunError, match=words):
        flow_resources.get_market(type_, region)


PLAIN = {
    "get_market": ("8xa100", "us-central5-a"),
    "get_instance_types": (),
    "get_regions": (),
    "get_costs": ("bid_1",),
}


@pytest.mark.parametrize("name", PLAIN)
def test_the_options_of_functions_are_honoured_or_refused(name: str) -> None:
    """A parent passes nothing on here; who answers, and with what settings, is not the call's to say."""
    mock(FlowMocks())

    @pulumi.runtime.test
    def program() -> Any:
        data = flow_resources.Volume("data", size_gb=1, region="us-central1-a")
        plain, later = getattr(flow_resources, name), getattr(flow_resources, f"{name}_output")
        assert plain(*PLAIN[name], opts=pulumi.InvokeOptions(parent=data)) == plain(*PLAIN[name])
        with pytest.raises(pulumi.RunError, match=rf"^{name}: the option depends_on has no effect: call {name}_output"):
            plain(*PLAIN[name], opts=pulumi.InvokeOutputOptions(depends_on=[data]))
        for call in (plain, later):
            with pytest.raises(pulumi.RunError, match="the option version has no effect: remove it"):
                call(*PLAIN[name], opts=pulumi.InvokeOptions(version="1.0.0"))
            with pytest.raises(pulumi.RunError, match="the option provider has no effect: the settings are those of"):
                call(*PLAIN[name], opts=pulumi.InvokeOptions(provider=pulumi.ProviderResource("flow", "other")))
        options = pulumi.InvokeOutputOptions(parent=data, depends_on=[data])
        return later(*PLAIN[name], opts=options).apply(lambda told: seen.append(told == plain(*PLAIN[name])))

    seen: list[bool] = []
    program()
    assert seen == [True]


class NotThereYet(FlowMocks):
    """Mocks of a preview in which a volume is made."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        id_, outputs = super().new_resource(args)
        return (None if "Volume" in args.typ else id_), outputs


@pytest.mark.parametrize("depends_on", ["resource", "list", "output", "component"])
def test_an_output_form_waits_for_what_it_depends_on(depends_on: str) -> None:
    """In a preview that makes that, nothing is read, and the result is not known; a component is all that is in it."""
    pulumi.runtime.set_mocks(NotThereYet(), project="p", stack="s", preview=True)
    known: list[bool] = []

    @pulumi.runtime.test
    def program() -> Any:
        component = pulumi.ComponentResource("my:index:Group", "group")
        options = pulumi.ResourceOptions(parent=component)
        data = flow_resources.Volume("data", size_gb=1, region="us-central1-a", opts=options)
        given: Any = {
            "resource": data,
            "list": [data],
            "output": pulumi.Output.from_input([data]),
            "component": [component],
        }[depends_on]
        regions = flow_resources.get_regions_output(opts=pulumi.InvokeOutputOptions(depends_on=given))
        others = flow_resources.get_regions_output(opts=pulumi.InvokeOutputOptions())
        return pulumi.Output.from_input([regions.is_known(), others.is_known()]).apply(known.extend)

    program()
    assert known == [False, True]


class Silent(pulumi.runtime.Mocks):
    """The mocks of a user that know nothing of this package."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        return {}


class Refusing(Silent):
    """Mocks that refuse what they do not know."""

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        raise NotImplementedError(args.token)


@pytest.mark.parametrize("mocks", [Silent, Refusing])
@pytest.mark.parametrize("function", ["get_regions", "get_instance_types", "get_market"])
def test_other_mocks_get_an_error_with_a_remedy(mocks: type[Silent], function: str) -> None:
    """They can answer by the token."""
    mock(mocks())
    arguments = ("8xa100", "us-central5-a") if function == "get_market" else ()
    with pytest.raises(pulumi.RunError, match=r"use flow_resources.testing.FlowMocks, or answer it in their `call`"):
        getattr(flow_resources, function)(*arguments)


def test_no_request_is_sent_and_no_sdk_is_imported() -> None:
    """The module loads with the first use, and the SDK with the first request."""
    import subprocess

    source = """
import sys, pulumi
from flow_resources.testing import FlowMocks
pulumi.runtime.set_mocks(FlowMocks(), preview=False)
import flow_resources
assert "flow_resources.data" not in sys.modules
flow_resources.get_market("8xa100", "us-central5-a")
flow_resources.get_regions()
heavy = {"flow", "httpx", "pydantic", "tenacity", "aiohttp"} & {name.partition(".")[0] for name in sys.modules}
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_functions_of_other_providers_have_an_empty_result_under_flow_mocks() -> None:
    """A subclass of a user answers them."""
    mock(FlowMocks())
    assert not pulumi.runtime.invoke("aws:index:getRegion", {}).value
