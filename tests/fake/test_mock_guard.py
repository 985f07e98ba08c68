"""The network guard allows only loopback, and restores the socket module afterwards."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp
import httpx
import pytest
from support.program import run_async

from flow_resources.testing import guard, mock_mithril
from flow_resources.testing.guard import OutsideError, loopback_only

OUTSIDE, OUTSIDE_V6 = ("198.51.100.7", 443), ("2001:db8::7", 443)


def tcp(family: int = socket.AF_INET) -> socket.socket:
    return socket.socket(family, socket.SOCK_STREAM)


def udp() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


async def open_stream() -> None:
    await asyncio.open_connection(*OUTSIDE)


async def open_datagram() -> None:
    await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=OUTSIDE)


async def get_by_aiohttp() -> None:
    async with aiohttp.ClientSession() as session:
        await session.get("http://198.51.100.7/")


def using(sock: socket.socket, call: Callable[[socket.socket], Any]) -> Any:
    with sock:
        return call(sock)


def connect_by_tls() -> None:
    with ssl.create_default_context().wrap_socket(tcp(), server_hostname="x") as sock:
        sock.connect(OUTSIDE)


CALLS: dict[str, Callable[[], Any]] = {
    "connect": lambda: using(tcp(), lambda sock: sock.connect(OUTSIDE)),
    "connect to a name": lambda: using(tcp(), lambda sock: sock.connect(("api.mithril.ai", 443))),
    "connect by IPv6": lambda: using(tcp(socket.AF_INET6), lambda sock: sock.connect(OUTSIDE_V6)),
    "connect to a mapped address": lambda: using(
        tcp(socket.AF_INET6), lambda sock: sock.connect(("::ffff:198.51.100.7", 443))
    ),
    "connect_ex": lambda: using(tcp(), lambda sock: sock.connect_ex(OUTSIDE)),
    "connect by TLS": connect_by_tls,
    "create_connection": lambda: socket.create_connection(OUTSIDE),
    "sendto": lambda: using(udp(), lambda sock: sock.sendto(b"x", OUTSIDE)),
    "sendto with flags": lambda: using(udp(), lambda sock: sock.sendto(b"x", 0, OUTSIDE)),
    "sendmsg": lambda: using(udp(), lambda sock: sock.sendmsg([b"x"], [], 0, OUTSIDE)),
    "getaddrinfo": lambda: socket.getaddrinfo("api.mithril.ai", 443),
    "getaddrinfo by keyword": lambda: socket.getaddrinfo(host=b"api.mithril.ai", port=443),
    "gethostbyname": lambda: socket.gethostbyname("api.mithril.ai"),
    "gethostbyname_ex": lambda: socket.gethostbyname_ex("api.mithril.ai"),
    "gethostbyaddr": lambda: socket.gethostbyaddr("198.51.100.7"),
    "getnameinfo": lambda: socket.getnameinfo(OUTSIDE, 0),
    "urllib": lambda: urllib.request.urlopen("http://198.51.100.7/"),
    "httpx": lambda: httpx.get("https://api.mithril.ai/v2/me"),
    "asyncio stream": lambda: run_async(open_stream()),
    "asyncio datagram": lambda: run_async(open_datagram()),
    "aiohttp": lambda: run_async(get_by_aiohttp()),
}


def doors() -> list[Any]:
    """Return the present attributes that the guard may replace."""
    methods = [vars(socket.socket).get(name, "inherited") for name in ("connect", "connect_ex", "sendto", "sendmsg")]
    return methods + [getattr(socket, name) for name in dir(socket) if name.startswith("get")]


def closed() -> bool:
    """Return whether the guard is active; resolving a numeric address needs no network."""
    try:
        socket.getaddrinfo("198.51.100.7", 443)
    except OutsideError:
        return True
    return False


@pytest.mark.parametrize("call", CALLS)
def test_a_call_to_the_outside_is_stopped_with_the_address_and_the_way_out(call: str) -> None:
    """Whatever the client, and before anything leaves."""
    named = r"198\.51\.100\.7|2001:db8::7|api\.mithril\.ai"
    with loopback_only(), pytest.raises(OutsideError, match=rf"({named}).*allow_network=True"):
        CALLS[call]()


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_loopback_is_reached(family: int, host: str) -> None:
    """By address, in both families."""
    with loopback_only(), tcp(family) as server, tcp(family) as client:
        try:
            server.bind((host, 0))
        except OSError as error:
            pytest.skip(f"this machine has no {host}: {error}")
        server.listen()
        client.connect(server.getsockname())
        assert client.getpeername()[:2] == server.getsockname()[:2]


def test_all_that_is_near_is_let_through(tmp_path: Any) -> None:
    """Names of loopback, the wildcard that servers look up, datagrams, UNIX sockets and pairs."""
    with loopback_only():
        for host in ("localhost", "LOCALHOST", "127.1.2.3", b"127.0.0.1", "::ffff:127.0.0.1", None, "0.0.0.0"):
            assert socket.getaddrinfo(host, 80)
        assert socket.gethostbyname("localhost").startswith("127.")
        with udp() as receiver, udp() as sender:
            receiver.bind(("127.0.0.1", 0))
            assert sender.sendto(b"x", receiver.getsockname()) == 1
            assert sender.sendmsg([b"yz"], [], 0, receiver.getsockname()) == 2
            sender.connect(receiver.getsockname())
            assert sender.sendmsg([b"x"]) == 1
        one, other = socket.socketpair()
        one.close()
        other.close()
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind(str(tmp_path / "s"))
            server.listen()
            client.connect(str(tmp_path / "s"))


def test_a_wrong_call_fails_as_ever() -> None:
    """The guard has no opinion on it."""
    with loopback_only(), udp() as sender, pytest.raises(TypeError):
        sender.sendto(b"x")


def test_a_mock_is_guarded_unless_it_says_otherwise() -> None:
    """The guard is part of mock_mithril."""
    assert not closed()
    with mock_mithril():
        assert closed()
    with mock_mithril(allow_network=True):
        assert not closed()
    assert not closed()


def test_nested_ones_count_and_the_innermost_decides() -> None:
    """The end of an inner guard does not open the outer one."""
    with loopback_only():
        with loopback_only():
            assert closed()
        assert closed()
        with loopback_only(allow_network=True):
            assert not closed()
            with loopback_only():
                assert closed()
            assert not closed()
        assert closed()
    assert not closed()


def test_an_outer_one_may_end_first() -> None:
    """The inner one stays active."""
    before = doors()
    outer, inner = loopback_only(), loopback_only()
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    assert closed()
    inner.__exit__(None, None, None)
    assert not closed()
    assert doors() == before


def test_everything_is_restored_to_the_last_attribute() -> None:
    """The same objects, also after an error, and methods that were inherited are inherited again."""
    before = doors()
    with loopback_only():
        assert doors() != before
    assert doors() == before
    with pytest.raises(ZeroDivisionError), loopback_only():
        raise ZeroDivisionError
    assert doors() == before
    assert "connect" not in vars(socket.socket)


def test_a_patch_that_was_there_before_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a test's own, on the class and in the module."""
    seen: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: seen.append(address), raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: seen.append(args))
    before = doors()
    with loopback_only(), tcp() as sock:
        sock.connect(("127.0.0.1", 1))
        socket.getaddrinfo("localhost", 2)
        with pytest.raises(OutsideError):
            sock.connect(OUTSIDE)
    assert seen == [("127.0.0.1", 1), ("localhost", 2)]
    assert doors() == before


def test_a_patch_that_outlives_the_guard_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds on to the guard's function, which lets everything through from then on."""
    original = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", original)  # to put it back at the end
    with loopback_only():
        guarded = socket.getaddrinfo
        theirs = partial(guarded)
        monkeypatch.setattr(socket, "getaddrinfo", theirs)
        assert closed()
    assert socket.getaddrinfo is theirs
    assert not closed()


def test_it_stands_for_every_thread_and_many_may_come_and_go() -> None:
    """Concurrent threads restore everything, and a thread started inside is guarded."""
    before = doors()
    results: list[bool] = []
    gate = threading.Barrier(8)

    def come_and_go() -> None:
        gate.wait()
        for _ in range(50):
            with loopback_only():
                results.append(closed())

    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 400
    assert doors() == before
    assert guard._rules == []
    with loopback_only():
        inside = threading.Thread(target=lambda: results.append(closed()))
        inside.start()
        inside.join()
    assert results.pop()
