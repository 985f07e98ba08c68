"""`flow-resources plugin`: Pulumi finds the plugin that was installed, and takes the schema; the real engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.engine import Result, environment

from flow_resources.cli import plugin
from flow_resources.plugin.schema import schema
from flow_resources.testing import FakeMithril


@pytest.fixture
def env(tmp_path: Path, cloud: FakeMithril) -> dict[str, str]:
    """The environment of a user whose virtual environment is not active: only `pulumi` is on PATH."""
    pulumi = Path(shutil.which("pulumi") or "").parent
    return {**environment(tmp_path, cloud), "PATH": os.pathsep.join((str(pulumi), "/usr/bin", "/bin"))}


def run(env: dict[str, str], folder: Path, *command: str) -> Result:
    """Run a command in a folder."""
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)
    return Result(done.returncode, done.stdout + done.stderr)


def flow_resources(env: dict[str, str], folder: Path, *arguments: str) -> Result:
    """Run `flow-resources plugin`."""
    return run(env, folder, sys.executable, "-m", "flow_resources.cli", "plugin", *arguments)


def install_as(env: dict[str, str], folder: Path, version: str) -> None:
    """Install a plugin of another version."""
    other = folder / f"other-{version}"
    other.mkdir()
    plugin._write_executable(other / "pulumi-resource-flow")
    run(env, folder, "pulumi", "plugin", "install", "resource", "flow", version, "--file", str(other)).ok()


def installed(env: dict[str, str], folder: Path) -> set[str]:
    """Return the versions of the plugin that Pulumi has."""
    rows = json.loads(run(env, folder, "pulumi", "plugin", "ls", "--json").ok().text)
    return {row["version"] for row in rows if row["name"] == "flow"}


def test_the_installed_plugin_is_found_and_answers_its_schema(tmp_path: Path, env: dict[str, str]) -> None:
    """Without PATH, also from a folder whose modules have the names of ours; installing it again changes nothing."""
    folder = tmp_path / "project"
    (folder / "flow_resources").mkdir(parents=True)
    (folder / "flow_resources" / "__init__.py").write_text("raise SystemExit('another package')\n")
    (folder / "grpc.py").write_text("raise SystemExit('another module')\n")
    for _ in range(2):
        (line,) = flow_resources(env, tmp_path, "install").ok().text.splitlines()
        assert line == f"The plugin flow 0.1.0 is installed. Pulumi starts it with {sys.executable}."
        assert installed(env, tmp_path) == {"0.1.0"}
    got = json.loads(run(env, folder, "pulumi", "package", "get-schema", "flow").ok().text)
    for part in ("resources", "types", "functions"):
        assert set(got[part]) == set(schema()[part])


def test_pulumi_takes_the_printed_schema_without_a_complaint(tmp_path: Path, env: dict[str, str]) -> None:
    """Its own check of schemas has nothing to say."""
    printed = flow_resources(env, tmp_path, "schema").ok().text
    assert json.loads(printed) == schema()
    (tmp_path / "schema.json").write_text(printed)
    assert run(env, tmp_path, "pulumi", "schema", "check", "schema.json").ok().text == ""
    (tmp_path / "schema.json").write_text(printed.replace("#/types/flow:index:WaitFor", "#/types/flow:index:WaitFour"))
    assert "WaitFour" in run(env, tmp_path, "pulumi", "schema", "check", "schema.json").failed().text


def test_an_older_version_is_named_and_a_newer_one_refused(tmp_path: Path, env: dict[str, str]) -> None:
    """Pulumi starts the newest one, so that installing ours would have no effect."""
    install_as(env, tmp_path, "0.0.9")
    lines = flow_resources(env, tmp_path, "install").ok().text.splitlines()
    assert len(lines) == 2
    assert "flow 0.0.9 is installed, too" in lines[1]
    assert "pulumi plugin rm resource flow 0.0.9" in lines[1]
    run(env, tmp_path, "pulumi", "plugin", "rm", "resource", "flow", "0.1.0", "--yes").ok()
    install_as(env, tmp_path, "0.2.0")
    refused = flow_resources(env, tmp_path, "install")
    assert refused.code == 2
    (line,) = refused.text.splitlines()
    assert line.startswith("error: the plugin flow 0.2.0 is installed, which Pulumi would start instead of 0.1.0: ")
    assert "pulumi plugin rm resource flow 0.2.0" in line
    assert installed(env, tmp_path) == {"0.0.9", "0.2.0"}


def test_without_pulumi_it_is_one_line(tmp_path: Path, env: dict[str, str]) -> None:
    """It says where to get it; the schema needs none."""
    without = {**env, "PATH": "/usr/bin:/bin"}
    refused = flow_resources(without, tmp_path, "install")
    assert refused.code == 2
    assert refused.text == "error: there is no `pulumi` on PATH: https://www.pulumi.com/docs/install/ has it\n"
    assert json.loads(flow_resources(without, tmp_path, "schema").ok().text)["name"] == "flow"


@pytest.mark.parametrize("what", ["gone", "without the package"])
def test_a_plugin_that_cannot_start_says_how_to_install_it_again(
    tmp_path: Path, env: dict[str, str], what: str
) -> None:
    """Its environment was deleted, or made anew without the package."""
    executable, python = tmp_path / "pulumi-resource-flow", tmp_path / "python's own"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", str(python))
        plugin._write_executable(executable)
    if what == "without the package":
        python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
        python.chmod(0o755)
    failed = run(env, tmp_path, str(executable))
    assert failed.code == 1
    assert "run `flow-resources plugin install` again" in failed.failed().text
    assert len(failed.text.splitlines()) == 1
