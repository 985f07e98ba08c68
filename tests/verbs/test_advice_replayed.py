"""The advice about bids holds: replayed in the fake's auction, with the seed of the days that it was advised from."""

from __future__ import annotations

import pytest
from support.replay import replays

DAYS = 3


@pytest.mark.usefixtures("clean_environment")
def test_an_advised_bid_holds_as_long_as_it_would_have() -> None:
    """Within two percentage points, for 50, 90 and 99 % of the time."""
    found = list(replays(7, "8xa100", DAYS))
    assert [float(one.share) for one in found] == [0.5, 0.9, 0.99]
    for one in found:
        assert one.advised == pytest.approx(100 * float(one.share), abs=0.2)
        assert one.held == pytest.approx(one.advised, abs=2)


@pytest.mark.usefixtures("clean_environment")
def test_what_the_price_does_not_tell_is_all_that_differs() -> None:
    """In the market that differs most, a bid holds when it is one that wins, which can be more than the price."""
    for one in replays(4, "8xa100", DAYS):
        assert one.held <= one.advised
        assert one.held == pytest.approx(one.winnable, abs=0.2)
        assert one.held == pytest.approx(one.advised, abs=6)
