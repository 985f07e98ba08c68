"""The plugin without the engine: the CPU seconds and the memory that are its own, over N, without anybody's noise.

A command of pulumi at N = 1000 spends most of its time on the engine's own state, which hides the plugin's share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import growth
import plugin
import stacks

Rows = list[dict[str, Any]]
VERBS = {"up": "up", "up again": "preview", "refresh": "refresh", "destroy": "destroy"}
"""What the plugin does in each operation of the engine, on what the one before it left."""
_NOT_FROM_HERE = "import sys; sys.path.remove('')"
"""With `python -c` the current folder, which can be another checkout, comes before PYTHONPATH."""


def verbs(packages: Sequence[stacks.Package], sizes: Sequence[int]) -> Rows:
    """Measure each operation in a plugin process of its own, in turn."""
    return [row for size in sizes for package in packages for row in _verbs(package, size)]


def _verbs(package: stacks.Package, size: int) -> Rows:
    rows = []
    with stacks.cloud(size) as cloud, plugin.user(cloud) as env:
        env["PYTHONPATH"] = package.python_path
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        clusters = plugin.clusters(size)
        for operation, verb in VERBS.items():
            cloud.clear_requests()
            with plugin.plugin(env, plugin.config_of(cloud), _NOT_FROM_HERE) as process:
                getattr(process, verb)(clusters)
                cost = process.cost()
            rows.append({
                "N": size, "operation": operation, "package": package.label, "cpu_s": cost.cpu_seconds,
                "seconds": cost.seconds, "peak_mb": cost.peak_mb, "requests": len(cloud.requests),
            })  # fmt: skip
    return rows


def exponents(measured: Rows) -> Rows:
    """Return by operation how the CPU seconds grow beyond those of one cluster, which are mostly the start."""
    series: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for row in measured:
        series[row["operation"], row["package"]][row["N"]] = row["cpu_s"]
    rows = []
    for (operation, label), cpu in series.items():
        beyond = {size: seconds - cpu[min(cpu)] for size, seconds in cpu.items() if size != min(cpu)}
        found = {"time": growth.exponent(beyond, at_least=growth.NOISE)}
        found["time, largest two"] = growth.last_exponent(beyond, at_least=growth.NOISE)
        shown = {name: "not known" if value is None else round(value, 2) for name, value in found.items()}
        rows.append({"operation": operation, "package": label, **shown})
    return rows
