"""Fixtures of the tests on machines that boot; without them the tests are skipped, and say why."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.machines import Follower, NoMachinesError, Room, base_image, machines

from flow_resources.testing import MANUAL, FakeMithril


@pytest.fixture(scope="session")
def disk_image(request: pytest.FixtureRequest) -> Path:
    """The base image, made first where there is none; what is told meanwhile goes past pytest's capture."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            sys.stderr.write(f"\nmachines: {text}\n")

    try:
        return base_image(say)
    except NoMachinesError as reason:
        pytest.skip(f"no machines that boot: {reason}")


@pytest.fixture
def room(disk_image: Path, tmp_path: Path) -> Iterator[Room]:
    """An empty room of machines."""
    with machines(tmp_path) as made:
        yield made


@pytest.fixture
def follower(disk_image: Path, cloud: FakeMithril, tmp_path: Path) -> Iterator[Follower]:
    """Machines for the bids of the fake cloud, which they reach; a notice lasts until the test ends it."""
    cloud.set_options(preemption_notice_seconds=MANUAL)
    with machines(tmp_path, reach=(cloud.port,)) as made, Follower(cloud, made, tmp_path / "volumes") as following:
        yield following
