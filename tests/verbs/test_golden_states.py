"""States of released versions, through the verbs: the cheap part of the proof that an upgrade is safe."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from support import golden
from support.golden import Golden
from support.stack import HOSTS, Declared, FakeClock, Saved, Stack, settings_of

from flow_resources.core import cluster_fields, job_fields
from flow_resources.core.hidden import visible
from flow_resources.core.naming import take_apart
from flow_resources.core.preemption import read_record
from flow_resources.core.spec import ClusterSpec
from flow_resources.plugin import wire
from flow_resources.providers import base
from flow_resources.testing import FakeMithril

GOLDEN = golden.list_states()
FIELDS = (*cluster_fields.FIELDS, *job_fields.FIELDS)
SENSITIVE = {field.name: f"no-live-secret-{field.name}" for field in FIELDS if field.sensitive}
CIPHERTEXT_KEY = "4dabf18193072939515e22adb298388d"  # the key in a state that marks ciphertext
SET_BY_REFRESH = {"preemptions", "attached_to"}  # outputs that only a read after all creates knows
each_state = pytest.mark.parametrize(
    ("state", "host_of_verbs"),
    [(state, state.host) for state in GOLDEN],
    indirect=["host_of_verbs"],
    ids=map(str, GOLDEN),
)


@pytest.fixture
def cloud(clean_environment: None, state: Golden) -> Iterator[FakeMithril]:
    """The cloud that the state belongs to."""
    with state.cloud() as fake:
        yield fake


@pytest.fixture
def stack(cloud: FakeMithril, clock: FakeClock, state: Golden) -> Iterator[Stack]:
    """A stack with the resources of the state."""
    stack = Stack(settings_of(cloud), owner="organization/golden/dev", clock=clock)
    for resource in state.export(cloud)["deployment"]["resources"]:
        kind, name = resource["type"].rpartition(":")[2], resource["urn"].rpartition("::")[2]
        if resource["type"].startswith(("pulumi-python:dynamic/flow:", "flow:index:")) and resource["custom"]:
            reason = "; ".join(resource.get("initErrors", ())) or None
            # What is only read has no inputs in the plugin.
            inputs, outputs = (recorded(resource.get(part, {}), state.host) for part in ("inputs", "outputs"))
            saved = Saved(kind, resource["id"], inputs, outputs, reason)
            if resource.get("delete"):
                stack.pending_deletes.append((name, saved))
            else:
                stack.state[name] = saved
    yield stack
    base.current().close()


def recorded(props: dict[str, Any], host: str) -> dict[str, Any]:
    """Return properties of a state as the model keeps them; its plugin leaves out what is null in a value."""
    return wire.read(wire.write(decrypted(props))).values if host == "plugin" else decrypted(props)


def decrypted(props: dict[str, Any]) -> dict[str, Any]:
    """Replace ciphertext by a fixed value: the verbs only need it to stay the same."""
    return {
        name: ({"SECRET": SENSITIVE[name]} if name == "env" else SENSITIVE[name])
        if isinstance(value, dict) and CIPHERTEXT_KEY in value
        else value
        for name, value in props.items()
    }


def without(names: set[str], props: dict[str, Any]) -> dict[str, Any]:
    """Return the properties without some of them."""
    return {name: value for name, value in props.items() if name not in names}


def owned(stack: Stack) -> dict[str, Declared]:
    """Return the program that declares what the state records, without what was only read."""
    return {
        name: Declared(saved.type, _as_a_program_writes({**visible(saved.inputs), **_number_of_the_program(saved)}))
        for name, saved in stack.state.items()
        if "__mark" in saved.outputs
    }


def _as_a_program_writes(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs without what check has resolved from a policy of a bid, or taken from a placement."""
    resolved = {"max_price_per_hour"} if "bid_policy" in inputs else set[str]()
    placed = {"instance_type", "region"} if "placements" in inputs else set[str]()
    return without(resolved | placed, inputs)


def _number_of_the_program(saved: Saved) -> dict[str, float]:
    """Return the price that a program says whose bid a policy has raised."""
    base = read_record(saved.inputs).base
    return {} if base is None else {"max_price_per_hour": float(base)}


def test_there_are_states_of_every_case() -> None:
    """An empty folder would prove nothing."""
    cases = {"settled", "interrupted", "jobs", "policies", "placements", "fleets", "ssh_keys"}
    assert {(state.host, state.case) for state in GOLDEN} >= set(itertools.product(HOSTS, cases))


@each_state
def test_a_refresh_changes_no_recorded_value(stack: Stack, cloud: FakeMithril) -> None:
    """Inputs and outputs, key by key: a key that a version drops or changes would fail here."""
    before = {name: (dict(saved.inputs), dict(saved.outputs)) for name, saved in stack.state.items()}
    stack.refresh()
    for name, saved in stack.state.items():
        inputs, outputs = before[name]
        assert without(SET_BY_REFRESH, saved.outputs) == without(SET_BY_REFRESH, outputs)
        if "__mark" in outputs:  # what was only read has no inputs
            assert saved.inputs == inputs


@each_state
def test_recorded_names_are_the_names_of_this_version(stack: Stack, cloud: FakeMithril) -> None:
    """The mark and the digest of every placed cluster: otherwise an orphan would not be recognised."""
    clusters = {
        name: saved
        for name, saved in stack.state.items()
        if saved.type == "GpuCluster" and not {"env", "adopt_task_id"} & set(saved.inputs) and "__mark" in saved.outputs
    }
    for name, saved in clusters.items():
        parts = take_apart(saved.outputs["task_name"])
        assert parts
        assert str(parts.mark) == saved.outputs["__mark"]
        if name != "quiet":  # its command is ciphertext here
            assert parts.spec == ClusterSpec.parse(saved.inputs).digest(cloud.key)
    assert clusters


@each_state
def test_the_same_program_changes_nothing(stack: Stack, cloud: FakeMithril) -> None:
    """Except what was not ready, which is updated, not replaced or placed anew."""
    program, plan = owned(stack), stack.preview(owned(stack))
    assert {name: plan[name] for name in program} == {
        name: "update" if stack.state[name].init_error else "same" for name in program
    }
    assert not cloud.mutations


@each_state
def test_destroy_deletes_what_is_recorded_and_nothing_else(stack: Stack, cloud: FakeMithril) -> None:
    """Including the pending deletions."""
    only_read = {stack.state.pop(name).id for name in set(stack.state) - set(owned(stack))}
    keys = [saved for saved in stack.state.values() if saved.type == "SshKey"]
    stack.destroy()
    kept = {key["fid"] for key in cloud.ssh_keys}
    assert {item["fid"] for item in (*cloud.live_bids, *cloud.volumes)} == {
        id_ for id_ in only_read if not id_.startswith("sshkey_")
    }
    assert {saved.id for saved in keys if saved.outputs.get("__is_ours") is not True} == kept & {one.id for one in keys}
