"""Properties on the wire: secrets and unknown values arrive as what they are, and leave as what they were."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime import rpc

from flow_resources.core.inputs import UNKNOWN
from flow_resources.plugin import wire

PLAIN = st.recursive(
    st.booleans() | st.floats(allow_nan=False) | st.text().filter(lambda text: not wire.is_unknown(text)),
    lambda parts: st.lists(parts) | st.dictionaries(st.text().filter(lambda key: key != wire.SIGNATURE), parts),
)


def secret(value: Any) -> dict[str, Any]:
    return {rpc._special_sig_key: rpc._special_secret_sig, "value": value}


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(values, struct_pb2.Struct())


@given(values=st.dictionaries(st.text(), PLAIN), data=st.data())
def test_what_is_written_is_read_again(values: dict[str, Any], data: Any) -> None:
    """With the names of what is secret."""
    secrets = data.draw(st.sets(st.sampled_from(sorted(values)))) if values else set()
    assert wire.read(wire.write(values, secrets)) == wire.Properties(values, frozenset(secrets))


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        (secret("hunter2"), "hunter2"),
        ({"TOKEN": secret("hunter2")}, {"TOKEN": "hunter2"}),
        ([1.0, {"a": secret({"b": 2.0})}], [1.0, {"a": {"b": 2.0}}]),
        (secret(rpc.UNKNOWN), UNKNOWN),
    ],
)
def test_a_property_with_a_secret_part_is_secret(sent: Any, value: Any) -> None:
    """The verbs get it in clear."""
    assert wire.read(struct({"env": sent, "region": "r"})) == wire.Properties(
        {"env": value, "region": "r"}, frozenset({"env"})
    )


def test_what_is_secret_is_sent_as_pulumi_reads_it() -> None:
    """Its own SDK does."""
    sent = wire.write({"env": {"A": "x"}, "ports": [8080]}, {"env", "absent"})
    assert rpc.deserialize_properties(sent) == {"env": secret({"A": "x"}), "ports": [8080.0]}


@pytest.mark.parametrize("sentinel", sorted(wire._UNKNOWNS))
def test_every_kind_of_unknown_value_is_one(sentinel: str) -> None:
    """The engine has one for each type of a value."""
    assert wire.read(struct({"a": [{"b": sentinel}]})).values == {"a": [{"b": UNKNOWN}]}


def test_an_unknown_value_is_sent_as_pulumi_reads_it_and_never_as_a_secret() -> None:
    """It shows nothing."""
    sent = wire.write({"a": UNKNOWN, "b": [UNKNOWN]}, {"a"})
    assert json_format.MessageToDict(sent) == {"a": rpc.UNKNOWN, "b": [rpc.UNKNOWN]}


def test_null_is_absent_and_stays_in_its_place_in_a_list() -> None:
    """As in the dynamic host."""
    assert wire.read(struct({"a": None, "b": {"c": None}, "d": [None, 1.0]})).values == {"b": {}, "d": [None, 1.0]}
    assert json_format.MessageToDict(wire.write({"a": None, "d": [None, 1]})) == {"d": [None, 1.0]}


def test_numbers_and_empty_values_stay_what_they_are() -> None:
    """A boolean is a number to Python, not to Pulumi."""
    values = {"a": True, "b": 3, "c": {}, "d": [], "e": "", "f": 0}
    received = json_format.MessageToDict(wire.write(values))
    assert received == values
    assert received["a"] is True


def test_properties_show_no_value() -> None:
    """They can be in a traceback."""
    assert "hunter2" not in repr(wire.read(struct({"env": secret("hunter2")})))


def test_what_has_no_form_on_the_wire_is_an_error() -> None:
    """It is never sent as something else."""
    with pytest.raises(TypeError, match="a value of type complex cannot be sent"):
        wire.write({"a": 1j})
