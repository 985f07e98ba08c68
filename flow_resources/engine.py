"""The plugin's side of Pulumi's internals: what the dynamic host, in which the verbs run, does not hand to a provider.

The Python dynamic host gives a provider its properties and little else. Six things are taken from its internals, each
feature-detected, each with a fallback, each with a test for both ways:

========================  ============================================  ======================================
what                      how                                           fallback
========================  ============================================  ======================================
live rows and warnings    the engine's Log RPC, at the address in argv  warnings go to standard error
the time limit, the URN,  `request` in the frame that called the verb   the default limit, no URN,
what is ignored                                                         nothing is
failed initialisation     `context` there, `ErrorResourceInitFailed`    success with a warning: the id is kept
one-line errors           `context` there, a `Status` with the line     whatever the host prints
more than 4 verbs         the host's thread pool, widened               4 at a time
exit with the engine      a watch on that address                       goes on until it is done
========================  ============================================  ======================================

The user's program runs in another process; its side is in `program`.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import FrameType
from typing import Any

from pulumi.output import Unknown as PulumiUnknown
from pulumi.runtime import rpc

from flow_resources.core.inputs import UNKNOWN, Unknown
from flow_resources.host import STATUS_DETAILS, EngineLink, error_status, not_ready_status

VERBS_AT_ONCE = 1024  # the engine's own `--parallel` is the limit; an idle thread costs nothing before it is used
READERS_AT_ONCE = 16
"""How many run while none of them changes anything: they share their requests, and a thread costs 100 KB."""
_RPC_METHODS = {"Check", "Diff", "Create", "Read", "Update", "Delete"}


@dataclass(frozen=True)
class Call:
    """The RPC that a verb answers, as far as it can be seen."""

    method: str | None = None
    """Check, Diff, Create, Read, Update or Delete."""
    urn: str | None = None
    timeout: float | None = None
    """`custom_timeouts` in seconds, for create, update and delete."""
    context: Any = None
    ignore_changes: tuple[str, ...] = ()
    """The property paths of an update whose changes the program ignores."""


def find_call() -> Call:
    """Find the host's frame above us and read the request from it."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while frame is not None:
        request, context = frame.f_locals.get("request"), frame.f_locals.get("context")
        if frame.f_code.co_name in _RPC_METHODS and request is not None and hasattr(request, "urn"):
            ignored = tuple(getattr(request, "ignoreChanges", ()))
            timeout = getattr(request, "timeout", 0) or None
            return Call(frame.f_code.co_name, request.urn or None, timeout, context, ignored)
        frame = frame.f_back
    return Call()


# -- the engine --------------------------------------------------------------------------------------------------------


@functools.cache
def link() -> EngineLink:
    """Return the connection to the engine whose address the host was started with."""
    return EngineLink(sys.argv[1] if len(sys.argv) > 1 else "")


@functools.cache
def end_with_the_engine() -> None:
    """End this process, once, when the engine is gone."""
    link().end_with_the_engine()


# -- how a verb fails --------------------------------------------------------------------------------------------------


def set_error_line(call: Call, message: str) -> None:
    """Let the error that is about to be raised reach the user as this line instead of a traceback."""
    _send_details(call.context, error_status(message))


def fail_initialisation(
    call: Call, id_: str, outputs: Mapping[str, Any], inputs: Mapping[str, Any], reason: str
) -> None:
    """End the verb as "made, but not ready".

    Does not return where the host can say it. Where it cannot, the caller ends the verb as a success with a warning, so
    that the id is kept all the same.
    """
    if _send_details(call.context, not_ready_status(id_, _struct(outputs), _struct(inputs), reason)):
        raise InitialisationFailed(reason)


class InitialisationFailed(Exception):  # noqa: N818 - the end of a verb, not an error of ours
    """Travels from `fail_initialisation` to the host, which sends what was packed there."""


def _send_details(context: Any, status: Any) -> bool:
    """Attach a Status to the RPC's answer: the one thing that the host's own error handling does not overwrite."""
    if not hasattr(context, "set_trailing_metadata"):
        return False
    context.set_trailing_metadata(((STATUS_DETAILS, status.SerializeToString()),))
    return True


def _struct(properties: Mapping[str, Any]) -> Any:
    import asyncio

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(rpc.serialize_properties(dict(properties), {}))
    finally:
        loop.close()


# -- how many verbs run at once ----------------------------------------------------------------------------------------


@functools.cache
def widen_pool_for_changes() -> None:
    """Let the host run as many verbs as the engine asks for, from the first one on that changes something."""
    widen_pool()


def widen_pool(workers: int = VERBS_AT_ONCE) -> bool:
    """Let the host run more than its 4 verbs at once; called from one of its worker threads."""
    for argument in getattr(threading.current_thread(), "_args", ()):
        executor = argument() if callable(argument) else None
        if isinstance(executor, ThreadPoolExecutor) and isinstance(getattr(executor, "_max_workers", None), int):
            _widen(executor, workers)
            return True
    return False


def _widen(executor: Any, workers: int) -> None:
    """Let a pool grow, and start a thread for each call that has come before: only a new call starts one by itself.

    Without these threads the pool stays as it was. A worker that ends a call counts as idle although it takes the next
    one from the queue, and the call that the engine sends next finds it idle. So none counts as idle any more.
    """
    inside = ("_shutdown_lock", "_work_queue", "_idle_semaphore", "_adjust_thread_count")
    lock, queue, idle, start = (getattr(executor, name, None) for name in inside)
    with lock or contextlib.nullcontext():
        executor._max_workers = max(executor._max_workers, workers)  # noqa: SLF001
        if not (queue and idle and start):
            return
        while idle.acquire(blocking=False):
            pass
        for _ in range(queue.qsize()):
            start()


# -- secret values -----------------------------------------------------------------------------------------------------


def secrets_out(properties: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Mark properties as secret, as they travel: the host marks none by itself.

    The engine keeps the mark in the state, in what it shows, and in the outputs of the same name; the verbs get plain
    values, because the host accepts no secrets.
    """

    def marked(name: str, value: Any) -> Any:
        if name not in names or _is_sentinel(value):  # an unknown value shows nothing
            return value
        return {rpc._special_sig_key: rpc._special_secret_sig, "value": value}  # noqa: SLF001 - the format of the wire

    return {name: marked(name, value) for name, value in properties.items()}


# -- unknown values ----------------------------------------------------------------------------------------------------


def unknowns_in(value: Any) -> Any:
    """Turn Pulumi's unknown values, however deep, into the core's."""
    return _replace(value, lambda one: UNKNOWN if isinstance(one, PulumiUnknown) or _is_sentinel(one) else one)


def unknowns_out(value: Any) -> Any:
    """Turn the core's unknown values back into Pulumi's."""
    return _replace(value, lambda one: rpc.UNKNOWN if isinstance(one, Unknown) else one)


def _is_sentinel(value: Any) -> bool:
    return isinstance(value, str) and value == rpc.UNKNOWN


def _replace(value: Any, swap: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {key: _replace(one, swap) for key, one in value.items()}
    if isinstance(value, list):
        return [_replace(one, swap) for one in value]
    return swap(value)
