"""The page of Pulumi's commands is true: one project, one life, and every line that it shows is printed."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from docs.pages import ROOT, blocks, missing, transcript
from support.engine import Project, Result, environment

from flow_resources.testing import FakeMithril

PAGE = ROOT / "docs" / "pulumi-commands.md"
SECRETS = ("abc-123-secret", "xyz-456-secret", "test-key")
CHANGED = re.compile(r"^ *[~+-] *(\w+) *: ", re.MULTILINE)


def run(project: Project, command: list[str]) -> Result:
    """Run a line of the page and read what a terminal shows, both streams in one."""
    if command[0] == "pulumi":
        process = project.start(*command[1:])
        printed, _ = process.communicate(timeout=600)
        return Result(process.returncode, printed)
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=True)
    return Result(0, done.stdout)


@pytest.mark.engine
def test_the_page_is_what_the_terminal_prints(tmp_path: Path, cloud: FakeMithril) -> None:
    """In order, up to times, ids and addresses; diffs name what changed and nothing else, and no secret is shown."""
    (program,) = blocks(PAGE, "python")
    project = Project(tmp_path / "flow-cluster", environment(tmp_path, cloud))
    project.folder.mkdir()
    (project.folder / "Pulumi.yaml").write_text("name: flow-cluster\nruntime: python\n")
    project.write(program)
    diffs: list[tuple[str, list[str]]] = []
    for step in [one for block in blocks(PAGE, "console") for one in transcript(block)]:
        result = run(project, step.command)
        lost = missing(step.lines, result.text)
        assert lost is None, f"{lost}\nis not in\n{result.text}"
        assert (result.code != 0) == any("error:" in line for line in step.lines), result.text
        assert "__mark" not in result.text, result.text
        assert not [one for one in SECRETS if one in result.text], result.text
        if "--diff" in step.command:
            diffs.append((step.command[1], CHANGED.findall(result.text)))
        if step.command[1] == "refresh":
            the_state_is_readable(project)
        if step.command[0] == "sed" and "secret" in step.command[2]:
            told = project.preview("--json").ok().text
            assert '"env": "[secret]"' in told
            assert not [one for one in SECRETS if one in told]
    assert diffs == [
        ("preview", []),  # of what is created every input is shown, and none is marked
        ("preview", ["max_price_per_hour"]),
        ("up", ["max_price_per_hour", "max_cost_per_hour"]),
        ("preview", []),  # a secret on both sides
        ("up", ["num_instances"]),
    ]
    assert (cloud.live_bids, cloud.volumes) == ([], [])


def the_state_is_readable(project: Project) -> None:
    """See in an export what the page says of it."""
    exported = project.export()
    assert '"env"' in exported
    assert not [one for one in SECRETS if one in exported]
    cluster, plain = project.resources()["trainer"], project.run("stack", "export", "--show-secrets").ok().text
    shown = project.run("state", "get", cluster["urn"]).ok().text
    assert "    env               : [secret]" in shown
    assert not [one for one in ("__", *SECRETS) if one in shown]
    assert any(one in plain for one in SECRETS)
    assert re.fullmatch(r"project:///__main__\.py#\d+", cluster["sourcePosition"])
    hidden = {key for kind in ("inputs", "outputs") for key in cluster[kind] if key.startswith("__")}
    assert hidden == {"__provider", "__owner", "__mark", "__create_id", "__service"}
    assert len(json.dumps(cluster["outputs"]["__provider"])) - 2 <= 104
