"""The wheel alone, without extras, where nothing of this checkout is in reach: it works, also through the engine.

`make test` installs it in a second, with links to what it needs; `make package` as a user does, on every Python here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from docs.pages import EXAMPLES
from support.engine import Project
from support.packaging import ROOT, VERSIONS, Installed, build, install, install_linked, python_of

from flow_resources.testing import FakeMithril

LINKED = "linked"
EVERY_MODULE = """
import importlib, importlib.util, pkgutil, sys
import flow, flow_resources
assert flow_resources.__file__.startswith(sys.prefix), flow_resources.__file__
for name in ("aiohttp", "pytest", "mypy"):
    assert importlib.util.find_spec(name) is None, name
names = [one.name for one in pkgutil.walk_packages(flow_resources.__path__, "flow_resources.")]
plain = [name for name in names if "testing" not in name and "__main__" not in name]
for name in plain:
    importlib.import_module(name)
print(len(plain), "modules")
"""
MOCKED = """
import pulumi
from flow_resources.testing import FlowMocks

mocks = FlowMocks()
pulumi.runtime.set_mocks(mocks, project="training", stack="dev", preview=False)

@pulumi.runtime.test
def program():
    import infra
    return infra.cluster.instances[0].public_ip.apply(print)

program()
assert [name for _, name, _ in mocks.resources] == ["training-data", "trainer"]
"""


@pytest.fixture(scope="module", params=[LINKED, *(pytest.param(one, marks=pytest.mark.package) for one in VERSIONS)])
def user(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Somebody with a fresh environment and this wheel."""
    root = tmp_path_factory.mktemp(f"user-{request.param}")
    if request.param == LINKED:
        return install_linked(build("wheel", root / "built"), root / "venv")
    python = python_of(request.param)
    if python is None:
        pytest.skip(f"there is no Python {request.param} on this machine")
    return install(build("wheel", root / "built"), python, root / "venv")


def test_every_module_can_be_imported_without_extras(user: Installed) -> None:
    """Nothing but the fake needs the web server, and nothing at all what tests are made with."""
    told = user.run("python", "-W", "error::SyntaxWarning", "-c", EVERY_MODULE)
    assert told.returncode == 0, told.stderr
    assert int(told.stdout.split()[0]) > 40


def test_the_command_works(user: Installed) -> None:
    """Its version is the wheel's; `sweep` is there; the fake says what it lacks."""
    version = user.run("python", "-c", "import flow_resources; print(flow_resources.__version__)").stdout.strip()
    assert f'version = "{version}"' in (ROOT / "pyproject.toml").read_text()
    assert user.run("flow-resources", "--version").stdout == f"flow-resources {version}\n"
    assert "--yes" in user.run("flow-resources", "sweep", "--help").stdout
    refused = user.run("flow-resources", "fake")
    assert refused.returncode != 0
    assert "pip install 'flow-resources[testing]'" in refused.stderr


def test_a_program_runs_under_pulumis_mocks(user: Installed) -> None:
    """A user's unit tests need no extra, no engine and no network."""
    told = user.run("python", "-c", MOCKED, cwd=ROOT / "tests" / "program")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("198.51.100.")


@pytest.mark.engine
def test_the_engine_runs_it(user: Installed, tmp_path: Path, cloud: FakeMithril) -> None:
    """Preview, up, an empty preview and destroy, in the user's environment; the fake runs here."""
    path = os.pathsep.join([str(user.bin), *(one for one in os.environ["PATH"].split(os.pathsep) if one != BIN)])
    project = Project.of_example(tmp_path, cloud, EXAMPLES / "02-volumes", PATH=path, PYTHONPATH="", VIRTUAL_ENV="")
    assert "+ 4 to create" in project.preview().ok().text
    assert not cloud.mutations
    project.up().ok()
    assert [one["instance_quantity"] for one in cloud.live_bids] == [4]
    assert "4 unchanged" in project.preview("--expect-no-changes").ok().text
    project.destroy().ok()
    assert (cloud.live_bids, cloud.volumes) == ([], [])


BIN = str(Path(sys.executable).parent)
