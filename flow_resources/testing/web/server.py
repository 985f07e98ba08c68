"""The thread that serves: an event loop of its own, started and stopped from any other thread."""

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
from flow_resources.testing.web.control import Perform
from flow_resources.testing.web.faults import Faults
from flow_resources.testing.web.journal import Journal
from flow_resources.testing.web.serving import Serving

HOST = "127.0.0.1"
_GRACE_SECONDS = 0.05
_ROUND_SECONDS, _ROUNDS = 0.001, 100
# Whoever is accepted becomes a task, then a transport, then a connection: a round of the loop each.
_ROUNDS_TO_COME_IN = 4
_BACKLOG = 512
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Server:
    """One listening socket on loopback. A stopped server keeps its port and may be started again."""

    def __init__(self, backend: Backend, journal: Journal, faults: Faults, control: Perform, port: int) -> None:
        """Prepare; nothing listens yet. Port 0 takes a free one at the first start."""
        self._parts = (backend, journal, faults, control)
        self._faults = faults
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serving: Serving | None = None
        self._halt: asyncio.Event | None = None
        self._door: _Door | None = None
        self._latency = 0.0
        self._kept: socket.socket | None = None
        self._turn = threading.Lock()  # whoever starts waits for the end of a stop, such as that of a fault's `then`
        self.port = port

    def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        with self._turn:
            if self._thread is None:
                self._let_the_port_go()
                self._thread = self._started()

    def stop(self) -> None:
        """Stop listening and cut every connection; requests under way get no answer."""
        with self._turn:
            thread, self._thread = self._thread, None
            if thread is None or self._loop is None or self._halt is None:
                return
            self._loop.call_soon_threadsafe(self._halt.set)
            thread.join()
            self._keep_the_port()

    def close(self) -> None:
        """Stop for good, and let the port go."""
        self.stop()
        self._let_the_port_go()

    def _started(self) -> threading.Thread:
        ready: list[OSError | None] = []
        listening = threading.Event()
        thread = threading.Thread(target=self._run, args=(listening, ready), name="fake-mithril", daemon=True)
        thread.start()
        listening.wait()
        if ready and ready[0] is not None:
            thread.join()
            raise ready[0]
        return thread

    def _keep_the_port(self) -> None:
        # Bound, but not listening: whoever connects is refused, and whoever asks the system for any free port is given
        # another one. Else a busy machine gives this one away while we are stopped.
        kept = socket.socket()
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            kept.bind((HOST, self.port))
        except OSError:  # somebody was faster
            kept.close()
        else:
            self._kept = kept

    def _let_the_port_go(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    def __del__(self) -> None:
        self._let_the_port_go()

    def set_latency(self, seconds: float) -> None:
        """Make every answer wait that long."""
        self._latency = seconds
        if self._serving is not None:
            self._serving.latency = seconds

    def _run(self, listening: threading.Event, ready: list[OSError | None]) -> None:
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._serve(loop, listening, ready))
        finally:
            # Such as a handler that is kept waiting. (`asyncio.run` would also wait for every `then` of a fault.)
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(_ROUND_SECONDS))
            loop.close()
            listening.set()

    async def _serve(
        self, loop: asyncio.AbstractEventLoop, listening: threading.Event, ready: list[OSError | None]
    ) -> None:
        door = _Door(self.port)
        serving = Serving(*self._parts, door)
        serving.latency = self._latency
        try:
            self.port = await door.open(serving.handle)
        except OSError as error:
            await door.close()
            ready.append(error)
            return
        self._loop, self._serving, self._halt = loop, serving, asyncio.Event()
        self._faults.on_clear = lambda: _call(loop, serving)
        listening.set()
        await self._halt.wait()
        self._faults.on_clear = lambda: None
        serving.release()
        await door.close()
        serving.close()


class _Connections(web.Server):
    """aiohttp's server, which forgets a connection before it is closed; `transports` does not."""

    def __init__(self, handler: Handler, transports: WeakSet[asyncio.Transport], **options: Any) -> None:
        super().__init__(handler, **options)
        self._transports = transports

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._transports.add(transport)


class _Door:
    """The listening socket and the connections behind it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._runner: web.ServerRunner | None = None
        self._site: web.SockSite | None = None
        self._listener: socket.socket | None = None
        self._opening: asyncio.Task[None] | None = None
        self._transports: WeakSet[asyncio.Transport] = WeakSet()

    async def open(self, handle: Handler) -> int:
        """Listen and return the port. Raises OSError when it is taken."""
        options: dict[str, Any] = {"access_log": None, "keepalive_timeout": 75.0}
        server = _Connections(handle, self._transports, **options)
        self._runner = web.ServerRunner(server, shutdown_timeout=_GRACE_SECONDS)
        await self._runner.setup()
        await self._listen()
        self._port = self._runner.addresses[0][1]
        return self._port

    async def refuse(self, seconds: float) -> None:
        """Accept no connection for so many seconds, and drop those that are idle."""
        if self._opening is not None:
            self._opening.cancel()
        await self.shut()
        if self._runner is not None and self._runner.server is not None:
            self._runner.server.pre_shutdown()
        self._opening = asyncio.create_task(self._open_again(seconds))

    async def shut(self) -> None:
        """Stop listening; connections that are busy go on."""
        site, self._site = self._site, None
        if site is None or self._listener is None:
            return
        # asyncio loses a connection that it accepts in the round in which its server closes: the client waits for ever.
        asyncio.get_running_loop().remove_reader(self._listener)
        for _ in range(_ROUNDS_TO_COME_IN):
            await asyncio.sleep(0)
        await site.stop()

    async def close(self) -> None:
        """Stop for good and cut what is left."""
        if self._opening is not None:
            self._opening.cancel()
        if self._runner is None or self._runner.server is None:
            return
        await self.shut()
        await self._runner.cleanup()
        # A goodbye takes rounds, too, and is never over where a client does not read: whoever is left is cut.
        for _ in range(_ROUNDS):
            left = [one for one in self._transports if one.get_extra_info("socket").fileno() >= 0]
            for transport in left:
                transport.abort()
            if not left:
                return
            await asyncio.sleep(_ROUND_SECONDS)

    async def _listen(self) -> None:
        if self._runner is None:
            return
        listener = socket.create_server((HOST, self._port), backlog=_BACKLOG)
        site = web.SockSite(self._runner, listener, backlog=_BACKLOG)
        await site.start()
        self._site, self._listener = site, listener

    async def _open_again(self, seconds: float) -> None:
        while self._site is None:
            await asyncio.sleep(seconds)
            # Somebody else may have taken the port meanwhile: it is ours again when they let go.
            with suppress(OSError):
                await self._listen()


def _call(loop: asyncio.AbstractEventLoop, serving: Serving) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(serving.release)
