"""Reading the pages: their blocks of code, their tables, and what their transcripts show."""

from __future__ import annotations

import re
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
    """Return the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def section(page: Path, title: str) -> str:
    """Return the text under a heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{page.name} has no section {title!r}"
    return found[1]


def tables(text: str) -> list[list[list[str]]]:
    """Return the tables of a text, each a list of rows of cells; the first row is the head."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not inside:
            found.append([])
        inside = True
        if not set(line) <= set("|- "):
            found[-1].append([cell.strip("| ") for cell in cells])
    return found


def ticked(cell: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


@dataclass
class Step:
    """A command of a transcript, and the lines that it must print, in this order."""

    command: list[str]
    lines: list[str]


def transcript(block: str) -> Iterator[Step]:
    """Take a transcript apart."""
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
        if not any(pattern.fullmatch(one) for one in real):
            return line
    return None
