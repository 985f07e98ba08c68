"""What every command of this package shares: complaints about the command line are one line and exit code 2."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

WRONG = 2
"""The exit code of a command that could not do what was asked."""


class LineParser(argparse.ArgumentParser):
    """A parser whose complaints are one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Print it and leave."""
        self.exit(WRONG, f"error: {message}\n")


def fail(message: str, code: int = WRONG) -> int:
    """Say on standard error what is wrong, and return the exit code."""
    sys.stderr.write(f"error: {message}\n")
    return code
