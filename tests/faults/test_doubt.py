"""Doubt touches nothing: every fact made absent, in every world, for every command (see `doubt`)."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from faults.doubt import FACTS, Cell, Fact, cells, harm

from flow_resources.core.answer import Answer
from flow_resources.core.stack_state import StackState
from flow_resources.lifecycle.ledger import Ledger

each_fact = pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)


def findings(chosen: list[Cell]) -> list[str]:
    return [f"{cell.name}: {finding}" for cell in chosen for finding in harm(cell)]


def findings_of(name: str) -> list[str]:
    return findings([cell for fact in FACTS if fact.name == name for cell in cells(fact)])


@each_fact
def test_a_fact_that_is_absent_harms_nobody(fact: Fact) -> None:
    """A sample of the cells."""
    assert findings([cell for cell in cells(fact) if cell.is_sample]) == []


@pytest.mark.faults
@each_fact
def test_a_fact_that_is_absent_harms_nobody_anywhere(fact: Fact) -> None:
    """All the cells, in a process of its own: the SDK keeps each client that was closed, a megabyte for a cell."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        assert process.submit(findings_of, fact.name).result() == []


def test_code_that_reads_not_known_as_no_does_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: these cells can tell the difference, each fact among them."""
    monkeypatch.setattr(Answer, "of", staticmethod(lambda fact: Answer.YES if fact else Answer.NO))
    monkeypatch.setattr(Ledger, "_state_for", lambda *_, **__: StackState())
    monkeypatch.setattr("flow_resources.lifecycle.verbs.require_account", lambda *_: None)
    for name in ("another stack: no state", "the stacks cannot be listed", "bids: created_by is null"):
        chosen = [cell for fact in FACTS if fact.name == name for cell in cells(fact) if cell.verb == "up"]
        assert findings(chosen), name
