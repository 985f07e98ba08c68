"""The stack of the matrix on the real engine: the same scenarios, faults and checks.

Its processes are real and are really killed. `kill_targets` names which ones: the plugin, the engine, or both.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.engine import Project, Result, end_session, kill, plugin_pids
from support.stack import Declared, Saved, VerbError

from flow_resources.testing import FakeMithril

KILL_TARGETS = {"the plugin": ("plugin",), "the engine": ("engine",), "both": ("plugin", "engine")}


@dataclass
class RealStack:
    """A project with the operations of the model `Stack`."""

    project: Project
    kill_targets: str = "the plugin"
    crashed: bool = False
    """Whether a process was killed in the current operation; the matrix resets it."""
    locked: bool = False
    """Whether an engine was killed, so that `pulumi cancel` must run before the next operation."""
    running: subprocess.Popen[str] | None = None
    started: threading.Event = field(default_factory=threading.Event)
    ended: list[subprocess.Popen[str]] = field(default_factory=list)
    """Engines that have ended and may have left a plugin behind."""

    @classmethod
    def make(cls, root: Path, cloud: FakeMithril, kill_targets: str = "the plugin", **env: str) -> RealStack:
        """Create an empty project in a folder."""
        root.mkdir(exist_ok=True)
        # An owner that is unique: on a self-managed backend the name of a stack is not.
        project = Project.make(
            root, cloud, "", config={"flow:owner": "acme/proj/dev", "flow:allowJobKeys": "true"}, **env
        )
        return cls(project, kill_targets)

    def up(self, program: Mapping[str, Declared], *, force: set[str] | None = None) -> None:
        """Write the program and run `pulumi up`."""
        self.project.write(source(program))
        recorded = self.project.resources() if force else {}
        self._run("up", *(f"--target-replace={recorded[name]['urn']}" for name in force or () if name in recorded))

    def refresh(self) -> None:
        """Run `pulumi refresh`."""
        self._run("refresh")

    def destroy(self) -> None:
        """Run `pulumi destroy`."""
        self._run("destroy")

    @property
    def state(self) -> dict[str, Saved]:
        """The recorded resources, including those pending deletion."""
        return {
            f"{resource['urn'].rpartition('::')[2]}{' (to be deleted)' if resource.get('delete') else ''}": Saved(
                resource["type"].rpartition(":")[2],
                resource.get("id", ""),
                resource.get("inputs", {}),
                resource.get("outputs", {}),
            )
            for resource in self._read_stored_resources()
            if resource.get("custom") and not resource["type"].startswith("pulumi:")
        }

    def _read_stored_resources(self) -> list[dict[str, Any]]:
        """Read the state as the backend has stored it; `pulumi stack export` prints the same, for half a second."""
        backend = Path(self.project.env["PULUMI_BACKEND_URL"].removeprefix("file://"))
        stored = backend / ".pulumi" / "stacks" / self.project.name / f"{self.project.stack}.json"
        latest = json.loads(stored.read_text())["checkpoint"]["latest"] or {}
        return list(latest.get("resources") or [])

    def crash(self, _cloud: FakeMithril) -> None:
        """Kill the chosen processes; called while a request of the plugin waits for its answer."""
        self.started.wait()
        assert self.running
        engine, targets = self.running.pid, KILL_TARGETS[self.kill_targets]
        pids = [*(plugin_pids(engine) if "plugin" in targets else ()), *([engine] if "engine" in targets else ())]
        assert pids
        self.crashed, self.locked = True, "engine" in targets
        kill(*pids)

    def close(self) -> None:
        """End the remaining processes: the language host outlives an engine that was killed."""
        while self.ended:
            end_session(self.ended.pop())

    def _run(self, operation: str, *arguments: str) -> None:
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
            if not (self.crashed and self.kill_targets == "the engine"):
                self.close()
        if self.running.returncode:
            raise VerbError(Result(self.running.returncode, text).failed().text)


def source(program: Mapping[str, Declared]) -> str:
    """Return the source of a Pulumi program that declares these resources."""
    lines = ["import pulumi", "from flow_resources import GpuCluster, Job, SshKey, Volume", ""]
    for name, declared in program.items():
        inputs = "".join(f"{key}={value!r}, " for key, value in declared.inputs.items())
        options = f"pulumi.ResourceOptions(delete_before_replace={not declared.create_first})"
        lines.append(f"{declared.type}({name!r}, {inputs}opts={options})")
    return "\n".join(lines) + "\n"
