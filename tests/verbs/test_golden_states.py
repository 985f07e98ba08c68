"""States that released versions wrote, through the verbs: the cheap part of the proof that an upgrade is safe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support import golden
from support.golden import Golden
from support.stack import Declared, FakeClock, Saved, Stack, settings_of

from flow_resources.core.cluster_fields import FIELDS
from flow_resources.core.naming import take_apart
from flow_resources.core.spec import ClusterSpec
from flow_resources.providers import base
from flow_resources.testing import FakeMithril

GOLDEN = golden.list_states()
QUIET = {field.name: f"no-live-secret-{field.name}" for field in FIELDS if field.sensitive}
SIGNED = "4dabf18193072939515e22adb298388d"  # how a state says that what follows is ciphertext
LATER = {"preemptions", "attached_to"}  # what only a look after everything was made can know
each_state = pytest.mark.parametrize("state", GOLDEN, ids=str)


@pytest.fixture
def cloud(clean_environment: None, state: Golden) -> Iterator[FakeMithril]:
    """The cloud that the state speaks of."""
    with state.cloud() as made:
        yield made


@pytest.fixture
def stack(cloud: FakeMithril, clock: FakeClock, state: Golden) -> Iterator[Stack]:
    """A stack that holds what the state holds."""
    stack = Stack(settings_of(cloud), owner="organization/golden/dev", clock=clock)
    for resource in state.export(cloud)["deployment"]["resources"]:
        kind, name = resource["type"].rpartition(":")[2], resource["urn"].rpartition("::")[2]
        if resource["type"].startswith("pulumi-python:dynamic/flow:"):
            reason = "; ".join(resource.get("initErrors", ())) or None
            saved = Saved(kind, resource["id"], opened(resource["inputs"]), opened(resource["outputs"]), reason)
            if resource.get("delete"):
                stack.pending_deletes.append((name, saved))
            else:
                stack.state[name] = saved
    yield stack
    base.current().close()


def opened(props: dict[str, Any]) -> dict[str, Any]:
    """Put some value where the state has ciphertext: of what kind does not matter to the verbs, only that it stays."""
    return {
        name: ({"SECRET": QUIET[name]} if name == "env" else QUIET[name])
        if isinstance(value, dict) and SIGNED in value
        else value
        for name, value in props.items()
    }


def without(names: set[str], props: dict[str, Any]) -> dict[str, Any]:
    """Leave some properties out."""
    return {name: value for name, value in props.items() if name not in names}


def owned(stack: Stack) -> dict[str, Declared]:
    """Return the program that says what the state holds; what is only read is not checked."""
    return {
        name: Declared(saved.type, {key: value for key, value in saved.inputs.items() if not key.startswith("__")})
        for name, saved in stack.state.items()
        if "__mark" in saved.outputs
    }


def test_there_are_states_of_a_version() -> None:
    """Each with what can stand in one: nothing is proved by an empty folder."""
    assert {state.folder.name for state in GOLDEN} >= {"settled", "interrupted"}


@each_state
def test_what_is_recorded_reads_back_as_it_was(stack: Stack, cloud: FakeMithril) -> None:
    """Inputs and outputs, key by key: a key that a version drops or changes would show here."""
    before = {name: (dict(saved.inputs), dict(saved.outputs)) for name, saved in stack.state.items()}
    stack.refresh()
    for name, saved in stack.state.items():
        inputs, outputs = before[name]
        assert without(LATER, saved.outputs) == without(LATER, outputs)
        if "__mark" in outputs:  # of what is only read, nothing is an input
            assert saved.inputs == inputs


@each_state
def test_a_name_that_was_given_is_one_that_would_be_given(stack: Stack, cloud: FakeMithril) -> None:
    """Mark and digest of every cluster that was placed: else a leftover would not be known again."""
    placed = {
        name: saved
        for name, saved in stack.state.items()
        if saved.type == "GpuCluster" and not {"env", "adopt_task_id"} & set(saved.inputs) and "__mark" in saved.outputs
    }
    for name, saved in placed.items():
        parts = take_apart(saved.outputs["task_name"])
        assert parts
        assert str(parts.mark) == saved.outputs["__mark"]
        if name != "quiet":  # its command is ciphertext here
            assert parts.spec == ClusterSpec.parse(saved.inputs).digest(cloud.key)
    assert placed


@each_state
def test_the_same_program_changes_nothing(stack: Stack, cloud: FakeMithril) -> None:
    """Except for what was not ready: that goes on, and is neither placed anew nor replaced."""
    program, plan = owned(stack), stack.preview(owned(stack))
    assert {name: plan[name] for name in program} == {
        name: "update" if stack.state[name].init_error else "same" for name in program
    }
    assert not cloud.mutations


@each_state
def test_destroy_ends_what_is_recorded_and_nothing_else(stack: Stack, cloud: FakeMithril) -> None:
    """Also what was still to be deleted."""
    read = {stack.state.pop(name).id for name in set(stack.state) - set(owned(stack))}
    stack.destroy()
    assert {item["fid"] for item in (*cloud.live_bids, *cloud.volumes)} == read
