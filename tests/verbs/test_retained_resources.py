"""Resources with the mark that are not orphans: retained by a user, or of another stack by now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.crashes import crash_after_create, live, up_with_retain_on_delete
from support.stack import Declared, ModelBackend, Reports, Stack, VerbError, cluster, volume

from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.both_hosts(plugin="languages")

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
def test_an_orphan_of_a_crash_is_taken_over_beside_what_another_stack_records(
    stack: Stack, cloud: FakeMithril, make: Make
) -> None:
    """The other states say that none of them records it."""
    stack.up(make(1))
    moved = move_away(stack)
    orphan = crash_after_create(stack, cloud, make(1))
    stack.up(make(1))
    assert stack.state["it"].id == orphan
    assert live(cloud) == sorted([moved, orphan])


@each_kind
@pytest.mark.parametrize("odd", [None, {"deployment": {"resources": "?"}}], ids=["unreadable", "cut"])
def test_where_one_other_state_cannot_be_read_nothing_is_taken_over_or_made(
    stack: Stack, cloud: FakeMithril, make: Make, odd: Any, reports: Reports
) -> None:
    """It may record what looks like an orphan of a crash, as after a rename."""
    stack.other_states["acme/training/odd"] = odd
    orphan = crash_after_create(stack, cloud, make(1))
    with pytest.raises(VerbError, match=f"{orphan}.*another stack's state records it could not be found out"):
        stack.up(make(1))
    assert live(cloud) == [orphan]
    assert odd is None or "the state of the stack acme/training/odd could not be read" in "".join(reports.kept)


@each_kind
def test_what_another_stack_records_is_left_where_a_third_state_cannot_be_read(
    stack: Stack, cloud: FakeMithril, make: Make
) -> None:
    """One state that records it is enough to know whose it is."""
    stack.up(make(1))
    moved = move_away(stack)
    stack.other_states["acme/training/odd"] = None
    stack.up(make(1))
    assert live(cloud) == sorted([moved, stack.state["it"].id])


@pytest.mark.dynamic_host
@each_kind
@pytest.mark.parametrize("listed", [None, [], ["acme/other/dev"]], ids=["no answer", "none", "another backend"])
def test_a_listing_without_this_stack_proves_nothing(
    stack: Stack, cloud: FakeMithril, make: Make, listed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be that of another backend, or cut."""
    orphan = crash_after_create(stack, cloud, make(1))
    monkeypatch.setattr(ModelBackend, "stack_names", lambda *_: listed)
    stack.other_states["acme/other/dev"] = {"deployment": {}}
    with pytest.raises(VerbError, match=f"{orphan}.*could not be found out"):
        stack.up(make(1))
    assert live(cloud) == [orphan]


@pytest.mark.dynamic_host
@each_kind
def test_a_state_of_the_same_name_on_another_backend_proves_nothing(
    stack: Stack, cloud: FakeMithril, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not hold what this operation is doing: somebody logged in elsewhere meanwhile."""
    orphan = crash_after_create(stack, cloud, make(1))
    monkeypatch.setattr(stack, "export", lambda: {"deployment": {"resources": []}})
    with pytest.raises(VerbError, match=f"{orphan}.*could not be found out"):
        stack.up(make(1))
    assert live(cloud) == [orphan]


@pytest.mark.dynamic_host
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
        def __getitem__(self, name: str) -> Any:
            stack.clock.sleep(25)
            return super().__getitem__(name)

    stack.up(trainer(1))
    move_away(stack)
    empty = {f"acme/project{number}/dev": {"deployment": {}} for number in range(1_000)}
    monkeypatch.setattr(stack, "other_states", Slow(empty))
    with pytest.raises(VerbError, match="another stack's state records it could not be found out"):
        stack.up(trainer(1))
    assert [line for line in reports.kept if "other stacks" in line] == [
        "3 of 1000 other stacks were read in 60 s, and no more are"
    ]
