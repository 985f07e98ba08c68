"""The example in YAML, as its page says to type it: the sample of what `tests/languages` does at length."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.engine import Project
from support.languages import edit, install_plugin, lives

from flow_resources.testing import FakeMithril

EXAMPLE = Path(__file__).parents[2] / "examples" / "13-yaml"


@pytest.mark.skipif(not shutil.which("pulumi-language-yaml"), reason="this `pulumi` has no language host for YAML")
def test_a_program_in_yaml_lives_and_dies(tmp_path: Path, cloud: FakeMithril) -> None:
    """Nothing is sent but what the program means: a bid, its price, its end."""
    project = Project.of_example(tmp_path, cloud, EXAMPLE)
    install_plugin(project)
    program = project.folder / "Pulumi.yaml"
    lives(project, cloud, lambda: edit(program, "max_price_per_hour: 20", "max_price_per_hour: 21"))
