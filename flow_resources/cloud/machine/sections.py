"""Our sections in the start-up script that the Flow SDK writes, per launch.

The SDK's builder writes a script from sections, in the order of their priorities. For a launch with a `Boot`, ours take
the places of three of its own: they prepare what the SDK would run at once, and a unit runs it. Everything here leans
on the SDK's insides; `tests/verbs/test_machine_scripts.py` fails when they move.

The launch is handed to the builder by a context variable: `Flow.run` has no argument for it, all threads of a process
share one builder, and the SDK writes a script in the thread that called it. A script that is written outside of a
launch is an error, never a script without our part.
"""

from __future__ import annotations

import contextlib
import copy
import json
import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from flow.adapters.providers.builtin.mithril.domain.script_prep import ScriptPreparationService
from flow.adapters.providers.builtin.mithril.runtime.script_size.models import PreparedScript
from flow.adapters.providers.builtin.mithril.runtime.startup.builder import MithrilStartupScriptBuilder, StartupScript
from flow.adapters.providers.builtin.mithril.runtime.startup.sections import (
    DockerSection,
    HeaderSection,
    MultinodeSection,
    ScriptContext,
    UserScriptSection,
)

from flow_resources.cloud.launch import Boot, JobEnd, Launch
from flow_resources.cloud.machine.texts import filled, wire_text, write_file
from flow_resources.cloud.machine.wire import is_packed, pack

FOLDER = "/var/lib/flow-command"
_LAUNCH: ContextVar[Launch] = ContextVar("launch")
_HEADER_END = "set -euo pipefail\n"
_RUN_BEGIN = "docker rm -f main"
_SLURM = "_FLOW_WITH_SLURM"
_UNITS = "/etc/systemd/system"
_ON_FAILURE = "on-failure"
_NEVER = "no"
_RESTARTS = {"never": _NEVER, "on_failure": _ON_FAILURE, "always": "always"}
# The first branch is that for apt-get or systemctl. The lines of a branch end at the next one's.
_OTHER_SYSTEMS = re.compile(
    r"^ *elif command -v (?:dnf|yum|apk|zypper|pacman|service) .*; then\n(?:(?! *(?:elif|else|fi)\b).*\n)+",
    re.MULTILINE,
)
_ANY_NAME = "the-name-of-any-launch"
"""Stands for the name of a launch in a script: bash reads it in the same way, as a word without a special character."""
_KEPT_SCRIPTS = 4
_MOVED = "internal error: the Flow SDK writes its start-up scripts in another way than this version knows"


@contextlib.contextmanager
def writing_for(launch: Launch) -> Iterator[None]:
    """Let the scripts that this thread writes be those of a launch."""
    token = _LAUNCH.set(launch)
    try:
        yield
    finally:
        _LAUNCH.reset(token)


def install(context: Any) -> None:
    """Let the SDK write its scripts here; `context` is its provider's."""
    sizes = context._build_script_size_handler()  # noqa: SLF001 - there is no public name for it
    sizes.strategies.insert(0, AsItIs())
    builder = ScriptBuilder(instance_type_info=context.instance_type_info_for_spec)
    context._script_prep = ScriptPreparationService(builder, sizes)  # noqa: SLF001


class ScriptBuilder(MithrilStartupScriptBuilder):  # type: ignore[misc]
    """Writes the script of the launch that the calling thread is in."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._combined: dict[tuple[str, ...], str] = {}
        """Scripts by their sections, with _ANY_NAME for the name of the launch."""

    def build(self, config: Any, *, issue_node_key: Callable[[], Any] | None = None) -> Any:
        """Build a script. Raises LookupError outside of `writing_for`."""
        launch = _LAUNCH.get()
        if launch.boot is None:
            return super().build(config, issue_node_key=issue_node_key)
        ours: list[Any] = [
            Header(self.template_engine, launch),
            Environment(),
            Container(),
            Install(launch, launch.boot),
        ]
        names = {"completion", *(section.name for section in ours)}
        writer = copy.copy(self)
        writer.sections = [*(section for section in self.sections if section.name not in names), *ours]
        script = MithrilStartupScriptBuilder.build(writer, config, issue_node_key=issue_node_key)
        if script.is_valid:
            script.content = pack(script.content)
        return script

    def _build_script(self, config: Any, context: ScriptContext) -> Any:
        """Write a script, without the SDK's own lines for its debug log, which mask every secret in it.

        That took a third of the CPU seconds of a create, whether anybody logs or not.
        """
        if self._validate_sections(context):
            return super()._build_script(config, context)
        parts = self._generate_sections(context)
        return StartupScript(content=self._combine_sections(parts), sections=[part["name"] for part in parts])

    def _combine_sections(self, sections: list[dict[str, Any]]) -> str:
        """Combine sections, once for all launches that differ only in their names.

        The SDK reads a script character by character, to take out what bash ignores: a fifth of the time of a create.
        """
        name = _LAUNCH.get().name
        if any(_ANY_NAME in section["content"] for section in sections):
            return str(super()._combine_sections(sections))
        nameless = [{**section, "content": section["content"].replace(name, _ANY_NAME)} for section in sections]
        key = tuple(section["content"] for section in nameless)
        script = self._combined.get(key)
        if script is None:
            if len(self._combined) >= _KEPT_SCRIPTS:
                self._combined.clear()
            script = self._combined[key] = str(super()._combine_sections(nameless))
        return script.replace(_ANY_NAME, name)


class AsItIs:
    """Sends a packed script as it is, up to the limit."""

    name = "packed"

    def can_handle(self, script: str, max_size: int) -> bool:
        """Whether a script is packed and small enough."""
        return is_packed(script) and len(script.encode()) <= max_size

    def prepare(self, script: str, max_size: int) -> PreparedScript:  # noqa: ARG002 - the SDK's protocol
        """Return what is sent."""
        return PreparedScript(content=script, strategy=self.name, requires_network=False, metadata={})


class Header(HeaderSection):  # type: ignore[misc]
    """The SDK's header, which can take minutes, after what runs the script again where it does not come to its end."""

    def __init__(self, engine: Any, launch: Launch) -> None:
        super().__init__(engine)
        self._launch = launch

    def generate(self, context: ScriptContext) -> str:
        """Return its text."""
        text = _for_ubuntu(super().generate(context))
        install, start = "", ""
        if job := self._launch.job_end:
            install = filled(
                "job.sh",
                job_file=write_file("job.json", job_file(self._launch, job)),
                end_job=write_file("end_job.py", wire_text("end_job.py")),
                unit=write_file(f"{_UNITS}/flow-command@.service", wire_text("job.service")),
            )
            if works := _works(job):
                start = f"systemctl start {works}"
        return _replaced(text, _HEADER_END, f"{_HEADER_END}{filled('first_boot.sh', job=install, start=start)}\n")


class Environment(MultinodeSection):  # type: ignore[misc]
    """Keeps the environment for the command; what machines derive from each other is computed at each boot."""

    def should_include(self, context: ScriptContext) -> bool:  # noqa: ARG002 - the SDK's protocol
        """Whether it is part of a script: always."""
        return True

    def generate(self, context: ScriptContext) -> str:
        """Return its text."""
        is_needed = super().should_include(context)
        nodes = filled("nodes.sh", machines=str(context.num_instances)) if is_needed else ":"
        parts = [wire_text("environment.sh"), write_file(f"{FOLDER}/nodes", nodes)]
        if is_needed and _SLURM in context.environment:  # its section needs the rank at the first boot
            parts.append(super().generate(context))
        return "\n".join(parts)


class Container(DockerSection):  # type: ignore[misc]
    """The SDK's preparations for a container, which the unit creates and starts."""

    def generate(self, context: ScriptContext) -> str:
        """Return its text."""
        text = super().generate(context)
        if not text:
            return ""
        preparations, _, rest = text.partition(_RUN_BEGIN)
        local_mount = rest.partition("\n")[2].partition("\n")[0]
        run, detached, *arguments = self._build_docker_run_argv(context)
        if not local_mount.startswith("LOCAL_MNT=") or (run, detached) != ("docker run", "-d"):
            raise RuntimeError(_MOVED)
        create = "\n".join((local_mount, " ".join(("docker create", *arguments))))
        return f"{_for_ubuntu(preparations)}(umask 077\n{write_file(f'{FOLDER}/container', create)}\n)"


class Install(UserScriptSection):  # type: ignore[misc]
    """Installs the unit of the command, in place of the section that runs the command."""

    def __init__(self, launch: Launch, boot: Boot) -> None:
        super().__init__()
        self._launch, self._boot = launch, boot

    def should_include(self, context: ScriptContext) -> bool:  # noqa: ARG002 - the SDK's protocol
        """Whether it is part of a script: always."""
        return True

    def generate(self, context: ScriptContext) -> str:
        """Return its text."""
        files, units, wants = list[str](), list[str](), ""
        if job := self._launch.job_end:
            wants = f"Wants={_works(job)}"
        work = wire_text("container.sh" if context.docker_image else "host.sh")
        files.append(write_file("run_command.sh", filled("run_command.sh", work=work)))
        if context.user_script:
            files += [write_file("command", _executable(context.user_script)), "chmod 700 command"]
        restart = _ON_FAILURE if job else _RESTARTS[self._boot.restart]
        # What such a command has left in the background goes on, as after a script of the SDK; nothing runs twice.
        kill_mode = "process" if restart == _NEVER else "mixed"
        signal = self._boot.preemption_signal or ""
        unit = filled("command.service", signal=signal, restart=restart, kill_mode=kill_mode, wants=wants)
        units.append(write_file(f"{_UNITS}/flow-command.new", unit))
        mounts = " ".join(str(volume["mount_path"]) for volume in context.volumes)
        return filled("install.sh", files="\n".join(files), mounts=mounts, units="\n".join(units))


def job_file(launch: Launch, job: JobEnd) -> str:
    """Return what `end_job.py` reads."""
    values = {
        "api_url": job.api_url,
        "project": job.project,
        "task_name": launch.name,
        "key": job.key,
        "key_id": job.key_id,
        "key_name": job.key_name,
        "key_expires_at": job.key_expires_at,
        "placed_cents": int(launch.price * 100),
        "on_failure": job.on_failure,
        "max_run_seconds": job.max_run_seconds,
        "machines": launch.num_instances,
        "inputs": job.inputs_digest,
    }
    return json.dumps(values, separators=(",", ":"))


def _works(job: JobEnd) -> str:
    """Return the units of what `end_job.py` does beside the job's command."""
    works = {"deadline": job.max_run_seconds is not None, "renew": job.key_id is not None}
    return " ".join(f"flow-command@{work}.service" for work, is_needed in works.items() if is_needed)


def _executable(script: str) -> str:
    """Return a user's script with a first line that says what runs it, as the SDK's section has it."""
    script = script.strip()
    return script if script.startswith("#!") else f"#!/bin/bash\n{script}"


def _for_ubuntu(text: str) -> str:
    """Return the SDK's shell without its branches for systems that no machine has."""
    return _OTHER_SYSTEMS.sub("", text)


def _replaced(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise RuntimeError(_MOVED)
    return text.replace(old, new)
