"""Replacements that make the new one first: what a crash left is taken over, what waits for its deletion is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.stack import Declared, Stack, VerbError, cluster, volume

from flow_resources.testing import FakeMithril

Program = dict[str, Declared]
Make = Callable[..., Program]


def trainer(word: int) -> Program:
    return {"it": cluster(create_first=True, command=f"echo {word}")}


def data(word: int) -> Program:
    return {"it": volume(size_gb=100 * word, allow_replace=True)}


each_kind = pytest.mark.parametrize("make", [trainer, data])


def live(cloud: FakeMithril) -> list[str]:
    return sorted(one["fid"] for one in [*cloud.live_bids, *cloud.volumes])


def cut_off(stack: Stack, cloud: FakeMithril, program: Program, force: set[str] | None = None) -> str:
    """Kill the plugin after the service has accepted a creating request; return the id of what nobody knows."""
    before = set(live(cloud))
    dark = {"kind": "reset", "when": "before", "times": None}
    paths = r"/v2/(spot/bids|volumes)$"
    cloud.faults.add(method="POST", path=paths, kind="reset", when="after", then=lambda _: cloud.faults.add(**dark))
    with pytest.raises(VerbError):
        stack.up(program, force=force)
    cloud.faults.clear()
    (left,) = set(live(cloud)) - before
    return left


@each_kind
@pytest.mark.parametrize("forced", [False, True])
def test_what_a_crash_left_is_taken_over(stack: Stack, cloud: FakeMithril, make: Make, forced: bool) -> None:
    """It is in no state, so it is what the next `up` would make."""
    stack.up(make(1))
    program, force = (make(1), {"it"}) if forced else (make(2), set())
    left = cut_off(stack, cloud, program, force)
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
    left = cut_off(stack, cloud, make(2))
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
    left = cut_off(stack, cloud, make(2))
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
    left = cut_off(stack, cloud, make(2))
    monkeypatch.setattr("flow_resources.providers.claiming.TAKE_OVER_WITHIN", -1)
    stack.up(make(2))
    assert live(cloud) == sorted([stack.state["it"].id, left])
    assert f"({left}, " in capsys.readouterr().err


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
