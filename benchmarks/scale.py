"""What the verbs cost at N, over the engine's own cost and the bare SDK's in the same run; how that grows with N."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import growth
import programs
from engine import test_storm
from stacks import HERE, OPERATIONS, SAVED_ONCE, Package, Run, cloud, stack

from flow_resources.cloud.footprint import PAGE
from flow_resources.testing import FakeMithril, Request
from flow_resources.testing.service.accounts import Accounts

AT_ONCE = 64
LARGEST_EXPONENT = 1.05
Rows = list[dict[str, Any]]


def verbs(packages: Sequence[Package], size: int, rounds: int, *, saved_once: bool = False) -> Rows:
    """Measure each operation of N clusters, of N no-op resources, and the bare SDK making the same calls, in turn."""
    # Else no two clouds share the id of an SSH key, and what was sent to one would be refused by the other.
    Accounts._key_tag = lambda _: "0123abcd"  # type: ignore[method-assign]  # noqa: SLF001
    runs: dict[tuple[str, str], list[Run]] = defaultdict(list)
    sdk: dict[tuple[str, str], list[float]] = defaultdict(list)
    env = SAVED_ONCE if saved_once else {}
    for _ in range(rounds):
        with ExitStack() as open_stacks:
            floor = open_stacks.enter_context(stack(programs.FLOOR, size, **env))
            ours = {one: open_stacks.enter_context(stack(programs.OURS, size, one, **env)) for one in packages}
            mirrors = {one: open_stacks.enter_context(cloud(size)) for one in packages}
            for mirror in mirrors.values():  # with the key there, no bid is refused because its key is sent beside it
                mirror.add_ssh_key("there-before", "ssh-ed25519 AAAA bench")
            for name in OPERATIONS:
                runs["floor", name].append(floor.run(name, AT_ONCE))
                for one in packages:
                    runs[one.label, name].append(ours[one].run(name, AT_ONCE))
                    sdk[one.label, name].append(_bare_sdk(ours[one].cloud.requests, mirrors[one], size))
    return [
        _row(size, name, one.label, runs[one.label, name], runs["floor", name], sdk[one.label, name])
        for name in OPERATIONS
        for one in packages
    ]


def _row(size: int, name: str, label: str, ours: list[Run], floor: list[Run], sdk: list[float]) -> dict[str, Any]:
    seconds, engine = (statistics.median(run.seconds for run in runs) for runs in (ours, floor))
    bare = statistics.median(sdk)
    requests = max(run.requests for run in ours)
    return {
        "N": size,
        "operation": name,
        "package": label,
        "ours_s": round(seconds, 2),
        "floor_s": round(engine, 2),
        "bare_sdk_s": round(bare, 2),
        "ratio": round(seconds / (engine + bare), 2),
        "own_s": round(seconds - engine, 2),
        "requests": requests,
        "requests_per_cluster": round(requests / size, 2),
        "plugin_mb": max(run.plugin_mb for run in ours),
        "floor_plugin_mb": max(run.plugin_mb for run in floor),
    }


def _bare_sdk(requests: Sequence[Request], mirror: FakeMithril, size: int) -> float:
    """Return how long the bare SDK takes for the same calls, on a cloud that has lived through the same."""
    calls = [{"method": one.method, "path": one.path, "query": one.query, "body": one.body} for one in requests]
    done = subprocess.run(
        [sys.executable, str(HERE / "bare_sdk.py"), str(min(size, AT_ONCE))],
        input=json.dumps(calls), capture_output=True, text=True, check=True, env={**os.environ, **mirror.environment},
    )  # fmt: skip
    found = json.loads(done.stdout)
    changes = [call for call in calls if call["method"] != "GET"]
    assert len(found["errors"]) <= 1 + 0.05 * len(changes), found
    return float(found["seconds"])


def exponents(measured: Rows) -> Rows:
    """Return by operation how our own share of the time (the floor taken off) and the requests grow with N."""
    series: dict[tuple[str, str], Rows] = defaultdict(list)
    for row in measured:
        series[row["operation"], row["package"]].append(row)
    rows = []
    for (operation, label), points in series.items():
        own = {row["N"]: row["own_s"] for row in points}
        asked = {row["N"]: row["requests"] for row in points}
        found = {
            "time": growth.exponent(own, at_least=growth.NOISE),
            "time, largest two": growth.last_exponent(own, at_least=growth.NOISE),
            "requests": growth.exponent(asked),
            "requests, largest two": growth.last_exponent(asked),
        }
        shown = {name: "not known" if value is None else round(value, 2) for name, value in found.items()}
        known = [value for value in found.values() if value is not None]
        rows.append({
            "operation": operation,
            "package": label,
            **shown,
            "reach": LARGEST_EXPONENT,
            "above": sum(value > LARGEST_EXPONENT for value in known),
        })  # fmt: skip
    return rows


def requests_of_up(
    packages: Sequence[Package], sizes: Sequence[int], parallels: Sequence[int | None], latency: float = 0.0
) -> Rows:
    """Count what an `up` of new clusters asks with each `-p`, beside what the scorecard allows for creating (P4)."""
    rows = []
    for size in sizes:
        for parallel in parallels:
            for package in packages:
                with stack(programs.OURS, size, package, **SAVED_ONCE) as one:
                    one.cloud.set_latency(latency)
                    asked = one.run("up", parallel).requests
                    waiting = sum(map(_is_for_who_waits, one.cloud.requests))
                rows.append({
                    "N": size,
                    "p": parallel or "default",
                    "ms": round(1000 * latency),
                    "package": package.label,
                    "requests": asked,
                    "waiting": waiting,
                    "creating": asked - waiting,
                    "reach": requests_allowed(size),
                    "per_cluster": round(asked / size, 2),
                })  # fmt: skip
    return rows


def _is_for_who_waits(request: Request) -> bool:
    """Whether a request is for those who wait: the instances of their bids, or as many of the newest bids as they are.

    Who creates reads a whole page of the newest.
    """
    lists_newest = request.path == "/v2/spot/bids" and "sort_by" in request.query and "name" not in request.query
    return "bid_fid_in" in request.query or (lists_newest and request.query["limit"] != str(PAGE))


def requests_allowed(size: int) -> int:
    """Return how many requests the scorecard allows for N new clusters that run at once (P4).

    Without bids of others one reading of the pages of live bids is four requests: an empty page for each status.
    """
    return 14 + 3 * size + 4


def updates(packages: Sequence[Package], size: int) -> Rows:
    """Measure an `up` that changes the price of N clusters."""
    rows = []
    for package in packages:
        with stack(programs.OURS, size, package) as one:
            one.run("up", AT_ONCE)
            one.project.edit("max_price_per_hour=20.0", "max_price_per_hour=25.0")
            run = one.run("up", AT_ONCE)
        rows.append({
            "N": size,
            "package": package.label,
            "up_s": round(run.seconds, 2),
            "requests": run.requests,
            "requests_per_cluster": round(run.requests / size, 2),
            "plugin_mb": run.plugin_mb,
        })  # fmt: skip
    return rows


def far_refresh(packages: Sequence[Package], size: int) -> Rows:
    """Time a refresh of a service that is 100 ms away, over the floor (P6)."""
    with stack(programs.FLOOR, size, **SAVED_ONCE) as noop:
        noop.run("up", AT_ONCE)
        floor = noop.run("refresh", AT_ONCE).seconds
    rows = []
    for package in packages:
        with stack(programs.OURS, size, package, **SAVED_ONCE) as one:
            one.run("up", AT_ONCE)
            one.cloud.set_latency(0.1)
            run = one.run("refresh", AT_ONCE)
        rows.append({
            "N": size,
            "package": package.label,
            "refresh_s": round(run.seconds, 1),
            "floor_s": round(floor, 1),
            "ratio": round(run.seconds / floor, 2),
            "requests": run.requests,
        })  # fmt: skip
    return rows


def storm(packages: Sequence[Package]) -> Rows:
    """Count the requests of an `up` through the storm of tests/engine/test_storm.py, over those of a calm one (R12)."""
    rows = []
    for package in packages:
        asked = {}
        for weather in ("calm", "storm"):
            with stack(programs.OURS, test_storm.CLUSTERS, package) as one:
                if weather == "storm":
                    one.cloud.faults.add(then=lambda _, struck=one.cloud: test_storm.storm(struck))
                asked[weather] = one.run("up", test_storm.CLUSTERS).requests
                assert len(one.cloud.bids) == test_storm.CLUSTERS
        rows.append({"package": package.label, **asked, "ratio": round(asked["storm"] / asked["calm"], 2)})
    return rows
