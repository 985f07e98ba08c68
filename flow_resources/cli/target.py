"""Where a command works: the folder of the project, and an operation with the settings of a stack in it.

What the commands share. Pulumi and the SDK are imported when they are first needed, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flow_resources.lifecycle.operation import Operation

_PROJECT_FILES = ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options for it."""
    parser.add_argument("--stack", metavar="NAME", help="the stack (default: the selected one)")
    add_folder_argument(parser)


def add_folder_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the option for the folder alone."""
    parser.add_argument(
        "-C",
        "--cwd",
        type=_parse_folder,
        default=Path(),
        metavar="DIR",
        help="the project's folder (default: this one)",
    )


def project_folder(folder: Path) -> Path | None:
    """Return the folder of the Pulumi project, where `pulumi` would find it too: here or above."""
    start = folder.resolve()
    candidates = (start, *start.parents)
    return next((path for path in candidates if any((path / name).is_file() for name in _PROJECT_FILES)), None)


class TerminalReport:
    """Reports on standard error. What only shows progress is left out: the command prints its own."""

    def progress(self, message: str, *, keep: bool = False) -> None:
        """Print a message that is to be kept."""
        if keep:
            sys.stderr.write(f"{message}\n")

    def warn(self, message: str) -> None:
        """Print a warning."""
        sys.stderr.write(f"warning: {message}\n")


@contextmanager
def operation(config: Mapping[str, str]) -> Iterator[Operation]:
    """Begin an operation with a stack's configuration, or with the SDK's own settings where it is empty."""
    from flow_resources import backend
    from flow_resources.lifecycle.operation import Deployment, Operation

    deployment = Deployment(config.get, backend)
    try:
        yield Operation(deployment, TerminalReport())
    finally:
        deployment.close()


def _parse_folder(text: str) -> Path:
    if not Path(text).is_dir():
        msg = f"must be a folder, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return Path(text)
