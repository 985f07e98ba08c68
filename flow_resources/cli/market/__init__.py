"""`flow-resources market`: what machines cost now, how the price was, and what a bid would have held.

The command line, the output and the exit code. `read` reads, `show` prints, `plot` draws.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from flow_resources.cli import target
from flow_resources.command_line import fail
from flow_resources.core import money

if TYPE_CHECKING:
    from flow_resources.cli.market.read import Markets
    from flow_resources.cli.market.show import Details

DESCRIPTION = (
    "Show what machines cost now, in USD per machine and hour, and what a GPU of them costs. With one instance type in "
    "one region: how its price was, what bids would have held, and what a budget would have paid for. Nothing changes."
)
EPILOG = (
    "What is not known is shown as -. Exit code: 0 when something was shown, 2 when it could not be done. Past prices "
    "do not predict future ones."
)
PLOTS = (".png", ".svg")
_HOURS_MAX = 24 * 366
_DEFAULT_HOURS = 7 * 24
_WITHOUT_LIBRARY = "a plot needs matplotlib: pip install 'flow-resources[plot]'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("types", nargs="*", metavar="TYPE", help="only these: 8xa100, a100:8, it_... (default: all)")
    parser.add_argument("--region", metavar="REGION", help="only this one (default: all)")
    parser.add_argument(
        "--hours", type=_parse_count("hours", _HOURS_MAX), metavar="N",
        help=f"how the price was over the last N hours (default: {_DEFAULT_HOURS})",
    )  # fmt: skip
    parser.add_argument(
        "--bid", type=_parse_price, metavar="USD", help="what a bid, USD per machine and hour, would have held and paid"
    )
    parser.add_argument("--budget", type=_parse_price, metavar="USD", help="for how long so many USD in all would pay")
    parser.add_argument(
        "--machines", type=_parse_count("machines", 100_000), default=1, metavar="N",
        help="how many machines to win, and the budget pays for (default: 1)",
    )  # fmt: skip
    parser.add_argument("--plot", type=_parse_plot, metavar="FILE", help="draw it into a .png or .svg file")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    target.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read, print, draw, and return the exit code."""
    if arguments.plot and not _has_plot_library():
        return fail(_WITHOUT_LIBRARY)
    from flow_resources.cli.market import read, show
    from flow_resources.cli.stacks import SelectedStack

    stack = SelectedStack.open_if_any(arguments.cwd, arguments.stack)
    with target.operation(stack.config() if stack else {}) as op:
        found = read.read(op, arguments.types, arguments.region, arguments.machines)
        about_one = arguments.hours, arguments.bid, arguments.budget, arguments.plot
        row = read.single_market(found, arguments.types, is_needed=any(about_one))
        hours = arguments.hours or _DEFAULT_HOURS
        history = row and read.read_history(op, row, hours)
    details = None
    if row and history:
        details = show.Details(row, history, hours, arguments.bid, arguments.budget, arguments.machines)
    if arguments.json:
        sys.stdout.write(show.document(found, details, arguments.machines) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in _lines(found, details, arguments, has_one=row is not None))
    return _plot(arguments.plot, details) if arguments.plot else 0


def _lines(found: Markets, details: Details | None, arguments: argparse.Namespace, *, has_one: bool) -> Iterator[str]:
    from flow_resources.cli.market import show

    width = shutil.get_terminal_size((show.LOG_WIDTH, 0)).columns
    if not found.rows:
        yield "Nothing is on offer now."
        return
    yield from show.market_lines(found, arguments.machines, width)
    if details:
        yield ""
        yield from show.detail_lines(details, width, is_ascii=not _prints_blocks())
    elif has_one:
        yield ""
        yield _without_history(arguments.bid)


def _without_history(bid: Decimal | None) -> str:
    known = "No price history of it is known"
    return f"{known}." if bid is None else f"{known}: it cannot be told what a bid of {money.usd(bid)} would have held."


def _plot(path: Path, details: Details | None) -> int:
    if details is None:
        return fail(f"there is no price history to draw, and {path} was not written")
    from flow_resources.cli.market import plot

    try:
        plot.draw(details, path)
    except OSError as error:
        return fail(f"{path} could not be written: {error.strerror}")
    sys.stderr.write(f"drawn: {path}\n")
    return 0


def _prints_blocks() -> bool:
    from flow_resources.cli.market import show

    try:
        show.BLOCKS.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _has_plot_library() -> bool:
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def _parse_price(text: str) -> Decimal:
    try:
        return money.written(text)
    except ValueError as error:
        msg = f"{error}, got {text!r}"
        raise argparse.ArgumentTypeError(msg) from error


def _parse_count(what: str, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not 0 < int(text) <= most:
            msg = f"must be a number of {what} from 1 to {most}, got {text!r}"
            raise argparse.ArgumentTypeError(msg)
        return int(text)

    return parse


def _parse_plot(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in PLOTS:
        msg = f"must end in {' or '.join(PLOTS)}, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    if not path.parent.is_dir():
        msg = f"must be in a folder that exists, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return path
