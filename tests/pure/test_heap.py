"""What a process with many threads does about its memory."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from flow_resources.heap import collecting_later


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    """Leave the collector as it was."""
    yield
    gc.enable()


def test_collections_go_on_after_the_imports() -> None:
    """Also where one fails."""
    with collecting_later():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ImportError), collecting_later():
        raise ImportError
    assert gc.isenabled()


def test_a_process_that_collects_nothing_is_left_alone() -> None:
    """Somebody else has decided that."""
    gc.disable()
    with collecting_later():
        assert not gc.isenabled()
    assert not gc.isenabled()


def test_the_outermost_of_several_decides() -> None:
    """One is within another: the SDK is opened while the verbs are imported."""
    with collecting_later():
        with collecting_later():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
