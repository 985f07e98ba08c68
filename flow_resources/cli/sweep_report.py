"""What `sweep` says of what it found: tables for a person, one JSON document for a script."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from flow_resources.core import money
from flow_resources.core.models import Bid
from flow_resources.core.orphans import OTHER_OWNER, TOO_YOUNG, Found, Orphan, cost_of

_RIGHT = {"MACHINES", "MAX USD/H", "GB", "AGE"}


@dataclass(frozen=True)
class Report:
    """What was found, where, and what was done about it."""

    found: Found
    status: Mapping[str, str]
    """Of each bid, by id, in the words of `GpuCluster.status`."""
    stack: str
    project: str
    owner: str
    shared: bool
    """Whether other people's stacks can have the same owner."""
    unfinished: bool = False
    """Whether the state says that something is being made, or was when the `up` died."""
    everyone: bool = False
    """Whether everybody's were looked for (`--all`)."""
    service: str = ""
    """The API URL: good news is worth nothing where it comes from another one than was meant."""
    command: str = "flow-resources sweep --yes"
    """What to type to end what was found, with the options that found it."""
    ending: bool = False
    """Whether just that was typed: what it does, and why not, follows by itself."""
    outcomes: dict[str, str] = field(default_factory=dict)
    """By id: ended, deleted, kept, or unknown where the end was asked for and not seen."""

    def lines(self) -> Iterator[str]:
        """Yield the tables and what they come to."""
        if not self.found:
            yield (
                f"Nothing that carries a mark is live in project {self.project} at {self.service}."
                if self.everyone
                else f"Nothing is left over: every live bid and volume of {self.stack} in project {self.project} at "
                f"{self.service} is in a state."
            )
            return
        for table in (self._bids(), self._volumes()):
            yield from [*table, ""] if table else ()
        cost = f", at most {money.usd(self.found.cost)}/h" if self.found.bids else ""
        whose = "a mark" if self.everyone else f"the mark of {self.stack} and in no state"
        yield f"In project {self.project} with {whose}: {self._counted()}{cost}."
        if not self.everyone:
            yield from self._advice()

    def document(self) -> str:
        """Return all of it as JSON. The shape is a promise (docs/sweep.md): keys may come, none changes its meaning."""
        content = {
            "version": 1,
            "stack": self.stack,
            "owner": self.owner,
            "owner_is_shared": self.shared,
            "service": self.service,
            "project": self.project,
            "max_usd_per_hour": float(self.found.cost),
            "bids": [
                {
                    "id": one.thing.id,
                    "name": one.thing.name,
                    "machines": one.thing.quantity,
                    "max_usd_per_hour": None if (cost := cost_of(one.thing)) is None else float(cost),
                    "status": self._status(one.thing),
                    **self._common(one),
                }
                for one in self.found.bids
            ],
            "volumes": [
                {
                    "id": one.thing.id,
                    "name": one.thing.name,
                    "size_gb": one.thing.size_gb,
                    "attached_to": list(one.thing.bids),
                    **self._common(one),
                }
                for one in self.found.volumes
            ],
        }
        return json.dumps(content, indent=2)

    def _bids(self) -> list[str]:
        return table(
            ["BID", "NAME", "MACHINES", "MAX USD/H", "AGE", "STATUS", "NOTE"],
            [
                [one.thing.id, one.thing.name, str(one.thing.quantity), _dollars(one.thing), span(one.age),
                 self._status(one.thing), one.note]
                for one in self.found.bids
            ],
        )  # fmt: skip

    def _volumes(self) -> list[str]:
        return table(
            ["VOLUME", "NAME", "GB", "AGE", "ATTACHED TO", "NOTE"],
            [
                [one.thing.id, one.thing.name, str(one.thing.size_gb), span(one.age),
                 ", ".join(one.thing.bids) or "-", one.note]
                for one in self.found.volumes
            ],
        )  # fmt: skip

    def _status(self, bid: Bid) -> str:
        return self.status.get(bid.id, "terminated")  # it ended between two looks

    def _counted(self) -> str:
        many = [(len(self.found.bids), "bid"), (len(self.found.volumes), "volume")]
        return " and ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in many if count)

    def _advice(self) -> Iterator[str]:
        bids, volumes = ({one.note for one in many} for many in (self.found.bids, self.found.volumes))
        if self.unfinished:
            yield "An `up` of the stack is under way, or died: what it makes is listed until it has recorded it."
            yield "Where it died, `pulumi cancel` and `pulumi up` take it over."
        if self.shared:
            if not self.ending:  # else the refusal says the same
                yield (
                    f"Their owner, {self.owner!r}, can be another person's too: --yes ends nothing, `flow cancel ID` "
                    "ends one that is yours."
                )
            return
        if OTHER_OWNER in bids | volumes:
            yield "What was made under another owner --yes leaves alone: `flow cancel ID` ends a bid that is yours."
        if TOO_YOUNG in bids | volumes:
            yield "What is too young --yes leaves alone, since an `up` may be making it: wait, or add `--min-age 0`."
        if self.ending:
            return
        if "" in bids:
            yield f"`{self.command}` ends the bids."
        if "" in volumes:
            yield f"`{self.command} --volumes` also deletes the volumes, with the data on them."

    def _common(self, one: Orphan[Any]) -> dict[str, Any]:
        return {
            "created_at": one.thing.created_at,
            "age_seconds": None if one.age is None else int(one.age.total_seconds()),
            "note": one.note or None,
            "outcome": self.outcomes.get(one.thing.id),
        }


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Align columns; no rows are no table, and the last column is left out where nothing stands in it."""
    if not rows:
        return []
    kept = len(head) if any(row[-1] for row in rows) else len(head) - 1
    lines = [row[:kept] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(_aligned, head, line, widths)).rstrip() for line in lines]


def span(age: timedelta | None) -> str:
    """Write an age in its greatest units: "2d 3h", "3h 5m", "12m", "40s"; "?" where it is not known."""
    if age is None:
        return "?"
    seconds = max(int(age.total_seconds()), 0)
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m" if minutes else f"{seconds}s"


def _aligned(title: str, cell: str, width: int) -> str:
    return cell.rjust(width) if title in _RIGHT else cell.ljust(width)


def _dollars(bid: Bid) -> str:
    cost = cost_of(bid)
    return "?" if cost is None else f"{cost:,}"
