"""The command that serves a fake cloud until Ctrl-C.

`python -m flow_resources.testing` and `flow-resources fake` share it and take the same arguments.
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
from flow_resources.testing.service.formats import INTEGER_MAX
from flow_resources.testing.service.options import Options

if TYPE_CHECKING:
    from flow_resources.testing.fake import FakeMithril

DESCRIPTION = (
    "Serve a fake Mithril on this machine and print the environment that sends Flow and Pulumi programs to it."
)
EPILOG = (
    "Without --seed prices do not move and transitions take no time. With one, prices move, others bid, auctions"
    " are held every two minutes, machines boot for 90 s and a preemption is announced five minutes before. Open the"
    " printed address in a browser to watch it. --set takes any option of flow_resources.testing.service.options."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments (by default those of the process), serve, and return the exit code."""
    parser = LineParser(prog="python -m flow_resources.testing", description=DESCRIPTION, epilog=EPILOG)
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to `parser`."""
    parser.add_argument("--port", type=_port, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--key", type=_non_empty, default="test-key", help="API key to accept (default: %(default)s)")
    parser.add_argument("--project", type=_non_empty, default="demo", help="project of that key (default: %(default)s)")
    parser.add_argument("--region", choices=REGIONS, default="us-central5-a", help="default: %(default)s", metavar="R")
    parser.add_argument("--state", type=_non_empty, default=None, metavar="FILE", help="keep the state in this file")
    parser.add_argument(
        "--seed",
        type=_number(int, 0, INTEGER_MAX),
        default=None,
        metavar="N",
        help="make prices move, the same way each time",
    )
    parser.add_argument(
        "--speed", type=_number(float, 0, SPEED_MAX), default=1.0, metavar="X",
        help="seconds of the cloud's clock per real second: 60 for an hour per minute, 0 to stop it (default: 1)",
    )  # fmt: skip
    parser.add_argument("--boot-seconds", type=_duration, default=None, metavar="S", help="time that machines boot")
    parser.add_argument("--auction-seconds", type=_duration, default=None, metavar="S", help="time between auctions")
    parser.add_argument(
        "--set", type=_option, action="append", default=[], dest="options", metavar="NAME=VALUE",
        help="set an option, such as idempotency=ignore or cancel_seconds=30; may be repeated",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Print the environment variables as lines for a shell to evaluate, serve, and return the exit code."""
    try:
        mithril = _make_cloud(arguments)
    except (ImportError, ValueError, NotStoredError) as error:
        return fail(str(error))
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        mithril.start()
    except OSError as error:
        mithril.close()
        return fail(f"cannot listen on port {arguments.port}: {error.strerror or error}")
    location = f"state in {arguments.state}" if arguments.state else "state in memory only"
    lines = [f"# A fake Mithril listens on {mithril.url} (also for a browser), {location}. Ctrl-C ends it."]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in mithril.environment.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    stopped.wait()
    try:
        mithril.close()
    except NotStoredError as error:
        return fail(str(error), 1)
    return 0


def _make_cloud(arguments: argparse.Namespace) -> FakeMithril:
    from flow_resources.testing.fake import FakeMithril

    durations = {"boot_seconds": arguments.boot_seconds, "auction_seconds": arguments.auction_seconds}
    return FakeMithril(
        arguments.port,
        key=arguments.key,
        project=arguments.project,
        region=arguments.region,
        state=arguments.state,
        seed=arguments.seed,
        speed=arguments.speed,
        **{**durations, **dict(arguments.options)},
    )


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > 65535:  # noqa: PLR2004
        msg = f"must be a number from 0 to 65535, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _non_empty(text: str) -> str:
    if not text.strip():
        msg = "must not be empty"
        raise argparse.ArgumentTypeError(msg)
    return text


def _number(kind: type[int | float], minimum: float, maximum: float = math.inf) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = math.nan
        if not minimum <= number <= maximum or number == math.inf:
            limit = "" if maximum == math.inf else f" and {maximum:,.0f} at most"
            msg = f"must be a number, {minimum:g} or more{limit}, got {text!r}"
            raise argparse.ArgumentTypeError(msg)
        return number

    return parse


def _duration(text: str) -> float:
    return math.inf if text == "manual" else _number(float, 0)(text)


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or name not in Options.__dataclass_fields__:
        msg = f"must be NAME=VALUE with one of {', '.join(Options.__dataclass_fields__)}, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
