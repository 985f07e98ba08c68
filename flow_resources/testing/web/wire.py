"""How an answer breaks on its way out: replaced, halved, in drops, cut. When it does is the business of `faults`."""

from __future__ import annotations

import asyncio
import json
import socket
import struct

from aiohttp import web

from flow_resources.testing.web.faults import FaultRule
from flow_resources.testing.web.routing import Answer

_NOT_JSON = b'{"fid": "bid_'
_DROPS = 5


def spoiled(rule: FaultRule, answer: Answer | None) -> tuple[int, bytes]:
    """Return the status and the bytes that take the place of the answer."""
    if rule.kind == "status":
        status = rule.status or 500
        body = {"detail": "Injected fault"} if rule.body is None else rule.body
    else:
        status = rule.status or (answer[0] if answer else 200)
        body = rule.body if rule.body is not None else answer[1] if answer else {"detail": "Injected fault"}
        if rule.kind == "malformed" and rule.body is None:
            return status, _NOT_JSON
    if isinstance(body, bytes):
        return status, body
    return status, (body if isinstance(body, str) else json.dumps(body)).encode()


async def drip(http: web.BaseRequest, proper: web.Response, seconds: float) -> web.StreamResponse:
    """Send a proper answer with its body in pieces over so many seconds."""
    text = proper.body if isinstance(proper.body, bytes) else b""
    response = web.StreamResponse(status=proper.status, headers={**proper.headers, "Content-Length": str(len(text))})
    await response.prepare(http)
    for index in range(_DROPS):
        await asyncio.sleep(seconds / _DROPS)
        await response.write(text[index * len(text) // _DROPS : (index + 1) * len(text) // _DROPS])
    await response.write_eof()
    return response


async def send_half(http: web.BaseRequest, status: int, text: bytes, headers: dict[str, str]) -> web.StreamResponse:
    """Announce a body, send half of it, and close the connection."""
    response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(len(text))})
    await response.prepare(http)
    await response.write(text[: len(text) // 2])
    if http.transport is not None:
        http.transport.close()
    return response


def cut(http: web.BaseRequest) -> None:
    """End the connection with a reset instead of a goodbye."""
    transport = http.transport
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
