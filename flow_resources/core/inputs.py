"""How the inputs of a resource are declared, checked and compared.

Each resource declares its inputs once, in a table of `Field`s; the check, the diff, the digest in its name and the
reference page are made from that table. A check collects all failures, each with the path of the input, the value, the
rule and a remedy. A value that only the coming `up` will know (the id of a volume that does not exist yet) is
`UNKNOWN`: it passes every rule.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final


class Unknown:
    """A value that only the coming `up` will know."""

    def __repr__(self) -> str:
        return "UNKNOWN"


class AsDefault:
    """The default of an input."""


UNKNOWN: Final = Unknown()
AS_DEFAULT: Final = AsDefault()
PROBLEM, FILE, REMEDY = "__problem", "__file", "__remedy"
"""The keys of what travels in place of a value that the program could not read: what is wrong, with which file, and
what to do."""
_MOST_PARTS = 100
"""How many parts of one input are reported: a range of ports that begins too low has thousands."""
_FEW = 4
"""Up to how many strings a message quotes and joins by "or"; more are listed."""
_NO_VALUE: Final = object()  # there is no value to show; None is a value inside a list


class Change(Enum):
    """What a change of an input does."""

    REPLACE = "replace"
    UPDATE = "in place"
    STATE = "state only, no request"
    CREATE_ONLY = "used by the first create alone"
    GUARDED = "replace, which loses data: refused unless `allow_replace=True`"


class Invalid(ValueError):  # noqa: N818 - a verdict about a value, which `check` collects
    """A value breaks a rule: the rule, the remedy, the path inside the value, and whether to show what is there."""

    def __init__(self, rule: str, remedy: str = "", at: str = "", *, is_shown: bool = True) -> None:
        super().__init__(rule)
        self.rule, self.remedy, self.at, self.is_shown = rule, remedy, at, is_shown

    def inside(self, at: str) -> Invalid:
        """Return it as a part of the value at a path."""
        return Invalid(self.rule, self.remedy, f"{at}{self.at}", is_shown=self.is_shown)


class InvalidParts(ValueError):  # noqa: N818 - as above
    """Several parts of one value break rules."""

    def __init__(self, parts: Sequence[Invalid]) -> None:
        super().__init__("; ".join(part.rule for part in parts))
        self.parts = parts


@dataclasses.dataclass(frozen=True)
class Field:
    """One input of a resource."""

    name: str
    type: str
    """The type of its values, for the reference page and for schemas."""
    rule: Callable[[Any], Any]
    """Returns the value in its normal form; raises Invalid or InvalidParts."""
    change: Change
    doc: str
    """What it means, with unit and limits; and its default, where that is not a value."""
    default: Any = None
    absent: Any = AS_DEFAULT
    """What it is where a state does not have it. Set for an input that came after states were written: this value is
    what such a state stands for, and does not enter the digest, which that state's name has already."""
    required: bool = False
    unless: tuple[str, ...] = ()
    """Of a required one: the inputs that stand in for it."""
    either: str = ""
    """Another input: each state has one of the two."""
    sensitive: bool = False
    """Its values can be secret: no message shows them, and a name contains only a keyed hash of them."""
    secret: bool = False
    """Its value is secret in the state always, whichever way it came into the resource."""
    public: bool = False
    """It holds no secret: messages, names and other properties of the state are made from it, in clear."""
    unordered: bool = False
    """Its value is a list whose order has no meaning."""
    resolved: bool = False
    """Where the program leaves it out, check finds a value for it."""

    @property
    def choices(self) -> tuple[str, ...]:
        """The strings that it can be, where only these are allowed; else none."""
        return self.rule.allowed if isinstance(self.rule, OneOf) else ()

    @property
    def unset(self) -> Any:
        """What it is where it is not recorded."""
        return self.default if isinstance(self.absent, AsDefault) else self.absent

    def enters_digest(self, value: Any) -> bool:
        """Whether a value enters the digest in the name."""
        return isinstance(self.absent, AsDefault) or value not in (None, self.absent)


@dataclasses.dataclass(frozen=True)
class Failure:
    """One check failure, ready to print."""

    path: str
    text: str


@dataclasses.dataclass
class Checked:
    """The result of a check: the inputs in their normal forms, and all failures."""

    inputs: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    failures: list[Failure] = dataclasses.field(default_factory=list)
    hidden: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The hidden inputs that the kind of resource writes into the state."""
    row: str = ""
    """What stays on the resource's row while nothing else happens: what it costs."""

    def fail(self, path: str, rule: str, value: object = _NO_VALUE, remedy: str = "") -> None:
        """Add a failure: the path, the rule, the value that breaks it, and the remedy."""
        shown = "" if value is _NO_VALUE else f", got {show(value)}"
        self.failures.append(Failure(path, f"{path} {rule}{shown}" + (f": {remedy}" if remedy else "")))

    def known(self, name: str) -> Any:
        """Return an input that has no failure and no unknown part, else None."""
        value = self.inputs.get(name)
        return None if has_unknown(value) or self.has_failed(name) else value

    def has_failed(self, name: str) -> bool:
        """Whether an input has a failure."""
        return any(failure.path.partition("[")[0].partition(".")[0] == name for failure in self.failures)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a question that ends with a space, where one of the names is like a misspelt one; else nothing."""
    import difflib  # for a misspelt name alone: a program that declares resources needs none of it

    close = difflib.get_close_matches(name, sorted(names), 1)
    return f"did you mean {close[0]}? " if close else ""


def check(fields: Sequence[Field], news: Mapping[str, Any]) -> Checked:
    """Check every input by its own rule, in the order of the table."""
    result = Checked()
    names = {field.name for field in fields}
    for name in news:
        if name not in names and not name.startswith("__"):
            remedy = f"{did_you_mean(name, names)}it has {', '.join(sorted(names))}"
            result.fail(name, "is not an input of this resource", remedy=remedy)
    for field in fields:
        value = news.get(field.name)
        if value is None:
            if field.required and all(news.get(name) is None for name in field.unless):
                result.fail(field.name, " or ".join(["is required,", *field.unless]) if field.unless else "is required")
            elif field.default is not None:
                result.inputs[field.name] = field.default
            continue
        if isinstance(value, Unknown):
            result.inputs[field.name] = UNKNOWN
            continue
        normal = _apply_rule(field, value, result)
        if normal not in ([], {}):  # an empty list means the same as no list, so they must not differ
            result.inputs[field.name] = normal
    return result


def _apply_rule(field: Field, value: Any, result: Checked) -> Any:
    parts = list(_withheld(value)) if field.public else []
    if parts:
        value = _without_withheld(value)
    try:
        normal = UNKNOWN if isinstance(value, Unknown) else field.rule(value)
        if not parts:
            return normal
    except InvalidParts as invalid_parts:
        parts += invalid_parts.parts
    except Invalid as invalid:
        parts.append(invalid)
    for part in parts[:_MOST_PARTS]:
        shown = _value_at(value, part.at) if part.is_shown and not field.sensitive else _NO_VALUE
        result.fail(field.name + part.at, part.rule, shown, part.remedy)
    if (more := len(parts) - _MOST_PARTS) > 0:
        result.fail(field.name, f"has {more:,} more items that break a rule", remedy="correct the first ones")
    return value


def leaves(value: Any, at: str = "", *, is_leaf: Callable[[Any], bool] = lambda _: False) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a value that have no parts, or count as such, each with its path."""
    if isinstance(value, Mapping) and not is_leaf(value):
        for key, part in value.items():
            yield from leaves(part, f"{at}.{key}", is_leaf=is_leaf)
    elif isinstance(value, list) and not is_leaf(value):
        for index, part in enumerate(value):
            yield from leaves(part, f"{at}[{index}]", is_leaf=is_leaf)
    else:
        yield at, value


def _is_withheld(value: Any) -> bool:
    return isinstance(value, Mapping) and PROBLEM in value


def _withheld(value: Any) -> Iterator[Invalid]:
    """Yield why the program has withheld parts of a value."""
    for at, part in leaves(value, is_leaf=_is_withheld):
        if _is_withheld(part):
            yield Invalid(str(part[PROBLEM]), str(part.get(REMEDY) or ""), at, is_shown=False)


def _without_withheld(value: Any) -> Any:
    """Return a value with UNKNOWN, which passes every rule, in the place of what the program has withheld."""
    if isinstance(value, Mapping):
        return UNKNOWN if _is_withheld(value) else {key: _without_withheld(part) for key, part in value.items()}
    return list(map(_without_withheld, value)) if isinstance(value, list) else value


# -- rules -------------------------------------------------------------------------------------------------------------


def each(values: Any, rule: Callable[[Any], Any], what: str) -> list[Any]:
    """Apply a rule to every item of a list; raise InvalidParts with the index of each item that breaks it."""
    if not isinstance(values, list):
        raise Invalid(f"must be a list of {what}")
    good, bad = [], []
    for index, value in enumerate(values):
        if isinstance(value, Unknown):
            good.append(UNKNOWN)
            continue
        try:
            good.append(rule(value))
        except InvalidParts as invalid_parts:
            bad += [part.inside(f"[{index}]") for part in invalid_parts.parts]
        except Invalid as invalid:
            bad.append(invalid.inside(f"[{index}]"))
    if bad:
        raise InvalidParts(bad)
    return good


def string(value: Any) -> str:
    """A string that is not blank."""
    if not isinstance(value, str):
        raise Invalid("must be a string")
    if not value.strip():
        raise Invalid("must not be empty", "leave it out for the default")
    return value


def integer(low: int, high: int) -> Callable[[Any], int]:
    """An integer from `low` to `high`. Pulumi carries every number as a float: 4.0 passes as 4, 2.5 does not."""

    def rule(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
            raise Invalid(f"must be a whole number from {low} to {high}")
        if not low <= value <= high:
            raise Invalid(f"must be from {low} to {high}")
        return int(value)

    return rule


def boolean(value: Any) -> bool:
    """True or False; no other value counts as either."""
    if not isinstance(value, bool):
        raise Invalid("must be True or False")
    return value


@dataclasses.dataclass(frozen=True)
class OneOf:
    """The rule of one of several strings, which the schema reads, too."""

    allowed: tuple[str, ...]

    def __call__(self, value: Any) -> str:
        """Return the string; raise Invalid where it is another one."""
        if value not in self.allowed:
            few = len(self.allowed) <= _FEW
            raise Invalid(f"must be {' or '.join(map(repr, self.allowed)) if few else f'one of {self._listed()}'}")
        return str(value)

    def _listed(self) -> str:
        return ", ".join(self.allowed)


def one_of(*allowed: str) -> OneOf:
    """One of several strings."""
    return OneOf(allowed)


# -- comparison --------------------------------------------------------------------------------------------------------


def has_unknown(value: Any) -> bool:
    """Whether a value is unknown, or any part of it."""
    if value is None or isinstance(value, (str, int, float)):  # almost every input
        return False
    if isinstance(value, Unknown):
        return True
    if isinstance(value, Mapping):
        return any(map(has_unknown, value.values()))
    return isinstance(value, list) and any(map(has_unknown, value))


def changed(fields: Sequence[Field], olds: Mapping[str, Any], news: Mapping[str, Any]) -> Iterator[Field]:
    """Yield the fields whose value changes. An unknown value counts as a change."""
    for field in fields:
        before, after = olds.get(field.name, field.unset), news.get(field.name, field.unset)
        if has_unknown(after) or normalised(field, before) != normalised(field, after):
            yield field


def is_recorded(field: Field, olds: Mapping[str, Any]) -> bool:
    """Whether a state has what each state has; where it is missing, whether the program has changed it is not known."""
    has_one = bool(olds.get(field.name) or olds.get(field.either))
    return has_one or not (field.required or field.resolved or field.either)


def normalised(field: Field, value: Any) -> Any:
    """Return a value for comparison: an unordered list sorted, and its items without hints."""
    return sorted(map(_without_hints, value), key=_sort_key) if field.unordered and isinstance(value, list) else value


def _sort_key(item: Any) -> str:
    return repr(sorted(item.items(), key=repr) if isinstance(item, Mapping) else item)


def _without_hints(item: Any) -> Any:
    if not isinstance(item, Mapping):
        return item
    return {key: value for key, value in item.items() if not str(key).startswith("__")}


def show(value: object) -> str:
    """Return a value as a message shows it, cut to 80 characters."""
    shown = repr(int(value) if isinstance(value, float) and value.is_integer() else value)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"  # noqa: PLR2004


def _value_at(value: Any, path: str) -> Any:
    """Return the part of a value at a path such as `[1].bid_policy.cap`; _NO_VALUE where there is none.

    A name can have a dot in it: what follows is a name of a part alone where there is such a part.
    """
    index, _, key = path.removeprefix("[").partition("]") if path.startswith("[") else ("", "", path)
    if index:
        value = value[int(index)]
    key = key.removeprefix(".")
    if not key:
        return value
    if not isinstance(value, Mapping):
        return _NO_VALUE
    name, _, rest = key.partition(".")
    is_nested = bool(rest) and key not in value and name in value
    return _value_at(value[name], f".{rest}") if is_nested else value.get(key, _NO_VALUE)
