"""Doubt touches nothing: every fact made absent, in every world, for every command (see `doubt`)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context

import pytest
from faults.doubt import FACTS, Cell, Fact, cells, harm
from faults.doubt_jobs import ALL_JOB_FACTS, cells_of_jobs, harm_to_jobs

from flow_resources.cloud import Cloud
from flow_resources.core import stack_state
from flow_resources.core.answer import Answer
from flow_resources.core.models import JobKey
from flow_resources.core.stack_state import StackState
from flow_resources.lifecycle import job as job_of_lifecycle
from flow_resources.lifecycle.ledger import Ledger

each_fact = pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)
each_fact_of_jobs = pytest.mark.parametrize("fact", ALL_JOB_FACTS, ids=lambda fact: fact.name)


def findings(chosen: list[Cell]) -> list[str]:
    return [f"{cell.name}: {finding}" for cell in chosen for finding in harm(cell)]


def findings_of(name: str) -> list[str]:
    return findings([cell for fact in FACTS if fact.name == name for cell in cells(fact)])


@pytest.mark.both_hosts(plugin="faults")
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


def findings_of_jobs(chosen: list[Cell]) -> list[str]:
    return [f"{cell.name}: {finding}" for cell in chosen for finding in harm_to_jobs(cell)]


def findings_of_jobs_by(name: str) -> list[str]:
    return findings_of_jobs([cell for fact in ALL_JOB_FACTS if fact.name == name for cell in cells_of_jobs(fact)])


@pytest.mark.both_hosts(plugin="faults")
@each_fact_of_jobs
def test_a_fact_that_is_absent_harms_no_job(fact: Fact) -> None:
    """A sample of the cells."""
    assert findings_of_jobs([cell for cell in cells_of_jobs(fact) if cell.is_sample]) == []


@pytest.mark.faults
@each_fact_of_jobs
def test_a_fact_that_is_absent_harms_no_job_anywhere(fact: Fact) -> None:
    """All the cells, in a process of its own, as above."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        assert process.submit(findings_of_jobs_by, fact.name).result() == []


def test_code_that_reads_not_known_as_no_does_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: these cells can tell the difference, each fact among them."""
    monkeypatch.setattr(Answer, "of", staticmethod(lambda fact: Answer.YES if fact else Answer.NO))
    monkeypatch.setattr(Ledger, "_state_for", lambda *_, **__: StackState())
    monkeypatch.setattr(Ledger, "is_of_another_provider", lambda *_, **__: Answer.NO)
    monkeypatch.setattr("flow_resources.lifecycle.verbs.require_account", lambda *_: None)
    for name in ("another stack: no state", "the stacks cannot be listed", "bids: created_by is null"):
        chosen = [cell for fact in FACTS if fact.name == name for cell in cells(fact) if cell.verb == "up"]
        assert findings(chosen), name


def no_doubt_about_a_run(patch: pytest.MonkeyPatch) -> None:
    is_deleted_since = Ledger.is_deleted_since

    def sure(*arguments: object) -> Answer:
        answer = is_deleted_since(*arguments)  # type: ignore[arg-type]
        return Answer.YES if answer is Answer.NOT_KNOWN else answer

    patch.setattr(Ledger, "is_deleted_since", sure)


def no_doubt_about_changes(patch: pytest.MonkeyPatch) -> None:
    deletes = stack_state._deletes
    patch.setattr(stack_state, "_deletes", lambda row: deletes({"resourceChanges": {}, **row}))


def no_doubt_about_a_lost_key(patch: pytest.MonkeyPatch) -> None:
    key = job_of_lifecycle._key
    patch.setattr(job_of_lifecycle, "_key", lambda record: Answer.of(key(record) is Answer.YES))


def no_doubt_about_a_script(patch: pytest.MonkeyPatch) -> None:
    placed_price = Cloud.placed_price
    patch.setattr(Cloud, "placed_price", lambda cloud, id_: placed_price(cloud, id_) or Decimal(1))


def no_doubt_about_a_key(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(JobKey, "name_is_known", True)
    read = JobKey.read
    patch.setattr(JobKey, "read", lambda row: read({**row, "name": row["name"] or "another"}))


@pytest.mark.parametrize(
    ("name", "world", "verb", "read_as_no"),
    [
        ("the stack's history cannot be read", "a lost answer, and succeeded", "up", no_doubt_about_a_run),
        ("the stack's history has no changes", "destroyed since", "up", no_doubt_about_changes),
        ("bids: the start-up script is null", "a lost answer, and succeeded", "up", no_doubt_about_a_script),
        ("bids: the start-up script is null", "has told its end, and lives", "up", no_doubt_about_a_script),
        ("keys: name is null", "succeeded since, with its key left", "refresh", no_doubt_about_a_key),
        ("the state has no __job_key", "replaced", "destroy", no_doubt_about_a_lost_key),
    ],
)
def test_code_that_reads_not_known_as_no_does_harm_to_jobs(
    monkeypatch: pytest.MonkeyPatch, name: str, world: str, verb: str, read_as_no: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """The control for the facts of jobs."""
    (cell,) = (
        cell
        for fact in ALL_JOB_FACTS
        if fact.name == name
        for cell in cells_of_jobs(fact)
        if (cell.world.name, cell.verb) == (world, verb)
    )
    assert harm_to_jobs(cell) == []
    read_as_no(monkeypatch)
    assert harm_to_jobs(cell)
