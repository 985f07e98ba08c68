"""The verbs in the provider plugin beside the same verbs in Pulumi's dynamic provider, in turn in one run."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import programs
from scale import AT_ONCE
from stacks import OPERATIONS, Package, Run, stack
from support.stack import HOSTS

Rows = list[dict[str, Any]]


def verbs(packages: Sequence[Package], size: int, rounds: int) -> Rows:
    """Measure each operation of N clusters in both hosts; a checkout from before the plugin is left out."""
    measured = [one for one in packages if (one.root / "flow_resources" / "plugin").is_dir()]
    runs: dict[tuple[str, str, str], list[Run]] = defaultdict(list)
    for _ in range(rounds):
        with ExitStack() as open_stacks:
            opened = {
                (one.label, host): open_stacks.enter_context(stack(programs.OURS, size, one, host=host))
                for one in measured
                for host in HOSTS
            }
            for name in OPERATIONS:
                for (label, host), each in opened.items():
                    runs[name, label, host].append(each.run(name, AT_ONCE))
    return [
        _row(size, name, one.label, *(runs[name, one.label, host] for host in HOSTS))
        for name in OPERATIONS
        for one in measured
    ]


def _row(size: int, name: str, label: str, dynamic: list[Run], plugin: list[Run]) -> dict[str, Any]:
    before, now = (statistics.median(run.seconds for run in runs) for runs in (dynamic, plugin))
    return {
        "N": size,
        "operation": name,
        "package": label,
        "dynamic_s": round(before, 2),
        "plugin_s": round(now, 2),
        "plugin_over_dynamic": round(now / before, 2),
        "dynamic_requests": max(run.requests for run in dynamic),
        "plugin_requests": max(run.requests for run in plugin),
        "dynamic_mb": max(run.plugin_mb for run in dynamic),
        "plugin_mb": max(run.plugin_mb for run in plugin),
    }
