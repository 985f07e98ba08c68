"""What a command may ask of Pulumi: the stack of a project folder, its config, its state, and the states beside it.

How Pulumi is asked, `flow_resources.backend` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CalledProcessError

from pulumi import automation

from flow_resources import program
from flow_resources.backend import WHOLE_NAMES, stored_state
from flow_resources.cli.target import project_folder
from flow_resources.core.stack_state import StackState, read_state
from flow_resources.errors import FlowResourcesError, one_line

_UNTOUCHED = "nothing was touched"


class StackError(FlowResourcesError):
    """Pulumi cannot say what was asked of it."""


class SelectedStack:
    """A stack of a Pulumi project, as its backend knows it."""

    def __init__(self, workspace: automation.LocalWorkspace, name: str) -> None:
        self._workspace, self.name = workspace, name
        """The name is organization/project/stack; self-managed backends all call the organization "organization"."""

    @classmethod
    def open(cls, folder: Path, name: str | None = None) -> SelectedStack:
        """Find the stack: the selected one, or the one of that name. Raises StackError where there is none."""
        project = project_folder(folder)
        if project is None:
            raise StackError(
                f"there is no Pulumi project in {folder.resolve()} or above",
                "go into the folder of its Pulumi.yaml, or name it with --cwd",
            )
        with _asking("start `pulumi`"):
            workspace = automation.LocalWorkspace(work_dir=str(project), env_vars=WHOLE_NAMES)
        with _asking("list the stacks of the project"):
            stacks = workspace.list_stacks()
        if name is None:
            wanted = [one.name for one in stacks if one.current]
        else:
            wanted = [one.name for one in stacks if one.name == name or one.name.endswith(f"/{name}")]
        if name is None and not wanted:
            raise StackError(f"no stack is selected in {project}", "`pulumi stack select NAME`, or --stack NAME")
        if len(wanted) != 1:
            there = ", ".join(one.name for one in stacks) or "none"
            few = "no stack" if not wanted else "more than one stack"
            raise StackError(f"{few} of the project in {project} is named {name!r}", f"there are {there}")
        return cls(workspace, wanted[0])

    def owner(self, said: str | None) -> str:
        """Return whose mark the stack's resources carry: `flow:owner`, else the stack's whole name."""
        if not said and self.name.count("/") != 2:  # noqa: PLR2004 - organization/project/stack
            raise StackError(
                f"the backend does not say the organization and the project of {self.name}", "`pulumi state upgrade`"
            )
        return program.owner_of(said, self.name)

    def config(self) -> dict[str, str]:
        """Return the stack's configuration, secrets in clear."""
        with _asking(f"read the configuration of {self.name}"):
            return {key: str(one.value) for key, one in self._workspace.get_all_config(self.name).items()}

    def records(self) -> StackState:
        """Return what the stack's state records now."""
        return self._records_of(self.name)

    def beside(self) -> dict[str, StackState]:
        """Return what the states of all other stacks of the backend record, by name."""
        with _asking("list all stacks of the backend"):
            names = [one.name for one in self._workspace.list_stacks(include_all=True)]
        return {name: self._records_of(name) for name in names if name != self.name}

    def is_being_updated(self) -> bool:
        """Whether an update of the stack is under way, or died and has left its lock.

        Pulumi Cloud says so. A self-managed backend tells only those who want the lock themselves: making a stack that
        exists takes it for a moment, and then fails, either way.
        """
        with _asking(f"find out whether an update of {self.name} is under way"):
            listed = [one for one in self._workspace.list_stacks() if one.name == self.name]
            if any(one.update_in_progress is not None for one in listed):
                return any(one.update_in_progress for one in listed)
            try:
                self._workspace.create_stack(self.name)
            except automation.StackAlreadyExistsError:
                return False
            except automation.ConcurrentUpdateError:
                return True
        raise StackError(f"the stack {self.name} was removed meanwhile", "`pulumi stack ls` lists those that are there")

    def _records_of(self, name: str) -> StackState:
        with _asking(f"read the state of {name}"):
            return read_state(stored_state(self._workspace, name))


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """Raise, for whatever goes wrong with `pulumi`, one error that says what was asked."""
    try:
        yield
    except FileNotFoundError as error:
        raise StackError("there is no `pulumi` on PATH", "https://www.pulumi.com/docs/install/ has it") from error
    except automation.CommandError as error:
        raise StackError(f"could not {what}: {_words(error)}", _UNTOUCHED) from error
    except (automation.InvalidVersionError, CalledProcessError, OSError) as error:
        raise StackError(f"could not {what}: {error}", _UNTOUCHED) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(f"could not {what}: `pulumi` printed what cannot be read: {error}", _UNTOUCHED) from error


def _words(error: automation.CommandError) -> str:
    """Return the CLI's own first complaint; what it printed on standard output (a secret?) is not repeated."""
    said = str(error).rpartition("\n stderr: ")[2].splitlines()
    complaints = [line.partition("error: ")[2] for line in said if line.startswith("error: ")]
    return one_line(" ".join([*complaints, *said][:1]) or "it gave no reason", 300)
