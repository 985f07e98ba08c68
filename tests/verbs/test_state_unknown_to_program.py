"""If the program cannot read what its state records, the plugin exports the state itself."""

from __future__ import annotations

from typing import Any

import pytest
from support.crashes import crash_after_create, live
from support.stack import Declared, Stack, VerbError, cluster, volume

from flow_resources.testing import FakeMithril

Program = dict[str, Declared]


@pytest.fixture(autouse=True)
def program_cannot_read_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program passes no answer about the state."""
    monkeypatch.setattr("support.stack.write_recorded", lambda *_: "?")


@pytest.mark.parametrize("declared", [cluster(), volume(allow_replace=True)], ids=["cluster", "volume"])
def test_an_orphan_of_a_crash_is_taken_over(stack: Stack, cloud: FakeMithril, declared: Declared) -> None:
    """Next to another resource, which the state records."""
    stack.up({"other": declared})
    orphan = crash_after_create(stack, cloud, {"other": declared, "it": declared})
    stack.up({"other": declared, "it": declared})
    assert stack.state["it"].id == orphan
    assert live(cloud) == sorted(saved.id for saved in stack.state.values())


@pytest.mark.parametrize("create_first", [False, True])
def test_a_resource_that_is_being_replaced_is_not_taken_over(
    stack: Stack, cloud: FakeMithril, create_first: bool
) -> None:
    """It has the same specification and is recorded; an orphan of a crash next to it is taken over."""
    program = {"it": cluster(create_first=create_first)}
    stack.up(program)
    first = stack.state["it"].id
    stack.up(program, force={"it"})
    assert live(cloud) == [stack.state["it"].id] != [first]
    orphan = crash_after_create(stack, cloud, {"it": cluster(create_first=create_first, command="sleep 1")})
    stack.up({"it": cluster(create_first=create_first, command="sleep 1")})
    assert live(cloud) == [stack.state["it"].id] == [orphan]


def test_with_an_unknown_state_nothing_is_taken_over_or_rented(
    stack: Stack, cloud: FakeMithril, monkeypatch: Any
) -> None:
    """The live resource may be a pending deletion, or an orphan: the create names it and what to do."""
    orphan = crash_after_create(stack, cloud, {"it": cluster()})
    monkeypatch.setattr(stack, "export", lambda: None)
    with pytest.raises(VerbError, match=rf"{orphan}.*own state records it could not be found out.*adopt_task_id"):
        stack.up({"it": cluster()})
    assert live(cloud) == [orphan]
