"""`flow-resources`, the command: one subcommand a job, each of which lives where its job lives.

What is wrong is one line and exit code 2. `sweep` and `adopt` work on a plain install; what `fake` needs beyond that is
imported when it serves.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import flow_resources
from flow_resources.cli import adopt, sweep
from flow_resources.command_line import LineParser, fail
from flow_resources.errors import FlowResourcesError
from flow_resources.testing import command as fake

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the subcommand that the arguments (by default the process's own) name, and return its exit code."""
    parser = LineParser(prog="flow-resources", description="Tools around spot GPU clusters on Mithril.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    jobs = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, job, summary in (
        ("adopt", adopt, "print the program that takes over what runs"),
        ("sweep", sweep, "find what a crash left running"),
        ("fake", fake, "serve a fake Mithril"),
    ):
        job_parser = jobs.add_parser(name, help=summary, description=job.DESCRIPTION, epilog=job.EPILOG)
        job.add_arguments(job_parser)
        job_parser.set_defaults(run=job.run)
    asked = parser.parse_args(arguments)
    if not hasattr(asked, "run"):
        parser.error(f"say what to do: {', '.join(f'flow-resources {name}' for name in jobs.choices)}, or --help")
    try:
        code: int = asked.run(asked)
    except KeyboardInterrupt:
        return INTERRUPTED
    except FlowResourcesError as error:
        sys.stdout.flush()
        return fail(str(error))
    return code


class _Version(argparse.Action):
    """Ask for the version only when somebody wants it: that reads the installation's files."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        sys.stdout.write(f"flow-resources {flow_resources.__version__}\n")
        parser.exit(0)
