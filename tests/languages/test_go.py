"""A program in Go, which types the resources by hand."""

from __future__ import annotations

from pathlib import Path

from languages.conftest import EXAMPLES
from support.engine import Project
from support.languages import edit, install_plugin, lives

from flow_resources.testing import FakeMithril


def test_a_program_in_go_lives_and_dies(tmp_path: Path, cloud: FakeMithril, go_caches: dict[str, str]) -> None:
    """A volume and the cluster that mounts it, by its output."""
    project = Project.of_example(tmp_path, cloud, EXAMPLES / "15-go", **go_caches)
    install_plugin(project)
    program = project.folder / "main.go"
    lives(project, cloud, lambda: edit(program, "pulumi.Float64(20)", "pulumi.Float64(21)"))
