"""What the commands read from Pulumi: the stack of a project folder, its config and its state, other stacks' states.

`flow_resources.backend` runs Pulumi.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Any

from pulumi import automation

from flow_resources import program
from flow_resources.backend import WHOLE_NAMES, describe, store_state, stored_state
from flow_resources.cli.target import project_folder
from flow_resources.core.hidden import Record
from flow_resources.core.stack_state import StackState, read_state
from flow_resources.errors import FlowResourcesError
from flow_resources.lifecycle.account import guard_account, is_elsewhere
from flow_resources.pulumi_command import PulumiCommand

if TYPE_CHECKING:
    from flow_resources.lifecycle.operation import Operation

_UNTOUCHED = "nothing was touched"
_BACKEND = "`pulumi whoami --verbose` shows the backend, which `pulumi login` or PULUMI_BACKEND_URL chooses"


class StackError(FlowResourcesError):
    """Pulumi cannot tell what a command has to know."""


class SelectedStack:
    """A stack of a Pulumi project, as its backend knows it."""

    def __init__(self, workspace: automation.LocalWorkspace, name: str) -> None:
        self.workspace, self.name = workspace, name
        """The name is organization/project/stack; self-managed backends all call the organization "organization"."""

    @classmethod
    def open(cls, folder: Path, name: str | None = None, naming: str = "--stack NAME") -> SelectedStack:
        """Find the stack: the selected one, or the one of that name. Raises StackError where there is none.

        `naming`: how the command takes a name, for the message.
        """
        project = project_folder(folder)
        if project is None:
            raise StackError(
                f"there is no Pulumi project in {folder.resolve()} or above",
                "go into the folder of its Pulumi.yaml, or name it with --cwd",
            )
        with translating_errors("start `pulumi`"):
            workspace = automation.LocalWorkspace(
                work_dir=str(project), pulumi_command=PulumiCommand(), env_vars=WHOLE_NAMES
            )
        with translating_errors("list the stacks of the project", f"{_UNTOUCHED}; {_BACKEND}"):
            stacks = workspace.list_stacks()
        if name is None:
            names = [stack.name for stack in stacks if stack.current]
        else:
            names = [stack.name for stack in stacks if stack.name == name or stack.name.endswith(f"/{name}")]
        if name is None and not names:
            raise StackError(f"no stack is selected in {project}", f"`pulumi stack select NAME`, or {naming}")
        if len(names) != 1:
            existing = ", ".join(stack.name for stack in stacks) or "none"
            count = "no stack" if not names else "more than one stack"
            raise StackError(f"{count} of the project in {project} is named {name!r}", f"there are {existing}")
        return cls(workspace, names[0])

    @classmethod
    def open_if_any(cls, folder: Path, name: str | None) -> SelectedStack | None:
        """Find the stack whose settings count; None outside a Pulumi project, where the SDK's own do."""
        return None if name is None and project_folder(folder) is None else cls.open(folder, name)

    def owner(self, configured: str | None) -> str:
        """Return whose mark the stack's resources carry: `flow:owner`, else the stack's whole name."""
        if not configured and self.name.count("/") != 2:  # noqa: PLR2004 - organization/project/stack
            raise StackError(
                f"the backend does not say the organization and the project of {self.name}", "`pulumi state upgrade`"
            )
        return program.owner_of(configured, self.name)

    def config(self) -> dict[str, str]:
        """Return the stack's configuration, secrets in clear."""
        with translating_errors(f"read the configuration of {self.name}"):
            return {key: str(entry.value) for key, entry in self.workspace.get_all_config(self.name).items()}

    def secrets(self) -> list[str]:
        """Return the secret values of the stack's configuration, in clear."""
        with translating_errors(f"read the configuration of {self.name}"):
            entries = self.workspace.get_all_config(self.name).values()
            return [str(entry.value) for entry in entries if entry.secret]

    def state(self) -> StackState:
        """Return what the stack's state records now."""
        return self._read_state(self.name)

    def export(self) -> Any:
        """Return the stack's state as `pulumi stack export` prints it, with its secrets sealed."""
        with translating_errors(f"read the state of {self.name}"):
            return stored_state(self.workspace, self.name)

    def store(self, export: Any) -> None:
        """Replace the stack's state. Raises StackError where Pulumi does not take it."""
        with translating_errors(f"write the state of {self.name}"):
            store_state(self.workspace, self.name, export)

    def other_states(self) -> dict[str, StackState]:
        """Return what the states of all other stacks of the backend record, by name.

        Raises StackError where one cannot be read, and where the list of stacks is not whole: it must contain this one.
        """
        with translating_errors("list all stacks of the backend"):
            names = [stack.name for stack in self.workspace.list_stacks(include_all=True)]
        if self.name not in names:
            raise StackError(
                f"the list of all stacks of the backend does not contain {self.name}, so others can be missing too",
                f"make `pulumi stack ls --all` list it; {_UNTOUCHED}",
            )
        return {name: self._read_state(name) for name in names if name != self.name}

    def is_being_updated(self) -> bool:
        """Whether an update of the stack is under way, or died and has left its lock.

        Pulumi Cloud tells. A self-managed backend tells only who wants the lock: creating a stack that exists takes it
        for a moment, and then fails, either way.
        """
        with translating_errors(f"find out whether an update of {self.name} is under way"):
            listed = [stack for stack in self.workspace.list_stacks() if stack.name == self.name]
            if any(stack.update_in_progress is not None for stack in listed):
                return any(stack.update_in_progress for stack in listed)
            try:
                self.workspace.create_stack(self.name)
            except automation.StackAlreadyExistsError:
                return False
            except automation.ConcurrentUpdateError:
                return True
        raise StackError(f"the stack {self.name} was removed meanwhile", "`pulumi stack ls` lists those that are there")

    def _read_state(self, name: str) -> StackState:
        with translating_errors(f"read the state of {name}"):
            return read_state(stored_state(self.workspace, name))


def guard_recorded_account(op: Operation, state: StackState) -> None:
    """Raise AccountMismatchError where the settings point at another service or project than a state records.

    Nothing of the stack can be there, and a listing without it would be taken for good news. Where a part is there,
    because the program has several providers, the accounts that are not looked at are named in a warning.
    """
    records = [Record(service=url, project=project) for url, project in sorted(state.places)]
    elsewhere = [record for record in records if is_elsewhere(op.cloud, record)]
    for record in elsewhere:
        if len(elsewhere) == len(records):
            guard_account(op.cloud, record)
        op.report.warn(
            f"a part of the stack is in project {record.project} at {record.service}, which is not looked at: "
            "run this again with the settings of that account"
        )


@contextmanager
def translating_errors(what: str, remedy: str = _UNTOUCHED) -> Iterator[None]:
    """Raise one StackError for whatever goes wrong with `pulumi`, with what the command tried to do."""
    try:
        yield
    except FileNotFoundError as error:
        raise StackError("there is no `pulumi` on PATH", "https://www.pulumi.com/docs/install/ has it") from error
    except automation.CommandError as error:
        raise StackError(f"could not {what}: {describe(error)}", remedy) from error
    except (automation.InvalidVersionError, CalledProcessError, OSError) as error:
        raise StackError(f"could not {what}: {error}", remedy) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(f"could not {what}: `pulumi` printed what cannot be read: {error}", remedy) from error
