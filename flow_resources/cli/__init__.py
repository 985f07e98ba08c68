"""`flow-resources`, the command line: one module per subcommand.

An error is one line and exit code 2. All but `fake` work on a plain install; what that needs is imported when it
serves.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flow_resources
from flow_resources.cli import adopt, change_api_url, costs, market, plugin, sweep, watch
from flow_resources.command_line import LineParser, fail
from flow_resources.errors import FlowResourcesError
from flow_resources.testing import command as fake

INTERRUPTED = 130
_FOLDER = Path(flow_resources.__file__).parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the subcommand that the arguments (by default the process's own) name, and return its exit code."""
    parser = LineParser(prog="flow-resources", description="Tools around spot GPU clusters on Mithril.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, command, summary in (
        ("adopt", adopt, "print the program that takes over what runs"),
        ("market", market, "see what machines cost, and what a bid would have held"),
        ("sweep", sweep, "find what a crash left running"),
        ("watch", watch, "see preemptions, and heal what their policies heal"),
        ("costs", costs, "print what was really paid"),
        ("change-api-url", change_api_url, "let a state follow the service to another address"),
        ("plugin", plugin, "let Pulumi find the provider plugin, or print its schema"),
        ("fake", fake, "serve a fake Mithril"),
    ):
        subparser = subparsers.add_parser(name, help=summary, description=command.DESCRIPTION, epilog=command.EPILOG)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    parsed = parser.parse_args(arguments)
    if not hasattr(parsed, "run"):
        parser.error(f"say what to do: {', '.join(f'flow-resources {name}' for name in subparsers.choices)}, or --help")
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the locale has no letters for must end nothing
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code: int = parsed.run(parsed)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # What is left in the buffer would fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return fail("nobody reads what is printed any more, and it ended")
    except FlowResourcesError as error:
        sys.stdout.flush()
        return fail(str(error))
    except Exception as error:  # noqa: BLE001 - a traceback ends with 1, which means "found"
        sys.stdout.flush()
        return fail(f"internal error of flow_resources, please report it: {_describe(error)}")
    return code


def _describe(error: Exception) -> str:
    """Return what an error is and where it was raised, without its text, which could hold a secret."""
    places = traceback.extract_tb(error.__traceback__)
    ours = [place for place in places if Path(place.filename).is_relative_to(_FOLDER)] or places
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
    return f"{type(error).__name__} at {where}"


class _Version(argparse.Action):
    """Reads the version, which is in the installation's files, only when it is printed."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        sys.stdout.write(f"flow-resources {flow_resources.__version__}\n")
        parser.exit(0)
