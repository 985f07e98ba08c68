"""A ResilientCluster of another language: how its inputs become the arguments of the class."""

from __future__ import annotations

import inspect
from typing import Any

import pulumi
import pytest
from pulumi.output import Unknown
from pulumi.runtime.proto import provider_pb2

from flow_resources import ResilientCluster
from flow_resources.bid_policy import Bid
from flow_resources.plugin.component import _Servicer, arguments

SAID = {"size": 3.0, "instance_type": "8xa100", "max_price_per_hour": 20.0}


def refusal(**inputs: Any) -> str:
    """Return the line with which inputs are refused."""
    with pytest.raises(pulumi.RunError) as failed:
        arguments("fleet", inputs)
    assert "\n" not in str(failed.value)
    return str(failed.value)


def test_whole_numbers_are_integers_again() -> None:
    """The wire has none; what a program must know is passed as it is."""
    found = arguments("fleet", {**SAID, "skip": [1.0, 3.0], "min_running": 2.0, "region": None})
    assert found == {**SAID, "size": 3, "skip": [1, 3], "min_running": 2}
    assert all(isinstance(one, int) for one in (found["size"], found["min_running"], *found["skip"]))


def test_half_a_member_is_left_to_the_class() -> None:
    """Which says what is wrong with it."""
    assert arguments("fleet", {**SAID, "size": 2.5})["size"] == 2.5


def test_a_policy_is_the_bid() -> None:
    """In other languages it has a property of its own."""
    said = {"size": 1, "instance_type": "8xa100", "bid_policy": {"kind": "per_gpu", "usd": 6.25}}
    assert arguments("fleet", said)["max_price_per_hour"] == Bid.per_gpu(6.25)
    assert refusal(**{**said, "max_price_per_hour": 3}).endswith(
        "max_price_per_hour and bid_policy: remove one of the two"
    )
    assert "bid_policy must be a mapping with kind" in refusal(**{**said, "bid_policy": {"usd": 6.25}})


def test_what_decides_the_members_must_be_known() -> None:
    """An output of another resource is refused, with what to write."""
    for value in (Unknown(), [1.0, Unknown()]):
        assert refusal(**{**SAID, "skip": value}).startswith(
            "ResilientCluster 'fleet': skip must be known before anything is made"
        )


def test_what_is_not_known_yet_is_an_output() -> None:
    """As a program passes it to the class."""
    found = arguments("fleet", {**SAID, "env": {"URL": Unknown()}})
    assert isinstance(found["env"], pulumi.Output)


def test_a_misspelt_input_is_named() -> None:
    """With the nearest one, or with all of them."""
    assert refusal(**{**SAID, "instance_typ": "x"}) == (
        "ResilientCluster 'fleet': instance_typ is not an input: did you mean instance_type?"
    )
    line = refusal(**{**SAID, "zzz": 1})
    named = line.partition(": it has ")[2].split(", ")
    parameters = set(inspect.signature(ResilientCluster).parameters) - {"name", "opts"}
    assert set(named) == parameters | {"bid_policy"}
    assert refusal(instance_type="8xa100") == (
        "ResilientCluster 'fleet': size is required: it is how many members there are"
    )


def test_time_limits_and_the_order_of_a_replacement_are_not_lost() -> None:
    """The SDK's server of components drops both."""
    request = provider_pb2.ConstructRequest(
        customTimeouts=provider_pb2.ConstructRequest.CustomTimeouts(create="1h", delete="5m"),
        deleteBeforeReplace=False,
        protect=True,
        ignoreChanges=["max_price_per_hour"],
    )
    options = _Servicer._construct_options(request)
    assert options.custom_timeouts is not None
    assert (options.custom_timeouts.create, options.custom_timeouts.update) == ("1h", None)
    assert options.delete_before_replace is False
    assert options.protect is True
    assert options.ignore_changes == ["max_price_per_hour"]
    unsaid = _Servicer._construct_options(provider_pb2.ConstructRequest())
    assert unsaid.custom_timeouts is None
    assert unsaid.delete_before_replace is None
