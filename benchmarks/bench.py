"""`make bench`: what the verbs cost, as ratios to the engine's own cost in the same run.

Times jitter on shared machines, so every measured program runs in turn with its floor, and the medians are compared.
Writes `benchmarks/latest.json` beside what it prints; `benchmarks/RESULTS.md` keeps what was worth keeping.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import advice  # noqa: E402
import cloud  # noqa: E402
import programs  # noqa: E402
from support.engine import Project, peak_memory, plugin_pids  # noqa: E402

from flow_resources.testing import FakeMithril, Request  # noqa: E402
from flow_resources.testing.service.accounts import Accounts  # noqa: E402

AT_ONCE = "64"
ADVICE = "the advice about bids, replayed (percentage points)"

OPERATIONS: dict[str, tuple[str, ...]] = {
    "preview": ("preview",),
    "up": ("up", "--yes", "--skip-preview"),
    "up again": ("up", "--yes", "--skip-preview"),
    "refresh": ("refresh", "--yes", "--skip-preview"),
    "destroy": ("destroy", "--yes", "--skip-preview"),
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=1000, help="clusters of the large stack; 0 for none")
    parser.add_argument("--only-cloud", action="store_true", help="measure the fake cloud and nothing else")
    parser.add_argument("--only-advice", action="store_true", help="replay the advice about bids and nothing else")
    chosen = parser.parse_args()
    if chosen.only_advice:
        show(ADVICE, advice.measure())
        return
    found: dict[str, Any] = {"the fake cloud": cloud.measure()}
    show("the fake cloud: 128 clients, in a process of its own", found["the fake cloud"])
    if chosen.only_cloud:
        return
    found[ADVICE] = advice.measure()
    show(ADVICE, found[ADVICE])
    for size in chosen.sizes:
        found[f"verbs at N={size}"] = verbs(size, chosen.rounds)
    if chosen.large:
        found["a large stack"] = large(chosen.large)
    found["32 clusters that boot for 3 s, -p 64"] = boots()
    found["against flow.run in the program"] = [against_bare(size) for size in (1, 10)]
    found["sizes"] = sizes()
    (HERE / "latest.json").write_text(json.dumps(found, indent=2))


def verbs(size: int, rounds: int) -> list[dict[str, Any]]:
    """Time each operation of N clusters, of N no-op resources, and of the bare SDK making the same calls, in turn."""
    # Else no two clouds share the id of an SSH key, and what was sent to one would be refused by the other.
    Accounts._key_tag = lambda _: "0123abcd"  # type: ignore[method-assign]  # noqa: SLF001
    spent: dict[tuple[str, str], list[float]] = defaultdict(list)
    requests: dict[str, int] = {}
    for _ in range(rounds):
        with (
            project(programs.OURS.format(n=size)) as (mine, mithril),
            project(programs.FLOOR.format(n=size)) as (noop, mirror),
        ):
            for one in (mithril, mirror):
                one.set_capacity("8xa100", "us-central5-a", size)
            for name, command in OPERATIONS.items():
                mithril.clear_requests()
                spent[name, "ours"].append(timed(mine, *command))
                requests[name] = len(mithril.requests)
                spent[name, "floor"].append(timed(noop, *command))
                spent[name, "sdk"].append(bare_sdk(mithril.requests, mirror, size))
    median = {key: statistics.median(seconds) for key, seconds in spent.items()}
    rows = [
        {
            "operation": name,
            "ours_s": round(median[name, "ours"], 2),
            "floor_s": round(median[name, "floor"], 2),
            "bare_sdk_s": round(median[name, "sdk"], 2),
            "ratio": round(median[name, "ours"] / (median[name, "floor"] + median[name, "sdk"]), 2),
            "requests": requests[name],
            "requests_per_cluster": round(requests[name] / size, 2),
        }
        for name in OPERATIONS
    ]
    show(
        f"verbs at N = {size} (median of {rounds}, 0 ms service, 0 s boot, -p {AT_ONCE}; ratio: to no-op dynamic "
        "resources and the bare SDK making the same calls)",
        rows,
    )
    return rows


def bare_sdk(requests: Sequence[Request], mirror: FakeMithril, size: int) -> float:
    """Return how long the bare SDK takes for the same calls, on a cloud that has lived through the same."""
    said = [{"method": one.method, "path": one.path, "query": one.query, "body": one.body} for one in requests]
    done = subprocess.run(
        [sys.executable, str(HERE / "bare_sdk.py"), str(min(size, int(AT_ONCE)))],
        input=json.dumps(said), capture_output=True, text=True, check=True, env={**os.environ, **mirror.environment},
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert len(found["errors"]) <= 0.1 * len(said), found
    return float(found["seconds"])


def large(size: int) -> list[dict[str, Any]]:
    """Count what a large stack asks, and weigh its plugin."""
    rows = []
    with project(programs.OURS.format(n=size)) as (mine, mithril), project(programs.FLOOR.format(n=size)) as (noop, _):
        mithril.set_capacity("8xa100", "us-central5-a", size)
        for name in ("up", "preview", "refresh"):
            mithril.clear_requests()
            peak, spent = weighed(mine, *OPERATIONS[name])
            row = {"operation": name, "ours_s": round(spent, 1), "floor_s": round(timed(noop, *OPERATIONS[name]), 1)}
            rows.append({**row, "requests": len(mithril.requests), "plugin_peak_mb": round(peak / 1e6)})
        mine.destroy("--skip-preview", "-p", AT_ONCE).ok()
    show(f"a stack of {size} clusters (-p {AT_ONCE}, 0 ms, 0 s boot)", rows)
    return rows


def weighed(one: Project, *command: str) -> tuple[int, float]:
    """Return the most memory that the plugin ever held (bytes), looked at twice a second, and the seconds it took."""
    began, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile("w+") as said:
        process = one.start(*command, *parallel(command), stdout=said)
        while process.poll() is None:
            peak = max([peak, *map(peak_memory, plugin_pids(process.pid))])
            time.sleep(0.5)
        said.seek(0)
        assert process.returncode == 0, said.read()
    return peak, time.perf_counter() - began


def boots() -> list[dict[str, Any]]:
    """Time an `up` whose machines take their time."""
    with project(programs.OURS.format(n=32)) as (mine, mithril), project(programs.FLOOR.format(n=32)) as (noop, _):
        mithril.boot_seconds = 3.0
        spent = timed(mine, *OPERATIONS["up"])
        floor = timed(noop, *OPERATIONS["up"])
        mine.destroy("--skip-preview").ok()
    rows = [{"up_s": round(spent, 1), "floor_s": round(floor, 1), "boots_over_floor": round((spent - floor) / 3.0, 2)}]
    show("32 clusters that boot for 3 s, -p 64 (one boot is 3 s)", rows)
    return rows


def against_bare(size: int) -> dict[str, Any]:
    """Count what a program with bare `flow.run` rents in two runs, and what ours does."""
    row: dict[str, Any] = {"N": size}
    for label, text in (("bare", programs.BARE), ("ours", programs.OURS)):
        with project(text.format(n=size)) as (one, mithril):
            for run in ("first", "second"):
                mithril.clear_requests()
                before = len(mithril.bids)
                row[f"{label}_{run}_s"] = round(timed(one, "up", "--yes"), 1)
                row[f"{label}_{run}_bids"] = len(mithril.bids) - before
                row[f"{label}_{run}_requests"] = len(mithril.requests)
    show(f"`pulumi up` (with its preview) twice: flow.run in the program against GpuCluster, N = {size}", [row])
    return row


def sizes() -> list[dict[str, Any]]:
    """Measure what a state and an import cost."""
    with project(programs.OURS.format(n=1)) as (mine, _):
        mine.up("--skip-preview").ok()
        outputs = mine.resources()["c0"]["outputs"]
    beyond = {key: value for key, value in outputs.items() if key.startswith("__") and key != "__provider"}
    rows = [
        {
            "provider_characters": len(outputs["__provider"]),
            "state_bytes_beyond_inputs_and_outputs": len(json.dumps(beyond)),
            **import_costs(),
        }
    ]
    show("sizes", rows)
    return rows


def import_costs() -> dict[str, float]:
    """Return what the package costs a program beyond Pulumi, in ms: imported, and with the names that programs use.

    The fastest of seven fresh interpreters each, in turn.
    """
    statements = {
        "pulumi": "import pulumi",
        "import_ms_beyond_pulumi": "import pulumi, flow_resources",
        "import_ms_with_the_resources": "import pulumi; from flow_resources import GpuCluster, Volume, VolumeMount",
    }
    runs = [{name: import_ms(statement) for name, statement in statements.items()} for _ in range(7)]
    fastest = {name: min(run[name] for run in runs) for name in statements}
    floor = fastest.pop("pulumi")
    return {name: round(spent - floor, 1) for name, spent in fastest.items()}


def import_ms(statement: str) -> float:
    """Return how long an import takes in a fresh interpreter, in ms."""
    code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    return 1000 * float(subprocess.check_output([sys.executable, "-c", code], text=True))


@contextmanager
def project(program: str) -> Iterator[tuple[Project, FakeMithril]]:
    """Make a project on a cloud of its own."""
    with tempfile.TemporaryDirectory() as folder, FakeMithril() as mithril:
        one = Project.make(Path(folder), mithril, program)
        (one.folder / "noop.py").write_text(programs.NOOP)
        yield one, mithril


def timed(one: Project, *command: str) -> float:
    """Return how long a pulumi command takes, in seconds."""
    began = time.perf_counter()
    one.run(*command, *parallel(command)).ok()
    return time.perf_counter() - began


def parallel(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return the option that says how many resources at once; a preview takes none."""
    return () if command[0] == "preview" else ("-p", AT_ONCE)


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Print a table."""
    print(f"\n{title}")
    columns = list(rows[0])
    widths = [max(len(column), *(len(str(row[column])) for row in rows)) for column in columns]
    for line in (columns, *([row[column] for column in columns] for row in rows)):
        print("  " + "  ".join(str(cell).rjust(width) for cell, width in zip(line, widths, strict=True)), flush=True)


if __name__ == "__main__":
    main()
