"""The scorecard's rows for speed and size: what is to be reached beside what one run measured. No I/O.

What a run left out is "not measured", never reached.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

Rows = list[dict[str, Any]]
Found = Mapping[str, Rows]
PAGE = 100


class Reach(NamedTuple):
    """One row: the value is the worst of a run, None where it was not measured."""

    number: str
    what: str
    unit: str
    limit: float
    value: Callable[[Found], float | None]
    at_least: bool = False


def table(found: Found) -> Rows:
    """Return every row with its measured value and whether it is reached."""
    return [_row(reach, reach.value(found)) for reach in REACHES]


def _row(reach: Reach, value: float | None) -> dict[str, Any]:
    is_reached = value is not None and (value >= reach.limit if reach.at_least else value <= reach.limit)
    return {
        "#": reach.number,
        "what": reach.what,
        "reach": f"{'>=' if reach.at_least else '<='} {reach.limit:g} {reach.unit}".strip(),
        "measured": "not measured" if value is None else f"{value:g}",
        "reached": "" if value is None else "yes" if is_reached else "no",
    }


def _worst(values: Iterable[float]) -> float | None:
    return max(values, default=None)


def _of(key: str, column: str, **where: object) -> Callable[[Found], float | None]:
    """Return a function for the largest value of a column in the rows of a section that match."""
    return lambda found: _worst(row[column] for row in _matching(found, key, where))


def _matching(found: Found, key: str, where: Mapping[str, object]) -> Rows:
    wanted = {"package": "this", **where}
    return [row for row in found.get(key, []) if all(row.get(name, value) == value for name, value in wanted.items())]


def _largest_stack(found: Found) -> float | None:
    return _worst(row["N"] for row in _matching(found, "growth", {"operation": "up"}))


def _largest_plugin(found: Found) -> float | None:
    driven = _of("growth", "plugin_mb", N=1000)(found), _of("plugin alone", "peak_mb", N=1000)(found)
    return _worst(value for value in driven if value is not None)


def _above_allowed(found: Found) -> float | None:
    counted = [row for key in ("requests of an up", "requests of a large up") for row in _matching(found, key, {})]
    return _worst(row.get("creating", row["requests"]) - row["reach"] for row in counted)


def _growth_of_declaring(found: Found) -> float | None:
    each = {row["N"]: row["ms_each"] for row in _matching(found, "declarations", {})}
    return round(each[max(each)] / each[min(each)], 2) if len(each) > 1 else None


def _largest_exponent(found: Found) -> float | None:
    return _worst(
        value
        for key in ("exponents", "exponents of the plugin")
        for row in _matching(found, key, {})
        for name, value in row.items()
        if name.startswith(("time", "requests")) and isinstance(value, float)
    )


def _bids_of_a_second_run(found: Found) -> float | None:
    return _of("flow.run", "bids", program="this", run="second")(found)


REACHES = (
    Reach("P1", "slowest verb, N = 100, over floor + bare SDK", "x", 1.10, _of("verbs", "ratio", N=100)),
    Reach("P2", "slowest verb, N = 1, over floor + bare SDK", "x", 1.10, _of("verbs", "ratio", N=1)),
    Reach("P1", "slowest verb, N = 1000, over floor + bare SDK", "x", 1.10, _of("large verbs", "ratio", N=1000)),
    Reach("", "cold first preview, over the floor's", "x", 1.5, _of("cold previews", "ratio")),
    Reach("P3", "requests for what stands unchanged, any N", "", 4, _of("growth", "requests", operation="up again")),
    Reach("P4", "requests of creating beyond 14 + 3 N + 4, any N and -p", "", 0, _above_allowed),
    Reach("P4, P13", "waiting, later: requests in 5 s", "", 2, _of("polls", "most_in_5_s_later")),
    Reach("P4", "update of N = 100: requests", "", 200, _of("updates", "requests", N=100)),
    Reach("P4", "destroy of N = 100: requests", "", 200 + 14, _of("verbs", "requests", N=100, operation="destroy")),
    Reach(
        "P5", "refresh of N = 1000: requests", "", math.ceil(1000 / PAGE) * 2 + 5,
        _of("growth", "requests", N=1000, operation="refresh"),
    ),
    Reach("P6", "the same, 100 ms away, over the floor", "x", 2.0, _of("far refresh", "ratio", N=1000)),
    Reach("", "32 clusters booting 3 s, boots over the floor", "", 1.3, _of("boots", "boots_over_floor", N=32)),
    Reach("P7", "64 clusters booting 10 s, over the floor", "s", 13, _of("boots", "over_floor_s", N=64)),
    Reach("P8", "largest `up`", "clusters", 500, _largest_stack, at_least=True),
    Reach("P9", "import with the resources beyond pulumi", "ms", 40, _of("imports", "import_with_resources_ms")),
    Reach("P10", "plugin at N = 1000, any verb", "MB", 100, _largest_plugin),
    Reach("P11", "hidden properties per cluster in the state", "bytes", 400, _of("states", "hidden_bytes")),
    Reach("P11", "`__provider`", "characters", 128, _of("states", "provider_characters")),
    Reach("P12", "declaring a cluster", "ms", 1, _of("declarations", "ms_each")),
    Reach("P12", "the same at N = 2000 over N = 100", "x", 1.2, _growth_of_declaring),
    Reach("P14", "bids of a second run", "", 0, _bids_of_a_second_run),
    Reach("R12", "requests through a storm, over a calm run's", "x", 3, _of("storm", "ratio")),
    Reach("", "largest exponent of our own time and requests", "", 1.05, _largest_exponent),
    Reach("", "the fake's pages of 100 bids", "/s", 1000, _of("cloud", "page_of_100_bids_reads_per_s"), at_least=True),
)  # fmt: skip
