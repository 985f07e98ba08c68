"""What a change of the inputs does, by the tables of fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flow_resources.core.hidden import recorded_inputs
from flow_resources.core.inputs import Change, Field, changed, is_recorded

_REPLACING = (Change.REPLACE, Change.GUARDED)


@dataclass(frozen=True)
class Diff:
    """Whether anything changes, and which inputs force a replacement."""

    changes: bool
    replaces: tuple[str, ...] = ()
    not_recorded: tuple[str, ...] = ()
    """The inputs that would force one, but are missing in the state, which learns them from the program."""
    changed: tuple[str, ...] = field(default=(), compare=False)
    """The inputs that change, for a host that shows them; nothing is decided by it."""


def diff_inputs(fields: Sequence[Field], olds: Mapping[str, Any], news: Mapping[str, Any]) -> Diff:
    """Compare the recorded inputs, which are read from the recorded outputs, with the program's.

    What the service has already, such as a size that it rounded, replaces nothing: the state alone learns it.
    """
    effective = [field for field in changed(fields, recorded_inputs(olds), news) if _has_effect(field, news)]
    replacing = [field for field in changed(effective, olds, news) if field.change in _REPLACING]
    missing = tuple(field.name for field in replacing if not is_recorded(field, olds))
    replaces = tuple(field.name for field in replacing if field.name not in missing)
    return Diff(bool(effective), replaces, missing, tuple(field.name for field in effective))


def fields_to_update(fields: Sequence[Field], olds: Mapping[str, Any], news: Mapping[str, Any]) -> set[str]:
    """Return the names of the inputs that an update carries out."""
    return {
        field.name
        for field in changed(fields, recorded_inputs(olds), news)
        if field.change is Change.UPDATE and _is_the_programs(field, news)
    }


def _has_effect(field: Field, news: Mapping[str, Any]) -> bool:
    # A replacement that loses data needs the program's word; without it, check refuses the change.
    allowed = field.change is not Change.GUARDED or news.get("allow_replace") is True
    return field.change is not Change.CREATE_ONLY and allowed and _is_the_programs(field, news)


def _is_the_programs(field: Field, news: Mapping[str, Any]) -> bool:
    # Where the program leaves a value to the service (a volume's name), no value of the service is a change. Where it
    # leaves it to a default, one can be; and so is the removal of an input that only a replacement can remove.
    return field.name in news or field.default is not None or field.change in _REPLACING
