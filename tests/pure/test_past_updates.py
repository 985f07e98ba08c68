"""What the history of a stack says: whether anything was deleted since a moment. What it does not say is not known."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from flow_resources.core.answer import Answer
from flow_resources.core.stack_state import is_deleted_since, read_history

CREATED = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
GRAIN = timedelta(seconds=5)


def update(minutes: float, result: str = "succeeded", **changes: int) -> dict[str, Any]:
    started = CREATED + timedelta(minutes=minutes)
    names = {name.replace("_", "-"): count for name, count in changes.items()}
    return {
        "kind": "update",
        "startTime": started.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "result": result,
        "resourceChanges": names,
    }


@pytest.mark.parametrize(
    ("rows", "is_whole", "answer"),
    [
        ([], True, Answer.NO),
        ([], False, Answer.NOT_KNOWN),
        ([update(-1, "failed", create=1)], True, Answer.NO),
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
        ([update(1, delete=0)], True, Answer.NO),
        ([update(0.05, delete=1)], True, Answer.NOT_KNOWN),
        ([update(-0.05, delete=1)], True, Answer.NOT_KNOWN),
        # The replacement that created it began seconds before; the destroy came long after.
        ([update(60, delete=1), update(-0.05, replace=1)], True, Answer.YES),
        ([update(60, delete=1), {"resourceChanges": {"delete": 1}}], True, Answer.YES),
        ([update(0.05, same=1)], True, Answer.NO),
        ([update(1, "in-progress", delete=1)], True, Answer.NO),
        ([{**update(1, delete=1), "startTime": "yesterday"}], True, Answer.NOT_KNOWN),
        ([{"resourceChanges": {"delete": 1}}], True, Answer.NOT_KNOWN),
        ([{"kind": "update"}], True, Answer.NO),
    ],
)
def test_whether_anything_was_deleted_since(rows: list[Any], is_whole: bool, answer: Answer) -> None:
    """A time that cannot be read, one too near to tell, and a history that is cut are not known."""
    assert is_deleted_since(read_history(rows), CREATED, GRAIN, is_whole=is_whole) is answer


@pytest.mark.parametrize("rows", [None, {}, "x", [1], [None], [{"resourceChanges": [1]}]])
def test_what_is_no_history_is_an_error(rows: Any) -> None:
    """And never an empty one."""
    with pytest.raises(ValueError, match="is not a"):
        read_history(rows)
