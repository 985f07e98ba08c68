"""Fixtures of all floors."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from support.engine import Project, let_children_be_interrupted
from support.stack import HOSTS, FakeClock, Reports, SkippingClock, Stack, settings_of

from flow_resources import host
from flow_resources.providers import base
from flow_resources.testing import FakeMithril

# Tests read what programs print: it is plain, and as wide as ever, whatever a terminal or a CI asks for.
for _name in ("FORCE_COLOR", "CLICOLOR_FORCE", "MYPY_FORCE_COLOR", "PY_COLORS", "COLUMNS"):
    os.environ.pop(_name, None)

let_children_be_interrupted()

# What Hypothesis makes up is the same in every run, and nobody holds a stopwatch: a run fails for a change, not by
# chance and not on a busy machine. `pytest --hypothesis-profile=default tests/pure` makes up something new.
settings.register_profile("the same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("the same")


@pytest.fixture(scope="session", autouse=True)
def fixed_costs() -> Iterator[None]:
    """Leave out what every client, file and process would pay again, and no test looks at."""
    from httpx._transports import default

    with pytest.MonkeyPatch.context() as patch:
        # Every client of httpx reads all certificates, for 30 ms. No test uses TLS.
        patch.setattr(default, "create_ssl_context", functools.cache(default.create_ssl_context))
        # The SDK waits for the disk. No test cuts the power.
        patch.setattr(os, "fsync", lambda _file: None)
        # Children read bytecode and write none: its age counts in seconds, and tests edit faster.
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked `both_hosts` in each of them; `plugin="MARKER"` marks what runs in the plugin."""
    marker = metafunc.definition.get_closest_marker("both_hosts")
    if marker and not metafunc.definition.get_closest_marker("dynamic_host"):
        marks = [getattr(pytest.mark, name) for name in marker.kwargs.values()]
        hosts = [pytest.param(host, marks=marks if host == "plugin" else []) for host in HOSTS]
        metafunc.parametrize("host_of_verbs", hosts, indirect=True)


@pytest.fixture(autouse=True)
def host_of_verbs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The host in which the verbs of every model stack and of every project run."""
    host_name: str = getattr(request, "param", HOSTS[0])
    monkeypatch.setattr(Stack, "host", host_name)
    monkeypatch.setattr(Project, "host", host_name)
    return host_name


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let nothing of the developer's own settings reach a test."""
    for name in ("API_KEY", "PROJECT", "REGION", "API_URL", "SSH_KEY", "SSH_KEYS"):
        monkeypatch.delenv(f"MITHRIL_{name}", raising=False)
    for name in ("FLOW_PROVIDER", "FLOW_DEMO_MODE", "FLOW_CONFIG_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FLOW_DIR", str(tmp_path / "flow"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "flow").mkdir()


@pytest.fixture
def cloud(clean_environment: None) -> Iterator[FakeMithril]:
    """A fake Mithril over loopback."""
    with FakeMithril() as fake:
        yield fake


@pytest.fixture
def clock() -> FakeClock:
    """A clock that nobody waits for."""
    return FakeClock()


@pytest.fixture(autouse=True)
def no_waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no retry of the SDK sleep for real, where somebody uses it as it comes."""
    if request.node.get_closest_marker("engine"):
        return
    from flow.adapters.http import client

    without_sleep = SimpleNamespace(**{**vars(time), "sleep": lambda _seconds: None})
    monkeypatch.setattr(client, "time", without_sleep)  # not the module's own sleep: others wait for real


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Reports:
    """What the verbs report on rows and in diagnostics; warnings go to standard error as ever."""
    heard = Reports()
    monkeypatch.setattr(
        host.EngineReport, "progress", lambda _, message, *, keep=False: heard.progress(message, keep=keep)
    )
    return heard


@pytest.fixture
def stack(cloud: FakeMithril) -> Iterator[Stack]:
    """A stack of the engine's model, on the fake, with its settings in the stack's config."""
    yield Stack(settings_of(cloud), clock=SkippingClock())
    base.current().close()
