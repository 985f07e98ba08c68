"""Reading the pages: their blocks of code, their tables, and what their transcripts show."""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
EXAMPLES = ROOT / "examples"
CUT = "…"


NOT_LOADED = ("cacheprovider", "schemathesis", "hypothesispytest")
PYTEST = (sys.executable, "-m", "pytest", "-q", *(f"-pno:{plugin}" for plugin in NOT_LOADED))
"""Pytest as a user runs it, without the plugins of this environment that take half of its time."""


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of one language that have no title."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def titled(page: Path, title: str) -> str:
    """Return the fenced block with a title."""
    (block,) = re.findall(
        rf'^```\w+ title="{re.escape(title)}"[^\n]*\n(.*?)^```$', page.read_text(), re.MULTILINE | re.DOTALL
    )
    return block


def section(page: Path, title: str) -> str:
    """Return the text under a heading, up to the next one of any level."""
    match = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", page.read_text(), re.MULTILINE | re.DOTALL)
    assert match, f"{page.name} has no section {title!r}"
    return match[1]


def tables(text: str) -> list[list[list[str]]]:
    """Return the tables of a text, each a list of rows of cells; the first row is the head."""
    result: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not inside:
            result.append([])
        inside = True
        if not set(line) <= set("|- "):
            result[-1].append([cell.strip("| ") for cell in cells])
    return result


def ticked(cell: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


@dataclass
class Step:
    """A command of a transcript, and the lines that it must print, in this order."""

    command: list[str]
    lines: list[str]


def transcript(block: str) -> Iterator[Step]:
    """Yield the steps of a transcript."""
    step: Step | None = None
    for line in block.splitlines():
        if line.startswith("$ "):
            if step:
                yield step
            step = Step(line[2:].split(), [])
        elif step and line.strip():
            step.lines.append(line)
    if step:
        yield step


_ALIKE = (
    (r"\(\d+(\.\d+)?s\)", "(0s)"),
    (r"Duration: (\d+m)?\d+s", "Duration: 0s"),
    (r"\b(bid|vol)_\d+", r"\1_0"),
    (r"\b\d+\.\d+\.\d+\.\d+", "0.0.0.0"),
)


def alike(line: str) -> str:
    """Return a line without what differs from run to run: times, ids, addresses."""
    for pattern, same in _ALIKE:
        line = re.sub(pattern, same, line)
    return line.rstrip()


def missing(lines: list[str], printed: str) -> str | None:
    """Return the first line of a transcript that was not printed, in order; None when all were."""
    real = iter([alike(line) for line in printed.splitlines()])
    for line in lines:
        pattern = re.compile(".*".join(re.escape(part) for part in alike(line).split(CUT)))
        if not any(pattern.fullmatch(printed_line) for printed_line in real):
            return line
    return None


def plain_pytest(folder: Path, **outcome: int) -> None:
    """Run pytest in a folder, without this repository's settings and without anything of Mithril's."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MITHRIL_", "PULUMI_", "PYTEST_"))}
    command = [*PYTEST, "--rootdir", str(folder), str(folder)]
    done = subprocess.run(
        command, cwd=folder, env=env | {"HOME": str(folder)}, capture_output=True, text=True, timeout=600, check=False
    )
    for word, count in outcome.items():
        assert re.search(rf"\b{count} {word}\b", done.stdout), done.stdout + done.stderr


def declare_under_mocks(folder: Path, program: str, name: str, assertion: str) -> None:
    """Run a program under FlowMocks in a pytest of its own, as a user would test it; `assertion` reads `mocks`."""
    (folder / "program.py").write_text(program)
    (folder / "test_program.py").write_text(
        "import pulumi\n"
        "from flow_resources.testing import FlowMocks\n"
        "mocks = FlowMocks()\n"
        "pulumi.runtime.set_mocks(mocks)\n"
        "@pulumi.runtime.test\n"
        "def test_program():\n"
        "    import program\n"
        f"def test_{name}():\n"
        f"    assert {assertion}\n"
    )
    plain_pytest(folder, passed=2)


def source_files() -> list[Path]:
    """Return the files of the package, without those of `testing`."""
    return [path for path in (ROOT / "flow_resources").rglob("*.py") if "testing" not in path.parts]


def literals() -> list[str]:
    """Return every string of the source, with the sign of a cut in place of each value."""
    strings = []
    for path in source_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [str(part.value) if isinstance(part, ast.Constant) else CUT for part in node.values]
                strings.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings.append(node.value)
    return strings


def assert_messages_are_in_the_source(table: list[list[str]], shortest: int = 5) -> None:
    """Hold that the source contains each message of a table: every piece between two cuts.

    One piece at least is longer than `shortest`, or it would match anything.
    """
    strings = literals()
    for message in [message for row in table[1:] for message in ticked(row[0])]:
        pieces = [piece.strip(" :,") for piece in message.split(CUT)]
        unknown = [piece for piece in pieces if not any(piece in string for string in strings)]
        assert not unknown, f"{message!r}: nothing in the source contains {unknown}"
        assert max(map(len, pieces)) > shortest, f"{message!r} would match anything"


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Return the options of a parser, as a page's table has them: each with what it takes."""
    return {
        f"{option} {one.metavar}" if one.metavar else option for one in parser._actions for option in one.option_strings
    }
