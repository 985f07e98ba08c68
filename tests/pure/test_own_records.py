"""What a check knows of what the state holds under the URN: from four sides, with yes, no or not known."""

from __future__ import annotations

from typing import Any

import pytest
from pure.test_ledger import MARK, OWNER, URN, States, ledger
from support.stack import Reports

from flow_resources.core.answer import Answer
from flow_resources.core.hidden import HiddenInputs, RecordedId
from flow_resources.lifecycle.own_records import OwnRecord, OwnRecords

OWN = RecordedId("bid_1", is_own=True, region="us-east1-a")
HELD, NOTHING, UNSURE = OwnRecord(Answer.YES, "bid_1", "us-east1-a"), OwnRecord(Answer.NO), OwnRecord(Answer.NOT_KNOWN)
PINNED = {"region": "eu-north1-a"}


def state(**row: Any) -> dict[str, Any]:
    outputs = {"__mark": str(MARK), "region": "us-east1-a"}
    return {"deployment": {"resources": [{"urn": URN, "id": "bid_1", "outputs": outputs, **row}]}}


def hidden(*recorded: RecordedId, known: bool = True, urn: str = URN) -> HiddenInputs:
    return HiddenInputs(OWNER, urn, recorded if known else None)


@pytest.mark.parametrize(
    ("told", "olds", "news", "stored", "expected"),
    [
        (hidden(OWN), {}, {}, None, HELD),
        (hidden(RecordedId("bid_1")), {}, {}, None, NOTHING),  # its name has the mark, and another resource holds it
        (hidden(), {}, {}, state(), NOTHING),
        (hidden(), PINNED, {}, None, OwnRecord(Answer.YES, None, "eu-north1-a")),
        (hidden(OWN), {"size_gb": 1}, {}, None, HELD),
        (hidden(known=False), {}, {"__mark": str(MARK), **PINNED}, None, OwnRecord(Answer.YES, None, "eu-north1-a")),
        (hidden(known=False), {}, {}, state(), HELD),
        (hidden(known=False), {}, {}, state(delete=True), UNSURE),  # of another backend's stack of the name, perhaps
        (hidden(known=False), {}, {}, None, UNSURE),
        (hidden(known=False), {}, {}, {"deployment": "?"}, UNSURE),
        (hidden(OWN, urn="another"), {}, {}, state(), HELD),
        (hidden(OWN, urn="another"), {}, {}, {"deployment": {}}, UNSURE),
        (hidden(OWN, urn="another"), {}, {}, None, UNSURE),
    ],
)
def test_who_knows(
    told: HiddenInputs, olds: dict[str, Any], news: dict[str, Any], stored: Any, expected: OwnRecord
) -> None:
    """The old inputs, recorded inputs in the program's place, the program, the stored state, in this order."""
    records = OwnRecords(ledger(States(own=stored)))
    records.learn(URN, told, olds, news)
    assert records.of(URN, Reports()) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, HELD),
        ({"delete": True}, NOTHING),
        ({"pendingReplacement": True}, NOTHING),
        ({"outputs": {"region": "us-east1-a"}}, NOTHING),  # only read (`get`)
    ],
)
def test_what_waits_for_its_deletion_is_not_replaced(row: dict[str, Any], expected: OwnRecord) -> None:
    """The state is this operation's: it holds what the program has read of another resource."""
    book = ledger(States(own=state(**row)))
    book.learn(f"{URN}-other", hidden(RecordedId("bid_1"), urn=f"{URN}-other"), None, has_record=False)
    records = OwnRecords(book)
    records.learn(URN, hidden(known=False), {}, {})
    assert records.of(URN, Reports()) == expected


def test_a_check_that_knows_less_does_not_take_back_what_one_before_knew() -> None:
    """For a replacement the second check has no old inputs."""
    records = OwnRecords(ledger())
    records.learn(URN, hidden(known=False), PINNED, {})
    for told in (hidden(known=False), hidden()):
        records.learn(URN, told, {}, {})
        assert records.of(URN, Reports()) == OwnRecord(Answer.YES, None, "eu-north1-a")


@pytest.mark.parametrize(("event", "region"), [("add_missing", None), ("add_deleted", "us-east1-a")])
def test_what_is_gone_is_not_replaced(event: str, region: str | None) -> None:
    """Found gone by a refresh, it is made anew; deleted to be made anew, it also stays in its region."""
    book = ledger()
    getattr(book, event)("bid_1")
    records = OwnRecords(book)
    records.learn(URN, hidden(OWN), {}, {})
    found = records.of(URN, Reports())
    assert (found.exists, found.region) == (Answer.NO, region)


def test_without_a_urn_nothing_is_known() -> None:
    """The host did not tell it, nor the program."""
    records = OwnRecords(ledger(States(own=state())))
    records.learn(None, hidden(OWN, urn=""), {}, {})
    assert records.of(None, Reports()).exists is Answer.NOT_KNOWN
