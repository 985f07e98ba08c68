"""`flow-resources sweep`: what is live in the project with this stack's mark and recorded in no state.

The command line and the exit code. `sweep_find` searches, `sweep_report` prints, and with `--yes` `sweep_delete`
deletes. They are imported when they are needed, so that `--help` costs nothing.
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
    """Declare the arguments of the command."""
    target.add_arguments(parser)
    parser.add_argument(
        "--yes", action="store_true", help="end the bids that were found; revoke API keys, delete SSH keys"
    )
    parser.add_argument("--volumes", action="store_true", help="with --yes: delete the volumes too, with their data")
    parser.add_argument(
        "--min-age", type=_parse_age, default=_MIN_AGE, metavar="AGE",
        help="leave what is younger alone: 90s, 15m, 2h, 1d, or minutes (default: 15m)",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="list whatever carries a mark, whoever's; ends nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")


def run(arguments: argparse.Namespace) -> int:
    """Search, print, delete what `--yes` says, and return the exit code."""
    if arguments.all and arguments.yes:
        return fail("--all only lists: `flow cancel ID` ends one bid, `flow-resources sweep --yes` this stack's own")
    from flow_resources.cli.kinds import SWEPT
    from flow_resources.cli.stacks import SelectedStack
    from flow_resources.cli.sweep_delete import delete_orphans
    from flow_resources.cli.sweep_find import find

    stack = SelectedStack.open(arguments.cwd, arguments.stack)
    config = stack.config()
    with target.operation(config) as op:
        report = find(op, stack, stack.owner(config.get("flow:owner")), arguments.min_age, everyone=arguments.all)
        report = replace(report, command=_deleting_command(arguments), yes=arguments.yes)
        _print(report.lines(), arguments)
        try:
            if arguments.yes:
                kinds = [kind for kind in SWEPT if not kind.option or vars(arguments)[kind.option]]
                _print(delete_orphans(op, report, stack, kinds), arguments)
        finally:
            if arguments.json:
                sys.stdout.write(report.document() + "\n")
        for error in report.not_listed.values():
            raise error
        return FOUND if report.found else 0


def _print(lines: Iterable[str], arguments: argparse.Namespace) -> None:
    for line in lines:
        if not arguments.json:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


def _deleting_command(arguments: argparse.Namespace) -> str:
    """Return the command that deletes what was found: without these options it would search elsewhere, or find less."""
    age = "" if arguments.min_age == _MIN_AGE else _format_age(arguments.min_age)
    folder = "" if arguments.cwd == Path() else str(arguments.cwd)
    options = [("--stack", arguments.stack), ("--cwd", folder), ("--min-age", age)]
    words = [word for option, value in options if value for word in (option, value)]
    return shlex.join(["flow-resources", "sweep", "--yes", *words])


def _format_age(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    unit = next(unit for unit in "dhms" if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}" if seconds else "0"


def _parse_age(text: str) -> timedelta:
    match = re.fullmatch(r"([0-9]{1,6})([smhd]?)", text)
    if not match:
        msg = f"must be like 90s, 15m, 2h or 1d, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])
