"""`flow-resources adopt`: the program that takes over what runs in the project, ready to paste.

The command line and the output: the program on standard output, everything else on standard error. `adopt_read` reads
what is live, `adopt_program` writes the program.
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
    """Declare the arguments of the command."""
    parser.add_argument("ids", nargs="*", metavar="ID", help="only these: bid_... and vol_... (default: all)")
    target.add_arguments(parser)
    parser.add_argument(
        "--all", action="store_true", help="also what carries a mark of this package and is in no state that is known"
    )
    parser.add_argument(
        "--as",
        dest="form",
        metavar="FORM",
        choices=("python", "yaml", "import"),
        default="python",
        help="how: python (default), yaml, or import: the `pulumi import` commands that do the same",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the program")


def run(arguments: argparse.Namespace) -> int:
    """Read, print, and return the exit code."""
    from flow_resources.cli.adopt_program import Form
    from flow_resources.cli.adopt_read import read
    from flow_resources.cli.stacks import SelectedStack

    stack = SelectedStack.open_if_any(arguments.cwd, arguments.stack)
    with target.operation(stack.config() if stack else {}) as op:
        adoption = read(op, stack, arguments.ids, everything=arguments.all, form=Form(arguments.form))
        project = op.cloud.project().name
    if arguments.json:
        sys.stdout.write(json.dumps(_document(adoption, project, stack), indent=2) + "\n")
        return 0
    for line in _lines(adoption, project):
        sys.stderr.write(line + "\n")
    sys.stdout.write(adoption.program)
    return 0


def _lines(adoption: Adoption, project: str) -> Iterator[str]:
    """Yield what the person is told beside the program."""
    from flow_resources.cli.program_text import cut

    for left_out in adoption.left_out:
        yield f"left out: {left_out.id} {cut(left_out.name)}: {left_out.why}"
    for note in adoption.notes:
        yield f"note: {note}"
    if not adoption.resources:
        yield f"There is nothing to adopt in project {project}."


def _document(adoption: Adoption, project: str, stack: SelectedStack | None) -> dict[str, Any]:
    """Return all of it as JSON. The shape is a promise (docs/adopt.md): keys may come, none changes its meaning."""
    return {
        "version": 1,
        "project": project,
        "stack": stack.name if stack else None,
        "program": adoption.program,
        "resources": [asdict(resource) for resource in adoption.resources],
        "left_out": [asdict(left_out) for left_out in adoption.left_out],
        "notes": list(adoption.notes),
    }
