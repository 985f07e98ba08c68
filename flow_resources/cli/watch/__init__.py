"""`flow-resources watch`: see what preemptions do to the clusters of stacks, and heal what their policies heal.

The command line, signals and the exit code. `round` does the rounds, `stack` runs Pulumi, `show`
prints. They are imported when they are needed, so that `--help` costs nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from flow_resources.cli import target
from flow_resources.clock import Clock
from flow_resources.command_line import fail

if TYPE_CHECKING:
    from flow_resources.cli.watch.costs import StackCosts
    from flow_resources.cli.watch.round import Watch
    from flow_resources.cli.watch.show import Show
    from flow_resources.redaction import Redactor

DESCRIPTION = (
    "Watch the clusters of one or several stacks of a Pulumi project: which run, which wait in the auction, at which "
    "bid and market price. With --heal, do for each preempted cluster what its on_preemption says (raise_bid or "
    "replace), as `pulumi up --target` would, and nothing else: what a person has edited and not applied is named and "
    "left alone. "
    "A round in which nothing has changed takes no lock and writes nothing. Ctrl-C or SIGTERM ends it between two "
    "operations. On Pulumi's Automation API: it needs `pulumi` on PATH, and what `pulumi up` needs."
)
EPILOG = (
    "Exit code: 0 when everything was looked at, and healed where --heal says so; 1 when something could not be looked "
    "at or healed; 2 when it could not begin (no project, no stack, no backend); 3 with --once, when a cluster still "
    "waits in the auction and no policy has acted for it. Events: docs/reference/watch.md."
)
_NAMING = "name it: flow-resources watch NAME"
_SECRET_VARIABLES = (
    "MITHRIL_API_KEY",
    "PULUMI_ACCESS_TOKEN",
    "PULUMI_CONFIG_PASSPHRASE",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "PGPASSWORD",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("stacks", nargs="*", metavar="STACK", help="the stacks (default: the selected one)")
    target.add_folder_argument(parser)
    parser.add_argument(
        "--interval", type=_number(1, 86400), default=60.0, metavar="SECONDS",
        help="look this often (default: 60; the auction is held every two minutes)",
    )  # fmt: skip
    parser.add_argument("--once", action="store_true", help="look once, heal once, and leave: for a cron job")
    parser.add_argument("--heal", action="store_true", help="do what on_preemption says for what was preempted")
    parser.add_argument(
        "--apply-all", action="store_true", help="with --heal: apply everything that `pulumi up` would, edits too"
    )
    parser.add_argument(
        "--max-heals-per-hour", type=_whole, default=20, metavar="N",
        help="heal at most so many clusters of a stack within an hour, by the stack's history (default: 20)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object a line: events, and what was seen")
    parser.add_argument("--no-spent", action="store_true", help="do not ask the service what was paid: SPENT is empty")
    parser.add_argument(
        "--on-event", metavar="CMD", help="run this shell command for each event, which is JSON on its standard input"
    )


def run(arguments: argparse.Namespace) -> int:
    """Watch, and return the exit code."""
    if arguments.apply_all and not arguments.heal:
        return fail("--apply-all says what --heal may do: give both, or neither")
    from flow_resources.cli.stacks import SelectedStack
    from flow_resources.cli.watch.costs import StackCosts
    from flow_resources.cli.watch.round import Watch, Wishes
    from flow_resources.cli.watch.stack import PulumiStack
    from flow_resources.heap import share_one_heap
    from flow_resources.redaction import Redactor

    share_one_heap()  # each look has threads of its own, and their heaps would stay
    redactor = Redactor()
    redactor.register([os.environ.get(name, "") for name in _SECRET_VARIABLES])
    selected = {
        stack.name: stack
        for stack in (SelectedStack.open(arguments.cwd, name, _NAMING) for name in arguments.stacks or [None])
    }
    for stack in selected.values():
        redactor.register([*stack.secrets()])
    stacks = [PulumiStack(stack.workspace.work_dir, stack.name) for stack in selected.values()]
    wishes = Wishes(
        arguments.heal, arguments.apply_all, arguments.max_heals_per_hour, arguments.interval, arguments.once
    )
    with (
        _stopping() as stopped,
        _showing(arguments) as show,
        _telling(arguments, show, redactor) as tell,
        contextlib.ExitStack() as closing,
    ):
        costs = {} if arguments.no_spent else {stack.name: StackCosts(stack.config) for stack in selected.values()}
        for one in costs.values():
            closing.callback(one.close)
        clock = _StoppableClock(stopped)
        watch = Watch(
            stacks, wishes, lambda stack, event: tell(event.document(stack.name, _now(clock))), clock, stopped.is_set
        )
        while True:
            watch.round()
            _show(watch, show, clock, costs)
            if arguments.once:
                return watch.code
            clock.sleep(arguments.interval * clock.jitter())
            if stopped.is_set():
                return 0


def _show(watch: Watch, show: Show, clock: Clock, costs: Mapping[str, StackCosts] = MappingProxyType({})) -> None:
    looks = [(stack.name, look) for stack, look in watch.looks() if look]
    rows = [
        (name if len(looks) > 1 or show.names_stacks else "", one)
        for name, look in looks
        for one in (costs[name].shown_with(look.clusters) if name in costs else look.clusters)
    ]
    show.looked(rows, clock.utc(), [name for name, _ in looks])


@contextlib.contextmanager
def _showing(arguments: argparse.Namespace) -> Iterator[Show]:
    from flow_resources.cli.watch.show import JsonLines, LiveTable, LogLines

    show: Show
    if arguments.json:
        show = JsonLines()
    elif sys.stdout.isatty() and not arguments.once:
        show = LiveTable()
    else:
        show = LogLines()
    try:
        yield show
    finally:
        show.close()


@contextlib.contextmanager
def _telling(
    arguments: argparse.Namespace, show: Show, redactor: Redactor
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Provide what shows an event, and runs the user's command for it."""
    from flow_resources.cli.watch.hook import Hook

    hook = Hook(arguments.on_event, _warn) if arguments.on_event else None

    def tell(document: dict[str, Any]) -> None:
        document = {
            name: redactor.redact(value) if isinstance(value, str) else value for name, value in document.items()
        }
        show.event(document)
        if hook:
            hook.send(json.dumps(document))

    try:
        yield tell
    except BaseException:  # a second Ctrl-C ends the watch at once
        if hook:
            hook.abandon()
        raise
    if hook:
        hook.close()


class _Stop:
    """Whether the watch is to stop. A signal handler can set it at any moment.

    No `threading.Event`: its `set` waits for a lock, which the pause that the signal interrupts can hold, for ever.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()  # its `put` may interrupt its `get`

    def set(self) -> None:
        """Stop, and end a pause."""
        self._is_set = True
        self._wake.put(None)

    def is_set(self) -> bool:
        """Whether it is to stop."""
        return self._is_set

    def wait(self, seconds: float) -> None:
        """Pause, until it is to stop."""
        if not self._is_set:
            with contextlib.suppress(queue.Empty):
                self._wake.get(timeout=seconds)


@contextlib.contextmanager
def _stopping() -> Iterator[_Stop]:
    """Provide what SIGTERM and Ctrl-C set: what is under way is finished, and nothing new is begun.

    A second signal acts as it would without this.
    """
    stopped = _Stop()
    before: Mapping[signal.Signals, Any] = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}

    def stop(number: int, _frame: object) -> None:
        stopped.set()
        signal.signal(number, before[signal.Signals(number)])

    for one in before:
        signal.signal(one, stop)
    try:
        yield stopped
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


class _StoppableClock(Clock):
    """A clock whose sleep ends when the watch is to stop."""

    def __init__(self, stopped: _Stop) -> None:
        self._stopped = stopped

    def sleep(self, seconds: float) -> None:
        """Let time pass, or less."""
        self._stopped.wait(seconds)


def _warn(message: str) -> None:
    sys.stderr.write(f"warning: {message}\n")


def _now(clock: Clock) -> str:
    from flow_resources.cli.watch.show import stamp

    return stamp(clock.utc())


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not low <= value <= high:
            msg = f"must be a number from {low:g} to {high:g}, got {text!r}"
            raise argparse.ArgumentTypeError(msg)
        return value

    return parse


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= len(text) <= 6 or int(text) < 1:  # noqa: PLR2004 - more digits mean no limit
        msg = f"must be a whole number from 1, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
