"""The benchmarks measure the checkout that is named, and draw the same chart of the same numbers."""

from __future__ import annotations

import importlib
import json
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch):
    """A function that imports a module of benchmarks/, which is no package."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


def test_a_program_uses_the_checkout_that_is_named(module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the bench runs in the folder of another one, as it does."""
    package = tmp_path / "flow_resources"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.chdir(BENCHMARKS.parent)
    stacks = module("stacks")
    code = "import flow_resources; print(flow_resources.__file__)"
    assert stacks.python(stacks.Package("before", tmp_path), "-c", code).strip() == str(package / "__init__.py")
    assert stacks.python(stacks.THIS, "-c", code).strip() == str(BENCHMARKS.parent / "flow_resources" / "__init__.py")


@pytest.mark.parametrize("name", ["DECLARING", "DECLARING_FLOOR"])
def test_the_programs_that_only_declare_run(module, name: str) -> None:
    """They print the seconds."""
    stacks = module("stacks")
    try:
        printed = stacks.python(stacks.THIS, "-c", getattr(module("programs"), name), "3")
    except subprocess.CalledProcessError as error:
        pytest.fail(error.stderr)
    assert float(printed) > 0


def test_the_chart_of_the_same_numbers_is_the_same_file(module, tmp_path: Path) -> None:
    """With the name of each line in it."""
    rows = [
        {"N": size, "operation": operation, "package": "this", "ours_s": 2.0 + size / 50, "floor_s": 1.0 + size / 100}
        for size in (1, 10, 100)
        for operation in ("up", "refresh")
    ]
    found = {"growth": rows, "bare growth": [{"N": size, "up_s": 1.0 + size / 10} for size in (1, 10, 100)]}
    chart = module("chart")
    drawn = []
    for name in ("one.svg", "two.svg"):
        chart.draw(json.loads(json.dumps(found)), tmp_path / name)
        drawn.append((tmp_path / name).read_text())
    assert drawn[0] == drawn[1]
    assert all(label in drawn[0] for label in ("GpuCluster", "no-op dynamic resources", "flow.run in the program"))
