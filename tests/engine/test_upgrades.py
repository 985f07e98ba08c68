"""States of released versions load, refresh, move, make no change and are destroyed, in the real engine."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
from support import golden
from support.engine import Project
from support.golden import Golden
from support.stack import HOSTS

SUMMARY = re.compile(r"^Resources:\n(?: +~ (\d+) updated\n)? +\d+ unchanged$", re.MULTILINE)
# What an interrupted `up` left open: a refresh learns how often the bid that waits was preempted, and the next `up`
# waits on for it (and ends the predecessor of the other one, which the engine does not count).
LEARNT = {"interrupted": "1"}
NAMESPACES = {"dynamic": "pulumi-python:dynamic/flow", "plugin": "flow:index"}
# Of what the plugin reads or writes, these run always: the rest repeats them with other kinds.
SAMPLE = {("settled", "plugin", "plugin"), ("fleets", "plugin", "dynamic")}


def runs() -> list[object]:
    """Return each state with its own host, and with the other one, to which it moves."""
    beyond = {
        (state, host): "plugin" in {state.host, host} and (state.case, state.host, host) not in SAMPLE
        for state, host in itertools.product(golden.list_states(), HOSTS)
    }
    return [
        pytest.param(state, host, id=f"{state}-in-{host}", marks=[pytest.mark.languages] if is_beyond else [])
        for (state, host), is_beyond in beyond.items()
    ]


@pytest.mark.usefixtures("clean_environment")
@pytest.mark.parametrize(("state", "host_of_verbs"), runs(), indirect=["host_of_verbs"])
def test_a_state_of_a_released_version_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, state: Golden, host_of_verbs: str
) -> None:
    """Import, refresh, preview with its own program, `up`, destroy: nothing moves, and nothing of it stays.

    In the other host the stack moves there with the `up`. What is only read is read anew then, and the old reading
    goes; and what the dynamic host finds its verbs by comes into the state.
    """
    is_moved, has_plugin = host_of_verbs != state.host, "plugin" in {host_of_verbs, state.host}
    with state.cloud() as cloud:
        host = "plugin" if has_plugin else "dynamic"
        project = Project.make(tmp_path, cloud, state.program, name="golden", host=host)
        if host != host_of_verbs:
            project.run("config", "rm", "flow:host").ok()
        exported = state.export(cloud)
        (tmp_path / "state.json").write_text(json.dumps(exported))
        project.run("stack", "import", "--file", str(tmp_path / "state.json")).ok()

        refreshed = SUMMARY.search(project.refresh().ok().text)
        assert refreshed
        assert refreshed[1] == LEARNT.get(state.case)
        planned = json.loads(project.preview("--json").ok().text)["changeSummary"]
        assert planned == changes(state, host_of_verbs)
        if has_plugin and state.case not in LEARNT:
            project.up(*([] if is_moved else ["--expect-no-changes"])).ok()
            types = {one["type"] for one in project.resources().values() if one.get("provider")}
            assert {type_.rpartition(":")[0] for type_ in types} == {NAMESPACES[host_of_verbs]}
        assert not cloud.mutations

        project.destroy().ok()
        ids = {one["id"] for one in exported["deployment"]["resources"] if one.get("id")}
        keys = {key["fid"] for key in cloud.ssh_keys} & ids  # a key of the team is in no state
        left = {one["fid"] for one in (*cloud.live_bids, *cloud.volumes)} | keys
        assert left == {one["id"] for one in exported["deployment"]["resources"] if one.get("external")}


def changes(state: Golden, host: str) -> dict[str, int]:
    """Return what an `up` in a host does to a state, by the engine's words."""
    read = [one for one in state.resources() if one.get("external")]
    owned = [one for one in state.resources() if not one.get("external") and not one.get("delete")]
    is_moved = host != state.host
    updated = [one for one in owned if one.get("initErrors") or (is_moved and host == "dynamic" and one["custom"])]
    counts = {"same": len(owned) - len(updated), "update": len(updated), "discard": len(read) if is_moved else 0}
    return {word: count for word, count in counts.items() if count}
