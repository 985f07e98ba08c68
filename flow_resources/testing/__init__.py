"""A Mithril you can hold in your hand: a local server that speaks the cloud's HTTP API.

This is the front door. Everything is looked up lazily, so that importing one name does not import the web server.
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

_ROOMS = {
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
    """Import the room that holds `name` the first time it is asked for."""
    if name not in _ROOMS:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    """List the public names even before they were imported."""
    return sorted({*globals(), *__all__})
