"""What carries the mark and is nobody's leftover: let go of by a person, or of another stack by now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.crashes import crash_after_create, live, up_with_retain_on_delete
from support.stack import Declared, Reports, Stack, cluster, volume

from flow_resources.testing import FakeMithril

Program = dict[str, Declared]
Make = Callable[[int], Program]


def trainer(word: int) -> Program:
    return {"it": cluster(command=f"echo {word}")}


def data(word: int) -> Program:
    return {"it": volume(create_first=False, size_gb=100 * word, allow_replace=True)}


each_kind = pytest.mark.parametrize("make", [trainer, data])


@each_kind
@pytest.mark.parametrize("words", [(1, 2, 3), (1, 2, 1)], ids=["on", "there and back"])
def test_the_next_replacement_leaves_it_alone(
    stack: Stack, cloud: FakeMithril, make: Make, words: tuple[int, int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is older than what the state went on with, so no crash of what came after has left it."""
    first, second = up_with_retain_on_delete(stack, make(words[0])), up_with_retain_on_delete(stack, make(words[1]))
    capsys.readouterr()
    stack.up(make(words[2]))
    third = stack.state["it"].id
    assert len({first, second, third}) == 3
    assert live(cloud) == sorted([first, third])
    assert f"({first}, " in capsys.readouterr().err


@each_kind
def test_what_a_crash_left_beside_it_is_taken_over(stack: Stack, cloud: FakeMithril, make: Make) -> None:
    """The younger of two with the same specification."""
    kept = up_with_retain_on_delete(stack, make(1))
    up_with_retain_on_delete(stack, make(2))
    left = crash_after_create(stack, cloud, make(1))
    stack.up(make(1))
    assert stack.state["it"].id == left
    assert live(cloud) == sorted([kept, left])


@each_kind
def test_what_took_the_place_of_one_that_ended_by_itself_counts_as_well(
    stack: Stack, cloud: FakeMithril, make: Make
) -> None:
    """Ended behind the stack's back, before a replacement."""
    kept = up_with_retain_on_delete(stack, make(1))
    second = up_with_retain_on_delete(stack, make(2))
    (cloud.terminate if second.startswith("bid") else cloud.delete_volume)(second)
    stack.up(make(1))
    assert live(cloud) == sorted([kept, stack.state["it"].id])
    assert stack.state["it"].id != kept


# -- of another stack ------------------------------------------------------------------------------------------------


def move_away(stack: Stack, to: str = "acme/training/prod") -> str:
    """Do `pulumi stack rename`, or `state move`, and begin anew under the old name; return the id that went along."""
    stack.other_states[to] = stack.export()
    id_ = stack.state.pop("it").id
    assert not stack.state
    return id_


@each_kind
@pytest.mark.parametrize("word", [1, 2], ids=["same", "changed"])
def test_what_the_state_of_another_stack_records_is_left_alone(
    stack: Stack, cloud: FakeMithril, make: Make, word: int, reports: Reports
) -> None:
    """A stack that was renamed runs on, and the next one of its name makes its own."""
    stack.up(make(1))
    theirs = move_away(stack)
    stack.up(make(word))
    assert stack.state["it"].id != theirs
    assert live(cloud) == sorted([theirs, stack.state["it"].id])
    assert f"({theirs}) carries this resource's mark and is of the stack acme/training/prod" in "".join(reports.kept)
    stack.destroy()
    assert live(cloud) == [theirs]


@each_kind
def test_what_a_crash_left_is_taken_over_whatever_other_stacks_record(
    stack: Stack, cloud: FakeMithril, make: Make
) -> None:
    """Beside theirs; a state that cannot be read decides nothing."""
    stack.up(make(1))
    theirs = move_away(stack)
    stack.other_states["acme/training/odd"] = {"deployment": {"resources": "?"}}
    left = crash_after_create(stack, cloud, make(1))
    stack.up(make(1))
    assert stack.state["it"].id == left
    assert live(cloud) == sorted([theirs, left])


def test_other_stacks_are_asked_for_only_where_something_is_found(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each costs a second."""
    monkeypatch.setattr(stack, "other_states", None)  # not to be asked for
    stack.up(trainer(1))
    stack.up(trainer(2))
    stack.destroy()


def test_of_a_large_backend_a_minute_is_read(stack: Stack, monkeypatch: pytest.MonkeyPatch, reports: Reports) -> None:
    """The project's own stacks come first; a thousand more are not waited for."""

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
