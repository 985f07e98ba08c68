"""Who asks for a page waits a moment for those who are about to ask for it, and for nobody else."""

from __future__ import annotations

import threading

import pytest
from support.virtual_clock import VirtualClock

from flow_resources.cloud.gathering import Gathering

MOMENT = 0.02


class Others:
    """One who asks, and others who say what they are about to."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.gathering = Gathering(self.clock)
        self.begun = self.clock.now()
        self.all_expected = threading.Event()

    def create(self, asks_after: float | None) -> float:
        """Ask at once (None), or be expected for so many seconds; return when that was over."""
        if asks_after is None:
            self.all_expected.wait(60.0)
            self.gathering.wait(self.begun)
        else:
            with self.gathering.expected():
                self.all_expected.set()
                self.clock.sleep(asks_after)
        return self.clock.now() - self.begun


def test_nobody_waits_for_nobody() -> None:
    """No time passes."""
    clock = VirtualClock()
    gathering = Gathering(clock)
    gathering.wait(clock.now())
    with gathering.expected():
        gathering.has_asked()
        gathering.wait(clock.now())
    gathering.wait(clock.now())
    assert clock.now() == VirtualClock().now()


@pytest.mark.parametrize(
    ("asks_after", "least", "most"), [(0.005, 0.005, 0.0075), (0.019, 0.019, MOMENT), (60.0, MOMENT, MOMENT)]
)
def test_who_asks_waits_until_the_other_has_asked_or_the_moment_is_over(
    asks_after: float, least: float, most: float
) -> None:
    """However long the other takes."""
    others = Others()
    waited, _ = others.clock.run(others.create, [None, asks_after])
    assert least - 1e-9 <= waited <= most + 1e-9


def test_who_has_waited_for_as_long_already_waits_no_more() -> None:
    """For a reading that was under way, say: the moment begins when it asks."""
    clock = VirtualClock()
    gathering = Gathering(clock)
    asked = clock.now() - MOMENT
    with gathering.expected():
        gathering.wait(asked)
    assert clock.now() == asked + MOMENT


def test_who_fails_is_expected_no_more() -> None:
    """Its request was refused, say."""
    clock = VirtualClock()
    gathering = Gathering(clock)
    with pytest.raises(OSError, match="refused"), gathering.expected():
        raise OSError("refused")
    gathering.wait(clock.now())
    assert clock.now() == VirtualClock().now()
