"""The fake cloud as a process of its own, until Ctrl-C.

`python -m flow_resources.testing` runs it from here, `flow-resources fake` with the same arguments.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flow_resources.command_line import LineParser, fail
from flow_resources.testing.service.catalog import REGIONS
from flow_resources.testing.service.clock import SPEED_MAX
from flow_resources.testing.service.errors import NotStoredError
from flow_resources.testing.service.notation import WHOLE_MAX
from flow_resources.testing.service.options import Options

if TYPE_CHECKING:
    from flow_resources.testing.fake import FakeMithril

DESCRIPTION = (
    "Serve a fake Mithril on this machine and print the environment that sends Flow and Pulumi programs to it."
)
EPILOG = (
    "Without --seed the market stands still and everything happens at once. With one, prices move, others bid, auctions"
    " are held every two minutes, machines boot for 90 s and a preemption is announced five minutes before. Open the"
    " printed address in a browser to watch it. --set takes any switch of flow_resources.testing.service.options."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments (by default the process's own), serve, and return the exit code."""
    parser = LineParser(prog="python -m flow_resources.testing", description=DESCRIPTION, epilog=EPILOG)
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command understands."""
    parser.add_argument("--port", type=_port, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--key", type=_word, default="test-key", help="API key to accept (default: %(default)s)")
    parser.add_argument("--project", type=_word, default="demo", help="project of that key (default: %(default)s)")
    parser.add_argument("--region", choices=REGIONS, default="us-central5-a", help="default: %(default)s", metavar="R")
    parser.add_argument("--state", type=_word, default=None, metavar="FILE", help="keep the state in this file")
    parser.add_argument(
        "--seed", type=_number(int, 0, WHOLE_MAX), default=None, metavar="N", help="let the market live: its story"
    )
    parser.add_argument(
        "--speed", type=_number(float, 0, SPEED_MAX), default=1.0, metavar="X",
        help="seconds that pass in a real one: 60 for an hour a minute, 0 for only when told (default: 1)",
    )  # fmt: skip
    parser.add_argument("--boot-seconds", type=_duration, default=None, metavar="S", help="how long machines boot")
    parser.add_argument("--auction-seconds", type=_duration, default=None, metavar="S", help="from auction to auction")
    parser.add_argument(
        "--set", type=_switch, action="append", default=[], dest="switches", metavar="NAME=VALUE",
        help="set a switch, such as idempotency=ignore or cancel_seconds=30; may be repeated",
    )  # fmt: skip


def run(asked: argparse.Namespace) -> int:
    """Print how to reach the cloud, as lines that a shell can evaluate, and serve it; return the exit code."""
    try:
        mithril = _prepare(asked)
    except (ImportError, ValueError, NotStoredError) as error:
        return fail(str(error))
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    try:
        mithril.start()
    except OSError as error:
        mithril.close()
        return fail(f"cannot listen on port {asked.port}: {error.strerror or error}")
    kept = f"state in {asked.state}" if asked.state else "state in memory only"
    lines = [f"# A fake Mithril listens on {mithril.url} (also for a browser), {kept}. Ctrl-C ends it."]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in mithril.environment.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    over.wait()
    try:
        mithril.close()
    except NotStoredError as error:
        return fail(str(error), 1)
    return 0


def _prepare(asked: argparse.Namespace) -> FakeMithril:
    from flow_resources.testing.fake import FakeMithril

    switches = {"boot_seconds": asked.boot_seconds, "auction_seconds": asked.auction_seconds, **dict(asked.switches)}
    return FakeMithril(
        asked.port,
        key=asked.key,
        project=asked.project,
        region=asked.region,
        state=asked.state,
        seed=asked.seed,
        speed=asked.speed,
        **switches,
    )


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > 65535:  # noqa: PLR2004
        msg = f"must be a number from 0 to 65535, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _word(text: str) -> str:
    if not text.strip():
        msg = "must not be empty"
        raise argparse.ArgumentTypeError(msg)
    return text


def _number(kind: type[int | float], least: float, most: float = math.inf) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = math.nan
        if not least <= number <= most or number == math.inf:
            limit = "" if most == math.inf else f" and {most:,.0f} at most"
            msg = f"must be a number, {least:g} or more{limit}, got {text!r}"
            raise argparse.ArgumentTypeError(msg)
        return number

    return read


def _duration(text: str) -> float:
    return math.inf if text == "manual" else _number(float, 0)(text)


def _switch(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or name not in Options.__dataclass_fields__:
        msg = f"must be NAME=VALUE with one of {', '.join(Options.__dataclass_fields__)}, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
