"""Resources with the mark that are not orphans: retained by a user, or of another stack by now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.crashes import crash_after_create, live, up_with_retain_on_delete
from support.stack import Declared, Reports, Stack, cluster, volume

from flow_resources.testing import FakeMithril

Program = dict[str, Declared]
Make = Callable[[int], Program]


def trainer(version: int) -> Program:
    return {"it": cluster(command=f"echo {version}")}


def data(version: int) -> Program:
    return {"it": volume(create_first=False, size_gb=100 * version, allow_replace=True)}


each_kind = pytest.mark.parametrize("make", [trainer, data])


@each_kind
@pytest.mark.parametrize("versions", [(1, 2, 3), (1, 2, 1)], ids=["on", "there and back"])
def test_the_next_replacement_leaves_a_retained_resource_alone(
    stack: Stack, cloud: FakeMithril, make: Make, versions: tuple[int, int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is older than the recorded resource, so it is no orphan of a later crash."""
    first, second = (
        up_with_retain_on_delete(stack, make(versions[0])),
        up_with_retain_on_delete(stack, make(versions[1])),
    )
    capsys.readouterr()
    stack.up(make(versions[2]))
    third = stack.state["it"].id
    assert len({first, second, third}) == 3
    assert live(cloud) == sorted([first, third])
    assert f"({first}, " in capsys.readouterr().err


@each_kind
def test_an_orphan_of_a_crash_next_to_a_retained_resource_is_taken_over(
    stack: Stack, cloud: FakeMithril, make: Make
) -> None:
    """It is the younger of two with the same specification."""
    retained = up_with_retain_on_delete(stack, make(1))
    up_with_retain_on_delete(stack, make(2))
    orphan = crash_after_create(stack, cloud, make(1))
    stack.up(make(1))
    assert stack.state["it"].id == orphan
    assert live(cloud) == sorted([retained, orphan])


@each_kind
def test_the_successor_of_a_retained_resource_may_have_ended(stack: Stack, cloud: FakeMithril, make: Make) -> None:
    """It ended externally, before a replacement."""
    retained = up_with_retain_on_delete(stack, make(1))
    second = up_with_retain_on_delete(stack, make(2))
    (cloud.terminate if second.startswith("bid") else cloud.delete_volume)(second)
    stack.up(make(1))
    assert live(cloud) == sorted([retained, stack.state["it"].id])
    assert stack.state["it"].id != retained


# -- of another stack ------------------------------------------------------------------------------------------------


def move_away(stack: Stack, to: str = "acme/training/prod") -> str:
    """Model `pulumi stack rename` or `state move`: empty the state, and return the id that moved to the other stack."""
    stack.other_states[to] = stack.export()
    id_ = stack.state.pop("it").id
    assert not stack.state
    return id_


@each_kind
@pytest.mark.parametrize("version", [1, 2], ids=["same", "changed"])
def test_a_resource_that_another_stack_records_is_left_alone(
    stack: Stack, cloud: FakeMithril, make: Make, version: int, reports: Reports
) -> None:
    """A renamed stack keeps its resources, and a new stack of its old name creates its own."""
    stack.up(make(1))
    moved = move_away(stack)
    stack.up(make(version))
    assert stack.state["it"].id != moved
    assert live(cloud) == sorted([moved, stack.state["it"].id])
    assert f"({moved}) carries this resource's mark and is of the stack acme/training/prod" in "".join(reports.kept)
    stack.destroy()
    assert live(cloud) == [moved]


@each_kind
def test_an_orphan_of_a_crash_is_taken_over_whatever_other_stacks_record(
    stack: Stack, cloud: FakeMithril, make: Make
) -> None:
    """A state that cannot be read does not matter."""
    stack.up(make(1))
    moved = move_away(stack)
    stack.other_states["acme/training/odd"] = {"deployment": {"resources": "?"}}
    orphan = crash_after_create(stack, cloud, make(1))
    stack.up(make(1))
    assert stack.state["it"].id == orphan
    assert live(cloud) == sorted([moved, orphan])


def test_other_stacks_are_read_only_if_a_resource_is_found(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a second."""
    monkeypatch.setattr(stack, "other_states", None)  # reading it would fail
    stack.up(trainer(1))
    stack.up(trainer(2))
    stack.destroy()


def test_other_stacks_are_read_for_at_most_a_minute(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, reports: Reports
) -> None:
    """Those of the same project come first."""

    class Slow(dict[str, Any]):
        def items(self) -> Any:
            for number in range(1_000):
                stack.clock.sleep(25)
                yield f"acme/project{number}/dev", {"deployment": {}}

    stack.up(trainer(1))
    move_away(stack)
    monkeypatch.setattr(stack, "other_states", Slow())
    stack.up(trainer(1))
    assert [line for line in reports.kept if "other stacks" in line] == [
        "3 other stacks were read in 60 s, and no more are"
    ]
