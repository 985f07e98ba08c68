"""Everything in this folder runs the real engine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.engine)


@pytest.fixture(autouse=True)
def pulumi_on_path() -> None:
    """Say what to do where there is no engine; never pass without one."""
    if not shutil.which("pulumi"):
        pytest.fail('no `pulumi` on PATH: run `make test`, or `eval "$(make -s env)"` first')
