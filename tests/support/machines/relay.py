"""Lets a machine reach a server on the host's loopback, under the same address: 127.0.0.1 and the port."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import threading
from pathlib import Path

HOST = "127.0.0.1"
_CLONE_NEWNET = 0x40000000


class Relay:
    """Passes what is sent to 127.0.0.1:`port` in a network namespace to 127.0.0.1:`port` of the host."""

    def __init__(self, namespace: Path, port: int) -> None:
        """Start to listen. `namespace` is a file that keeps a network namespace."""
        self._port = port
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = _listen_in(namespace, port)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Stop listening, and end what is connected."""
        with self._lock:
            ends = [self._listener, *self._open]
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return  # closed
            thread = threading.Thread(target=self._connect, args=(inner,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _connect(self, inner: socket.socket) -> None:
        with inner:
            try:
                outer = socket.create_connection((HOST, self._port))
            except OSError:
                return  # the server is away: the machine sees a connection that ends
            with outer:
                with self._lock:
                    self._open |= {inner, outer}
                back = threading.Thread(target=_copy, args=(outer, inner), daemon=True)
                back.start()
                _copy(inner, outer)
                back.join()
                with self._lock:
                    self._open -= {inner, outer}


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes until the end, and the end."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _listen_in(namespace: Path, port: int) -> socket.socket:
    """Return a listening socket in another network namespace. A socket stays in that in which it was made."""
    made: list[socket.socket | OSError] = []

    def listen() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            with namespace.open() as file:
                if libc.setns(file.fileno(), _CLONE_NEWNET):  # this thread alone; os.setns is Python 3.12's
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))  # noqa: TRY301
            made.append(socket.create_server((HOST, port)))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]
