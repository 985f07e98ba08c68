"""A program in TypeScript, which types the resources by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from languages.conftest import EXAMPLES
from support.engine import Project
from support.languages import edit, install_plugin, lives

from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.xdist_group("typescript")  # one worker installs the packages


def test_a_program_in_typescript_lives_and_dies(tmp_path: Path, cloud: FakeMithril, node_modules: Path) -> None:
    """A volume and the cluster that mounts it, by its output."""
    project = Project.of_example(tmp_path, cloud, EXAMPLES / "14-typescript")
    (project.folder / "node_modules").symlink_to(node_modules)
    install_plugin(project)
    program = project.folder / "index.ts"
    lives(project, cloud, lambda: edit(program, "max_price_per_hour: 20,", "max_price_per_hour: 21,"))
