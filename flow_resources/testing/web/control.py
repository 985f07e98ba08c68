"""The control API: the verbs over HTTP, for tests in other processes and for the page in the browser.

`GET /mithril-fake/<verb>` reads, `POST /mithril-fake/<verb>` with a JSON object reads or changes. There is no API key:
every process on this machine may use it. Web pages of other origins may not: the Host header must be loopback, and a
browser does not send them JSON without permission.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from flow_resources.testing.service.errors import (
    ApiError,
    ForbiddenError,
    InvalidError,
    MethodNotAllowedError,
    problem,
)
from flow_resources.testing.service.formats import is_number, read_json
from flow_resources.testing.service.query import Query
from flow_resources.testing.web import CONTROL

Perform = Callable[[str, str, Mapping[str, Any]], Any]
"""Takes the method, the verb and its arguments; returns a JSON value, or raises ApiError."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
log = logging.getLogger(__name__)


async def respond_to_control(http: web.BaseRequest, perform: Perform, threads: Executor) -> web.Response:
    """Perform the verb of one request in a thread, and return the response."""
    try:
        verb, arguments = http.path.removeprefix(CONTROL), await _read_arguments(http)
        result = await asyncio.get_running_loop().run_in_executor(threads, perform, http.method, verb, arguments)
        return _json(200, result)
    except ApiError as error:
        return _json(error.status, {"detail": error.detail})
    except Exception:
        log.exception("the control API failed on %s %s", http.method, http.path)
        return _json(500, {"detail": "Internal Server Error"})


async def _read_arguments(http: web.BaseRequest) -> Mapping[str, Any]:
    if _host(http) not in _LOOPBACK:
        msg = f"the control API is for this machine only, not for {http.host}"
        raise ForbiddenError(msg)
    if http.method == "GET":
        return {name: _parse_parameter(value) for name, value in Query(http.query.items()).to_dict().items()}
    if http.method != "POST":
        msg = "Method Not Allowed"
        raise MethodNotAllowedError(msg)
    if http.content_type != "application/json":
        raise InvalidError([problem(("header", "Content-Type"), "Input should be application/json", "value_error")])
    try:
        arguments = read_json(await http.read() or b"{}")
    except (ValueError, web.HTTPRequestEntityTooLarge) as error:
        raise InvalidError([problem(("body",), f"JSON decode error: {error}", "json_invalid")]) from error
    if not isinstance(arguments, dict):
        raise InvalidError([problem(("body",), "Input should be a valid dictionary", "dict_type")])
    return arguments


def _host(http: web.BaseRequest) -> str | None:
    try:
        return urlsplit(f"//{http.host}").hostname
    except ValueError:
        return None


def _parse_parameter(text: str) -> Any:
    """Return a parameter as a number if it is one, else as text."""
    try:
        value = read_json(text.encode(errors="replace"))
    except ValueError:
        return text
    return value if is_number(value) else text


def _json(status: int, body: Any) -> web.Response:
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/json")
