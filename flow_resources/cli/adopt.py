"""`flow-resources adopt`: the program that takes over what runs in the project, ready to paste.

What the user types and what comes back: the program on standard output, all that is to be said beside it on standard
error. `living` reads, `core.adoption` writes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flow_resources.cli import target

if TYPE_CHECKING:
    from flow_resources.cli.adopt_program import Adoption
    from flow_resources.cli.stacks import SelectedStack

DESCRIPTION = (
    "Print the Pulumi program that takes over what runs in the Mithril project: a resource for each live task and "
    "volume. The `pulumi up` that follows rents nothing and restarts nothing. Nothing is changed by this command."
)
EPILOG = "Exit code: 0 when it was printed, 2 when it could not be done. What is to be said goes to standard error."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command understands."""
    parser.add_argument("ids", nargs="*", metavar="ID", help="only these: bid_... and vol_... (default: all)")
    target.add_arguments(parser)
    parser.add_argument(
        "--all", action="store_true", help="also what carries a mark of this package and is in no state that is known"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the program")


def run(asked: argparse.Namespace) -> int:
    """Read, print, and return the exit code."""
    from flow_resources.cli.adopt_read import read

    stack = _stack(asked)
    with target.operation(stack.config() if stack else {}) as op:
        found, project = read(op, stack, asked.ids, everything=asked.all), op.cloud.project().name
    if asked.json:
        sys.stdout.write(json.dumps(_document(found, project, stack), indent=2) + "\n")
        return 0
    for line in _lines(found, project):
        sys.stderr.write(line + "\n")
    sys.stdout.write(found.program)
    return 0


def _stack(asked: argparse.Namespace) -> SelectedStack | None:
    """Return the stack whose settings count; None outside a Pulumi project, where the SDK's own do."""
    from flow_resources.cli.stacks import SelectedStack

    if asked.stack is None and target.project_folder(asked.cwd) is None:
        return None
    return SelectedStack.open(asked.cwd, asked.stack)


def _lines(found: Adoption, project: str) -> Iterator[str]:
    """Yield what is to be said beside the program."""
    from flow_resources.cli.program_text import cut

    for one in found.left_out:
        yield f"left out: {one.id} {cut(one.name)}: {one.why}"
    for note in found.notes:
        yield f"note: {note}"
    if not found.resources:
        yield f"There is nothing to adopt in project {project}."


def _document(found: Adoption, project: str, stack: SelectedStack | None) -> dict[str, Any]:
    """Return all of it as JSON. The shape is a promise (docs/adopt.md): keys may come, none changes its meaning."""
    return {
        "version": 1,
        "project": project,
        "stack": stack.name if stack else None,
        "program": found.program,
        "resources": [asdict(one) for one in found.resources],
        "left_out": [asdict(one) for one in found.left_out],
        "notes": list(found.notes),
    }
