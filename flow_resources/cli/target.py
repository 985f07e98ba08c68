"""Where a command stands: the folder, the stack in it, and the memory that opens the door to the service.

What `sweep` and `adopt` share. Pulumi and the SDK are imported when somebody asks, so that `--help` costs nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flow_resources.cli.stacks import SelectedStack
    from flow_resources.providers.session import Session

_PROJECT_FILES = ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say where."""
    parser.add_argument("--stack", metavar="NAME", help="the stack (default: the selected one)")
    parser.add_argument(
        "-C", "--cwd", type=_folder, default=Path(), metavar="DIR", help="the project's folder (default: this one)"
    )


def project_folder(folder: Path) -> Path | None:
    """Return the folder of the Pulumi project, where `pulumi` would find it too: here or above."""
    here = folder.resolve()
    for one in (here, *here.parents):
        if any((one / name).is_file() for name in _PROJECT_FILES):
            return one
    return None


@contextmanager
def settled(stack: SelectedStack | None) -> Iterator[Session]:
    """Begin with the settings of a stack, else with the SDK's own, and close the door in the end."""
    from flow_resources.providers import session

    config = stack.config() if stack else {}
    memory = session.fresh(config.get)
    try:
        yield memory
    finally:
        memory.close()


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        msg = f"must be a folder, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return Path(text)
