"""What the package weighs: a state, an import, a resource in the program, a first preview, the lines of prices."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Sequence
from typing import Any

import programs
from stacks import THIS, Package, python, stack

IMPORTS = {
    "pulumi": "import pulumi",
    "import_ms": "import pulumi, flow_resources",
    "import_with_resources_ms": (
        "import pulumi;"
        " from flow_resources import Bid, GpuCluster, Job, Placement, ResilientCluster, Volume, VolumeMount"
    ),
}
TURNS = 7
Rows = list[dict[str, Any]]


def states(packages: Sequence[Package]) -> Rows:
    """Measure what the state of a cluster holds beyond its inputs and outputs (P11)."""
    rows = []
    for package in packages:
        with stack(programs.OURS, 1, package) as one:
            one.run("up")
            outputs = one.project.resources()["c0"]["outputs"]
        beyond = {key: value for key, value in outputs.items() if key.startswith("__") and key != "__provider"}
        provider = len(outputs["__provider"])
        rows.append({
            "package": package.label, "provider_characters": provider, "hidden_bytes": len(json.dumps(beyond))
        })  # fmt: skip
    return rows


def imports(packages: Sequence[Package]) -> Rows:
    """Measure what the package costs a program beyond Pulumi (P9): the fastest of fresh interpreters each, in turn."""
    runs: list[dict[tuple[str, str], float]] = [
        {(one.label, name): _import_ms(one, statement) for one in packages for name, statement in IMPORTS.items()}
        for _ in range(TURNS)
    ]
    fastest = {key: min(run[key] for run in runs) for key in runs[0]}
    return [
        {
            "package": one.label,
            **{
                name: round(fastest[one.label, name] - fastest[one.label, "pulumi"], 1)
                for name in IMPORTS
                if name != "pulumi"
            },
        }
        for one in packages
    ]


def _import_ms(package: Package, statement: str) -> float:
    code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    return 1000 * float(python(package, "-c", code))


def declarations(packages: Sequence[Package], sizes: Sequence[int]) -> Rows:
    """Measure what declaring a cluster takes in the program (P12): the fastest of three programs each, in turn.

    The floor is a no-op dynamic resource: Pulumi's own part, which grows with what waits for its event loop.
    """
    rows = []
    for size in sizes:
        took = [
            {
                "floor": _declaring_ms(THIS, programs.DECLARING_FLOOR, size),
                **{one.label: _declaring_ms(one, programs.DECLARING, size) for one in packages},
            }
            for _ in range(3)
        ]
        fastest = {label: round(min(turn[label] for turn in took), 3) for label in took[0]}
        rows += [
            {"N": size, "package": one.label, "ms_each": fastest[one.label], "floor_ms_each": fastest["floor"]}
            for one in packages
        ]
    return rows


def _declaring_ms(package: Package, program: str, size: int) -> float:
    return 1000 * float(python(package, "-c", program, str(size))) / size


def cold_previews(packages: Sequence[Package], rounds: int) -> Rows:
    """Time a first preview of a fresh environment, whose bytecode is not written yet, over that of the floor."""
    took: list[dict[str, float]] = [
        {"floor": _cold_preview(programs.FLOOR), **{one.label: _cold_preview(programs.OURS, one) for one in packages}}
        for _ in range(rounds)
    ]
    middle = {label: statistics.median(turn[label] for turn in took) for label in took[0]}
    floor = middle.pop("floor")
    return [
        {"package": label, "cold_s": round(cold, 2), "floor_cold_s": round(floor, 2), "ratio": round(cold / floor, 2)}
        for label, cold in middle.items()
    ]


def _cold_preview(program: str, *package: Package) -> float:
    with tempfile.TemporaryDirectory() as bytecode, stack(program, 1, *package, PYTHONPYCACHEPREFIX=bytecode) as one:
        return one.run("preview").seconds


def prices(packages: Sequence[Package], size: int) -> Rows:
    """Measure a preview of N new clusters with the market on their rows, and with `flow:marketLines: false`."""
    rows = []
    for package in packages:
        with stack(programs.OURS, size, package) as one:
            for lines in ("true", "false"):
                one.project.run("config", "set", "flow:marketLines", lines).ok()
                run = one.run("preview")
                rows.append({
                    "N": size,
                    "marketLines": lines,
                    "package": package.label,
                    "preview_s": round(run.seconds, 2),
                    "requests": run.requests,
                    "plugin_mb": run.plugin_mb,
                })  # fmt: skip
    return rows
