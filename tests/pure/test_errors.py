"""The tree of what can go wrong, and the one line that each of it is."""

import inspect
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow_resources import errors
from flow_resources.errors import FlowResourcesError, NotFoundError, RejectedError, one_line


def drawn() -> dict[str, str]:
    """Read the tree of the module's docstring: each name, and the one that it hangs under."""
    parents, path = {}, []
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        if found := re.match(r"(?P<limbs>[ │├└─]*)(?P<name>[A-Z]\w*Error)\s{2,}\S", line):
            depth = (len(found["limbs"]) - 4) // 4
            path[depth:] = [found["name"]]
            parents[found["name"]] = path[depth - 1] if depth else "Exception"
    return parents


def test_the_drawn_tree_is_the_real_one() -> None:
    """Every class of the module stands in the drawing, under its base, with a sentence of its own."""
    classes = [one for one in vars(errors).values() if inspect.isclass(one) and one.__module__ == errors.__name__]
    assert drawn() == {one.__name__: one.__base__.__name__ for one in classes}
    assert len(classes) == 11
    assert all(issubclass(one, FlowResourcesError) and one.__doc__ for one in classes)


def test_not_found_is_a_refusal_but_not_the_other_way_round() -> None:
    """Whoever treats a refusal treats a 404 too, and only a 404 proves absence."""
    assert issubclass(NotFoundError, RejectedError)
    with pytest.raises(RejectedError):
        raise NotFoundError("gone")
    assert not isinstance(RejectedError("no"), NotFoundError)


def test_an_error_is_a_line_with_its_remedy() -> None:
    """What is wrong, a colon, what to do; without a remedy just what is wrong."""
    error = RejectedError("the service\n  said no", "ask\tagain")
    assert str(error) == "the service said no: ask again"
    assert (error.message, error.remedy) == ("the service said no", "ask again")
    assert str(RejectedError("no")) == "no"
    assert RejectedError("no").remedy == ""


def test_a_page_of_an_answer_does_not_become_a_page_of_an_error() -> None:
    """The message is cut, and the remedy still stands behind it."""
    error = RejectedError("x" * 10_000, "do this")
    assert str(error).endswith("…: do this")
    assert len(str(error)) < 700


@pytest.mark.parametrize(
    ("text", "limit", "line"),
    [
        ("", 600, ""),
        (" a \r\n\t b ", 600, "a b"),
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("a" * 600, 600, "a" * 600),
        ("a" * 601, 600, "a" * 599 + "…"),
    ],
    ids=["empty", "folded", "fits", "cut", "fits-by-default", "cut-by-default"],
)
def test_one_line_folds_and_cuts(text: Any, limit: Any, line: Any) -> None:
    """White space becomes one blank, and what is too long ends in an ellipsis."""
    assert one_line(text, limit) == line


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.text("ab \n\t\r\x0b\u2028é", max_size=40), limit=st.integers(1, 20))
def test_one_line_is_a_line(text: Any, limit: Any) -> None:
    """No longer than asked, no line break, and stable."""
    line = one_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert one_line(line, limit) == line
