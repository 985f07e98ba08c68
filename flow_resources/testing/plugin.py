"""The pytest plugin: the fixture `mithril` and the marker of the same name.

    @pytest.mark.mithril(boot_seconds=3)
    def test_training_waits_for_its_machines(mithril): ...

Pytest loads this module in every run wherever the package is installed, so it imports nothing slow, and it does nothing
for tests that use neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from flow_resources.testing.fake import FakeMithril

_CLOUD = "_mithril_cloud"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "mithril(**options): run the test against a fake Mithril, with these options of mock_mithril; "
        "of those on the function, its class and its module the nearest wins",
    )


@pytest.fixture
def mithril(_mithril_cloud: FakeMithril) -> FakeMithril:
    """A new fake Mithril per test, which the Flow SDK finds by itself; @pytest.mark.mithril(...) sets its options."""
    return _mithril_cloud


@pytest.fixture(autouse=True)
def _mithril_first(request: pytest.FixtureRequest) -> None:
    """Start the cloud before the other fixtures of the test, so that they rent in it, and stop it after them.

    A fixture `mithril` that a project defines itself is not affected.
    """
    is_decorated = any(hasattr(target, "__mock_mithril__") for target in (request.cls, request.function))
    is_requested = _CLOUD in request.fixturenames
    if is_decorated and is_requested:
        pytest.fail("a test decorated with mock_mithril has its cloud: leave the fixture mithril out", pytrace=False)
    if is_requested or (request.node.get_closest_marker("mithril") and not is_decorated):
        request.getfixturevalue(_CLOUD)


@pytest.fixture
def _mithril_cloud(request: pytest.FixtureRequest) -> Iterator[FakeMithril]:
    from flow_resources.testing.mocking import mock_mithril

    with ExitStack() as stack:
        try:
            mithril = stack.enter_context(mock_mithril(**_options(request.node)))
        except ImportError as error:
            pytest.fail(str(error), pytrace=False)
        yield mithril


def _options(node: pytest.Item) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for mark in node.iter_markers("mithril"):
        if mark.args:
            pytest.fail(f"the options of @pytest.mark.mithril are keywords, got {mark.args}", pytrace=False)
        options = {**mark.kwargs, **options}
    return options
