"""docs/how-to/use-another-language.md: its programs are previewed, and its types are those of the examples."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from docs.pages import ROOT, blocks
from languages.conftest import EXAMPLES
from support.engine import Project, environment
from support.languages import install_plugin

from flow_resources.testing import FakeMithril

PAGE = ROOT / "docs" / "how-to" / "use-another-language.md"
TYPES = {"typescript": "14-typescript/flow.ts", "go": "15-go/flow.go"}


def test_every_program_in_yaml_is_previewed(tmp_path: Path, cloud: FakeMithril) -> None:
    """Pulumi checks its types, and the plugin its values."""
    cloud.add_project("west", keys=[cloud.key])
    env = environment(tmp_path, cloud)
    programs = blocks(PAGE, "yaml")
    assert len(programs) > 3
    for index, program in enumerate(programs):
        name = yaml.safe_load(program)["name"]
        project = Project(tmp_path / str(index), env, name=name)
        project.folder.mkdir()
        (project.folder / "Pulumi.yaml").write_text(program)
        if index == 0:
            install_plugin(project)
        project.run("stack", "init", "dev").ok()
        if "westKey" in program:
            project.run("config", "set", "--secret", "westKey", cloud.key).ok()
        assert "to create" in project.preview().ok().text
    assert not cloud.mutations


@pytest.mark.parametrize("language", TYPES)
def test_a_type_is_that_of_the_example(language: str) -> None:
    """As it is run."""
    (shown,) = blocks(PAGE, language)
    assert shown in (EXAMPLES / TYPES[language]).read_text()
