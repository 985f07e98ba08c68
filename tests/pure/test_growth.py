"""The fit of the benchmarks: exponents of what grows, and the most within a few seconds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

SIZES = (1, 10, 100, 300, 1000)


def load(name: str) -> ModuleType:
    """Import a module of benchmarks/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[2] / "benchmarks" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


growth, reaches = load("growth"), load("reaches")


@given(st.floats(0.1, 3.0), st.floats(0.001, 1000.0))
def test_the_exponent_of_a_power_law_is_found(exponent: float, factor: float) -> None:
    """Over all sizes, and over the largest two."""
    values = {size: factor * size**exponent for size in SIZES}
    assert growth.exponent(values) == pytest.approx(exponent)
    assert growth.last_exponent(values) == pytest.approx(exponent)


def test_a_part_that_does_not_grow_hides_the_growth_least_at_the_largest_sizes() -> None:
    """Half a second and 2 us per square of N: the fit is far below 2, the largest two tell it better."""
    values = {size: 0.5 + 2e-6 * size**2 for size in SIZES}
    over_all, at_last = growth.exponent(values), growth.last_exponent(values)
    assert over_all < 0.3
    assert at_last > 1.05


def test_what_is_not_above_the_noise_has_no_known_growth() -> None:
    """None, never 0: with one point left, with none, and for shares below zero."""
    assert growth.exponent({1: 0.05, 10: -0.2, 100: 0.0, 1000: 4.0}, at_least=growth.NOISE) is None
    assert growth.exponent({}) is None
    assert growth.last_exponent({1: 5.0, 300: -1.0, 1000: 2.0}) is None
    assert growth.exponent({1: 0.01, 100: 1.0, 1000: 10.0}, at_least=growth.NOISE) == pytest.approx(1.0)


def test_the_busiest_seconds_begin_anywhere() -> None:
    """A window is half open: what comes exactly so many seconds later is in the next one."""
    assert growth.busiest([], 5.0) == 0
    assert growth.busiest([0.0, 5.0, 10.0], 5.0) == 1
    assert growth.busiest([9.0, 0.0, 4.9, 3.0, 5.1, 7.9], 5.0) == 4


def test_what_was_not_measured_is_not_reached() -> None:
    """Every row says so, and none says yes."""
    rows = reaches.table({})
    assert len(rows) > 20
    assert {row["measured"] for row in rows} == {"not measured"}
    assert {row["reached"] for row in rows} == {""}


def test_the_worst_row_of_this_checkout_decides() -> None:
    """Rows of the other checkout, and of other sizes, do not count."""
    rows = [
        {"N": 100, "package": "this", "operation": "up", "ratio": 1.02, "requests": 9},
        {"N": 100, "package": "this", "operation": "destroy", "ratio": 1.11, "requests": 9},
        {"N": 100, "package": "before", "operation": "up", "ratio": 3.0, "requests": 9},
        {"N": 1, "package": "this", "operation": "up", "ratio": 1.0, "requests": 9},
    ]
    verbs = {row["what"]: row for row in reaches.table({"verbs": rows}) if row["#"] in ("P1", "P2")}
    at_100 = verbs["slowest verb, N = 100, over floor + bare SDK"]
    assert (at_100["measured"], at_100["reached"]) == ("1.11", "no")
    assert verbs["slowest verb, N = 1, over floor + bare SDK"]["reached"] == "yes"


def test_an_exponent_above_the_reach_is_told() -> None:
    """Also where most are not known."""
    row = {"package": "this", "operation": "up", "time": "not known", "requests": 1.3, "reach": 1.05, "above": 1}
    (told,) = [row for row in reaches.table({"exponents": [row]}) if "exponent" in row["what"]]
    assert (told["measured"], told["reached"]) == ("1.3", "no")
