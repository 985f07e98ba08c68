"""The data functions against the fake: what a program reads, how often, and what it reads when that fails."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from support.stack import settings_of

import flow_resources
from flow_resources import data
from flow_resources.testing import FakeMithril

REGION = "us-central5-a"


@pytest.fixture(autouse=True)
def monitor(cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A program that runs under an engine, with the settings of the fake."""
    running = SimpleNamespace()
    monkeypatch.setattr(pulumi.runtime.settings, "get_monitor", lambda: running)
    pulumi.runtime.set_all_config(settings_of(cloud))
    yield running
    pulumi.runtime.set_all_config({})


def paths(cloud: FakeMithril) -> list[str]:
    """Return what was asked."""
    return sorted(request.path for request in cloud.requests)


def test_a_market_is_what_the_service_says_of_it(cloud: FakeMithril) -> None:
    """In floats, to the cent; per machine, and per GPU."""
    cloud.set_price("8xa100", REGION, 20.03)
    cloud.add_bid("theirs", limit_price="$31.50", instance_quantity=4)
    market = flow_resources.get_market("a100x8", REGION)
    assert (market.instance_type, market.region) == ("8xa100", REGION)
    assert (market.price, market.price_per_gpu, market.lowest_allocated) == (20.03, 2.5, 31.5)
    assert market.available is not None
    assert market.total == market.available + 4
    assert market.floor == market.lowest_to_win == 20.03


def test_each_thing_is_read_once_per_program(cloud: FakeMithril, monitor: SimpleNamespace) -> None:
    """However often it is asked for; a further program reads anew."""
    for _ in range(3):
        flow_resources.get_regions()
        flow_resources.get_instance_types()
        flow_resources.get_market("8xa100", REGION)
        flow_resources.get_market("8xa100", "eu-central1-a")
    catalogue, prices = ["/v2/instance-types", "/v2/spot/availability"], ["/v2/pricing/current"] * 2
    assert paths(cloud) == sorted([*catalogue, *prices])
    vars(monitor).clear()
    flow_resources.get_regions()
    assert paths(cloud) == sorted([*catalogue, *catalogue, *prices])


def test_regions_and_types_are_those_of_the_service() -> None:
    """With where each type is on offer."""
    regions = flow_resources.get_regions()
    types = flow_resources.get_instance_types()
    assert REGION in regions
    assert [(one.spelling, one.gpus) for one in types if one.spelling == "8xa100"] == [("8xa100", 8)]
    assert {region for one in types for region in one.regions} <= set(regions)
    h100 = [one for one in types if one.spelling == "8xh100"]
    assert len(h100) == 2
    assert not set(h100[0].regions) & set(h100[1].regions)
    regions.clear()
    types.clear()
    assert flow_resources.get_regions()
    assert flow_resources.get_instance_types()


@pytest.mark.parametrize(
    ("type_", "region", "words"),
    [
        (
            "a100",
            REGION,
            "the instance type 'a100' does not say how many GPUs a machine has: write '8xa100' or '1xa100'",
        ),
        ("9xa100", REGION, "the instance type '9xa100' is not in the service's catalogue: there are .*8xa100"),
        ("8xa100", "us-central5", "'us-central5' is not a region of the service: there are .*us-central5-a"),
    ],
)
def test_what_the_service_does_not_have_is_one_line_with_what_it_has(type_: str, region: str, words: str) -> None:
    """By its name."""
    with pytest.raises(pulumi.RunError, match=f"get_market: {words}"):
        flow_resources.get_market(type_, region)


def test_a_type_that_is_elsewhere_is_named_with_its_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not on offer has no price, although the service tells one."""
    types = flow_resources.get_instance_types()
    only = next(one for one in types if 0 < len(one.regions) < len(flow_resources.get_regions()))
    missing = next(region for region in flow_resources.get_regions() if region not in only.regions)
    with pytest.raises(pulumi.RunError, match=f"is not on offer in {missing}: it is in {only.regions[0]}"):
        flow_resources.get_market(only.id, missing)


@pytest.mark.parametrize("fault", [{"status": 500}, {"kind": "hang"}, {"status": 401}])
def test_a_service_that_does_not_answer_ends_the_program_with_one_line(
    cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    """Within seconds, and without the key."""
    monkeypatch.setattr(data, "_SECONDS", 0.3)
    cloud.faults.add(path="/v2/", times=None, **fault)
    with pytest.raises(pulumi.RunError, match="get_regions: could not read the market") as failed:
        flow_resources.get_regions()
    assert cloud.key not in str(failed.value)
    assert "\n" not in str(failed.value)


def test_a_refusal_that_repeats_the_key_does_not_show_it(cloud: FakeMithril) -> None:
    """As where the plugin reads it."""
    cloud.faults.add(path="/v2/", times=None, status=400, body={"detail": f"the key {cloud.key} may not do this"})
    with pytest.raises(pulumi.RunError, match="may not do this") as failed:
        flow_resources.get_regions()
    assert cloud.key not in str(failed.value)


def test_what_failed_is_read_again(cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program can catch the error."""
    monkeypatch.setattr(data, "_SECONDS", 0.3)
    cloud.faults.add(path="/v2/", times=None, status=500)
    with pytest.raises(pulumi.RunError):
        flow_resources.get_regions()
    cloud.faults.clear()
    assert flow_resources.get_regions()


def test_a_program_without_a_key_is_told_where_it_goes() -> None:
    """As by the plugin."""
    pulumi.runtime.set_all_config({})
    with pytest.raises(pulumi.RunError, match="get_regions: there is no API key: `pulumi config set --secret"):
        flow_resources.get_regions()


def test_a_service_that_says_little_leaves_the_rest_out(cloud: FakeMithril) -> None:
    """Nothing is computed from what is not known."""
    cloud.faults.add(path="/v2/pricing/current", status=200, body={"spot_price_cents": None})
    market = flow_resources.get_market("8xa100", REGION)
    assert (market.price, market.price_per_gpu, market.floor, market.total) == (None, None, None, None)
