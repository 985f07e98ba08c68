"""A fake Mithril: a local server that implements the cloud's HTTP API, and the tools to test programs against it.

The names below are imported on first access, so that importing one of them does not import the web server.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flow_resources.testing.console import Console
    from flow_resources.testing.fake import FakeMithril
    from flow_resources.testing.mocking import mock_mithril
    from flow_resources.testing.program_mocks import FlowMocks
    from flow_resources.testing.remote import RemoteMithril
    from flow_resources.testing.service.clock import Clock
    from flow_resources.testing.service.options import MANUAL
    from flow_resources.testing.service.store import StateError
    from flow_resources.testing.web.faults import FaultRule
    from flow_resources.testing.web.journal import Request

__all__ = [
    "MANUAL",
    "Clock",
    "Console",
    "FakeMithril",
    "FaultRule",
    "FlowMocks",
    "RemoteMithril",
    "Request",
    "StateError",
    "mock_mithril",
]

_MODULES = {
    "MANUAL": "service.options",
    "Clock": "service.clock",
    "Console": "console",
    "FakeMithril": "fake",
    "FaultRule": "web.faults",
    "FlowMocks": "program_mocks",
    "RemoteMithril": "remote",
    "Request": "web.journal",
    "StateError": "service.store",
    "mock_mithril": "mocking",
}


def __getattr__(name: str) -> Any:
    """Import the module that defines `name` on first access."""
    if name not in _MODULES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, including those not imported yet."""
    return sorted({*globals(), *__all__})
