"""The process-wide state under `mock_mithril`: environment variables, and what the Flow SDK caches in the process.

Both belong to the process, so the active mocks form a stack: the innermost one is in effect, and each restores what it
found. A mock that ends before one that was entered after it leaves that one in effect, which then restores for both. A
mock is refused where two programs would see each other's cloud: while another mock is active in another thread, or in
another asyncio task that has not finished.

This module does not import the SDK. It replaces the state of SDK modules that are loaded, and discards the state that
the SDK created inside a mock.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# What the SDK keeps for the life of the process and would carry from one cloud into the next: settings, HTTP clients by
# URL, the app behind `@flow.function`, which machines answered to SSH. Its other state is in FLOW_DIR or in a client.
SDK_STATE: tuple[tuple[str, str, Callable[[], Any]], ...] = (
    ("flow.state.runtime_settings", "_SETTINGS", lambda: None),
    ("flow.adapters.http.client", "HttpClientPool._clients", dict),
    ("flow.sdk.decorators", "_app", lambda: None),
    ("flow.ssh.probe", "_PROBE_CACHE", dict),
)
"""(module, path of an attribute in it, function that returns its initial value)."""
_LOOPBACK = "localhost,127.0.0.1,::1"
_SDK_PREFIXES, _PROXY_SUFFIX, _OWN_PREFIX = ("FLOW_", "MITHRIL_"), "_PROXY", "FLOW_RESOURCES_"


@contextmanager
def isolated(variables: Mapping[str, str], *, keep_proxies: bool = False) -> Iterator[None]:
    """Set these variables for the SDK, unset all its others, and give it fresh process-wide state; restore on exit.

    The variables concerned are those of the SDK (`FLOW_...` and `MITHRIL_...`, except `FLOW_RESOURCES_...`) and of
    proxies. They are restored exactly; other variables are left alone. Proxies are bypassed: for loopback with
    `keep_proxies`, else for every host, so that no proxy on loopback forwards requests to the network. Raises
    RuntimeError where another mock is active in another thread or task.
    """
    layer = _Layer()
    with _lock:
        _refuse_concurrent(layer)
        layer.saved = _replace({**_proxy_variables(keep_proxies), **variables}, {})
        _layers.append(layer)
    try:
        yield
    finally:
        with _lock:
            index = _layers.index(layer)
            _layers.remove(layer)
            if index < len(_layers):
                _layers[index].saved = layer.saved
            else:
                _, sdk_state = _replace(*layer.saved)
                _close_clients(sdk_state)


class _Layer:
    """One active mock: the thread and task that entered it, and the state that it replaced."""

    def __init__(self) -> None:
        self.thread = threading.current_thread()
        self.task = _current_task()
        self.saved: tuple[dict[str, str], dict[str, Any]] = ({}, {})

    def is_concurrent_with(self, other: _Layer) -> bool:
        """Return whether its program may run at the same time as that of the other layer."""
        if self.thread is not other.thread:
            return self.thread.is_alive()
        return self.task is not None and self.task is not other.task and not self.task.done()


_lock = threading.Lock()
_layers: list[_Layer] = []


def _refuse_concurrent(layer: _Layer) -> None:
    active = next((other for other in _layers if other.is_concurrent_with(layer)), None)
    if active is None:
        return
    where = f"thread {active.thread.name!r}"
    if active.thread is layer.thread and active.task is not None:
        where = f"the asyncio task {active.task.get_name()!r}"
    msg = (
        f"mock_mithril: another mock is active in {where}. The environment belongs to the whole process, so the two "
        "programs would see each other's cloud. Let one mock enclose both, or run them one after the other, or in "
        "processes of their own (pytest -n)."
    )
    raise RuntimeError(msg)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        return None


def _proxy_variables(keep_proxies: bool) -> dict[str, str]:
    """Return the proxy variables to set. Clients disagree on the case of NO_PROXY, so both spellings are set."""
    if not keep_proxies:
        return {"NO_PROXY": "*", "no_proxy": "*"}
    proxies = {name: value for name, value in os.environ.items() if name.upper().endswith(_PROXY_SUFFIX)}
    bypassed = ",".join(filter(None, (proxies.get("NO_PROXY"), proxies.get("no_proxy"), _LOOPBACK)))
    return {**proxies, "NO_PROXY": bypassed, "no_proxy": bypassed}


def _replace(variables: Mapping[str, str], sdk_state: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Replace the variables and the SDK's state, and return the previous ones."""
    previous = {name: value for name, value in os.environ.items() if _is_replaced(name)}
    for name in previous.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)
    return previous, _replace_sdk_state(sdk_state)


def _is_replaced(name: str) -> bool:
    name = name.upper()
    return (name.startswith(_SDK_PREFIXES) and not name.startswith(_OWN_PREFIX)) or name.endswith(_PROXY_SUFFIX)


def _replace_sdk_state(sdk_state: Mapping[str, Any]) -> dict[str, Any]:
    previous: dict[str, Any] = {}
    for module, path, make_initial in SDK_STATE:
        *classes, name = path.split(".")
        holder: Any = sys.modules.get(module)
        for class_name in classes:
            holder = getattr(holder, class_name, None)
        if hasattr(holder, name):
            previous[path] = getattr(holder, name)
            setattr(holder, name, sdk_state[path] if path in sdk_state else make_initial())
    return previous


def _close_clients(sdk_state: Mapping[str, Any]) -> None:
    """Close the clients that the SDK opened inside a mock that has ended."""
    for value in sdk_state.values():
        for client in value.values() if isinstance(value, dict) else (value,):
            if hasattr(client, "close"):
                client.close()
