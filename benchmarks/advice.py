"""How far the advice about bids is from what the bids hold, replayed in the fake's auction with the same seed."""

from __future__ import annotations

import os
import statistics
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from support.replay import Replayed, replays

DAYS = 3
MARKETS = [(seed, instance_type) for seed in range(1, 9) for instance_type in ("8xa100", "8xh100")]


def measure() -> list[dict[str, Any]]:
    """Return one row a share of the time: the differences over all markets, in percentage points."""
    by_share: dict[str, list[Replayed]] = defaultdict(list)
    with no_settings(), ProcessPoolExecutor(os.cpu_count()) as pool:
        for replayed in pool.map(replay, MARKETS):
            for one in replayed:
                by_share[f"{100 * one.share:.0f} %"].append(one)
    return [
        {
            "share": share,
            "markets": len(found),
            "median": round(statistics.median(abs(one.advised - one.held) for one in found), 2),
            "worst": round(max(abs(one.advised - one.held) for one in found), 2),
            "within_2": sum(abs(one.advised - one.held) <= 2 for one in found),  # noqa: PLR2004 - the reach
            "worst_by_lowest_winning_bid": round(max(abs(one.winnable - one.held) for one in found), 2),
        }
        for share, found in by_share.items()
    ]


def replay(market: tuple[int, str]) -> list[Replayed]:
    """Replay the advice of one market."""
    return list(replays(*market, DAYS))


@contextmanager
def no_settings() -> Iterator[None]:
    """Let the SDK find no files of the person."""
    before = os.environ.get("FLOW_DIR")
    with TemporaryDirectory() as folder:
        os.environ["FLOW_DIR"] = folder
        yield
    if before is None:
        del os.environ["FLOW_DIR"]
    else:
        os.environ["FLOW_DIR"] = before
