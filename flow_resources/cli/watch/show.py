"""What the watch shows: a live table in a terminal, plain lines in a log, JSON lines with `--json`.

A secret is in none of them: all text that comes from elsewhere is redacted before it gets here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from flow_resources.cli.tables import draw, lines_of
from flow_resources.cli.watch.look import Cluster
from flow_resources.core import money
from flow_resources.core.moments import age_of

Rows = Sequence[tuple[str, Cluster]]
"""Clusters with the stack that they are of; its name is empty where there is one alone."""
_STYLES = {
    "running": "green",
    "preempted": "yellow",
    "preempting": "yellow",
    "failed": "red",
    "gone": "red",
    "not known": "red",
}
_EMPTY = "no clusters, jobs or fleets"
_LOOKING = "not looked at yet"
_LOG_WIDTH = 120


class Show(Protocol):
    """Where events and tables go."""

    names_stacks: bool
    """Whether rows need the name of their stack where there is one alone."""

    def event(self, document: dict[str, Any]) -> None:
        """Show an event."""
        ...

    def looked(self, rows: Rows, now: datetime, stacks: Sequence[str]) -> None:
        """Show what was seen in a round; `stacks` are those that could be looked at, with or without clusters."""
        ...

    def close(self) -> None:
        """End."""
        ...


_HEADS = ("CLUSTER", "STATUS", "MACHINES", "BID", "MARKET", "SPENT", "PREEMPTED")


def table(rows: Rows, now: datetime, width: int) -> Table:
    """Return the table, at most `width` wide: what is too long is the name, and is cut."""
    cells = [_cells(stack, cluster, now) for stack, cluster in rows]
    styles = {(1, status): style for status, style in _STYLES.items()}
    return draw(_HEADS, cells, right=("MACHINES", "BID", "MARKET", "SPENT"), width=width, styles=styles)


def lines(rows: Rows, now: datetime, width: int = _LOG_WIDTH) -> list[str]:
    """Return the table as plain lines."""
    return lines_of(table(rows, now, width), width)


def _cells(stack: str, cluster: Cluster, now: datetime) -> tuple[str, ...]:
    running, wanted = cluster.machines
    is_known = not cluster.problem
    return (
        f"{stack}/{cluster.name}" if stack else cluster.name,
        cluster.status,
        f"{running if is_known else '?'}/{'?' if wanted is None else wanted}",
        _rate(cluster.bid),
        _rate(cluster.market),
        "-" if cluster.spending is None else cluster.spending.spent_text,
        _preempted(cluster, now),
    )


def _rate(price: Any) -> str:
    return "?" if price is None else f"{money.usd(price)}/h"


def _preempted(cluster: Cluster, now: datetime) -> str:
    count = cluster.preemptions
    if count is None:
        return "?"
    if not count:
        return "never"
    age = age_of(cluster.last_preempted_at, now)
    ago = "" if age is None else f", {_duration(max(0, int(age.total_seconds())))} ago"
    return f"{count}x{ago}"


def _duration(seconds: int) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or (size == 60 and seconds >= size):  # noqa: PLR2004 - a minute is told as one
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def line_of(document: dict[str, Any]) -> str:
    """Return an event as a line for people."""
    stack = str(document["stack"]).rpartition("/")[2]
    who = "/".join([stack, *(str(document[key]) for key in ("cluster", "resource") if document.get(key))])
    return f"{document['at']} {who} {document['event']}: {document['message']}"


def document_of(cluster: Cluster) -> dict[str, Any]:
    """Return a row of the table as JSON values."""
    running, wanted = cluster.machines
    spending = cluster.spending
    return {
        "cluster": cluster.name,
        "urn": cluster.urn,
        "task_id": cluster.task_id or None,
        "status": cluster.status,
        "machines_running": None if cluster.problem else running,
        "machines": wanted,
        "bid": None if cluster.bid is None else float(cluster.bid),
        "market": None if cluster.market is None else float(cluster.market),
        "spent_usd": None if spending is None or not spending.is_known else float(spending.spent),
        "spent_is_complete": spending is not None and spending.is_complete,
        "preemptions": cluster.preemptions,
        "last_preempted_at": cluster.last_preempted_at or None,
    }


class JsonLines:
    """One JSON object a line on standard output."""

    names_stacks = True

    def event(self, document: dict[str, Any]) -> None:
        """Print it."""
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()

    def looked(self, rows: Rows, now: datetime, stacks: Sequence[str]) -> None:
        """Print the rows of each stack."""
        by_stack: dict[str, list[Cluster]] = {stack: [] for stack in stacks}
        for stack, cluster in rows:
            by_stack[stack].append(cluster)
        for stack, clusters in by_stack.items():
            self.event({
                "event": "looked", "at": stamp(now), "stack": stack, "clusters": [document_of(one) for one in clusters],
            })  # fmt: skip

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class LogLines:
    """Plain lines on standard output: each event, and the table after the first look or where it is the last."""

    names_stacks = False
    has_shown: bool = False

    def event(self, document: dict[str, Any]) -> None:
        """Print it."""
        self._print([line_of(document)])

    def looked(self, rows: Rows, now: datetime, stacks: Sequence[str]) -> None:
        """Print the table, the first time."""
        if stacks and not self.has_shown:
            self.has_shown = True
            self._print(lines(rows, now) if rows else [_EMPTY])

    def close(self) -> None:
        """Nothing is open."""

    def _print(self, lines: Iterable[str]) -> None:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()


class LiveTable:
    """A table that stays at the bottom of a terminal, with the events above it."""

    names_stacks = False

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._live = Live(_LOOKING, console=self._console, auto_refresh=False, vertical_overflow="visible")
        self._live.start(refresh=True)

    def event(self, document: dict[str, Any]) -> None:
        """Print it above the table."""
        self._console.print(Text(line_of(document)))
        self._live.refresh()

    def looked(self, rows: Rows, now: datetime, stacks: Sequence[str]) -> None:
        """Draw the table anew."""
        nothing = _EMPTY if stacks else _LOOKING
        self._live.update(table(rows, now, self._console.width) if rows else nothing, refresh=True)

    def close(self) -> None:
        """Leave the table where it is."""
        self._live.stop()


def stamp(moment: datetime) -> str:
    """Return a time as events tell it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
