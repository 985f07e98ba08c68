"""`flow-resources sweep`: what is live in the project with this stack's mark and recorded in no state.

What the user types and what comes back. The work is done by `looking` and, with `--yes`, by `ending`; `stacks` asks
Pulumi, `report` prints. They are imported when they are needed, so that `--help` costs nothing.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from flow_resources.cli import target
from flow_resources.command_line import fail

DESCRIPTION = (
    "Find what is live in the Mithril project with the mark of this stack and recorded in no state: the paid cluster "
    "that a crash left. Run it in the folder of the Pulumi project. Nothing is ended without --yes."
)
EPILOG = (
    "Exit code: 0 when nothing was found, 1 when something was, also when --yes ended it, 2 when it could not be done."
)
FOUND = 1
_MIN_AGE = timedelta(minutes=15)
_UNITS = {"s": 1, "": 60, "m": 60, "h": 3600, "d": 86400}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command understands."""
    target.add_arguments(parser)
    parser.add_argument("--yes", action="store_true", help="end the bids that were found, and see them ended")
    parser.add_argument("--volumes", action="store_true", help="with --yes: delete the volumes too, with their data")
    parser.add_argument(
        "--min-age", type=_age, default=_MIN_AGE, metavar="AGE",
        help="leave what is younger alone: 90s, 15m, 2h, 1d, or minutes (default: 15m)",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="list whatever carries a mark, whoever's; ends nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")


def run(asked: argparse.Namespace) -> int:
    """Look, print, end what `--yes` says, and return the exit code."""
    if asked.all and asked.yes:
        return fail("--all only lists: `flow cancel ID` ends one bid, `flow-resources sweep --yes` this stack's own")
    from flow_resources.cli.stacks import SelectedStack
    from flow_resources.cli.sweep_delete import ends
    from flow_resources.cli.sweep_find import look

    stack = SelectedStack.open(asked.cwd, asked.stack)
    config = stack.config()
    with target.operation(config) as op:
        seen = look(op, stack, stack.owner(config.get("flow:owner")), asked.min_age, everyone=asked.all)
        report = replace(seen, command=_command_of(asked), ending=bool(asked.yes))
        _say(report.lines(), asked)
        try:
            if asked.yes:
                _say(ends(op, report, stack, volumes=asked.volumes), asked)
        finally:
            if asked.json:
                sys.stdout.write(report.document() + "\n")
        return FOUND if report.found else 0


def _say(lines: Iterable[str], asked: argparse.Namespace) -> None:
    for line in lines:
        if not asked.json:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


def _command_of(asked: argparse.Namespace) -> str:
    """Write the command that ends what this one finds: without its options it would look elsewhere, or find less."""
    age = "" if asked.min_age == _MIN_AGE else _written(asked.min_age)
    folder = "" if asked.cwd == Path() else str(asked.cwd)
    said = [("--stack", asked.stack), ("--cwd", folder), ("--min-age", age)]
    options = [word for option, value in said if value for word in (option, value)]
    return shlex.join(["flow-resources", "sweep", "--yes", *options])


def _written(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    unit = next(unit for unit in "dhms" if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}" if seconds else "0"


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,6})([smhd]?)", text)
    if not found:
        msg = f"must be like 90s, 15m, 2h or 1d, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])
