"""The stack of the matrix, done by the real engine: the same scenarios, the same faults, the same questions after.

Its processes are real, and so is their death. `victims` says who dies: the plugin, the engine, or both.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.engine import Project, Result, end_session, kill, plugin_pids
from support.stack import Declared, Saved, VerbError

from flow_resources.testing import FakeMithril

VICTIMS = {"the plugin": ("plugin",), "the engine": ("engine",), "both": ("plugin", "engine")}


@dataclass
class RealStack:
    """A project with the model's operations."""

    project: Project
    victims: str = "the plugin"
    dead: bool = False
    """Whether somebody has died in the operation that runs; the matrix resets it."""
    locked: bool = False
    """Whether an engine died: `pulumi cancel` comes before the next operation."""
    running: subprocess.Popen[str] | None = None
    started: threading.Event = field(default_factory=threading.Event)
    ended: list[subprocess.Popen[str]] = field(default_factory=list)
    """Engines that are gone, and may have left a plugin."""

    @classmethod
    def make(cls, root: Path, cloud: FakeMithril, victims: str = "the plugin", **env: str) -> RealStack:
        """Make an empty one in a folder."""
        root.mkdir(exist_ok=True)
        project = Project.make(root, cloud, "", **env)
        # An owner that nobody else can have: on its own backend a stack's name is no such thing.
        project.run("config", "set", "flow:owner", "acme/proj/dev").ok()
        return cls(project, victims)

    def up(self, program: Mapping[str, Declared], *, force: set[str] | None = None) -> None:
        """Write the program and do `pulumi up`."""
        self.project.write(source(program))
        recorded = self.project.resources() if force else {}
        self._do("up", *(f"--target-replace={recorded[name]['urn']}" for name in force or () if name in recorded))

    def refresh(self) -> None:
        """Do `pulumi refresh`."""
        self._do("refresh")

    def destroy(self) -> None:
        """Do `pulumi destroy`."""
        self._do("destroy")

    @property
    def state(self) -> dict[str, Saved]:
        """What is recorded, what is still to be deleted included."""
        return {
            f"{one['urn'].rpartition('::')[2]}{' (to be deleted)' if one.get('delete') else ''}": Saved(
                one["type"].rpartition(":")[2], one.get("id", ""), one.get("inputs", {}), one.get("outputs", {})
            )
            for one in self.project.deployment().get("resources", [])
            if one.get("custom") and not one["type"].startswith("pulumi:")
        }

    def die(self, _cloud: FakeMithril) -> None:
        """Kill who is to be killed; called while a request of the plugin waits for its answer."""
        self.started.wait()
        assert self.running
        engine, who = self.running.pid, VICTIMS[self.victims]
        victims = [*(plugin_pids(engine) if "plugin" in who else ()), *([engine] if "engine" in who else ())]
        assert victims
        self.dead, self.locked = True, "engine" in who
        kill(*victims)

    def close(self) -> None:
        """End what is left of the processes: the host of a program outlives its killed engine."""
        while self.ended:
            end_session(self.ended.pop())

    def _do(self, operation: str, *arguments: str) -> None:
        if self.locked:
            self.project.run("cancel", "--yes").ok()
            self.locked = False
        self.started.clear()
        self.running = self.project.start(operation, "--yes", "--skip-preview", *arguments)
        self.started.set()
        try:
            text, _ = self.running.communicate(timeout=600)
        finally:
            self.ended.append(self.running)
            if not (self.dead and self.victims == "the engine"):
                self.close()
        if self.running.returncode:
            raise VerbError(Result(self.running.returncode, text).failed().text)


def source(program: Mapping[str, Declared]) -> str:
    """Write the Pulumi program that declares this."""
    lines = ["import pulumi", "from flow_resources import GpuCluster, Volume", ""]
    for name, one in program.items():
        inputs = "".join(f"{key}={value!r}, " for key, value in one.inputs.items())
        options = f"pulumi.ResourceOptions(delete_before_replace={not one.create_first})"
        lines.append(f"{one.type}({name!r}, {inputs}opts={options})")
    return "\n".join(lines) + "\n"
