"""Everything in this folder runs programs in other languages than Python through the real engine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.engine)
            item.add_marker(pytest.mark.languages)


@pytest.fixture(autouse=True)
def pulumi_on_path() -> None:
    """Say what to do where there is no engine; never pass without one."""
    if not shutil.which("pulumi"):
        pytest.fail("no `pulumi` on PATH: run `make languages`")


def skip_without(*programs: str) -> None:
    """Skip the test where a program is missing."""
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"there is no `{program}` on PATH")


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the packages that the example in TypeScript asks for, installed once."""
    skip_without("node", "npm", "pulumi-language-nodejs")
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(EXAMPLES / "14-typescript" / "package.json", folder)
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "node_modules"


@pytest.fixture(scope="session")
def go_caches() -> dict[str, str]:
    """Return the environment by which a user with another home shares Go's modules and what was compiled before."""
    skip_without("go", "pulumi-language-go")
    names = ("GOMODCACHE", "GOCACHE")
    done = subprocess.run(["go", "env", *names], capture_output=True, text=True, check=True)
    return dict(zip(names, done.stdout.split(), strict=True))
