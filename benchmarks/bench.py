"""`make bench`: what the package costs, beside the engine's own cost and the bare SDK's in the same run.

Times jitter on shared machines, so what is compared runs in turn, and ratios are read, not seconds. Prints tables as
benchmarks/RESULTS.md holds them, and writes `benchmarks/latest.json` after each. `--package PATH` measures another
checkout of the package in the same turns ("before", and "this").
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests")]

import advice  # noqa: E402
import alone  # noqa: E402
import cloud  # noqa: E402
import hosts  # noqa: E402
import others  # noqa: E402
import reaches  # noqa: E402
import scale  # noqa: E402
import sizes  # noqa: E402
import soak  # noqa: E402
import waits  # noqa: E402
from stacks import THIS, Package  # noqa: E402
from support.engine import let_children_be_interrupted  # noqa: E402

Rows = list[dict[str, Any]]
SIZES = (1, 10, 100, 300, 1000)
LATEST = HERE / "latest.json"


class Plan(NamedTuple):
    """What a run measures, and what it has measured so far."""

    packages: list[Package]
    sizes: list[int]
    found: dict[str, Rows]


class Section(NamedTuple):
    """One table."""

    name: str
    title: str
    measure: Callable[[Plan], Rows]
    is_full: bool = False
    """Whether it is left out unless `--full` is said."""


def repeated(measure: Callable[..., Rows], *calls: tuple[Any, ...]) -> Callable[[Plan], Rows]:
    """Return a section that measures several times, with other arguments each."""
    return lambda plan: [row for arguments in calls for row in measure(plan.packages, *arguments)]


def growth(plan: Plan) -> Rows:
    """Measure the verbs at each size, those of the smallest in three turns."""
    return [row for n in plan.sizes for row in scale.verbs(plan.packages, n, 3 if n == 1 else 1, saved_once=True)]


SECTIONS = (
    Section("cloud", "The fake cloud: 128 clients, in a process of its own", lambda _: cloud.measure()),
    Section(
        "verbs",
        f"The verbs (-p {scale.AT_ONCE}, medians, 0 ms, 0 s boot)",
        repeated(scale.verbs, (1, 3), (100, 2)),
    ),
    Section(
        "large verbs",
        "The verbs of a large stack, as users run them (the engine writes its state at each step)",
        repeated(scale.verbs, (1000, 1)),
        is_full=True,
    ),
    Section("growth", f"The verbs over N (-p {scale.AT_ONCE}, the engine saves its state once, at the end)", growth),
    Section(
        "exponents",
        "How they grow: exponents of our own time (the floor taken off) and of the requests",
        lambda plan: scale.exponents(plan.found.get("growth", [])),
    ),
    Section(
        "plugin alone", "The plugin without the engine, over N", lambda plan: alone.verbs(plan.packages, plan.sizes)
    ),
    Section(
        "exponents of the plugin",
        "How its CPU seconds grow, beyond those of one cluster",
        lambda plan: alone.exponents(plan.found.get("plugin alone", [])),
    ),
    Section(
        "bare growth",
        "`flow.run` in the program over N (one run, no preview)",
        lambda plan: others.flow_run_once(plan.sizes),
    ),
    Section(
        "requests of an up",
        "Requests of an `up` of N new clusters, by -p",
        repeated(scale.requests_of_up, ((1, 10, 100), (None, 128)), ((100,), (None, 64), 0.05)),
    ),
    Section(
        "requests of a large up",
        "The same of large stacks",
        repeated(scale.requests_of_up, ((300, 1000), (None, 128))),
        is_full=True,
    ),
    Section(
        "plugin host",
        f"The verbs in the provider plugin, beside those in the dynamic provider (-p {scale.AT_ONCE}, medians)",
        repeated(hosts.verbs, (1, 3), (100, 1)),
    ),
    Section("updates", "A new price for N clusters", repeated(scale.updates, (1,), (100,))),
    Section("boots", "Booting together", repeated(waits.boots, (32, 3.0, 64), (64, 10.0, 128))),
    Section(
        "polls",
        "Waiting together: the most requests within 5 s, in the first 30 s and later",
        repeated(waits.polls, (64, 45.0, 5000)),
    ),
    Section("long polls", "The same for ten minutes", repeated(waits.polls, (64, 600.0, 5000)), is_full=True),
    Section(
        "far refresh",
        "Refresh of a service that is 100 ms away",
        repeated(scale.far_refresh, (1000,)),
        is_full=True,
    ),
    Section("prices", "A preview with and without the prices of the market", repeated(sizes.prices, (100,))),
    Section("states", "The state of a cluster beyond its inputs and outputs", repeated(sizes.states, ())),
    Section("imports", "Imports beyond Pulumi, in ms", repeated(sizes.imports, ())),
    Section("declarations", "Declaring N clusters in a program", repeated(sizes.declarations, ((100, 2000),))),
    Section("cold previews", "A first preview of a fresh environment", repeated(sizes.cold_previews, (3,))),
    Section(
        "flow.run",
        "`pulumi up` (with its preview) twice: `flow.run` in the program against `GpuCluster`",
        repeated(others.flow_run, ((1, 10, 50),)),
    ),
    Section("terraform", "Terraform's `terraform_data` at N", lambda _: others.terraform((1, 10, 100))),
    Section("large terraform", "The same at N = 1000", lambda _: others.terraform((1000,)), is_full=True),
    Section(
        "storm",
        "100 clusters through a minute in which 30 % of the answers are 429 or 503",
        repeated(scale.storm, ()),
        is_full=True,
    ),
    Section("advice", "The advice about bids, replayed (percentage points)", lambda _: advice.measure(), is_full=True),
)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", choices=[one.name for one in SECTIONS], metavar="NAME", help="these tables"
    )
    parser.add_argument("--full", action="store_true", help="also what takes long: as users run N = 1000, ten minutes")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="the N of what is measured over N")
    parser.add_argument("--package", type=Path, help="a checkout of the package to measure in turns with this one")
    parser.add_argument("--soak", action="store_true", help="an hour of refreshes and nothing else")
    parser.add_argument("--soak-minutes", type=float, default=60.0)
    parser.add_argument("--soak-clusters", type=int, default=1000)
    chosen = parser.parse_args()
    let_children_be_interrupted()
    if chosen.soak:
        soak.run(chosen.soak_minutes, chosen.soak_clusters)
        return
    packages = [THIS] if chosen.package is None else [Package("before", chosen.package.resolve()), THIS]
    plan = Plan(packages, chosen.sizes, {"machine": [machine()]})
    show("The machine", plan.found["machine"])
    for section in SECTIONS:
        is_chosen = section.name in chosen.only if chosen.only else chosen.full or not section.is_full
        if not is_chosen:
            continue
        began = time.perf_counter()
        plan.found[section.name] = section.measure(plan)
        show(f"{section.title} [{time.perf_counter() - began:.0f} s]", plan.found[section.name])
        LATEST.write_text(json.dumps(plan.found, indent=2))
    show("What is to be reached", reaches.table(plan.found))


def machine() -> dict[str, Any]:
    """Return what the numbers depend on."""
    engine = subprocess.run(["pulumi", "version"], capture_output=True, text=True, check=True).stdout.strip()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "pulumi": engine.removeprefix("v"),
        **{f"{name} SDK": importlib.metadata.version(name) for name in ("pulumi", "flow-compute")},
    }


def show(title: str, rows: Rows) -> None:
    """Print a table in Markdown."""
    print(f"\n### {title}\n")
    if not rows:
        print("Nothing was measured.", flush=True)
        return
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([str(row[column]) for column in columns] for row in rows)]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines), flush=True)


if __name__ == "__main__":
    main()
