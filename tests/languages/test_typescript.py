"""The example in TypeScript, which types the resources by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from languages.conftest import EXAMPLES
from support.engine import Project, copy_example, environment
from support.languages import edit, install_plugin, lives
from support.transcripts import follow

from flow_resources.testing import FakeMithril

EXAMPLE = EXAMPLES / "14-typescript"
pytestmark = pytest.mark.xdist_group("typescript")  # one worker installs the packages


def test_a_program_in_typescript_lives_and_dies(tmp_path: Path, cloud: FakeMithril, node_modules: Path) -> None:
    """A volume and the cluster that mounts it, by its output."""
    project = Project.of_example(tmp_path, cloud, EXAMPLE)
    (project.folder / "node_modules").symlink_to(node_modules)
    install_plugin(project)
    program = project.folder / "index.ts"
    lives(project, cloud, lambda: edit(program, "max_price_per_hour: 20,", "max_price_per_hour: 21,"))


def test_the_page_is_what_the_terminal_prints(tmp_path: Path, cloud: FakeMithril, node_modules: Path) -> None:
    """Every command is run, and every line shown is printed."""
    cloud.boot_seconds = 2
    project = Project(copy_example(EXAMPLE, tmp_path / EXAMPLE.name), environment(tmp_path, cloud))
    (project.folder / "node_modules").symlink_to(node_modules)
    install_plugin(project)
    follow(EXAMPLE / "README.md", project)


def test_a_misspelt_input_is_named_by_the_compiler(tmp_path: Path, cloud: FakeMithril, node_modules: Path) -> None:
    """What the compiler cannot see, the plugin's check does."""
    project = Project.of_example(tmp_path, cloud, EXAMPLE)
    (project.folder / "node_modules").symlink_to(node_modules)
    install_plugin(project)
    program = project.folder / "index.ts"
    edit(program, "  num_instances: 2,", "  num_instancs: 2,")
    printed = project.preview().failed().text
    assert "does not exist in type 'GpuClusterArgs'. Did you mean to write 'num_instances'?" in printed
    edit(program, "  num_instancs: 2,", "  ...({ num_instancs: 2 } as object),")
    assert (
        "num_instancs is not an input of this resource: did you mean num_instances? it has"
        in project.preview().failed().text
    )
    assert not cloud.mutations
