"""The engine room: the only place that knows Pulumi's insides.

The Python dynamic host gives a provider its properties and little else. Eight things are taken from its insides, each
feature-detected, each with a stock behaviour to fall back on, each with a test for both ways:

========================  ============================================  ======================================
what                      how                                           where it cannot be had
========================  ============================================  ======================================
live rows and warnings    the engine's Log RPC, at the address in argv  warnings go to standard error
the time limit, the URN   `request` in the frame that called the verb   no limit but the default, no URN
failed initialisation     `context` there, `ErrorResourceInitFailed`    success with a warning: the id is kept
one-line errors           `context` there, a `Status` with the line     whatever the host prints
more than 4 verbs         the host's thread pool, widened               4 at a time
one heap for all threads  glibc's `mallopt`                             a heap for each of many threads
death with the engine     that address, watched                         goes on until it is done
one token a class         `__provider`, serialised once                 `pulumi.dynamic.Resource` as it is
========================  ============================================  ======================================
"""

from __future__ import annotations

import ctypes
import functools
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import FrameType
from typing import Any, ParamSpec, TypeVar

import grpc
import pulumi
from google.protobuf import any_pb2
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.output import Unknown as PulumiUnknown
from pulumi.runtime import rpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, status_pb2

from flow_resources.core.inputs import UNKNOWN, Unknown
from flow_resources.errors import FlowResourcesError, one_line
from flow_resources.redaction import Redactor

P = ParamSpec("P")
R = TypeVar("R")

VERBS_AT_ONCE = 1024  # the engine's own `--parallel` is the limit; an idle thread costs nothing before it is used
_RPC_METHODS = {"Check", "Diff", "Create", "Read", "Update", "Delete"}
_DISCONNECTED = (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.TRANSIENT_FAILURE)
_ARENAS, _LARGE = -8, -3  # M_ARENA_MAX and M_MMAP_THRESHOLD of glibc's malloc.h
_STATUS_DETAILS = "grpc-status-details-bin"

redactor = Redactor()
"""The secrets of this process."""


@dataclass(frozen=True)
class Call:
    """The RPC that a verb answers, as far as it can be seen."""

    method: str | None = None
    """Check, Diff, Create, Read, Update or Delete."""
    urn: str | None = None
    timeout: float | None = None
    """`custom_timeouts` in seconds, for create, update and delete."""
    context: Any = None


_calls = threading.local()


def current() -> Call:
    """Return the RPC that this thread answers."""
    call: Call = getattr(_calls, "call", Call())
    return call


def verb(function: Callable[P, R]) -> Callable[P, R]:
    """Make a provider's method a verb: it knows its call, and its errors are one line with a remedy."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        outer = getattr(_calls, "call", None)
        _calls.call = find_call()
        try:
            return function(*args, **kwargs)
        except FlowResourcesError as error:
            say_in_one_line(str(error))
            raise
        except InitialisationFailed:
            raise
        except Exception as error:
            _log(engine_pb2.DEBUG, redactor.redact(traceback.format_exc()), ephemeral=False)
            said = one_line(redactor.redact(repr(error)))
            say_in_one_line(f"a mistake of flow_resources, please report it with what `--debug` prints: {said}")
            raise
        finally:
            _calls.call = outer or Call()

    return wrapped


def find_call() -> Call:
    """Find the host's frame above us and read the request from it."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while frame is not None:
        request, context = frame.f_locals.get("request"), frame.f_locals.get("context")
        if frame.f_code.co_name in _RPC_METHODS and request is not None and hasattr(request, "urn"):
            return Call(frame.f_code.co_name, request.urn or None, getattr(request, "timeout", 0) or None, context)
        frame = frame.f_back
    return Call()


# -- what the user sees while a verb runs ------------------------------------------------------------------------------


def row(message: str) -> None:
    """Show a message on the resource's own row while it runs; the next one takes its place."""
    if getattr(_calls, "row", None) != (current(), message):  # nobody wants to read it again at every poll
        _calls.row = (current(), message)
        _log(engine_pb2.INFO, message, ephemeral=True)


def info(message: str) -> None:
    """Say something that stays in the diagnostics."""
    _log(engine_pb2.INFO, message, ephemeral=False)


def warn(message: str) -> None:
    """Warn; it stays in the diagnostics."""
    if not _log(engine_pb2.WARNING, message, ephemeral=False):
        print(f"warning: {message}", file=sys.stderr)  # noqa: T201 - the host passes it on; never standard output


def _log(severity: Any, message: str, *, ephemeral: bool) -> bool:
    stub = _engine()
    if stub is None:
        return False
    try:
        stub.Log(
            engine_pb2.LogRequest(severity=severity, message=message, urn=current().urn or "", ephemeral=ephemeral)
        )
    except grpc.RpcError:
        return False  # an engine that does not listen any more must not fail the verb
    return True


@functools.cache
def _engine() -> Any:
    """Return a stub of the engine; None where there is none."""
    channel = _channel()
    return None if channel is None else engine_pb2_grpc.EngineStub(channel)


@functools.cache
def _channel() -> grpc.Channel | None:
    """Return the channel to the engine whose address the host was started with; None where there is none."""
    address = sys.argv[1] if len(sys.argv) > 1 else ""
    host, _, port = address.rpartition(":")
    return grpc.insecure_channel(address) if host and port.isdigit() else None


# -- when the engine is gone -------------------------------------------------------------------------------------------


@functools.cache
def end_with_the_engine() -> None:
    """End this process, once, when the engine is gone: killed, it ends no plugin, and a plugin goes on by itself.

    Nobody would record what it still does. It dies as if it were killed, too: the next `up` takes over what it left.
    """
    channel = _channel()
    if channel is None:
        return
    host, _, port = sys.argv[1].rpartition(":")
    seen: set[grpc.ChannelConnectivity] = set()

    def look(state: grpc.ChannelConnectivity) -> None:
        seen.add(state)
        if state not in _DISCONNECTED or grpc.ChannelConnectivity.READY not in seen:
            return
        try:
            socket.create_connection((host, int(port))).close()
        except ConnectionRefusedError:
            os._exit(1)  # the connection is lost, and nobody listens there any more
        else:
            grpc.channel_ready_future(channel)  # it was idle for long: connected anew, it tells again

    channel.subscribe(look, try_to_connect=True)


# -- how a verb ends badly ---------------------------------------------------------------------------------------------


def say_in_one_line(message: str) -> None:
    """Let the error that is about to be raised reach the user as this line instead of a traceback."""
    _send_details(current().context, status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message))


def fail_initialisation(id_: str, outputs: Mapping[str, Any], inputs: Mapping[str, Any], reason: str) -> bool:
    """End the verb as "made, but not ready": the engine records the id, and the next `up` calls update for it.

    Does not return where the host can say it. Where it cannot, returns False after a warning: the caller then ends
    the verb as a success, so that the id is kept all the same.
    """
    context = current().context
    detail = any_pb2.Any()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=id_, properties=_struct(outputs), inputs=_struct(inputs), reasons=[one_line(reason)]
        )
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=one_line(reason), details=[detail])
    if not _send_details(context, status):
        warn(f"{reason} (recorded as {id_})")
        return False
    raise InitialisationFailed(reason)


class InitialisationFailed(Exception):  # noqa: N818 - the end of a verb, not an error of ours
    """Travels from `fail_initialisation` to the host, which sends what was packed there."""


def _send_details(context: Any, status: Any) -> bool:
    """Attach a Status to the RPC's answer: the one thing that the host's own error handling does not overwrite."""
    if not hasattr(context, "set_trailing_metadata"):
        return False
    context.set_trailing_metadata(((_STATUS_DETAILS, status.SerializeToString()),))
    return True


def _struct(properties: Mapping[str, Any]) -> Any:
    import asyncio

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(rpc.serialize_properties(dict(properties), {}))
    finally:
        loop.close()


# -- how many verbs run at once ----------------------------------------------------------------------------------------


def widen_pool(workers: int = VERBS_AT_ONCE) -> bool:
    """Let the host run more than its 4 verbs at once; called from one of its worker threads."""
    for argument in getattr(threading.current_thread(), "_args", ()):
        executor = argument() if callable(argument) else None
        if isinstance(executor, ThreadPoolExecutor) and isinstance(getattr(executor, "_max_workers", None), int):
            executor._max_workers = max(executor._max_workers, workers)  # noqa: SLF001
            return True
    return False


def share_one_heap() -> bool:
    """Let all threads share one heap: glibc gives them up to 8 a core, which hold 20 MB more for nothing.

    Large blocks, such as a page of bids, get pages of their own, which go back to the system at once.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another C library, or another system
        return False
    return all([mallopt(_ARENAS, 1), mallopt(_LARGE, 64 * 1024)])


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


# -- the program's side ------------------------------------------------------------------------------------------------


def is_mocked() -> bool:
    """Whether the program runs under `pulumi.runtime.set_mocks`, where a refused invoke fails the whole program."""
    return type(pulumi.runtime.settings.get_monitor()).__module__ == "pulumi.runtime.mocks"


_tokens: dict[type[ResourceProvider], str] = {}


_made: list[tuple[Any, dict[str, Any]]] = []  # one entry: the engine of the program that runs


def once_a_program(what: str, make: Callable[[], R]) -> R:
    """Return what is made once a program; another engine (a process can run several in turn) is another program."""
    monitor = pulumi.runtime.settings.get_monitor()
    if not _made or _made[0][0] is not monitor:
        _made[:] = [(monitor, {})]
    things = _made[0][1]
    if what not in things:
        things[what] = make()
    made: R = things[what]
    return made


def token(provider: type[ResourceProvider]) -> str:
    """Serialise a provider once: the stock resource does it anew each time and dies at the 981st of a program."""
    if provider not in _tokens:
        _tokens[provider] = serialize_provider(provider())
    return _tokens[provider]


def declare(
    resource: pulumi.dynamic.Resource,
    provider: type[ResourceProvider],
    name: str,
    props: dict[str, Any],
    opts: pulumi.ResourceOptions | None,
) -> None:
    """Do what the constructor of a dynamic resource does, with its provider serialised once a class.

    No constructor in between: Pulumi takes the third one for the resource's own, and records the line that called it.
    """
    type_name = getattr(type(resource), "_resource_type_name", None)
    if type_name is None:  # another Pulumi: let it do what it does
        pulumi.dynamic.Resource.__init__(resource, provider(), name, props, opts)
        return
    props["__provider"] = token(provider)
    pulumi.CustomResource.__init__(resource, f"pulumi-python:{type_name}", name, props, opts)
