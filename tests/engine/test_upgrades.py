"""States that released versions wrote load, refresh, make no change and are destroyed, in the real engine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support import golden
from support.engine import Project
from support.golden import Golden

SUMMARY = re.compile(r"^Resources:\n(?: +~ (\d+) updated\n)? +\d+ unchanged$", re.MULTILINE)
# What an interrupted `up` left open: a refresh learns how often the bid that waits was preempted, and the next `up`
# waits on for it (and ends the predecessor of the other one, which the engine does not count).
LEARNT = {"interrupted": "1"}
OPEN = {"interrupted": {"same": 2, "update": 1}}


@pytest.mark.both_hosts(plugin="languages")
@pytest.mark.usefixtures("clean_environment")
@pytest.mark.parametrize("state", golden.list_states(), ids=str)
def test_a_state_of_a_released_version_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, state: Golden, host_of_verbs: str
) -> None:
    """Import, refresh, preview with its own program, destroy: nothing moves, and nothing of it stays.

    In the plugin the stack moves there with the preview. What is only read is read anew then, and the old reading goes.
    """
    case = state.folder.name
    with state.cloud() as cloud:
        project = Project.make(tmp_path, cloud, state.program, name="golden")
        exported = state.export(cloud)
        (tmp_path / "state.json").write_text(json.dumps(exported))
        project.run("stack", "import", "--file", str(tmp_path / "state.json")).ok()

        refreshed = SUMMARY.search(project.refresh().ok().text)
        assert refreshed
        assert refreshed[1] == LEARNT.get(case)
        planned = json.loads(project.preview("--json").ok().text)["changeSummary"]
        owned = [one for one in state.resources() if not one.get("external")]
        read = len(state.resources()) - len(owned) if host_of_verbs == "plugin" else 0
        assert planned == OPEN.get(case, {"same": len(owned)}) | ({"discard": read} if read else {})
        assert not cloud.mutations

        project.destroy().ok()
        ids = {one["id"] for one in exported["deployment"]["resources"] if one.get("id")}
        keys = {key["fid"] for key in cloud.ssh_keys} & ids  # a key of the team is in no state
        left = {one["fid"] for one in (*cloud.live_bids, *cloud.volumes)} | keys
        assert left == {one["id"] for one in exported["deployment"]["resources"] if one.get("external")}
