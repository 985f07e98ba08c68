"""Replacements that make the new one first: what a crash left is taken over, what waits for its deletion is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from support.crashes import crash_after_create, live, up_with_retain_on_delete
from support.stack import Declared, Stack, VerbError, cluster, volume

from flow_resources.testing import FakeMithril

Program = dict[str, Declared]
Make = Callable[..., Program]


def trainer(word: int) -> Program:
    return {"it": cluster(create_first=True, command=f"echo {word}")}


def data(word: int) -> Program:
    return {"it": volume(size_gb=100 * word, allow_replace=True)}


each_kind = pytest.mark.parametrize("make", [trainer, data])


@each_kind
@pytest.mark.parametrize("forced", [False, True])
def test_what_a_crash_left_is_taken_over(stack: Stack, cloud: FakeMithril, make: Make, forced: bool) -> None:
    """It is in no state, so it is what the next `up` would make."""
    stack.up(make(1))
    program, force = (make(1), {"it"}) if forced else (make(2), set())
    left = crash_after_create(stack, cloud, program, force=force)
    stack.up(program, force=force)
    assert live(cloud) == [stack.state["it"].id] == [left]


@each_kind
def test_what_waits_for_its_deletion_is_not_taken_over(stack: Stack, cloud: FakeMithril, make: Make) -> None:
    """From 1 to 2, where the first cannot be ended, and back to 1: a third one, and in the end no other."""
    stack.up(make(1))
    first = stack.state["it"].id
    cloud.faults.add(method="DELETE", status=403, times=None)
    for word in (2, 1):
        with pytest.raises(VerbError):
            stack.up(make(word))
    assert stack.state["it"].id != first
    assert len(live(cloud)) == 3
    cloud.faults.clear()
    stack.up(make(1))
    assert live(cloud) == [stack.state["it"].id]


@each_kind
@pytest.mark.parametrize("said", [None, {"deployment": {"resources": "?"}}], ids=["nothing", "nonsense"])
def test_where_the_state_cannot_be_had_nothing_is_taken_over(
    stack: Stack, cloud: FakeMithril, make: Make, said: Any, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """It may wait for its deletion; it is named instead."""
    stack.up(make(1))
    left = crash_after_create(stack, cloud, make(2))
    capsys.readouterr()
    monkeypatch.setattr(stack, "export", lambda: said)
    stack.up(make(2))
    assert live(cloud) == sorted([stack.state["it"].id, left])
    assert f"({left}, " in capsys.readouterr().err


@each_kind
def test_what_a_crash_of_another_program_left_is_named(
    stack: Stack, cloud: FakeMithril, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program has changed since: it is not what the new `up` would make, and not ended unasked."""
    stack.up(make(1))
    left = crash_after_create(stack, cloud, make(2))
    capsys.readouterr()
    stack.up(make(3))
    assert live(cloud) == sorted([stack.state["it"].id, left])
    assert f"({left}, " in capsys.readouterr().err


@each_kind
def test_what_is_older_than_a_cut_off_create_is_not_taken_over(
    stack: Stack, cloud: FakeMithril, make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """It may be another stack's, by a rename; it is named."""
    stack.up(make(1))
    left = crash_after_create(stack, cloud, make(2))
    monkeypatch.setattr("flow_resources.core.takeover.TAKE_OVER_WITHIN", timedelta(hours=-1))
    stack.up(make(2))
    assert live(cloud) == sorted([stack.state["it"].id, left])
    assert f"({left}, " in capsys.readouterr().err


@each_kind
@pytest.mark.parametrize("words", [(1, 1, 1), (1, 2, 1)], ids=["forced", "there and back"])
def test_what_somebody_let_go_of_is_not_taken_over(
    stack: Stack, cloud: FakeMithril, make: Make, words: tuple[int, int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is older than what took its place, and for a person: named, and not deleted by a later destroy."""
    first, second = (
        up_with_retain_on_delete(stack, make(words[0])),
        up_with_retain_on_delete(stack, make(words[1]), {"it"}),
    )
    third = up_with_retain_on_delete(stack, make(words[2]), {"it"})
    assert len({first, second, third}) == 3
    assert f"({first}, " in capsys.readouterr().err
    stack.destroy()
    assert live(cloud) == sorted([first, second])


@each_kind
def test_what_a_crash_left_is_found_behind_what_somebody_let_go_of(
    stack: Stack, cloud: FakeMithril, make: Make
) -> None:
    """The younger of two with the same specification."""
    kept = up_with_retain_on_delete(stack, make(1))
    up_with_retain_on_delete(stack, make(2))
    left = crash_after_create(stack, cloud, make(1))
    stack.up(make(1))
    assert stack.state["it"].id == left
    assert live(cloud) == sorted([kept, left])


def test_what_stands_beside_an_adopted_one_is_not_taken_over(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """When it was adopted nobody knows: somebody may have let go of the other before."""
    stack.up(trainer(1))
    kept = stack.state.pop("it").id
    theirs = cloud.add_bid("by-hand")["fid"]
    adopting = {"adopt_task_id": theirs}
    stack.up({"it": cluster(create_first=True, command="echo 2", **adopting)})
    assert stack.state["it"].id == theirs
    stack.up({"it": cluster(create_first=True, command="echo 1", **adopting)})
    assert live(cloud) == sorted([kept, stack.state["it"].id])
    assert f"({kept}, " in capsys.readouterr().err


@each_kind
@pytest.mark.parametrize("rows", [[], [{"urn": "urn:pulumi:dev::other::x::y", "id": "bid_1"}]], ids=["empty", "other"])
def test_the_state_of_another_stack_takes_nothing_from_this_one(
    stack: Stack, cloud: FakeMithril, make: Make, rows: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the program knows to be recorded is, whatever `pulumi stack export` prints where the plugin runs."""
    stack.up(make(1))
    first = stack.state["it"].id
    left = crash_after_create(stack, cloud, make(1), force={"it"})
    monkeypatch.setattr(stack, "export", lambda: {"deployment": {"resources": rows}})
    stack.up(make(1), force={"it"})
    assert live(cloud) == [stack.state["it"].id] == [left] != [first]


@each_kind
def test_where_others_can_have_the_owner_too_nothing_is_taken_over(
    stack: Stack, cloud: FakeMithril, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """On self-managed backends two people's stacks may go from 1 to 2 on one day: it may be the other's."""
    stack.owner = "organization/training/dev"
    stack.up(make(1))
    left = crash_after_create(stack, cloud, make(2))
    capsys.readouterr()
    stack.up(make(2))
    assert live(cloud) == sorted([stack.state["it"].id, left])
    told = capsys.readouterr().err
    assert f"({left}, " in told
    assert "with flow:owner an `up` takes such a one over" in told
    stack.refresh()  # another plugin process, to which no program passes the owner along
    told = capsys.readouterr().err
    assert "with flow:owner an `up` takes such a one over" in told
    assert "ends it" not in told


@each_kind
def test_the_state_is_asked_for_once_an_operation(
    stack: Stack, cloud: FakeMithril, make: Make, monkeypatch: Any
) -> None:
    """However many were cut off."""
    many = {f"it{number}": make(1)["it"] for number in range(5)}
    stack.up(many)
    for name in many:
        crash_after_create(stack, cloud, {**many, name: make(2)["it"]})
    asked, export = [], stack.export

    def counted() -> Any:
        asked.append(None)
        return export()

    monkeypatch.setattr(stack, "export", counted)
    stack.up({name: make(2)["it"] for name in many})
    assert len(asked) == 1
    assert live(cloud) == sorted(saved.id for saved in stack.state.values())


def test_the_state_is_asked_for_only_where_it_decides(stack: Stack, cloud: FakeMithril, monkeypatch: Any) -> None:
    """To export it takes a second."""
    exported: list[None] = []
    monkeypatch.setattr(stack, "export", lambda: exported.append(None))
    stack.up(trainer(1))
    stack.up(trainer(2))
    stack.up(trainer(2), force={"it"})
    stack.destroy()
    stack.up(trainer(2))
    assert not exported
