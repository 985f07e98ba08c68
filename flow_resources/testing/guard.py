"""The network guard: while it is active, Python's sockets reach only the loopback of this machine.

A test against a fake cloud must not rent on the real one because some client of the program reads its settings from
elsewhere. So connecting, sending to an address and resolving a name raise `OutsideError`, unless the peer is
127.0.0.0/8, ::1, localhost or a UNIX socket. The guard applies to all threads of the process. It does not cover child
processes, libraries that open sockets in C, and connections that were open before.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

_INTERNET = (socket.AF_INET, socket.AF_INET6)
_UNIX = getattr(socket, "AF_UNIX", None)
_ABSENT: Any = object()


class OutsideError(RuntimeError):
    """The program tried to reach a host other than this machine.

    It is not an OSError, because clients retry those and report them as an outage.
    """


@contextmanager
def loopback_only(*, allow_network: bool = False) -> Iterator[None]:
    """Block everything but loopback, or nothing with `allow_network`; of nested calls the innermost is in effect."""
    rule = _Rule(allow_network)
    with _lock:
        _rules.append(rule)
        _update()
    try:
        yield
    finally:
        with _lock:
            _rules.remove(rule)
            _update()


class _Rule:
    """One active `loopback_only`; compared by identity."""

    def __init__(self, allow_network: bool) -> None:
        self.allow_network = allow_network


class _Replaced(NamedTuple):
    """A function of the socket module, or a method of its class, that the guard has replaced."""

    owner: Any
    name: str
    original: Any
    guard: Any


_lock = threading.Lock()
_rules: list[_Rule] = []
_replaced: list[_Replaced] = []


def _update() -> None:
    """Install the guard when a rule needs it, and remove it completely when none does."""
    needed = any(not rule.allow_network for rule in _rules)
    if needed and not _replaced:
        for owner, name, check in _CHECKS:
            guard = _guarded(getattr(owner, name), check)
            _replaced.append(_Replaced(owner, name, vars(owner).get(name, _ABSENT), guard))
            setattr(owner, name, guard)
    while _replaced and not needed:
        owner, name, original, guard = _replaced.pop()
        if vars(owner).get(name) is not guard:
            continue  # patched by someone else since; the guard inside that patch allows everything from now on
        if original is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, original)


def _guarded(function: Callable[..., Any], check: Callable[..., None]) -> Callable[..., Any]:
    @wraps(function)
    def guard(*args: Any, **kwargs: Any) -> Any:
        rule = _rules[-1:]  # a slice, because another thread may remove the last rule
        if rule and not rule[0].allow_network:
            check(*args, **kwargs)
        return function(*args, **kwargs)

    return guard


def _connect(sock: socket.socket, address: Any, *_: Any) -> None:
    if sock.family == _UNIX:
        return
    if sock.family not in _INTERNET or not _is_loopback(address[0]):
        raise _blocked(f"a connection to {address!r}")


def _send_to(sock: socket.socket, _data: Any, *rest: Any) -> None:
    if rest:
        _connect(sock, rest[-1])


def _send_message(sock: socket.socket, _buffers: Any, _extra: Any = (), _flags: int = 0, address: Any = None) -> None:
    if address is not None:
        _connect(sock, address)


def _resolve(host: Any = None, *_: Any, **__: Any) -> None:
    if not _is_loopback(host):
        raise _blocked(f"a look-up of {host!r}")


def _resolve_address(address: Any, *_: Any) -> None:
    _resolve(address[0])


_CHECKS: tuple[tuple[Any, str, Callable[..., None]], ...] = (
    (socket.socket, "connect", _connect),
    (socket.socket, "connect_ex", _connect),
    (socket.socket, "sendto", _send_to),
    (socket.socket, "sendmsg", _send_message),
    (socket, "getaddrinfo", _resolve),
    (socket, "gethostbyname", _resolve),
    (socket, "gethostbyname_ex", _resolve),
    (socket, "gethostbyaddr", _resolve),
    (socket, "getnameinfo", _resolve_address),
)


def _is_loopback(host: Any) -> bool:
    """Return whether a name or an address is loopback, or the wildcard address that servers listen on."""
    text = (host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")).lower()
    if text in ("", "localhost", "localhost."):
        return True
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def _blocked(what: str) -> OutsideError:
    return OutsideError(
        f"mock_mithril stopped {what}: while a mock is active only this machine's loopback may be reached. "
        "If the test is meant to reach more, say mock_mithril(allow_network=True)."
    )
