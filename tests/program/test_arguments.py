"""Everything that the constructors' types allow arrives at the engine; all else is one line."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path, PurePosixPath
from types import FunctionType, MappingProxyType
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime import rpc

from flow_resources import GpuCluster, Volume, VolumeMount
from flow_resources.arguments import carried_properties
from flow_resources.core import cluster_fields
from flow_resources.testing import FlowMocks


class Machine(str, Enum):
    """A word of the program's own."""

    BIG = "8xa100"


class Port(IntEnum):
    """A number of the program's own."""

    WEB = 8080


def run(program: Callable[[], Any]) -> dict[str, dict[str, Any]]:
    """Run a program under mocks; return what it registered, by name."""
    mocks = FlowMocks()
    pulumi.runtime.set_mocks(mocks, project="training", stack="dev", preview=False)
    pulumi.runtime.test(program)()
    return {name: inputs for _, name, inputs in mocks.resources}


def cluster(**inputs: Any) -> Callable[[], Any]:
    """Return a program with one cluster; an input that is a function is made by it, in the program."""

    def program() -> Any:
        made = {name: value() if isinstance(value, FunctionType) else value for name, value in inputs.items()}
        return GpuCluster("hub", **{"instance_type": "8xa100", "max_price_per_hour": 1.0, **made}).urn

    return program


def unsecret(value: Any) -> Any:
    """Return the value of a secret as it travels."""
    return rpc.unwrap_rpc_secret(value) if isinstance(value, dict) else value


async def later(value: Any) -> Any:
    """Return a value when somebody waits for it."""
    return value


@pytest.mark.parametrize(
    ("name", "make", "arrives"),
    [
        ("ports", lambda: range(8000, 8003), [8000, 8001, 8002]),
        ("ports", lambda: (8000, Port.WEB), [8000, 8080]),
        ("ports", lambda: pulumi.Output.from_input(8000).apply(lambda first: range(first, first + 2)), [8000, 8001]),
        ("ports", lambda: later(range(8000, 8002)), [8000, 8001]),
        ("max_price_per_hour", lambda: Decimal("12.34"), 12.34),
        ("max_price_per_hour", lambda: pulumi.Output.from_input("9.99").apply(Decimal), 9.99),
        ("max_price_per_hour", lambda: Fraction(5, 4), 1.25),
        ("instance_type", lambda: Machine.BIG, "8xa100"),
        ("command", lambda: ("python", PurePosixPath("train.py")), ["python", "train.py"]),
        ("env", lambda: MappingProxyType({"A": "1"}), {"A": "1"}),
        ("env", lambda: ChainMap({"A": "1"}, {"A": "2", "B": pulumi.Output.from_input("3")}), {"A": "1", "B": "3"}),
    ],
)
def test_what_the_types_allow_arrives(name: str, make: Callable[[], Any], arrives: Any) -> None:
    """Sequences, mappings, exact numbers, words and paths: whole, in parts, and known later."""
    assert unsecret(run(cluster(**{name: make}))["hub"][name]) == arrives


@pytest.mark.parametrize("many", [list, tuple, lambda mounts: pulumi.Output.from_input(mounts).apply(tuple)])
def test_mounts_take_any_sequence_and_a_path(many: Callable[[list[Any]], Any]) -> None:
    """And any mapping."""
    mounts = [
        VolumeMount("vol_1", PurePosixPath("/data")),
        MappingProxyType({"volume_id": "vol_2", "mount_path": Path("/mnt/two")}),
    ]
    arrived = run(cluster(volumes=lambda: many(mounts)))["hub"]["volumes"]
    assert arrived == [
        {"volume_id": "vol_1", "mount_path": "/data"},
        {"volume_id": "vol_2", "mount_path": "/mnt/two"},
    ]


@pytest.mark.parametrize(
    ("inputs", "line"),
    [
        (
            {"ports": {8000}},
            "GpuCluster 'hub': ports cannot be a set, got {8000}: pass a list, such as sorted(...) makes",
        ),
        (
            {"ports": [8000, object]},
            "GpuCluster 'hub': ports[1] cannot be of the type type, got <class 'object'>: convert it",
        ),
        (
            {"max_price_per_hour": Decimal("1.000000000000000000001")},
            "has more digits than Pulumi can carry, got Decimal('1.000000000000000000001'): round it to the cent",
        ),
        ({"num_instances": 10**400}, "GpuCluster 'hub': num_instances is no number that Pulumi can carry, got 1000"),
        (
            {"env": {"TOKEN=hunter2": {"hunter2"}}},
            "GpuCluster 'hub': env.TOKEN cannot be a set: pass a list, such as sorted(...) makes",
        ),
        ({"env": {7: "x"}}, "GpuCluster 'hub': env has a name of the type int: put the name in quotes"),
        ({"command": b"hunter2"}, "GpuCluster 'hub': command cannot be of the type bytes: convert it"),
        (
            {"ports": {1}, "ssh_keys": {"a"}},
            "got {1}: pass a list, such as sorted(...) makes; ssh_keys cannot be a set, got {'a'}: pass a list",
        ),
    ],
)
def test_what_cannot_be_carried_is_one_line(inputs: dict[str, Any], line: str) -> None:
    """With the path, the value where it is no secret, and what to do; all at once."""
    with pytest.raises(pulumi.RunError) as raised:
        run(cluster(**inputs))
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_what_is_known_later_is_one_line_too_and_shows_no_value() -> None:
    """It may be secret."""
    with pytest.raises(pulumi.RunError, match=r"^GpuCluster 'hub': ports\[0\] cannot be a set: pass a list"):
        run(cluster(ports=lambda: pulumi.Output.secret([{8000}])))


def test_a_resource_is_not_its_output() -> None:
    """A volume where its id belongs."""
    with pytest.raises(pulumi.RunError, match=r"volumes\[0\]\.volume_id is a Volume, and not a value: pass one of"):
        run(cluster(volumes=lambda: [{"volume_id": Volume("data", size_gb=1), "mount_path": "/data"}]))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda one: st.lists(one) | st.dictionaries(st.text(), one),
)


@given(value=VALUES)
def test_what_pulumi_carries_stays_as_it_is(value: Any) -> None:
    """Whatever it is made of."""
    assert carried_properties("it", cluster_fields.FIELDS, {"env": value}) == {"env": value}


@given(cents=st.integers(1, 10**11))
def test_a_price_in_cents_is_carried_exactly(cents: int) -> None:
    """What arrives is equal to what was given, to the cent."""
    price = Decimal(cents) / 100
    carried = carried_properties("it", cluster_fields.FIELDS, {"max_price_per_hour": price})["max_price_per_hour"]
    assert isinstance(carried, float)
    assert Decimal(repr(carried)) == price


def test_an_iterator_is_not_used_up() -> None:
    """It is refused before anything is taken from it: a second look would find it empty."""
    ports: Iterator[int] = iter([8000])
    with pytest.raises(pulumi.RunError, match="ports cannot be a list_iterator"):
        run(cluster(ports=ports))
    assert list(ports) == [8000]
