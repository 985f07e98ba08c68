"""What Pulumi's backend knows: its stacks, and the state that each has stored.

Everything goes through Pulumi's Automation API, which runs the `pulumi` on PATH without prompting. States are read as
they are stored, with their secrets encrypted: ids, URNs and marks are all that is needed, and they need no passphrase.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow_resources.errors import one_line

if TYPE_CHECKING:
    from pulumi.automation import LocalWorkspace

    from flow_resources.lifecycle.report import Report

WHOLE_NAMES = {"PULUMI_OPTION_FULLY_QUALIFY_STACK_NAMES": "true"}  # stacks as organization/project/stack


def stack_names(report: Report) -> list[str]:
    """Return the names of all stacks, each organization/project/stack; none where the backend cannot be asked."""
    try:
        return [stack.name for stack in _workspace().list_stacks(include_all=True)]
    except Exception as error:  # noqa: BLE001 - it only helps a person find something
        reason = one_line(str(error), 200)
        report.progress(f"the stacks of the backend could not be listed: {reason}", keep=True)
        return []


def own_state(urn: str, report: Report) -> Any:
    """Return the stored state of the stack of a URN (`pulumi stack export`); None where it cannot be read.

    It holds what an operation that is under way has deleted or made.
    """
    names = [name for name in stack_names(report) if name.split("/")[1:] == _project_and_stack(urn)]
    return _read_state(names[0], report) if len(names) == 1 else None  # of two organizations, say


def other_states(urn: str, report: Report) -> Iterator[tuple[str, Any]]:
    """Yield the stored state of each stack but that of a URN, those of its project first, without the unreadable."""
    own = _project_and_stack(urn)
    others = [name for name in stack_names(report) if name.split("/")[1:] != own and name != own[1]]
    for name in sorted(others, key=lambda name: name.split("/")[1:2] != own[:1]):
        if (state := _read_state(name, report)) is not None:
            yield name, state


def _project_and_stack(urn: str) -> list[str]:
    stack, project = [*urn.removeprefix("urn:pulumi:").split("::"), ""][:2]
    return [project, stack]


def _read_state(stack: str, report: Report) -> Any:
    try:
        return stored_state(_workspace(), stack)
    except Exception as error:  # noqa: BLE001 - a state that cannot be read decides nothing
        report.progress(f"the state of {stack} could not be read: {one_line(str(error), 200)}", keep=True)
        return None


def stored_state(workspace: LocalWorkspace, stack: str) -> Any:
    """Return what `pulumi stack export` prints for a stack. Raises what the Automation API or JSON raise."""
    command = ["stack", "export", "--stack", stack]
    return json.loads(workspace.pulumi_command.run(command, workspace.work_dir, WHOLE_NAMES).stdout)


def store_state(workspace: LocalWorkspace, stack: str, export: Any) -> None:
    """Replace the stored state of a stack by one that `stored_state` returned and that was changed since.

    Secrets stay sealed. Raises what the Automation API raises.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.json"
        path.write_text(json.dumps(export), encoding="utf-8")
        command = ["stack", "import", "--stack", stack, "--file", str(path)]
        workspace.pulumi_command.run(command, workspace.work_dir, WHOLE_NAMES)


def _workspace() -> LocalWorkspace:
    from pulumi import automation

    return automation.LocalWorkspace(".", env_vars=WHOLE_NAMES)
