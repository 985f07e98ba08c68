"""The example of the docs outside this repository: the package from its wheel, the plugin by its entry point."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from docs.pages import ROOT, blocks
from support.packaging import build, clean_environ

TEN_LINES = blocks(ROOT / "docs" / "testing-flow-programs.md", "python")[0]
WHERE = """
import flow_resources

def test_the_package_and_the_plugin_are_those_of_the_wheel(pytestconfig):
    print("package:", flow_resources.__file__)
    print("plugin:", pytestconfig.pluginmanager.get_plugin("flow_resources").__file__)

def test_the_fixture_is_there(mithril):
    assert mithril.bids == []
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Build the wheel and put it, alone, into a folder."""
    target = tmp_path / "installed"
    # All that an installer does with a wheel of plain Python, scripts aside.
    ZipFile(build("wheel", tmp_path / "built")).extractall(target)
    return target


def run_pytest(folder: Path, installed: Path, *options: str) -> str:
    env = clean_environ() | {"PYTHONPATH": str(installed)}
    # The repository leaves schemathesis out, too: it costs every run half a second.
    plain = ["-rA", "--rootdir", str(folder), "--strict-markers", "-p", "no:schemathesis"]
    command = [sys.executable, "-m", "pytest", *plain, *options]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False)
    return done.stdout + done.stderr


def test_ten_lines_pass_outside_the_repository(installed: Path, tmp_path: Path) -> None:
    """With nothing of this checkout on the path before the wheel; and `-p no:flow_resources` takes the plugin away."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "test_ten_lines.py").write_text(TEN_LINES)
    (folder / "test_where.py").write_text(WHERE)
    output = run_pytest(folder, installed)
    assert "3 passed" in output
    assert f"package: {installed}/flow_resources/__init__.py" in output
    assert f"plugin: {installed}/flow_resources/testing/plugin.py" in output
    without = run_pytest(folder, installed, "-p", "no:flow_resources", "-k", "fixture or preemption")
    assert "1 passed, 1 deselected, 1 error" in without
    assert "fixture 'mithril' not found" in without
