"""The text of a program: names, literals and calls, in the form that a formatter leaves alone at 120 columns.

What the service says is data here: it is quoted, escaped and cut, and never becomes code, whatever a bid is called.
"""

from __future__ import annotations

import builtins
import json
import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WIDTH = 120
_NAME_LENGTH = 48
_PLAIN_IN_YAML = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
_WORDS_OF_YAML = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_PIECE = 80  # characters of a literal that needs several lines
_TAKEN = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "pulumi", "flow_resources"}


@dataclass(frozen=True)
class Text:
    """A string, with what stands before it (`region=`)."""

    value: str
    before: str = ""


@dataclass(frozen=True)
class Group:
    """A call or a list: one line where it fits, else a line per item. An item that begins with # is a comment."""

    before: str
    items: Sequence[Item]
    after: str


Item = str | Text | Group


def statement(target: str, call: Group) -> Iterator[str]:
    """Yield the lines of an assignment, a line per argument."""
    yield f"{target} = {call.before}"
    for item in call.items:
        yield from _lines(item, 4)
    yield call.after


def quote(text: str) -> str:
    """Write a string as a literal, in ASCII: nothing in it can end it, or turn the text around on a screen."""
    return '"' + escape(text).replace('"', '\\"') + '"'


def escape(text: str) -> str:
    """Return a text of the service's on one line, with everything escaped that is not plain ASCII."""
    return text.encode("unicode_escape").decode("ascii")


def cut(text: str, limit: int = 80) -> str:
    """Return a text of the service's for a comment or a message."""
    plain = escape(text)
    return plain if len(plain) <= limit else f"{plain[: limit - 3]}..."


def yaml_text(text: str) -> str:
    """Write a string for a program in YAML, whose `${...}` would be a reference; JSON's literals are YAML's too."""
    is_plain = _PLAIN_IN_YAML.fullmatch(text) and text.lower() not in _WORDS_OF_YAML
    return text if is_plain else json.dumps(text.replace("${", "$${"))


def yaml_lines(name: str, value: Any, indent: int) -> Iterator[str]:
    """Yield a property of a program in YAML."""
    margin = " " * indent
    if not isinstance(value, list):
        yield f"{margin}{name}: {_yaml(value)}"
        return
    yield f"{margin}{name}:"
    for item in value:
        yield f"{margin}  - {_yaml(item)}"


def _yaml(value: Any) -> str:
    if isinstance(value, Reference):
        return f'"${{{value.target}}}"'  # quoted: it would begin a mapping
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_yaml(part)}" for name, part in value.items()) + "}"
    return yaml_text(value) if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True)
class Reference:
    """The id of another resource of a program in YAML."""

    target: str


@dataclass
class Names:
    """Names for resources and their variables, made from live names, each used once."""

    _logical: set[str] = field(default_factory=set)
    _variables: set[str] = field(default_factory=set)

    def give(self, live: str, kind: str) -> tuple[str, str]:
        """Return a resource's name and its variable's; `kind` stands in where the live name has nothing to use."""
        wanted = re.sub(r"[^A-Za-z0-9_.-]+", "-", live)[:_NAME_LENGTH].strip("-._") or kind
        logical = _reserve(wanted, "-", self._logical)
        variable = re.sub(r"[^a-z0-9]+", "_", logical.lower()).strip("_")
        if not variable or variable[0].isdigit() or variable in _TAKEN:
            variable = f"{kind}_{variable}".rstrip("_")
        return logical, _reserve(variable, "_", self._variables)


def _reserve(wanted: str, joint: str, used: set[str]) -> str:
    """Return a name that was not used before, with a number where it has to be."""
    name, number = wanted, 1
    while name in used:
        number += 1
        name = f"{wanted}{joint}{number}"
    used.add(name)
    return name


def _lines(item: Item, indent: int) -> Iterator[str]:
    """Yield an item with its comma."""
    margin, flat = " " * indent, _on_one_line(item)
    if flat is not None and (indent + len(flat) < WIDTH or isinstance(item, str)):
        yield f"{margin}{flat}," if not flat.startswith("#") else f"{margin}{flat}"
    elif isinstance(item, Text):
        yield f"{margin}{item.before}("
        yield from (f"{margin}    {quote(piece)}" for piece in _pieces(item.value))
        yield f"{margin}),"
    elif isinstance(item, Group):
        yield f"{margin}{item.before}"
        for inner in item.items:
            yield from _lines(inner, indent + 4)
        yield f"{margin}{item.after},"


def _pieces(text: str) -> Iterator[str]:
    """Yield a long string in pieces, each of which fits a line once it is escaped."""
    piece = ""
    for letter in text:
        if len(quote(piece + letter)) > _PIECE:
            yield piece
            piece = ""
        piece += letter
    yield piece


def _on_one_line(item: Item) -> str | None:
    """Return an item on one line; None where a comment in it forbids that."""
    if isinstance(item, str):
        return item
    if isinstance(item, Text):
        return item.before + quote(item.value)
    inner = [_on_one_line(part) for part in item.items]
    if any(part is None or part.startswith("#") for part in inner):
        return None
    return item.before + ", ".join(filter(None, inner)) + item.after
