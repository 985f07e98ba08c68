"""A program that cannot find out what its state records: the plugin asks for the state itself."""

from __future__ import annotations

from typing import Any

import pytest
from support.crashes import crash_after_create, live
from support.stack import Declared, Stack, cluster, volume

from flow_resources.testing import FakeMithril

Program = dict[str, Declared]


@pytest.fixture(autouse=True)
def not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulumi does not answer the program."""
    monkeypatch.setattr("support.stack.write_recorded", lambda *_: "?")


@pytest.mark.parametrize("declared", [cluster(), volume()], ids=["cluster", "volume"])
def test_what_a_crash_left_is_taken_over(stack: Stack, cloud: FakeMithril, declared: Declared) -> None:
    """Beside another resource, which the state holds."""
    stack.up({"other": declared})
    left = crash_after_create(stack, cloud, {"other": declared, "it": declared})
    stack.up({"other": declared, "it": declared})
    assert stack.state["it"].id == left
    assert live(cloud) == sorted(saved.id for saved in stack.state.values())


@pytest.mark.parametrize("create_first", [False, True])
def test_what_a_replacement_is_about_to_delete_is_not(stack: Stack, cloud: FakeMithril, create_first: bool) -> None:
    """It has the same specification, and the state holds it; what a crash left beside it is taken over."""
    program = {"it": cluster(create_first=create_first)}
    stack.up(program)
    first = stack.state["it"].id
    stack.up(program, force={"it"})
    assert live(cloud) == [stack.state["it"].id] != [first]
    left = crash_after_create(stack, cloud, {"it": cluster(create_first=create_first, command="sleep 1")})
    stack.up({"it": cluster(create_first=create_first, command="sleep 1")})
    assert live(cloud) == [stack.state["it"].id] == [left]


def test_where_nobody_can_say_nothing_is_taken_over(stack: Stack, cloud: FakeMithril, monkeypatch: Any) -> None:
    """What is there may be what the state is about to delete."""
    left = crash_after_create(stack, cloud, {"it": cluster()})
    monkeypatch.setattr(stack, "export", lambda: None)
    stack.up({"it": cluster()})
    assert live(cloud) == sorted([left, stack.state["it"].id])
