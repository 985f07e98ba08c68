"""Projects in YAML, TypeScript and Go, which reach the verbs through the provider plugin of this checkout."""

from __future__ import annotations

import shlex
import sys
import textwrap
from pathlib import Path

from support.engine import Project


class YamlProject(Project):
    """A project whose program is in Pulumi.yaml: `resources`, `outputs`, `variables`."""

    def write(self, program: str) -> None:
        """Replace the program."""
        plugin = make_plugin(self.folder.parent / "plugin")
        head = f"name: {self.name}\nruntime: yaml\nplugins:\n  providers:\n    - name: flow\n      path: {plugin}\n"
        (self.folder / "Pulumi.yaml").write_text(head + textwrap.dedent(program))

    def edit(self, old: str, new: str) -> None:
        """Change the program in one place."""
        edit(self.folder / "Pulumi.yaml", old, new)


def make_plugin(folder: Path) -> Path:
    """Make a folder with a `pulumi-resource-flow` that runs the plugin of this checkout with this Python."""
    folder.mkdir(exist_ok=True)
    program = folder / "pulumi-resource-flow"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m flow_resources.plugin "$@"\n')
    program.chmod(0o755)
    return folder


def edit(file: Path, old: str, new: str) -> None:
    """Change a file in one place."""
    text = file.read_text()
    assert text.count(old) == 1, f"{old!r} is in {file} {text.count(old)} times"
    file.write_text(text.replace(old, new))
