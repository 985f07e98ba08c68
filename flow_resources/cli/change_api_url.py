"""`flow-resources change-api-url`: let a stack's state follow the service, whose address has a new name, to it.

Every verb refuses a state of another service. So nothing is changed before all of what the state records was found at
the new address, by id and by name, in the recorded project. The command line, what is printed, and the writing;
`look_up` asks the service.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow_resources.cli import target
from flow_resources.errors import AccountMismatchError

if TYPE_CHECKING:
    from flow_resources.cli.look_up import LookedUp
    from flow_resources.cli.stacks import SelectedStack

DESCRIPTION = (
    "Record another API URL in the state of the stack, for a service that can be reached at a new address. First "
    "everything that the state records is looked up there, by id and name, in the recorded project. Run it in the "
    "folder of the Pulumi project. Nothing is changed without --yes, and nothing in the service in any case."
)
EPILOG = (
    "Exit code: 0 when all was found, also when --yes has recorded the URL; 2 when something was not, or it could not "
    "be done."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("url", type=_parse_url, metavar="URL", help="the new address, https://HOST")
    target.add_arguments(parser)
    parser.add_argument("--yes", action="store_true", help="write the URL into the state, where all was found")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")


@dataclass(frozen=True)
class Change:
    """What was looked up, and where."""

    stack: str
    url: str
    project: str
    found: Sequence[LookedUp]

    @property
    def problems(self) -> Sequence[LookedUp]:
        """What is not proven to be there."""
        return [one for one in self.found if one.problem]

    @property
    def is_recorded(self) -> bool:
        """Whether the state records this URL already, or nothing."""
        return all(one.thing.service == self.url for one in self.found)


def run(arguments: argparse.Namespace) -> int:
    """Look up, print, write what `--yes` says, and return the exit code."""
    from flow_resources.cli.look_up import look_up
    from flow_resources.cli.stacks import SelectedStack
    from flow_resources.core.stack_state import recorded_things

    stack = SelectedStack.open(arguments.cwd, arguments.stack)
    config = stack.config()
    export = _read_resting(stack)
    with target.operation({**config, "flow:apiUrl": arguments.url}) as op:
        found = look_up(op, recorded_things(export))
        change = Change(stack.name, op.settings.api_url, op.cloud.project().name, found)
    is_written = arguments.yes and not change.problems and not change.is_recorded
    if is_written:
        _write(stack, export, change.url)
    if arguments.json:
        sys.stdout.write(json.dumps(_document(change, is_written=is_written), indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in _lines(change, arguments, config, is_written=is_written))
    if change.problems:
        raise AccountMismatchError(
            f"{len(change.problems)} of {len(found)} things that the state of {stack.name} records were not found at "
            f"{change.url}, and nothing was changed",
            "what has ended leaves the state by `pulumi refresh` while the old address answers, else by "
            "`pulumi state delete URN`",
        )
    return 0


def _read_resting(stack: SelectedStack) -> Any:
    """Return the stack's state; raise StackError where an operation is under way, or died."""
    from flow_resources.cli.stacks import StackError
    from flow_resources.core.stack_state import has_pending_operations

    is_being_updated = stack.is_being_updated()
    export = stack.export()
    if is_being_updated or has_pending_operations(export):
        raise StackError(
            f"an operation of {stack.name} is under way, or died",
            "wait for its end; where it has died, `pulumi cancel`, then `pulumi refresh` while the old address answers",
        )
    return export


def _write(stack: SelectedStack, export: Any, url: str) -> None:
    """Write the URL; raise StackError where the state is not the one that was looked up, or not what was written."""
    from flow_resources.cli.stacks import StackError
    from flow_resources.core.stack_state import recorded_things, with_service

    changed = with_service(export, url)
    if _read_resting(stack) != export:
        raise StackError(f"the state of {stack.name} has changed meanwhile, and was left as it is", "run it again")
    stack.store(changed)
    if recorded_things(stack.export()) != recorded_things(changed):  # Pulumi seals secrets anew: not all is equal
        raise StackError(
            f"the state of {stack.name} is not as it was written",
            f"look at `pulumi stack export --stack {stack.name}` before anything else",
        )


def _lines(change: Change, arguments: argparse.Namespace, config: dict[str, str], *, is_written: bool) -> Iterator[str]:
    """Yield what a person is told."""
    from flow_resources.cli.sweep_report import table

    rows = [[one.thing.id, one.thing.name or "?", one.thing.service or "?", _describe(one)] for one in change.found]
    yield from table(["ID", "NAME", "RECORDED AT", "AT THE NEW ADDRESS"], rows)
    if change.problems:
        return
    if not change.found:
        yield f"The state of {change.stack} records nothing of a service, so that nothing is to be changed."
    elif change.is_recorded:
        yield f"The state of {change.stack} records {change.url} already."
    elif is_written:
        yield f"The state of {change.stack} records {change.url} now."
    else:
        yield f"All of it is there. `{_writing_command(arguments)}` writes this into the state of {change.stack}."
        return
    if config.get("flow:apiUrl", "").rstrip("/") != change.url:
        command = shlex.join(["pulumi", "config", "set", "flow:apiUrl", change.url, "--stack", change.stack])
        yield f"`{command}` lets the stack use it."


def _describe(one: LookedUp) -> str:
    """Say what a thing is at the new address."""
    from flow_resources.cli.look_up import FOUND

    return one.problem or f"{FOUND}{': ' if one.note else ''}{one.note}"


def _writing_command(arguments: argparse.Namespace) -> str:
    folder = "" if arguments.cwd == Path() else str(arguments.cwd)
    options = [("--stack", arguments.stack), ("--cwd", folder)]
    words = [word for option, value in options if value for word in (option, value)]
    return shlex.join(["flow-resources", "change-api-url", arguments.url, "--yes", *words])


def _parse_url(text: str) -> str:
    """Refuse an empty URL: the settings would take the next best one in its place."""
    if not text.strip():
        msg = "must be like https://HOST, got nothing"
        raise argparse.ArgumentTypeError(msg)
    return text


def _document(change: Change, *, is_written: bool) -> dict[str, Any]:
    """Return all of it as JSON. The shape is a promise (docs/how-to/change-the-api-url.md): keys may be added."""
    return {
        "version": 1,
        "stack": change.stack,
        "service": change.url,
        "project": change.project,
        "written": is_written,
        "resources": [
            {
                "urn": one.thing.urn,
                "kind": (one.thing.kind or one.kind.name) if one.kind else None,
                "id": one.thing.id,
                "name": one.thing.name,
                "recorded_service": one.thing.service,
                "problem": one.problem or None,
                "note": one.note or None,
            }
            for one in change.found
        ],
    }
