"""How something grows with the number of clusters, and how many requests come in a few seconds. No I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

NOISE = 0.1
"""Seconds. Two runs of the same command differ by as much, so what is smaller has no growth that can be told."""


def exponent(values: Mapping[int, float], *, at_least: float = 0.0) -> float | None:
    """Return e of the power law k * N**e that is nearest to the values by N: the slope between their logarithms.

    Values that are not above `at_least` are left out. None where fewer than two are left: the growth is not known.
    """
    points = [(math.log(size), math.log(value)) for size, value in values.items() if value > max(at_least, 0.0)]
    if len(points) < 2:  # noqa: PLR2004
        return None
    mean_x, mean_y = (sum(axis) / len(points) for axis in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


def last_exponent(values: Mapping[int, float], *, at_least: float = 0.0) -> float | None:
    """Return the exponent between the two largest N, where a part that does not grow weighs least."""
    largest = sorted(values)[-2:]
    return exponent({size: values[size] for size in largest}, at_least=at_least)


def busiest(times: Iterable[float], seconds: float) -> int:
    """Return the most that happened within so many seconds, wherever they begin."""
    ordered = sorted(times)
    most, first = 0, 0
    for index, time in enumerate(ordered):
        while ordered[first] <= time - seconds:
            first += 1
        most = max(most, index - first + 1)
    return most
