"""Responses that fault rules change or break; `faults` decides which requests are affected."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Any

from aiohttp import web

from flow_resources.testing.service.formats import JsonText
from flow_resources.testing.web.faults import FaultRule
from flow_resources.testing.web.routing import Result

_NOT_JSON = b'{"fid": "bid_'
_PIECES = 5
_CLIENT_ERROR = 400


def replace_response(rule: FaultRule, result: Result | None) -> tuple[int, bytes]:
    """Return the status and the body that replace those of the response."""
    if rule.kind == "status":
        status = rule.status or 500
        body = {"detail": "Injected fault"} if rule.body is None else rule.body
    elif rule.kind == "alter" and result is not None:
        status, body = _alter(rule, *result)
    else:
        status = rule.status or (result[0] if result else 200)
        body = rule.body if rule.body is not None else result[1] if result else {"detail": "Injected fault"}
        if rule.kind == "malformed" and rule.body is None:
            return status, _NOT_JSON
    if isinstance(body, bytes):
        return status, body
    return status, (body if isinstance(body, str) else json.dumps(body)).encode()


def _alter(rule: FaultRule, status: int, body: Any) -> Result:
    """Return a response with the rule's fields in each row of its list, or in the one object that it is."""
    if status >= _CLIENT_ERROR:
        return status, body
    if isinstance(body, JsonText):
        body = json.loads(body)
    rows = body.get("data") if isinstance(body, dict) else body
    if isinstance(rows, list):
        rows = [{**row, **rule.body} if isinstance(row, dict) else row for row in rows]
        body = {**body, "data": rows} if isinstance(body, dict) else rows
    elif isinstance(body, dict):
        body = {**body, **rule.body}
    return rule.status or status, body


async def send_in_pieces(http: web.BaseRequest, response: web.Response, seconds: float) -> web.StreamResponse:
    """Send a response with its body in pieces over `seconds`."""
    body = response.body if isinstance(response.body, bytes) else b""
    stream = web.StreamResponse(status=response.status, headers={**response.headers, "Content-Length": str(len(body))})
    await stream.prepare(http)
    for index in range(_PIECES):
        await asyncio.sleep(seconds / _PIECES)
        await stream.write(body[index * len(body) // _PIECES : (index + 1) * len(body) // _PIECES])
    await stream.write_eof()
    return stream


async def send_half(http: web.BaseRequest, status: int, body: bytes, headers: dict[str, str]) -> web.StreamResponse:
    """Announce the whole body, send half of it, and close the connection."""
    response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(len(body))})
    await response.prepare(http)
    await response.write(body[: len(body) // 2])
    if http.transport is not None:
        http.transport.close()
    return response


def reset_connection(http: web.BaseRequest) -> None:
    """Close the connection with a TCP RST."""
    transport = http.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
