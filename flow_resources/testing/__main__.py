"""`python -m flow_resources.testing`: the fake cloud as a process of its own, until Ctrl-C."""

from __future__ import annotations

import argparse
import math
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from flow_resources.testing.fake import FakeMithril
from flow_resources.testing.service.catalog import REGIONS
from flow_resources.testing.service.store import StateError


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how to reach the cloud, as lines that a shell can evaluate, and serve it."""
    asked = _parser().parse_args(arguments)
    try:
        mithril = FakeMithril(
            asked.port,
            key=asked.key,
            project=asked.project,
            region=asked.region,
            state=asked.state,
            boot_seconds=asked.boot_seconds,
        )
    except StateError as error:
        return _fail(str(error))
    try:
        mithril.start()
    except OSError as error:
        mithril.close()
        return _fail(f"cannot listen on port {asked.port}: {error.strerror or error}")
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    kept = f"state in {asked.state}" if asked.state else "state in memory only"
    lines = [f"# A fake Mithril listens on {mithril.url}, {kept}. Ctrl-C ends it."]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in mithril.environment.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    over.wait()
    mithril.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m flow_resources.testing", description=__doc__)
    parser.add_argument("--port", type=_port, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--key", type=_word, default="test-key", help="API key to accept (default: %(default)s)")
    parser.add_argument("--project", type=_word, default="demo", help="project of that key (default: %(default)s)")
    parser.add_argument("--region", choices=REGIONS, default="us-central5-a", help="default: %(default)s", metavar="R")
    parser.add_argument("--state", type=_word, default=None, metavar="FILE", help="keep the state in this file")
    parser.add_argument(
        "--boot-seconds", type=_seconds, default=0.0, metavar="S", help="how long machines boot (default: 0)"
    )
    return parser


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:  # noqa: PLR2004
        msg = f"must be a number from 0 to 65535, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _word(text: str) -> str:
    if not text.strip():
        msg = "must not be empty"
        raise argparse.ArgumentTypeError(msg)
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        msg = f"must be a number of seconds, 0 or more, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return seconds


def _fail(message: str) -> int:
    sys.stderr.write(f"error: {message}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
