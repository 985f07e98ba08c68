"""The real engine: a Pulumi project in a temporary folder, with a backend, a home and a passphrase of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar

import flow_resources
from flow_resources.testing import FakeMithril

STACK_CONFIGS = {"05-production": ("Pulumi.dev.yaml", "Pulumi.prod.yaml")}
"""The stacks' settings that are part of an example."""
QUICK_PIP = os.pathsep.join(map(str, (Path(__file__).parent / "quick_pip", Path(__file__).parents[2])))
"""For PYTHONPATH: a pip that lists nothing, in a thirtieth of the time; and this checkout, whatever is installed."""


@dataclass
class Result:
    """What a command printed, and how it ended."""

    code: int
    text: str

    def ok(self) -> Result:
        """Fail the test with what was printed, unless the command succeeded."""
        assert self.code == 0, self.text
        return self

    def failed(self) -> Result:
        """Fail the test unless the command failed, in lines and not in tracebacks."""
        assert self.code != 0, self.text
        assert "Traceback" not in self.text, self.text
        return self


@dataclass
class Project:
    """A Pulumi project with one stack."""

    host: ClassVar[str] = "dynamic"
    """In which of `support.stack.HOSTS` the verbs of programs run; the marker `both_hosts` sets it."""

    folder: Path
    env: dict[str, str]
    stack: str = "dev"
    name: str = "proj"
    options: list[str] = field(default_factory=list)

    @classmethod
    def make(
        cls,
        root: Path,
        cloud: FakeMithril,
        program: str,
        *,
        name: str = "proj",
        config: Mapping[str, str] | None = None,
        host: str | None = None,
        **extra: str,
    ) -> Project:
        """Make a project whose program is given, and the configuration of its stack; the rest is environment."""
        folder = root / name
        folder.mkdir()
        head, settings = f"name: {name}\nruntime: python\n", dict(config or {})
        if (host or cls.host) == "plugin":
            head += f"plugins:\n  providers:\n    - name: flow\n      path: {make_plugin(root / 'plugin')}\n"
            settings["flow:host"] = "plugin"
        (folder / "Pulumi.yaml").write_text(head)
        project = cls(folder, environment(root, cloud) | extra, name=name)
        if settings:
            (folder / f"Pulumi.{project.stack}.yaml").write_text(json.dumps({"config": settings}))
        project.write(program)
        project.run("stack", "init", project.stack).ok()
        return project

    @classmethod
    def of_example(cls, root: Path, cloud: FakeMithril, example: Path, **extra: str) -> Project:
        """Copy an example."""
        folder = copy_example(example, root / example.name)
        project = cls(folder, environment(root, cloud) | extra, name=example.name)
        project.run("stack", "init", project.stack).ok()
        return project

    def write(self, program: str) -> None:
        """Replace the program."""
        (self.folder / "__main__.py").write_text(textwrap.dedent(program))

    def edit(self, old: str, new: str) -> None:
        """Change the program in one place."""
        source = (self.folder / "__main__.py").read_text()
        assert old in source
        (self.folder / "__main__.py").write_text(source.replace(old, new))

    def run(self, *arguments: str, timeout: float = 600) -> Result:
        """Run a pulumi command."""
        command = ["pulumi", *arguments, "--non-interactive", "--color", "never"]
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=timeout, check=False
        )
        return Result(done.returncode, done.stdout + done.stderr)

    def start(self, *arguments: str, stdout: IO[str] | int = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start a pulumi command in a process group of its own, to be killed."""
        command = ["pulumi", *arguments, "--non-interactive", "--color", "never"]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.env, stdout=stdout, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip

    def preview(self, *arguments: str) -> Result:
        return self.run("preview", *arguments)

    def up(self, *arguments: str) -> Result:
        """Run `pulumi up` without its own preview, which costs as much again and is `preview`."""
        return self.run("up", "--yes", "--skip-preview", *arguments)

    def refresh(self, *arguments: str) -> Result:
        """Run `pulumi refresh` without its own preview."""
        return self.run("refresh", "--yes", "--skip-preview", *arguments)

    def destroy(self, *arguments: str) -> Result:
        """Run `pulumi destroy` without its own preview."""
        return self.run("destroy", "--yes", "--skip-preview", *arguments)

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs."""
        result: dict[str, Any] = json.loads(self.run("stack", "output", "--json", "--show-secrets").ok().text)
        return result

    def export(self) -> str:
        """Return the stack's state as text."""
        return self.run("stack", "export").ok().text

    def deployment(self) -> dict[str, Any]:
        """Return the state: `resources`, and `pending_operations` where an operation was cut off."""
        state: dict[str, Any] = json.loads(self.export())["deployment"]
        return state

    def resources(self) -> dict[str, Any]:
        """Return the state's resources by logical name."""
        return {one["urn"].rpartition("::")[2]: one for one in self.deployment().get("resources", [])}

    def id_of(self, name: str) -> str:
        """Return the recorded id of a resource."""
        id_: str = self.resources()[name]["id"]
        return id_


def copy_example(example: Path, folder: Path) -> Path:
    """Copy an example, without the settings of stacks that somebody has made there; with those that are part of it."""
    shutil.copytree(example, folder, ignore=shutil.ignore_patterns("__pycache__", "node_modules", "Pulumi.*.yaml"))
    for name in STACK_CONFIGS.get(example.name, ()):
        lines = (example / name).read_text().splitlines(keepends=True)
        # Who has used it since has a salt there, and secrets that only that passphrase opens.
        own = [line for line in lines if "encryptionsalt:" not in line and "wandbKey:" not in line]
        (folder / name).write_text("".join(line for line in own if not line.lstrip().startswith("secure:")))
    return folder


def let_children_be_interrupted() -> None:
    """Undo what a shell does that runs this in the background: it ignores Ctrl-C then, and so does every child.

    The engine ends its plugins by that signal, and waits 5 s for each that does not heed it.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def environment(root: Path, cloud: FakeMithril) -> dict[str, str]:
    """Return the environment of a user with an own machine: nothing of the developer's is in it."""
    for folder in ("backend", "home", "flow", "user"):
        (root / folder).mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MITHRIL_", "FLOW_", "PULUMI_"))}
    return {
        **kept,
        **cloud.environment,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
        "HOME": str(root / "user"),
        "FLOW_DIR": str(root / "flow"),
        "PULUMI_BACKEND_URL": f"file://{root / 'backend'}",
        "PULUMI_HOME": str(root / "home"),
        "PULUMI_CONFIG_PASSPHRASE": "open sesame",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        # Else the engine looks for the plugin of pulumi-pulumiservice, a development dependency: 4 s per run offline.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        # The code of this checkout, also where another one is installed.
        "PYTHONPATH": os.pathsep.join([QUICK_PIP, str(Path(flow_resources.__file__).parents[1])]),
    }


def make_plugin(folder: Path) -> Path:
    """Make a folder with a `pulumi-resource-flow` that runs the plugin of this checkout with this Python."""
    folder.mkdir(exist_ok=True)
    program = folder / "pulumi-resource-flow"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m flow_resources.plugin "$@"\n')
    program.chmod(0o755)
    return folder


PLUGINS = ("pulumi.dynamic", "flow_resources.plugin")
"""What the command lines of the plugin processes of both hosts have in them."""


def plugin_pids(ancestor: int) -> list[int]:
    """Return the plugin processes of a running engine, in either host."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in table.splitlines()]
    children: dict[int, list[int]] = {}
    args = {int(pid): command for pid, _, command in rows}
    for pid, parent, _ in rows:
        children.setdefault(int(parent), []).append(int(pid))
    found, queue = [], [ancestor]
    while queue:
        for child in children.get(queue.pop(), []):
            queue.append(child)
            if any(one in args[child] for one in PLUGINS):
                found.append(child)
    return found


@contextmanager
def killed_after_acceptance(project: Project, cloud: FakeMithril, victim: str) -> Iterator[None]:
    """Run an `up` whose plugin or engine dies when the service has accepted the bid."""
    running: list[subprocess.Popen[str]] = []
    started = threading.Event()

    def strike(_request: object) -> None:
        started.wait(30)
        engine = running[0].pid
        kill(*(plugin_pids(engine) if victim == "plugin" else [engine]))

    cloud.faults.add(method="POST", path=r"/v2/spot/bids$", when="after", kind="reset", then=strike)
    running.append(project.start("up", "--yes", "--skip-preview"))
    started.set()
    try:
        output, _ = running[0].communicate(timeout=600)
    finally:
        end_session(running[0])
    assert running[0].returncode != 0, output
    yield


def peak_memory(pid: int) -> int:
    """Return the most memory that a process ever held, in bytes; 0 where it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def end_session(process: subprocess.Popen[str]) -> None:
    """Kill what a killed engine left running: its plugins have process groups of their own, but its session."""
    table = subprocess.run(["ps", "-eo", "pid=,sess="], capture_output=True, text=True, check=True).stdout
    kill(*(int(pid) for pid, session in map(str.split, table.splitlines()) if int(session) == process.pid))


def kill(*pids: int) -> None:
    """Kill without a chance to clean up."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
