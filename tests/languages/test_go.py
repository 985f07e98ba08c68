"""The example in Go, which types the resources by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from languages.conftest import EXAMPLES
from support.engine import Project, copy_example, environment
from support.languages import edit, install_plugin, lives
from support.transcripts import follow

from flow_resources.testing import FakeMithril

EXAMPLE = EXAMPLES / "15-go"
pytestmark = pytest.mark.xdist_group("go")  # one worker compiles the SDK


def test_a_program_in_go_lives_and_dies(tmp_path: Path, cloud: FakeMithril, go_caches: dict[str, str]) -> None:
    """A volume and the cluster that mounts it, by its output."""
    project = Project.of_example(tmp_path, cloud, EXAMPLE, **go_caches)
    install_plugin(project)
    program = project.folder / "main.go"
    lives(project, cloud, lambda: edit(program, "pulumi.Float64(20)", "pulumi.Float64(21)"))


def test_the_page_is_what_the_terminal_prints(tmp_path: Path, cloud: FakeMithril, go_caches: dict[str, str]) -> None:
    """Every command is run, and every line shown is printed."""
    cloud.boot_seconds = 2
    project = Project(copy_example(EXAMPLE, tmp_path / EXAMPLE.name), environment(tmp_path, cloud) | go_caches)
    install_plugin(project)
    follow(EXAMPLE / "README.md", project)
