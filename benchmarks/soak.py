"""A soak of the plugin: refreshes of many clusters for an hour in one process, which the engine ends after one.

`python benchmarks/soak.py [--clusters 1000] [--minutes 60]`, or `--soak` of the bench; no `pulumi` is needed. What a
refresh leaves behind would add up here. Printed at each tenth of the time: resident memory, threads and open files; at
the end how much the memory has grown since the first tenth, in which caches and the heap fill up, and whether that is
flat.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from plugin import Cost, config_of, plugin, user
from plugin import clusters as declare

from flow_resources.testing import FakeMithril

FLAT_MB = 2.0
"""How much more memory at the end is still flat: a page of bids is 1 MB."""
PAUSE = 15.5
"""Seconds between two refreshes: listings of the last 15 seconds would serve the next one."""
_PARTS = 10


def run(minutes: float, clusters: int) -> list[dict[str, Any]]:
    """Refresh so many clusters again and again in one plugin process; print and return a row per tenth of the time."""
    stack = declare(clusters)
    with FakeMithril() as cloud, user(cloud) as env:
        cloud.set_capacity("8xa100", "us-central5-a", clusters)
        with plugin(env, config_of(cloud)) as creating:
            creating.up(stack)
        with plugin(env, config_of(cloud)) as refreshing:
            rows, rounds, began = list[dict[str, Any]](), 0, time.monotonic()
            while len(rows) < _PARTS:
                cloud.clear_requests()
                refreshing.refresh(stack)
                rounds += 1
                time.sleep(PAUSE)
                if time.monotonic() - began >= (len(rows) + 1) * minutes * 60 / _PARTS:
                    rows.append(row(refreshing.cost(), rounds, len(cloud.requests)))
                    print(", ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    grown = growth(rows)
    print(f"{'flat' if grown <= FLAT_MB else 'NOT FLAT'}: {grown:+} MB in {rounds} refreshes of {clusters} clusters")
    return rows


def row(cost: Cost, rounds: int, requests: int) -> dict[str, Any]:
    """Return what is printed of one moment."""
    return {
        "refreshes": rounds, "minutes": round(cost.seconds / 60, 1), "resident_mb": cost.resident_mb,
        "peak_mb": cost.peak_mb, "threads": cost.threads, "open_files": cost.open_files, "requests": requests,
    }  # fmt: skip


def growth(rows: list[dict[str, Any]]) -> float:
    """Return by how many MB the memory has grown since the first tenth of the time."""
    return round(rows[-1]["resident_mb"] - rows[0]["resident_mb"], 1)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=60)
    chosen = parser.parse_args()
    run(chosen.minutes, chosen.clusters)


if __name__ == "__main__":
    main()
