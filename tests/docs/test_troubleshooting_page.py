"""docs/troubleshooting.md and the source have the same messages: none is made up, and none is missing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs.pages import CUT, ROOT, tables

from flow_resources import errors

PAGE = ROOT / "docs" / "troubleshooting.md"
ROOMS = ("core", "lifecycle", "providers", "cloud")
OURS = {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, Exception)}


def page_messages() -> list[str]:
    """Return the messages of the page: what its tables have in the first column, without Pulumi's own."""
    rows = [row for table in tables(PAGE.read_text().partition("\n## Messages of Pulumi itself")[0]) for row in table]
    messages = [row[0].strip().removeprefix("`").removesuffix("`") for row in rows if row[0].startswith("`")]
    return [*messages, "internal error of flow_resources, please report it"]


def pieces(message: str) -> list[str]:
    """Return what stands between the cuts."""
    return [piece.strip(" :,") for piece in message.split(CUT) if piece.strip(" :,")]


def files(*rooms: str) -> Iterator[Path]:
    package = ROOT / "flow_resources"
    for path in sorted(package.rglob("*.py")):
        if "testing" not in path.parts and (not rooms or path.relative_to(package).parts[0] in rooms):
            yield path


def text_of(node: ast.AST) -> str:
    """Return a string of the source; where a value goes in stands the sign of a cut."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(one) for one in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else CUT


def raised() -> dict[str, str]:
    """Return the messages of the source: of its errors, of rules and of check failures, and where each stands."""
    found = {}
    for path in files(*ROOMS):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            place = 1 if name == "fail" else 0
            if name in OURS | {"Invalid", "fail", "warn_once"} and len(node.args) > place:
                for one in branches(node.args[place]):
                    found[text_of(one)] = f"{path.relative_to(ROOT)}:{node.lineno}"
    return {
        message: place for message, place in found.items() if any(len(one) > len("must be") for one in pieces(message))
    }


def branches(node: ast.AST) -> list[ast.AST]:
    """Return the strings that an argument can be: either side of a condition."""
    return [*branches(node.body), *branches(node.orelse)] if isinstance(node, ast.IfExp) else [node]


def test_every_message_of_the_page_is_one_of_the_source() -> None:
    """Piece by piece: what stands between two cuts stands so in the source."""
    strings = [text_of(node) for path in files() for node in ast.walk(ast.parse(path.read_text()))]
    messages = page_messages()
    assert len(messages) > 80
    for message in messages:
        unsaid = [one for one in pieces(message) if not any(one in string for string in strings)]
        assert not unsaid, f"{message!r}: nothing in the source says {unsaid}"


MESSAGES = raised()


@pytest.mark.parametrize("message", MESSAGES, ids=lambda text: text[:40])
def test_every_message_of_the_source_is_on_the_page(message: str) -> None:
    """Some message of the page matches it, or is matched by it, cuts being anything."""
    source = re.compile(".+".join(re.escape(part) for part in message.split(CUT)))
    for listed in page_messages():
        if source.fullmatch(listed) or re.search(".*".join(map(re.escape, pieces(listed))), message):
            return
    pytest.fail(f"{MESSAGES[message]} says {message!r}")


def test_the_source_was_read() -> None:
    """There are many of them, of every kind."""
    assert len(MESSAGES) > 60
    for one in ("there is no API key", "is mounted twice", "is not a region of the service", "is required"):
        assert any(one in message for message in MESSAGES), one
