"""What Pulumi's backend knows: its stacks, and the state that each has stored.

Everything goes through Pulumi's Automation API, which runs the `pulumi` on PATH without prompting. States are read as
they are stored, with their secrets encrypted: ids, URNs and marks are all that is needed, and they need no passphrase.
What cannot be read is None, and said: it is not the same as nothing.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow_resources.errors import one_line
from flow_resources.lifecycle.stored_states import HISTORY_LENGTH
from flow_resources.redaction import hide_passwords

if TYPE_CHECKING:
    from pulumi.automation import LocalWorkspace

    from flow_resources.lifecycle.report import Report

WHOLE_NAMES = {"PULUMI_OPTION_FULLY_QUALIFY_STACK_NAMES": "true"}  # stacks as organization/project/stack


def stack_names(report: Report) -> list[str] | None:
    """Return the names of all stacks; None where the backend cannot be asked.

    A name is organization/project/stack; in the old layout of a self-managed backend, which knows no projects, it is
    the stack's alone.
    """
    try:
        return [stack.name for stack in _workspace().list_stacks(include_all=True)]
    except Exception as error:  # noqa: BLE001 - whatever it is, the answer is "not known"
        report.progress(f"the stacks of the backend could not be listed: {describe(error)}", keep=True)
        return None


def state(stack: str, report: Report) -> Any | None:
    """Return the stored state of a stack (`pulumi stack export`); None where it cannot be read.

    It holds what an operation that is under way has deleted or made.
    """
    try:
        return stored_state(_workspace(), stack)
    except Exception as error:  # noqa: BLE001 - as above
        report.progress(f"the state of the stack {stack} could not be read: {describe(error)}", keep=True)
        return None


def history(stack: str, report: Report) -> Any | None:
    """Return the last `HISTORY_LENGTH` operations of a stack, newest first; None where they cannot be read."""
    workspace, size = _workspace(), str(HISTORY_LENGTH)
    command = ["stack", "history", "--json", "--full-dates", "--page-size", size, "--page", "1", "--stack", stack]
    try:
        return json.loads(workspace.pulumi_command.run(command, workspace.work_dir, WHOLE_NAMES).stdout)
    except Exception as error:  # noqa: BLE001 - as above
        report.progress(f"the history of the stack {stack} could not be read: {describe(error)}", keep=True)
        return None


def stored_state(workspace: LocalWorkspace, stack: str) -> Any:
    """Return what `pulumi stack export` prints for a stack. Raises what the Automation API or JSON raise."""
    command = ["stack", "export", "--stack", stack]
    return json.loads(workspace.pulumi_command.run(command, workspace.work_dir, WHOLE_NAMES).stdout)


def describe(error: Exception) -> str:
    """Return what went wrong with `pulumi`, in one line: the CLI's own complaint where there is one.

    What it printed on standard output, which can hold a secret, is not repeated, nor the password of its backend.
    """
    from pulumi import automation

    if isinstance(error, FileNotFoundError):
        return "there is no `pulumi` on PATH"
    if not isinstance(error, automation.CommandError):
        return one_line(hide_passwords(f"{type(error).__name__}: {error}"), 200)
    lines = str(error).rpartition("\n stderr: ")[2].splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("error:")), 0)
    # Some complaints begin with an empty line, or with a rule.
    said = (line.removeprefix("error:").strip() for line in lines[start:])
    reason = next((line for line in said if any(map(str.isalnum, line))), "it gave no reason")
    return one_line(hide_passwords(reason), 200)


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

    from flow_resources.pulumi_command import PulumiCommand

    return automation.LocalWorkspace(".", pulumi_command=PulumiCommand(), env_vars=WHOLE_NAMES)
