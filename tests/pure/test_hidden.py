"""The hidden properties: written and read in one place, and what is absent is not known."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from flow_resources.core.answer import Answer
from flow_resources.core.hidden import (
    MARK,
    OWNER,
    RECORDED,
    HiddenInputs,
    Identity,
    Record,
    RecordedId,
    read_hidden_inputs,
    read_identity,
    read_record,
    write_identity,
    write_recorded,
)
from flow_resources.core.naming import Mark
from flow_resources.core.price_lines import Terms

TERMS = Terms(Decimal("50.00"), 4, "8xa100", "us-east1-a")
MINE = Mark("3f9a1c5d08b6", "7be02d4d")


@pytest.mark.parametrize(
    ("owner", "shared"),
    [
        ("organization/training/dev", Answer.YES),
        ("acme/training/dev", Answer.NO),
        ("a-canary-that-flow-owner-says", Answer.NO),
        (None, Answer.NOT_KNOWN),
    ],
)
def test_an_identity_reads_back_as_it_was_written_without_the_words_of_an_owner(
    owner: str | None, shared: Answer
) -> None:
    """`flow:owner` can be set as a secret; a state needs to know only whether other people's stacks have the same."""
    written = write_identity(Identity(MINE, owner))
    assert "canary" not in str(written)
    identity = read_identity(written)
    assert identity
    assert (identity.mark, identity.owner_is_shared) == (MINE, shared)
    assert write_identity(identity) == written


def test_a_resource_that_is_only_read_has_no_identity() -> None:
    """And writes none."""
    assert read_identity({}) is None
    assert write_identity(None) == {}
    assert read_record({}).mark is None
    assert Record().text("task_name") is None


@pytest.mark.parametrize(
    "recorded",
    [
        (),
        (RecordedId("bid_1"),),
        (RecordedId("bid_1", "2026-01-01T00:00:00Z", is_own=True), RecordedId("bid_2")),
        (RecordedId("bid_1", is_own=True, region="us-east1-a"), RecordedId("bid_2", "2026-01-01T00:00:00Z")),
        (RecordedId("bid_1", is_own=True, region="us-east1-a", terms=TERMS), RecordedId("bid_2", has_ended=False)),
        (RecordedId("bid_1", is_own=True, region="us-east1-a", has_ended=True, terms=replace(TERMS, is_paused=True)),),
        None,
    ],
)
def test_what_the_state_records_travels_as_text(recorded: tuple[RecordedId, ...] | None) -> None:
    """None is not known, and an empty text is nothing recorded."""
    props = {OWNER: "acme", RECORDED: write_recorded(recorded)}
    assert read_hidden_inputs(props) == HiddenInputs("acme", None, recorded)


def test_a_record_is_read_once() -> None:
    """With its mark, and any output as text."""
    record = read_record({MARK: str(MINE), "task_name": "trainer", "project": "proj_1", "__unready": True})
    assert (record.mark, record.text("task_name"), record.project, record.is_unready) == (
        MINE,
        "trainer",
        "proj_1",
        True,
    )
