"""What a change does: the replace matrix, read from the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flow_resources.core.inputs import Change, Field, changed

_REPLACING = (Change.REPLACE, Change.GUARDED)


@dataclass(frozen=True)
class Decision:
    """Whether anything changes, and which inputs force a replacement."""

    changes: bool
    replaces: tuple[str, ...] = ()


def decide(fields: Sequence[Field], olds: Mapping[str, Any], news: Mapping[str, Any]) -> Decision:
    """Compare what is recorded with what the program says now."""
    moved = [one for one in changed(fields, olds, news) if _counts(one, news)]
    return Decision(bool(moved), tuple(one.name for one in moved if one.change in _REPLACING))


def fields_to_update(fields: Sequence[Field], olds: Mapping[str, Any], news: Mapping[str, Any]) -> set[str]:
    """Return the names of the inputs that an update carries out."""
    return {one.name for one in changed(fields, olds, news) if one.change is Change.UPDATE and _said(one, news)}


def _counts(one: Field, news: Mapping[str, Any]) -> bool:
    # What would lose data needs the program's word even where the service, not the program, has moved: check refuses a
    # change of the program, and a size that the service rounds is none.
    allowed = one.change is not Change.GUARDED or news.get("allow_replace") is True
    return one.change is not Change.CREATE_ONLY and allowed and _said(one, news)


def _said(one: Field, news: Mapping[str, Any]) -> bool:
    # What the program leaves to the service (a volume's name) is no change, whatever the service made of it; what it
    # leaves to a default is one, and so is taking away what only a replacement can take away.
    return one.name in news or one.default is not None or one.change in _REPLACING
