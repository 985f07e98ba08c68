"""The server: an event loop in a thread of its own, started and stopped from other threads."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from weakref import WeakSet

try:
    from aiohttp import web
except ModuleNotFoundError as error:
    raise ImportError("a fake Mithril needs aiohttp: pip install 'flow-resources[testing]'") from error

from flow_resources.testing.service.backend import Backend
from flow_resources.testing.service.clock import steady_time
from flow_resources.testing.web.control import Perform
from flow_resources.testing.web.faults import Faults
from flow_resources.testing.web.journal import Journal
from flow_resources.testing.web.request_handler import RequestHandler

HOST = "127.0.0.1"
_SHUTDOWN_SECONDS = 0.05
_POLL_SECONDS, _POLLS_MAX = 0.001, 100
# An accepted connection takes one iteration of the event loop for its task, its transport and its protocol each.
_ITERATIONS_TO_ACCEPT = 4
_BACKLOG = 512
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Server:
    """One listening socket on loopback. A stopped server keeps its port and may be started again."""

    def __init__(self, backend: Backend, journal: Journal, faults: Faults, control: Perform, port: int) -> None:
        """Create a server that does not listen yet; port 0 takes a free one at the first start."""
        self._handler_arguments = (backend, journal, faults, control)
        self._faults = faults
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handler: RequestHandler | None = None
        self._stop_event: asyncio.Event | None = None
        self._latency = 0.0
        self._reserved: socket.socket | None = None
        self._lock = threading.Lock()  # `then` of a fault rule may stop the server while another thread starts it
        self.port = port

    def start(self) -> None:
        """Start listening; no effect while it listens. Raises OSError when the port is in use."""
        with self._lock:
            if self._thread is None:
                self._release_port()
                self._thread = self._start_thread()

    def stop(self) -> None:
        """Stop listening and close all connections; requests in progress get no response."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None or self._loop is None or self._stop_event is None:
                return
            self._loop.call_soon_threadsafe(self._stop_event.set)
            thread.join()
            self._reserve_port()

    def close(self) -> None:
        """Stop permanently, and release the port."""
        self.stop()
        self._release_port()

    def _start_thread(self) -> threading.Thread:
        errors: list[OSError] = []
        started = threading.Event()
        thread = threading.Thread(target=self._run, args=(started, errors), name="fake-mithril", daemon=True)
        thread.start()
        started.wait()
        if errors:
            thread.join()
            raise errors[0]
        return thread

    def _reserve_port(self) -> None:
        # A socket that is bound but does not listen refuses connections, and keeps the system from giving the port to
        # another program while the server is stopped.
        reserved = socket.socket()
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            reserved.bind((HOST, self.port))
        except OSError:  # another program has taken it
            reserved.close()
        else:
            self._reserved = reserved

    def _release_port(self) -> None:
        reserved, self._reserved = self._reserved, None
        if reserved is not None:
            reserved.close()

    def __del__(self) -> None:
        self._release_port()

    def set_latency(self, seconds: float) -> None:
        """Delay every response by this many seconds."""
        self._latency = seconds
        if self._handler is not None:
            self._handler.latency = seconds

    def _run(self, started: threading.Event, errors: list[OSError]) -> None:
        loop = asyncio.new_event_loop()
        with suppress(AttributeError):  # a loop that is not written in Python has a clock that nobody freezes
            loop.time = steady_time  # type: ignore[method-assign]
        try:
            loop.run_until_complete(self._serve(loop, started, errors))
        finally:
            # Cancel what is left, such as delayed responses. `asyncio.run` would also wait for each `then` of a rule.
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(_POLL_SECONDS))
            loop.close()
            started.set()

    async def _serve(self, loop: asyncio.AbstractEventLoop, started: threading.Event, errors: list[OSError]) -> None:
        listener = _Listener(self.port)
        handler = RequestHandler(*self._handler_arguments, listener)
        handler.latency = self._latency
        try:
            self.port = await listener.open(handler.handle)
        except OSError as error:
            await listener.close()
            errors.append(error)
            return
        self._loop, self._handler, self._stop_event = loop, handler, asyncio.Event()
        self._faults.on_clear = lambda: _release_threadsafe(loop, handler)
        started.set()
        await self._stop_event.wait()
        self._faults.on_clear = lambda: None
        handler.release()
        await listener.close()
        handler.close()


class _Connections(web.Server):
    """aiohttp's server, which drops a connection from its list before it is closed; `transports` keeps it."""

    def __init__(self, handler: Handler, transports: WeakSet[asyncio.Transport], **options: Any) -> None:
        super().__init__(handler, **options)
        self._transports = transports

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._transports.add(transport)


class _Listener:
    """The listening socket and its connections."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._runner: web.ServerRunner | None = None
        self._site: web.SockSite | None = None
        self._socket: socket.socket | None = None
        self._reopening: asyncio.Task[None] | None = None
        self._transports: WeakSet[asyncio.Transport] = WeakSet()

    async def open(self, handle: Handler) -> int:
        """Listen and return the port. Raises OSError when it is in use."""
        options: dict[str, Any] = {"access_log": None, "keepalive_timeout": 75.0}
        server = _Connections(handle, self._transports, **options)
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
        await self._runner.setup()
        await self._listen()
        self._port = self._runner.addresses[0][1]
        return self._port

    async def refuse(self, seconds: float) -> None:
        """Refuse connections for this many seconds, and close those that are idle."""
        if self._reopening is not None:
            self._reopening.cancel()
        await self.stop_listening()
        if self._runner is not None and self._runner.server is not None:
            self._runner.server.pre_shutdown()
        self._reopening = asyncio.create_task(self._reopen(seconds))

    async def stop_listening(self) -> None:
        """Stop listening; connections with a request in progress stay open."""
        site, self._site = self._site, None
        if site is None or self._socket is None:
            return
        # asyncio loses a connection that it accepts in the iteration in which its server closes: the client would hang.
        asyncio.get_running_loop().remove_reader(self._socket)
        for _ in range(_ITERATIONS_TO_ACCEPT):
            await asyncio.sleep(0)
        await site.stop()

    async def close(self) -> None:
        """Stop permanently and close all connections."""
        if self._reopening is not None:
            self._reopening.cancel()
        if self._runner is None or self._runner.server is None:
            return
        await self.stop_listening()
        await self._runner.cleanup()
        # Closing takes some iterations, and never ends if the client does not read: abort the remaining connections.
        for _ in range(_POLLS_MAX):
            open_transports = [item for item in self._transports if item.get_extra_info("socket").fileno() >= 0]
            for transport in open_transports:
                transport.abort()
            if not open_transports:
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def _listen(self) -> None:
        if self._runner is None:
            return
        listener = socket.create_server((HOST, self._port), backlog=_BACKLOG)
        site = web.SockSite(self._runner, listener, backlog=_BACKLOG)
        await site.start()
        self._site, self._socket = site, listener

    async def _reopen(self, seconds: float) -> None:
        while self._site is None:
            await asyncio.sleep(seconds)
            # Another program may have taken the port meanwhile; retry until it is free.
            with suppress(OSError):
                await self._listen()


def _release_threadsafe(loop: asyncio.AbstractEventLoop, handler: RequestHandler) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(handler.release)
