"""What `sweep` prints: tables for a person, one JSON document for a script."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flow_resources.cli.kind import SweptKind
from flow_resources.cli.kinds import SWEPT
from flow_resources.core import money
from flow_resources.core.models import Named
from flow_resources.core.orphans import AGE_NOT_KNOWN, OTHER_OWNER, TOO_YOUNG, Orphan
from flow_resources.errors import FlowResourcesError

_RIGHT_ALIGNED = {"AGE", *(title for kind in SWEPT for title in kind.number_titles)}


@dataclass(frozen=True)
class Found:
    """What was found, by kind, each oldest first."""

    by_kind: Mapping[SweptKind[Any], Sequence[Orphan[Any]]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(self.by_kind.values())

    def of(self, kind: SweptKind[Any]) -> Sequence[Orphan[Any]]:
        """Return what is of a kind."""
        return self.by_kind.get(kind, ())

    def notes(self, kind: SweptKind[Any]) -> set[str]:
        """Return the notes on what is of a kind; an empty one stands for what may be deleted."""
        return {orphan.note for orphan in self.of(kind)}

    @property
    def cost(self) -> Decimal:
        """The most that all of it can cost, in USD per hour."""
        costs = (kind.max_cost(orphan.thing) for kind in SWEPT for orphan in self.of(kind))
        return sum(filter(None, costs), Decimal(0))


@dataclass(frozen=True)
class Report:
    """What was found, where, and what was done about it."""

    found: Found
    statuses: Mapping[str, str]
    """By id, of what has a status that a listing does not tell."""
    stack: str
    project: str
    owner: str
    owner_is_shared: bool
    """Whether other people's stacks can have the same owner."""
    is_unfinished: bool = False
    """Whether the state says that something is being made, or was when the `up` died."""
    everyone: bool = False
    """Whether everybody's were searched for (`--all`)."""
    not_listed: Mapping[SweptKind[Any], FlowResourcesError] = field(default_factory=dict)
    """Why a kind could not be listed."""
    service: str = ""
    """The API URL: good news from another service than the intended one is worth nothing."""
    command: str = "flow-resources sweep --yes"
    """The command that deletes what was found, with the options that found it."""
    yes: bool = False
    """Whether that is this command: then what it does, and why not, follows by itself."""
    outcomes: dict[str, str] = field(default_factory=dict)
    """By id: ended, deleted, kept, or unknown where the end was requested and not seen."""

    def lines(self) -> Iterator[str]:
        """Yield the tables and a summary."""
        if not self.found:
            yield self._nothing()
            return
        for kind in SWEPT:
            if lines := self._table(kind):
                yield from [*lines, ""]
        has_cost = any(kind.has_cost and self.found.of(kind) for kind in SWEPT)
        cost = f", at most {money.usd(self.found.cost)}/h" if has_cost else ""
        whose = "a mark" if self.everyone else f"the mark of {self.stack} and in no state"
        yield f"In project {self.project} with {whose}: {self._count()}{cost}."
        if not self.everyone:
            yield from self._advice()

    def document(self) -> str:
        """Return all of it as JSON. The shape is a promise (docs/sweep.md): keys may come, none changes its meaning."""
        content = {
            "version": 1,
            "stack": self.stack,
            "owner": self.owner,
            "owner_is_shared": self.owner_is_shared,
            "service": self.service,
            "project": self.project,
            "max_usd_per_hour": float(self.found.cost),
            **{kind.document_key: self._list(kind) for kind in SWEPT},
        }
        return json.dumps(content, indent=2)

    def _nothing(self) -> str:
        if self.everyone:
            return f"Nothing that carries a mark is live in project {self.project} at {self.service}."
        nouns = _join([kind.noun for kind in SWEPT if kind.is_essential])
        nothing = "Nothing that could be listed is left over" if self.not_listed else "Nothing is left over"
        return (
            f"{nothing}: every live {nouns} of {self.stack} in project {self.project} at {self.service} is in a state."
        )

    def _table(self, kind: SweptKind[Any]) -> list[str]:
        return table(
            [kind.noun.upper(), "NAME", *kind.number_titles, "AGE", kind.state_title, "NOTE"],
            [self._row(kind, orphan) for orphan in self.found.of(kind)],
        )

    def _row(self, kind: SweptKind[Any], orphan: Orphan[Named]) -> list[str]:
        thing = orphan.thing
        state = kind.state(thing, self._status(thing))
        return [thing.id, thing.name, *kind.numbers(thing), format_age(orphan.age), state, orphan.note]

    def _list(self, kind: SweptKind[Any]) -> list[dict[str, Any]] | None:
        return None if kind in self.not_listed else [self._document(kind, orphan) for orphan in self.found.of(kind)]

    def _document(self, kind: SweptKind[Any], orphan: Orphan[Named]) -> dict[str, Any]:
        thing = orphan.thing
        return {
            "id": thing.id,
            "name": thing.name,
            **kind.document(thing, self._status(thing)),
            "created_at": thing.created_at,
            "age_seconds": None if orphan.age is None else int(orphan.age.total_seconds()),
            "note": orphan.note or None,
            "outcome": self.outcomes.get(thing.id),
        }

    def _status(self, thing: Named) -> str:
        return self.statuses.get(thing.id, "")

    def _count(self) -> str:
        counts = [(len(self.found.of(kind)), kind) for kind in SWEPT]
        return _join([f"{count} {kind.noun if count == 1 else kind.plural}" for count, kind in counts if count])

    def _advice(self) -> Iterator[str]:
        if self.is_unfinished:
            yield "An `up` of the stack is under way, or died: what it makes is listed until it has recorded it."
            yield "Where it died, `pulumi cancel` and `pulumi up` take it over."
        if self.owner_is_shared:
            if not self.yes:  # else the refusal says the same
                yield (
                    f"Their owner, {self.owner!r}, can be another person's too: --yes ends nothing, `flow cancel ID` "
                    "ends one that is yours."
                )
            return
        notes = {note for kind in SWEPT for note in self.found.notes(kind)}
        if OTHER_OWNER in notes:
            yield "What was made under another owner --yes leaves alone: `flow cancel ID` ends a bid that is yours."
        if TOO_YOUNG in notes:
            yield "What is too young --yes leaves alone, since an `up` may be making it: wait, or add `--min-age 0`."
        if AGE_NOT_KNOWN in notes:
            yield "What has no known age --yes leaves alone: `flow cancel ID` ends a bid that is yours."
        if self.yes:
            return
        for kind in SWEPT:
            if "" in self.found.notes(kind):
                option = f" --{kind.option}" if kind.option else ""
                yield f"`{self.command}{option}` {kind.end_advice}."


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Align columns; no rows are no table, and an empty last column is left out."""
    if not rows:
        return []
    kept = len(head) if any(row[-1] for row in rows) else len(head) - 1
    lines = [row[:kept] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(_align, head, line, widths)).rstrip() for line in lines]


def format_age(age: timedelta | None) -> str:
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


def _align(title: str, cell: str, width: int) -> str:
    return cell.rjust(width) if title in _RIGHT_ALIGNED else cell.ljust(width)


def _join(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
