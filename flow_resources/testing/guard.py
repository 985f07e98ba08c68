"""The guard: while it stands, Python's own sockets reach nothing but this machine's loopback.

A test on a fake cloud must not rent on the real one because one client of the program finds its settings elsewhere. So
connecting, sending to an address and looking up a name raise `OutsideError`, unless the other end is 127.0.0.0/8, ::1,
localhost or a UNIX socket. The guard stands for all threads of the process. It does not see what leaves by other ways:
child processes, libraries with sockets of their own in C, and connections that were open before.
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
    """The program was about to reach something that is not on this machine.

    It is no OSError on purpose: clients retry those, and report them as an outage.
    """


@contextmanager
def loopback_only(*, allow_network: bool = False) -> Iterator[None]:
    """Let only loopback be reached, or anything with `allow_network`; of nested ones the innermost decides."""
    rule = _Rule(allow_network)
    with _lock:
        _rules.append(rule)
        _stand()
    try:
        yield
    finally:
        with _lock:
            _rules.remove(rule)
            _stand()


class _Rule:
    """One `loopback_only` that is in force; each is itself and equals no other."""

    def __init__(self, allow_network: bool) -> None:
        self.allow_network = allow_network


class _Replaced(NamedTuple):
    """A function of the socket module, or a method of its class, that the guard stands before."""

    owner: Any
    name: str
    before: Any
    guard: Any


_lock = threading.Lock()
_rules: list[_Rule] = []
_replaced: list[_Replaced] = []


def _stand() -> None:
    """Put the guard up when a rule needs it, and take it down to the last attribute when none does."""
    needed = any(not rule.allow_network for rule in _rules)
    if needed and not _replaced:
        for owner, name, check in _DOORS:
            guard = _before(getattr(owner, name), check)
            _replaced.append(_Replaced(owner, name, vars(owner).get(name, _ABSENT), guard))
            setattr(owner, name, guard)
    while _replaced and not needed:
        owner, name, before, guard = _replaced.pop()
        if vars(owner).get(name) is not guard:
            continue  # somebody patched it after us and holds on to ours, which lets everything through from now on
        if before is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


def _before(function: Callable[..., Any], check: Callable[..., None]) -> Callable[..., Any]:
    @wraps(function)
    def guard(*args: Any, **options: Any) -> Any:
        rule = _rules[-1:]  # one step, because another thread may be taking the last one away
        if rule and not rule[0].allow_network:
            check(*args, **options)
        return function(*args, **options)

    return guard


def _connect(sock: socket.socket, address: Any, *_: Any) -> None:
    if sock.family == _UNIX:
        return
    if sock.family not in _INTERNET or not _is_near(address[0]):
        raise _stopped(f"a connection to {address!r}")


def _send_to(sock: socket.socket, _data: Any, *rest: Any) -> None:
    if rest:
        _connect(sock, rest[-1])


def _send_message(sock: socket.socket, _buffers: Any, _extra: Any = (), _flags: int = 0, address: Any = None) -> None:
    if address is not None:
        _connect(sock, address)


def _look_up(host: Any = None, *_: Any, **__: Any) -> None:
    if not _is_near(host):
        raise _stopped(f"a look-up of {host!r}")


def _look_up_address(address: Any, *_: Any) -> None:
    _look_up(address[0])


_DOORS: tuple[tuple[Any, str, Callable[..., None]], ...] = (
    (socket.socket, "connect", _connect),
    (socket.socket, "connect_ex", _connect),
    (socket.socket, "sendto", _send_to),
    (socket.socket, "sendmsg", _send_message),
    (socket, "getaddrinfo", _look_up),
    (socket, "gethostbyname", _look_up),
    (socket, "gethostbyname_ex", _look_up),
    (socket, "gethostbyaddr", _look_up),
    (socket, "getnameinfo", _look_up_address),
)


def _is_near(host: Any) -> bool:
    """Say whether a name or an address is this machine's loopback, or the wildcard that servers listen on."""
    text = (host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")).lower()
    if text in ("", "localhost", "localhost."):
        return True
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def _stopped(what: str) -> OutsideError:
    return OutsideError(
        f"mock_mithril stopped {what}: while a mock is active only this machine's loopback may be reached. "
        "If the test is meant to reach more, say mock_mithril(allow_network=True)."
    )
