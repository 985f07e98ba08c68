"""How an input is declared and checked: once, in one table a resource.

A `Field` says what a value must be, what a change of it does and whether its values are quiet; check, diff, the digest
in the name and the documentation matrix all read the same table. All failures are collected, each with its path,
the value, the rule and the remedy. A value that is not known yet (a volume that the same preview will create) is
`UNKNOWN` and passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final


class Unknown:
    """A value that only the coming `up` will know."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()
_NOTHING: Final = object()  # no value to show; None is one, where it stands in a list


class Change(Enum):
    """What a change of an input does."""

    REPLACE = "replace"
    UPDATE = "in place"
    STATE = "state only, no request"
    CREATE_ONLY = "used by the first create alone"
    GUARDED = "replace, which loses data: refused unless allow_replace=True"


class Invalid(ValueError):  # noqa: N818 - it is one verdict among many, not an error that travels
    """A value breaks a rule: the rule, what to do, and where inside the value."""

    def __init__(self, rule: str, remedy: str = "", at: str = "") -> None:
        super().__init__(rule)
        self.rule, self.remedy, self.at = rule, remedy, at


class Several(ValueError):  # noqa: N818
    """Several places inside one value break rules."""

    def __init__(self, parts: Sequence[Invalid]) -> None:
        super().__init__("; ".join(part.rule for part in parts))
        self.parts = parts


@dataclass(frozen=True)
class Field:
    """One input: its rule, what its change does, its default."""

    name: str
    rule: Callable[[Any], Any]
    """Returns the value in its normal form; raises Invalid or Several."""
    change: Change
    default: Any = None
    required: bool = False
    sensitive: bool = False
    """Its values can be secret: they enter no message, and a name only as a keyed hash."""
    unordered: bool = False
    """A list whose order means nothing."""


@dataclass(frozen=True)
class Failure:
    """One check failure, ready to print."""

    path: str
    text: str


@dataclass
class Checked:
    """What check found: normal forms and all failures."""

    inputs: dict[str, Any] = field(default_factory=dict, repr=False)
    failures: list[Failure] = field(default_factory=list)

    def fail(self, path: str, rule: str, value: object = _NOTHING, remedy: str = "") -> None:
        """Collect a failure: what was asked, what is wrong with the value shown, what to do."""
        shown = "" if value is _NOTHING else f", got {show(value)}"
        self.failures.append(Failure(path, f"{path} {rule}{shown}" + (f": {remedy}" if remedy else "")))

    def known(self, name: str) -> Any:
        """Return an input that passed its own rule and is known whole, else None."""
        value = self.inputs.get(name)
        return None if has_unknown(value) or self._failed(name) else value

    def _failed(self, name: str) -> bool:
        return any(failure.path.partition("[")[0].partition(".")[0] == name for failure in self.failures)


def check(fields: Sequence[Field], news: Mapping[str, Any]) -> Checked:
    """Check every input by its own rule, in the table's order."""
    result = Checked()
    known = {one.name for one in fields}
    for name in news:
        if name not in known and not name.startswith("__"):
            result.fail(name, "is no input of this resource", remedy=f"it has {', '.join(sorted(known))}")
    for one in fields:
        value = news.get(one.name)
        if value is None:
            if one.required:
                result.fail(one.name, "is required")
            elif one.default is not None:
                result.inputs[one.name] = one.default
            continue
        if isinstance(value, Unknown):
            result.inputs[one.name] = UNKNOWN
            continue
        checked = _apply(one, value, result)
        if checked not in ([], {}):  # an empty list says what leaving it out says, and must not differ from it
            result.inputs[one.name] = checked
    return result


def _apply(one: Field, value: Any, result: Checked) -> Any:
    try:
        return one.rule(value)
    except Several as several:
        parts: Sequence[Invalid] = several.parts
    except Invalid as invalid:
        parts = [invalid]
    for part in parts:
        shown = _NOTHING if one.sensitive else _inside(value, part.at)
        result.fail(one.name + part.at, part.rule, shown, part.remedy)
    return value


def each(values: Any, rule: Callable[[Any], Any], what: str) -> list[Any]:
    """Apply a rule to every item of a list, collecting what breaks it with its index."""
    if not isinstance(values, list):
        raise Invalid(f"must be a list of {what}")
    good, bad = [], []
    for place, value in enumerate(values):
        if isinstance(value, Unknown):
            good.append(UNKNOWN)
            continue
        try:
            good.append(rule(value))
        except Several as several:
            bad += [Invalid(part.rule, part.remedy, f"[{place}]{part.at}") for part in several.parts]
        except Invalid as invalid:
            bad.append(Invalid(invalid.rule, invalid.remedy, f"[{place}]{invalid.at}"))
    if bad:
        raise Several(bad)
    return good


def text(value: Any) -> str:
    """A string with something in it."""
    if not isinstance(value, str):
        raise Invalid("must be a string")
    if not value.strip():
        raise Invalid("must not be empty", "leave it out for the default")
    return value


def whole(low: int, high: int) -> Callable[[Any], int]:
    """A whole number between two bounds. Pulumi carries every number as a float: 4.0 is 4, 2.5 is refused."""

    def rule(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
            raise Invalid(f"must be a whole number from {low} to {high}")
        if not low <= value <= high:
            raise Invalid(f"must be from {low} to {high}")
        return int(value)

    return rule


def flag(value: Any) -> bool:
    """True or False, and nothing that merely looks like it."""
    if not isinstance(value, bool):
        raise Invalid("must be True or False")
    return value


def word(*allowed: str) -> Callable[[Any], str]:
    """One of a few words."""

    def rule(value: Any) -> str:
        if value not in allowed:
            raise Invalid(f"must be {' or '.join(repr(one) for one in allowed)}")
        return str(value)

    return rule


def has_unknown(value: Any) -> bool:
    """Whether anything inside is not known yet."""
    if isinstance(value, Unknown):
        return True
    if isinstance(value, Mapping):
        return any(has_unknown(one) for one in value.values())
    return isinstance(value, list) and any(has_unknown(one) for one in value)


def changed(fields: Sequence[Field], olds: Mapping[str, Any], news: Mapping[str, Any]) -> Iterator[Field]:
    """Yield the fields whose value changes; one that is not known yet counts as changing."""
    for one in fields:
        before, after = olds.get(one.name, one.default), news.get(one.name, one.default)
        if has_unknown(after) or normalised(one, before) != normalised(one, after):
            yield one


def normalised(one: Field, value: Any) -> Any:
    """Return a value as it is compared: without the order of a list whose order means nothing, and without hints."""
    return sorted(map(_plain, value), key=_rank) if one.unordered and isinstance(value, list) else value


def _rank(value: Any) -> str:
    return repr(sorted(value.items(), key=repr) if isinstance(value, Mapping) else value)


def _plain(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: one for key, one in value.items() if not str(key).startswith("__")}


def show(value: object) -> str:
    """Show a value in a message, cut to a size that a line bears."""
    shown = repr(int(value) if isinstance(value, float) and value.is_integer() else value)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"  # noqa: PLR2004


def _inside(value: Any, at: str) -> Any:
    """Follow a path such as `[1].mount_path` into a value; _NOTHING where it leads nowhere."""
    index, _, key = at.removeprefix("[").partition("]") if at.startswith("[") else ("", "", at)
    if index:
        value = value[int(index)]
    if key:
        value = value.get(key.removeprefix("."), _NOTHING) if isinstance(value, Mapping) else _NOTHING
    return value
