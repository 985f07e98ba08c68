"""What the history of a stack says: whether anything was deleted since a moment. What it does not say is not known."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from flow_resources.core.answer import Answer
from flow_resources.core.stack_state import is_deleted_since, read_history

CREATED = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
GRAIN = timedelta(seconds=5)


def update(minutes: float, result: str = "succeeded", length: float = 2, **changes: int) -> dict[str, Any]:
    started = CREATED + timedelta(minutes=minutes)
    names = {name.replace("_", "-"): count for name, count in changes.items()}
    return {
        "kind": "update",
        "startTime": started.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "endTime": (started + timedelta(minutes=length)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "result": result,
        "resourceChanges": names,
    }


@pytest.mark.parametrize(
    ("rows", "is_whole", "answer"),
    [
        ([], True, Answer.NOT_KNOWN),  # a stack of this name was removed, or its first `up` has died
        ([], False, Answer.NOT_KNOWN),
        ([update(-1, "failed", create=1)], True, Answer.NO),
        # It was recorded, and is not any more: a `destroy` has died, or a person forgot it.
        ([update(-1, "succeeded", create=1)], True, Answer.NOT_KNOWN),
        ([update(-9, "failed", create=1)], True, Answer.NOT_KNOWN),
        ([update(-9, "failed", length=8.95, create=1)], True, Answer.NO),
        ([update(1, "failed", create=1)], True, Answer.NOT_KNOWN),
        # A refresh finds what is gone, and deletes nothing.
        ([{**update(1, delete=1), "kind": "refresh"}, update(-1, "failed", create=1)], True, Answer.NO),
        ([update(-1, "failed", create=1)], False, Answer.NO),
        ([update(1, same=3), update(-1, "failed", create=1)], True, Answer.NO),
        ([update(1, same=3)], False, Answer.NOT_KNOWN),
        # What the update that created it deleted beside it is no end of it.
        ([update(-1, "failed", create=1, delete=2)], True, Answer.NO),
        ([update(1, delete=1), update(-1, create=1)], True, Answer.YES),
        ([update(1, delete=1)], False, Answer.YES),
        ([update(9, same=1), update(3, "failed", delete=1)], True, Answer.YES),
        ([update(1, replace=1)], True, Answer.YES),
        ([update(1, delete_replaced=1)], True, Answer.YES),
        ([update(1, delete=0), update(-1, "failed")], True, Answer.NO),
        ([update(0.05, delete=1)], True, Answer.NOT_KNOWN),
        ([update(-0.05, delete=1)], True, Answer.NOT_KNOWN),
        # The replacement that created it began seconds before; the destroy came long after.
        ([update(60, delete=1), update(-0.05, replace=1)], True, Answer.YES),
        ([update(60, delete=1), {"resourceChanges": {"delete": 1}}], True, Answer.YES),
        ([update(0.05, same=1), update(-1, "failed")], True, Answer.NO),
        ([update(1, "in-progress", delete=1), update(-1, "failed")], True, Answer.NO),
        ([{**update(1, delete=1), "startTime": "yesterday"}], True, Answer.NOT_KNOWN),
        ([{"resourceChanges": {"delete": 1}}], True, Answer.NOT_KNOWN),
        # An update that does not say what it changed may have deleted it.
        ([{"kind": "update"}, update(-1, "failed")], True, Answer.NOT_KNOWN),
        ([{**update(1), "resourceChanges": None}, update(-1, "failed")], True, Answer.NOT_KNOWN),
        ([{**update(-1, "failed"), "resourceChanges": None}], True, Answer.NO),
        ([{**update(1), "kind": "refresh", "resourceChanges": None}, update(-1, "failed")], True, Answer.NO),
    ],
)
def test_whether_anything_was_deleted_since(rows: list[Any], is_whole: bool, answer: Answer) -> None:
    """A time that cannot be read, one too near to tell, and a history that is cut are not known."""
    told = is_deleted_since(read_history(rows), CREATED, GRAIN, is_whole=is_whole, is_interrupted=False)
    assert told is answer


@pytest.mark.parametrize(
    ("rows", "is_whole", "answer"),
    [
        ([], True, Answer.NO),
        ([], False, Answer.NOT_KNOWN),
        ([update(-9, create=1)], True, Answer.NO),
        ([update(3, same=1), update(-9, create=1)], False, Answer.NO),
        ([update(3, delete=1), update(-9, create=1)], True, Answer.YES),
        ([update(-1, create=1)], True, Answer.NOT_KNOWN),  # another create died: this one was recorded
    ],
)
def test_an_update_that_died_is_in_no_history(rows: list[Any], is_whole: bool, answer: Answer) -> None:
    """The state tells of it."""
    told = is_deleted_since(read_history(rows), CREATED, GRAIN, is_whole=is_whole, is_interrupted=True)
    assert told is answer


@pytest.mark.parametrize("rows", [None, {}, "x", [1], [None], [{"resourceChanges": [1]}]])
def test_what_is_no_history_is_an_error(rows: Any) -> None:
    """And never an empty one."""
    with pytest.raises(ValueError, match="is not a"):
        read_history(rows)
