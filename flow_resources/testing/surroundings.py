"""The surroundings of a program under `mock_mithril`: its environment, and what the Flow SDK remembers in the process.

Both belong to the whole process, so the mocks of a process are a stack. The innermost decides, and each gives back what
it found; one that ends before the one inside it leaves that one in force, which then gives back for both. What would
mix two clouds is refused: a mock cannot begin while another is active in another thread, or in an asyncio task that
goes on beside it.

Nothing of the SDK is imported here. Its memory is exchanged where it is loaded, and dropped when a mock loaded it.
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
# URL, the app behind `@flow.function`, which machines answered to SSH. The rest lies in FLOW_DIR, or in a client.
MEMORY: tuple[tuple[str, str, Callable[[], Any]], ...] = (
    ("flow.state.runtime_settings", "_SETTINGS", lambda: None),
    ("flow.adapters.http.client", "HttpClientPool._clients", dict),
    ("flow.sdk.decorators", "_app", lambda: None),
    ("flow.ssh.probe", "_PROBE_CACHE", dict),
)
_LOOPBACK = "localhost,127.0.0.1,::1"
_PREFIXES, _SUFFIX, _OURS = ("FLOW_", "MITHRIL_"), "_PROXY", "FLOW_RESOURCES_"


@contextmanager
def taken_over(variables: Mapping[str, str], *, keep_proxies: bool = False) -> Iterator[None]:
    """Let a program see these variables of the SDK and no others, and an SDK that remembers nothing.

    All of the SDK's (`FLOW_...`, `MITHRIL_...`, but not `FLOW_RESOURCES_...`) and of the proxies' are taken over, and
    restored exactly; others are nobody's business here. Requests go directly: to loopback with `keep_proxies`, else to
    everywhere, so that no proxy on loopback carries them out of the machine.
    """
    layer = _Layer()
    with _lock:
        _refuse_what_would_mix(layer)
        layer.found = _exchange({**_direct(keep_proxies), **variables}, {})
        _layers.append(layer)
    try:
        yield
    finally:
        with _lock:
            place = _layers.index(layer)
            _layers.remove(layer)
            if place < len(_layers):
                _layers[place].found = layer.found
            else:
                _, learnt = _exchange(*layer.found)
                _close(learnt)


class _Layer:
    """One mock that is active: who entered it, and what it found."""

    def __init__(self) -> None:
        self.thread = threading.current_thread()
        self.task = _current_task()
        self.found: tuple[dict[str, str], dict[str, Any]] = ({}, {})

    def goes_on_beside(self, other: _Layer) -> bool:
        """Say whether its program can run while the other's does, so that one would see the other's cloud."""
        if self.thread is not other.thread:
            return self.thread.is_alive()
        return self.task is not None and self.task is not other.task and not self.task.done()


_lock = threading.Lock()
_layers: list[_Layer] = []


def _refuse_what_would_mix(layer: _Layer) -> None:
    beside = next((one for one in _layers if one.goes_on_beside(layer)), None)
    if beside is None:
        return
    where = f"thread {beside.thread.name!r}"
    if beside.thread is layer.thread and beside.task is not None:
        where = f"the asyncio task {beside.task.get_name()!r}"
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


def _direct(keep_proxies: bool) -> dict[str, str]:
    """Return the variables that keep requests from a proxy. Clients disagree on the case, so both are set."""
    if not keep_proxies:
        return {"NO_PROXY": "*", "no_proxy": "*"}
    kept = {name: value for name, value in os.environ.items() if name.upper().endswith(_SUFFIX)}
    bypassed = ",".join(filter(None, (kept.get("NO_PROXY"), kept.get("no_proxy"), _LOOPBACK)))
    return {**kept, "NO_PROXY": bypassed, "no_proxy": bypassed}


def _exchange(variables: Mapping[str, str], memory: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Put these in the place of what stands there, and return that."""
    found = {name: value for name, value in os.environ.items() if _is_taken(name)}
    for name in found.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)
    return found, _exchange_memory(memory)


def _is_taken(name: str) -> bool:
    name = name.upper()
    return (name.startswith(_PREFIXES) and not name.startswith(_OURS)) or name.endswith(_SUFFIX)


def _exchange_memory(memory: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for module, path, fresh in MEMORY:
        *classes, name = path.split(".")
        holder: Any = sys.modules.get(module)
        for one in classes:
            holder = getattr(holder, one, None)
        if hasattr(holder, name):
            found[path] = getattr(holder, name)
            setattr(holder, name, memory[path] if path in memory else fresh())
    return found


def _close(memory: Mapping[str, Any]) -> None:
    """Close the clients in what the SDK learnt in a mock that is over."""
    for kept in memory.values():
        for one in kept.values() if isinstance(kept, dict) else (kept,):
            if hasattr(one, "close"):
                one.close()
