"""Projects in YAML, TypeScript and Go, which reach the verbs through the provider plugin of this checkout."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

from flow_resources.testing import FakeMithril
from support.engine import Project, make_plugin


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


def edit(file: Path, old: str, new: str) -> None:
    """Change a file in one place."""
    text = file.read_text()
    assert text.count(old) == 1, f"{old!r} is in {file} {text.count(old)} times"
    file.write_text(text.replace(old, new))


def lives(project: Project, cloud: FakeMithril, change_the_price: Callable[[], None]) -> None:
    """See a stack with one cluster `trainer` through its life, and what each step sends to the service.

    `change_the_price` sets the bid of the program to $21.00.
    """
    assert "to create" in project.preview().ok().text
    assert not cloud.mutations

    project.up().ok()
    (bid,) = cloud.live_bids
    assert project.id_of("trainer") == bid["fid"]
    assert project.outputs()["ssh"]

    cloud.clear_requests()
    assert "unchanged" in project.preview("--expect-no-changes").ok().text
    assert "unchanged" in project.refresh("--expect-no-changes").ok().text
    assert not cloud.mutations

    change_the_price()
    assert "~max_price_per_hour" in "".join(project.preview("--diff").ok().text.split())
    project.up().ok()
    changed = [(one.method, one.path, one.body) for one in cloud.mutations]
    assert changed == [("PATCH", f"/v2/spot/bids/{bid['fid']}", {"limit_price": "$21.00"})]
    assert [one["fid"] for one in cloud.live_bids] == [bid["fid"]]
    assert project.outputs()["ssh"]

    project.destroy().ok()
    assert not cloud.live_bids
    assert not cloud.volumes


def install_plugin(project: Project) -> None:
    """Install the plugin of this checkout as its users do."""
    command = [sys.executable, "-m", "flow_resources.cli", "plugin", "install"]
    done = subprocess.run(
        command, cwd=project.folder, env=project.env, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
