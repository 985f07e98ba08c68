"""The architecture page: its files and functions are there, and a create takes the ten steps in that order."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import FrameType

import pytest
from docs.pages import ROOT, tables
from pure.test_takeover import CASES
from support.stack import Stack, cluster

import flow_resources
from flow_resources.providers import base

PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
PACKAGE = Path(flow_resources.__file__).parent
STEPS = re.findall(r"^(\d+)\. (.*?)(?=^\d+\. |^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
FILES = sorted(set(re.findall(r"`((?:\w+/)+\w*(?:\.py)?|\w+\.py)`", PAGE)))
# Not part of every create, or of another process.
ELSEWHERE = {"declare", "fail_initialisation", "find_adopted"}


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_the_page_names_is_there(file: str) -> None:
    """In the package, or beside another one of its row."""
    assert (PACKAGE / file).exists() or list(PACKAGE.rglob(file)), file


def test_a_create_takes_the_ten_steps(stack: Stack) -> None:
    """Each function that a step names is called, in the order of the steps."""
    assert [number for number, _ in STEPS] == [str(number) for number in range(1, 11)]
    named = [name.rpartition(".")[2] for _, text in STEPS for name in re.findall(r"`(?:\w+\.)?(\w+)`(?=[,)])", text)]
    expected = [name for name in named if name.islower() and name not in ELSEWHERE and not name.endswith("py")]
    called: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(PACKAGE)) and "/testing/" not in code.co_filename:
            called.append(
                "the verb" if code.co_filename == base.__file__ and code.co_name == "create" else code.co_name
            )

    previous = sys.getprofile()
    sys.setprofile(note)
    try:
        stack.up({"it": cluster()})
    finally:
        sys.setprofile(previous)
    called = [
        "create",
        *called[called.index("the verb") + 1 :],
    ]  # a check comes before, and the SDK creates things, too
    places = [called.index(name) for name in expected]
    assert places == sorted(places), list(zip(expected, places, strict=True))
    assert len(expected) >= 9


def test_the_rules_of_takeover_are_those_of_the_page() -> None:
    """A row of the table in safety.md for each case of the test, and a case for each row."""
    page = (ROOT / "docs" / "explanation" / "safety.md").read_text()
    (rules,) = (table for table in tables(page) if table[0][0] == "row")
    assert {row[0] for row in rules[1:]} == {case.split()[0] for case in CASES if case[0].isdigit()}
