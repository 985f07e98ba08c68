"""Doubt touches nothing: every fact made absent, in every world, for every command (see `doubt`)."""

from __future__ import annotations

import pytest
from faults.doubt import FACTS, Cell, Fact, cells, harm

from flow_resources.core.answer import Answer

each_fact = pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)


def findings(chosen: list[Cell]) -> list[str]:
    return [f"{cell.name}: {finding}" for cell in chosen for finding in harm(cell)]


@each_fact
def test_a_fact_that_is_absent_harms_nobody(fact: Fact) -> None:
    """A sample of the cells."""
    assert findings([cell for cell in cells(fact) if cell.is_sample]) == []


@pytest.mark.faults
@each_fact
def test_a_fact_that_is_absent_harms_nobody_anywhere(fact: Fact) -> None:
    """All the cells."""
    assert findings(cells(fact)) == []


def test_code_that_reads_not_known_as_no_does_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: these cells can tell the difference."""
    naive = staticmethod(lambda fact: Answer.YES if fact else Answer.NO)
    monkeypatch.setattr(Answer, "of", naive)
    telling = ("another stack: no state", "the stacks cannot be listed", "no stack is listed")
    chosen = [cell for fact in FACTS if fact.name in telling for cell in cells(fact) if cell.verb == "up"]
    assert len(findings(chosen)) > 5
