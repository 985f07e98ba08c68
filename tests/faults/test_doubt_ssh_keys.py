"""Every fact about an SSH key made absent, in each world and for each command: no key is deleted that others need.

As `test_doubt` for what costs money: the oracle knows the truth of the world and not what the code should do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from faults.doubt import FACTS, OWNED, SHARED, Fact, LostStack, _blank, _forget_in_state, losing_answers
from support.keys import ed25519
from support.stack import CheckError, Declared, VerbError, settings_of, ssh_key

from flow_resources.core.naming import Mark, compose
from flow_resources.lifecycle import operation
from flow_resources.providers import base
from flow_resources.testing import FakeMithril

KEYS = "/v2/ssh-keys"
KEY, NEXT = ed25519(1), ed25519(2)
_FIELDS = ("name", "project", "public_key", "created_at", "required")


def _empty_once(stack: LostStack, cloud: FakeMithril) -> None:
    cloud.faults.add(method="GET", path="ssh-keys", status=200, body=[], when="before")


FACTS_OF_KEYS = [
    *(one for one in FACTS if not one.name.startswith(("volumes", "the listing of volumes"))),
    *(Fact(f"keys: {name} is null", _blank(KEYS, name, None)) for name in _FIELDS),
    *(Fact(f"keys: {name} is absent", _blank(KEYS, name, None, absent=True)) for name in _FIELDS),
    *(Fact(f"keys: {name} has another type", _blank(KEYS, name, 7)) for name in _FIELDS),
    *(Fact(f"the state has no {name} of it", _forget_in_state(name)) for name in ("key_name", "__is_ours")),
    Fact("the state has no key", _forget_in_state("public_key")),
    Fact("one listing of keys is empty", _empty_once),
]


@dataclass
class Truth:
    """What is true of a world."""

    theirs: set[str] = field(default_factory=set)
    """Keys of others, or that others use."""
    ours: set[str] = field(default_factory=set)


def nothing(stack: LostStack, cloud: FakeMithril) -> Truth:
    return Truth()


def theirs_is_there(stack: LostStack, cloud: FakeMithril) -> Truth:
    return Truth({cloud.add_ssh_key("alice", KEY)["fid"]})


def theirs_is_recorded(stack: LostStack, cloud: FakeMithril) -> Truth:
    truth = theirs_is_there(stack, cloud)
    stack.up(PROGRAM)
    return truth


def ours_is_recorded(stack: LostStack, cloud: FakeMithril) -> Truth:
    stack.up(PROGRAM)
    return Truth(ours={stack.state["me"].id})


def ours_is_in_use(stack: LostStack, cloud: FakeMithril) -> Truth:
    stack.up(PROGRAM)
    cloud.add_bid("theirs", ssh_keys=[stack.state["me"].id])
    return Truth({stack.state["me"].id})


def ours_is_lost(stack: LostStack, cloud: FakeMithril) -> Truth:
    name = compose("me", Mark.of(stack.owner, stack.urn("me", "SshKey")), "9c01d2", 1)
    return Truth(ours={cloud.add_ssh_key(name, KEY)["fid"]})


def another_stack_has_our_mark(stack: LostStack, cloud: FakeMithril) -> Truth:
    """Records the key that it made as this stack, before it was renamed."""
    stack.up(PROGRAM)
    (id_,) = (saved.id for saved in stack.state.values())
    stack.other_states["other/training/dev"] = stack.export()
    stack.state.clear()
    return Truth({id_})


WORLDS: dict[str, Callable[[LostStack, FakeMithril], Truth]] = {
    made.__name__: made
    for made in (
        nothing, theirs_is_there, theirs_is_recorded, ours_is_recorded, ours_is_in_use, ours_is_lost,
        another_stack_has_our_mark,
    )
}  # fmt: skip
PROGRAM: dict[str, Declared] = {"me": ssh_key(KEY, timeout=1.0)}
COMMANDS: dict[str, Callable[[LostStack], None]] = {
    "up": lambda stack: stack.up(PROGRAM),
    "up --refresh": lambda stack: stack.up(PROGRAM, refresh=True),
    "up, another key": lambda stack: stack.up({"me": ssh_key(NEXT, timeout=1.0)}),
    "up, another name": lambda stack: stack.up({"you": ssh_key(KEY, timeout=1.0)}),
    "refresh": lambda stack: stack.refresh(),
    "destroy": lambda stack: stack.destroy(),
}
ENDS = ("up, another key", "destroy")
"""The commands that may delete a recorded key of ours."""


def violations(world: str, command: str, fact: Fact, owner: str) -> Iterator[str]:
    with FakeMithril() as cloud:
        stack = LostStack(settings_of(cloud), owner)
        truth = WORLDS[world](stack, cloud)
        recorded = {name: saved.id for name, saved in stack.state.items()}
        with losing_answers(stack):
            fact.hide(stack, cloud)
            try:
                COMMANDS[command](stack)
            except (VerbError, CheckError) as error:
                if "internal error" in str(error) or "Traceback" in str(error):
                    yield f"no line of ours: {error}"
        live = {key["fid"] for key in cloud.ssh_keys}
        if missing := truth.theirs - live:
            yield f"deleted of others: {missing}"
        if command not in ENDS and (missing := truth.ours - live):
            yield f"deleted, and nobody asked for it: {missing}"
        if "refresh" in command and set(recorded.values()) - {saved.id for saved in stack.state.values()}:
            yield "forgotten"
        cloud.faults.clear()
        # The facts are back: the same state, another `up`, and a destroy.
        later = LostStack(settings_of(cloud), owner)
        later.state, later.other_states = stack.state, stack.other_states
        for step in (lambda: later.up(PROGRAM), later.destroy):
            try:
                step()
            except (VerbError, CheckError) as error:
                if "internal error" in str(error):
                    yield f"no line of ours, later: {error}"
        if missing := truth.theirs - {key["fid"] for key in cloud.ssh_keys}:
            yield f"deleted of others, later: {missing}"
        base.current().close()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a key that is in use be waited for in a few polls."""
    monkeypatch.setattr(operation, "DEFAULT_SECONDS", 5.0)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("owner", [OWNED, SHARED])
@pytest.mark.faults
def test_no_absent_fact_deletes_a_key_that_others_need(
    clean_environment: None, world: str, command: str, owner: str
) -> None:
    """Each fact in turn."""
    found = {fact.name: said for fact in FACTS_OF_KEYS if (said := list(violations(world, command, fact, owner)))}
    assert not found


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("command", ["up, another name", "destroy"])
def test_a_sample_of_it(clean_environment: None, world: str, command: str) -> None:
    """The facts of keys themselves, for the commands that delete."""
    facts = [one for one in FACTS_OF_KEYS if one.name.startswith(("keys: ", "the state has no __", "everything"))]
    found = {fact.name: said for fact in facts if (said := list(violations(world, command, fact, OWNED)))}
    assert not found
