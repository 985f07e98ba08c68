"""What Pulumi's backend knows: its stacks, and the state that each has stored.

Everything goes through Pulumi's Automation API, which runs the `pulumi` on PATH and never asks back. States are read as
they are stored, secrets sealed: ids, URNs and marks are all that is needed, and no passphrase is for that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flow_resources import engine
from flow_resources.errors import one_line

if TYPE_CHECKING:
    from pulumi.automation import LocalWorkspace

WHOLE_NAMES = {"PULUMI_OPTION_FULLY_QUALIFY_STACK_NAMES": "true"}  # stacks as organization/project/stack


def stacks() -> list[str]:
    """Return the names of all stacks of the backend, each organization/project/stack; none where Pulumi cannot say."""
    try:
        return [one.name for one in _here().list_stacks(include_all=True)]
    except Exception as error:  # noqa: BLE001 - it only helps a person find something
        engine.info(f"the stacks of the backend could not be listed: {one_line(str(error), 200)}")
        return []


def own_state(urn: str) -> Any:
    """Return the stored state of the stack of a URN (`pulumi stack export`); None where Pulumi cannot say.

    What an operation that is under way has ended or made is in it.
    """
    named = [name for name in stacks() if name.split("/")[1:] == _place_of(urn)]
    return _state_of(named[0]) if len(named) == 1 else None  # of two organizations, say


def other_states(urn: str) -> Iterator[tuple[str, Any]]:
    """Yield the stored state of each stack but that of a URN, those of its project first; not what cannot be read."""
    own = _place_of(urn)
    others = [name for name in stacks() if name.split("/")[1:] != own and name != own[1]]
    for name in sorted(others, key=lambda name: name.split("/")[1:2] != own[:1]):
        if (state := _state_of(name)) is not None:
            yield name, state


def _place_of(urn: str) -> list[str]:
    """Return the project and the stack of a URN."""
    stack, project = [*urn.removeprefix("urn:pulumi:").split("::"), ""][:2]
    return [project, stack]


def _state_of(stack: str) -> Any:
    try:
        return stored_state(_here(), stack)
    except Exception as error:  # noqa: BLE001 - what cannot be read decides nothing
        engine.info(f"the state of {stack} could not be read: {one_line(str(error), 200)}")
        return None


def stored_state(workspace: LocalWorkspace, stack: str) -> Any:
    """Return what `pulumi stack export` prints for a stack. Raises what the Automation API or JSON raise."""
    command = ["stack", "export", "--stack", stack]
    return json.loads(workspace.pulumi_command.run(command, workspace.work_dir, WHOLE_NAMES).stdout)


def _here() -> LocalWorkspace:
    from pulumi import automation

    return automation.LocalWorkspace(".", env_vars=WHOLE_NAMES)
