"""What waiting costs: machines that take their time, and what is asked meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import growth
import programs
from stacks import MACHINE, SAVED_ONCE, Package, Stack, stack

WINDOW, QUICK = 5.0, 30.0
"""Seconds: requests are counted within so many; it may be asked more often in the first so many."""
Rows = list[dict[str, Any]]


def boots(packages: Sequence[Package], size: int, boot: float, parallel: int) -> Rows:
    """Time an `up` whose machines boot for some seconds, over the floor."""
    with stack(programs.FLOOR, size) as noop:
        floor = noop.run("up", parallel).seconds
    rows = []
    for package in packages:
        with stack(programs.OURS, size, package) as one:
            one.cloud.boot_seconds = boot
            seconds = one.run("up", parallel).seconds
        rows.append({
            "N": size,
            "boot_s": boot,
            "p": parallel,
            "package": package.label,
            "up_s": round(seconds, 1),
            "floor_s": round(floor, 1),
            "over_floor_s": round(seconds - floor, 1),
            "boots_over_floor": round((seconds - floor) / boot, 2),
        })  # fmt: skip
    return rows


def polls(packages: Sequence[Package], size: int, boot: float, strangers: int = 0) -> Rows:
    """Count the requests of those who wait together, with so many bids of other people in the project."""
    rows = []
    for package in packages:
        with stack(programs.OURS, size, package, **SAVED_ONCE) as one:
            _place_strangers(one, strangers)
            one.cloud.boot_seconds = boot
            run = one.run("up", max(size, 1))
            rows.append({
                "N": size,
                "boot_s": boot,
                "others": strangers,
                "package": package.label,
                "up_s": round(run.seconds, 1),
                "requests": run.requests,
                **_while_waiting(one, boot),
            })  # fmt: skip
    return rows


def _place_strangers(one: Stack, count: int) -> None:
    one.cloud.set_quota(MACHINE, 2 * count + 1000)
    for number in range(count):
        one.cloud.add_bid(f"somebody-elses-{number}", limit_price="$1.00")


def _while_waiting(one: Stack, boot: float) -> dict[str, int]:
    placed = max(request.at for request in one.cloud.requests if request.method == "POST")
    # What follows a POST at once belongs to creating; what comes when the machines run belongs to the end.
    waiting = [request.at - placed for request in one.cloud.requests if WINDOW < request.at - placed < boot - 1]
    return {
        "most_in_5_s_at_first": growth.busiest((at for at in waiting if at < QUICK), WINDOW),
        "most_in_5_s_later": growth.busiest((at for at in waiting if at >= QUICK), WINDOW),
    }
