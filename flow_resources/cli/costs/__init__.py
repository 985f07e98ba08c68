"""`flow-resources costs`: what was really paid for the clusters and jobs of a stack.

The command line and the exit code. `find` reads, `report` prints. They are imported when they are needed,
so that `--help` costs nothing.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone

from flow_resources.cli import target

DESCRIPTION = (
    "Print what was paid for each cluster, fleet member and job of a stack, over preemptions, price changes, pauses "
    "and replacements, and what on-demand machines would have cost for the same hours. Run it in the folder of the "
    "Pulumi project. It reads only."
)
EPILOG = (
    "Exit code: 0 when everything is known, 1 when something is not (>= is at least that, ? is not known; standard "
    "error says why), 2 when it could not be done."
)
NOT_ALL_KNOWN = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    target.add_arguments(parser)
    parser.add_argument(
        "--since", type=_moment, metavar="DATE",
        help="count from this day or time (UTC) on: 2026-11-01, 2026-11-01T12:00 (default: from the beginning)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Read, print, and return the exit code."""
    from flow_resources.cli.costs.find import find_costs
    from flow_resources.cli.costs.report import NOTHING
    from flow_resources.cli.stacks import SelectedStack
    from flow_resources.cli.tables import lines_of

    stack = SelectedStack.open(arguments.cwd, arguments.stack)
    config = stack.config()
    with target.operation(config) as op:
        report = find_costs(op, stack, config.get("flow:owner"), arguments.since)
        if arguments.json:
            sys.stdout.write(report.document() + "\n")
        elif not report.rows:
            sys.stdout.write(f"{NOTHING}\n")
        elif sys.stdout.isatty():
            from rich.console import Console

            console = Console()
            console.print(report.table(console.width))
        else:
            sys.stdout.writelines(f"{line}\n" for line in lines_of(report.table(None)))
        sys.stdout.flush()
        for warning in report.warnings:
            op.report.warn(warning)
        return 0 if report.is_complete else NOT_ALL_KNOWN


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        msg = f"must be a day or a time like 2026-11-01 or 2026-11-01T12:00, got {text!r}"
        raise argparse.ArgumentTypeError(msg) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
