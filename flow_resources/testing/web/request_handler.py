"""The handler of HTTP requests: log the request, apply a fault rule, call the backend, respond."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from functools import partial
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote

from aiohttp import web

from flow_resources.testing.service.accounts import fingerprint
from flow_resources.testing.service.backend import Backend
from flow_resources.testing.service.errors import ApiError, InvalidError, TooLargeError, problem
from flow_resources.testing.service.formats import JsonText, read_json
from flow_resources.testing.service.query import Query
from flow_resources.testing.web import CONTROL
from flow_resources.testing.web.control import Perform, respond_to_control
from flow_resources.testing.web.fault_responses import (
    replace_response,
    reset_connection,
    send_half,
    send_in_pieces,
)
from flow_resources.testing.web.faults import FaultRule, Faults
from flow_resources.testing.web.journal import MUTATING, Journal, Request
from flow_resources.testing.web.page import asset
from flow_resources.testing.web.routes import Call, Result, find

log = logging.getLogger(__name__)


class Listener(Protocol):
    """The listening socket, as far as the handler uses it."""

    async def refuse(self, seconds: float) -> None:
        """Refuse connections for this many real seconds."""


class RequestHandler:
    """Handles all requests of one running server; a restarted server has a new handler, for its new event loop."""

    def __init__(
        self, backend: Backend, journal: Journal, faults: Faults, control: Perform, listener: Listener
    ) -> None:
        """Serve the API from `backend`, log to `journal`, apply `faults`; `control` performs the verbs."""
        self._backend = backend
        self._journal = journal
        self._faults = faults
        self._control = control
        self._listener = listener
        # Separate threads, so that the control API responds while `then` of a fault rule blocks.
        self._control_threads = ThreadPoolExecutor(4, "fake-mithril-control")
        self._released = asyncio.Event()
        self.latency = 0.0

    def release(self) -> None:
        """Release the clients that hang at present."""
        self._released.set()
        self._released = asyncio.Event()

    def close(self) -> None:
        """Stop the threads of the control API, without waiting for them."""
        self._control_threads.shutdown(wait=False)

    async def handle(self, http: web.BaseRequest) -> web.StreamResponse:
        """Handle one request to the API, the control API or the page."""
        if http.path.startswith(CONTROL):
            return await respond_to_control(http, self._control, self._control_threads)
        page = asset(http.path) if http.method == "GET" and http.path.count("/") == 1 else None
        if page is not None:
            return web.Response(body=page[0], headers={"Content-Type": page[1], "Cache-Control": "no-store"})
        payload = await _read_payload(http)
        authorization = http.headers.get("Authorization")
        query = Query(http.query.items())
        request = Request(
            http.method, unquote(http.path), query.to_dict(), payload.body, http.headers.get("Idempotency-Key"),
            key=fingerprint(authorization), at=self._backend.clock.now(),
        )  # fmt: skip
        self._journal.record(request, payload.size)
        call_backend = partial(self._call_backend, request, query, payload, authorization)
        rule = self._faults.select(request)
        if self.latency > 0:
            await asyncio.sleep(self.latency)
        if rule is None:
            return self._respond(request, call_backend())
        return await self._apply_fault(http, request, rule, call_backend)

    async def _apply_fault(
        self, http: web.BaseRequest, request: Request, rule: FaultRule, call_backend: Callable[[], Result]
    ) -> web.StreamResponse:
        request.fault = rule.kind
        if rule.kind == "slow" and rule.when == "before":
            await asyncio.sleep(rule.seconds or 0.0)
        result = call_backend() if rule.has_effect else None
        if rule.then is not None:
            await asyncio.get_running_loop().run_in_executor(None, rule.then, request)
        if rule.kill is not None:
            _kill(rule.kill)
        return await self._respond_with_fault(http, request, rule, result)

    def _call_backend(self, request: Request, query: Query, payload: _Payload, authorization: str | None) -> Result:
        backend = self._backend
        try:
            handler, fid = find(request.method, request.path)
            with backend.session() as now:
                user = backend.accounts.identify(authorization, now)
                before = backend.store.changes
                call = Call(backend, user, fid, query, payload.require_valid(), request.idempotency_key, now)
                result = handler(call)
                changed = backend.store.changes != before
            # Set after the session: a request has no effect if the transaction fails.
            request.effect = changed and request.method in MUTATING
        except ApiError as error:
            return error.status, {"detail": error.detail}
        except Exception:
            log.exception("the fake failed on %s %s", request.method, request.path)
            return 500, {"detail": "Internal Server Error"}
        return result

    def _respond(self, request: Request, result: Result) -> web.Response:
        status, body = result
        request.status = status
        headers = self._date()
        if body is None:
            return web.Response(status=status, headers=headers)
        text = body if isinstance(body, JsonText) else json.dumps(body)
        return web.Response(status=status, body=text.encode(), headers={**headers, "Content-Type": "application/json"})

    def _date(self) -> dict[str, str]:
        """Return the Date of a response, from which clients read the service's time: that of the cloud's clock."""
        return {"Date": formatdate(self._backend.clock.now(), usegmt=True)}

    async def _respond_with_fault(
        self, http: web.BaseRequest, request: Request, rule: FaultRule, result: Result | None
    ) -> web.StreamResponse:
        if rule.kind == "hang":
            await _wait(self._released, rule.seconds)
        if rule.kind == "refuse":
            await self._listener.refuse(1.0 if rule.seconds is None else rule.seconds)
        if result is not None and rule.kind in ("slow", "drip", "pass", "refuse"):
            return await self._respond_normally(http, request, rule, result)
        if rule.kind in ("hang", "reset", "refuse"):
            reset_connection(http)
            return web.Response()
        status, body = replace_response(rule, result)
        request.status = status
        headers = {**self._date(), "Content-Type": "application/json", **rule.headers}
        if rule.kind == "truncate":
            return await send_half(http, status, body, headers)
        return web.Response(status=status, body=body, headers=headers)

    async def _respond_normally(
        self, http: web.BaseRequest, request: Request, rule: FaultRule, result: Result
    ) -> web.StreamResponse:
        """Return the normal response under a rule that affects only its timing or what follows it."""
        if rule.kind == "slow" and rule.when == "after":
            await asyncio.sleep(rule.seconds or 0.0)
        response = self._respond(request, result)
        if rule.kind == "refuse":
            response.force_close()
        return await send_in_pieces(http, response, rule.seconds or 0.0) if rule.kind == "drip" else response


class _Payload(NamedTuple):
    """The body of a request as the journal shows it, and the error that rejects it if it is invalid."""

    body: Any
    size: int
    error: ApiError | None = None

    def require_valid(self) -> Any:
        """Return the body. Raises the error of an invalid one."""
        if self.error is not None:
            raise self.error
        return self.body


async def _read_payload(http: web.BaseRequest) -> _Payload:
    try:
        raw = await http.read()
    except web.HTTPRequestEntityTooLarge as error:
        return _Payload("", 0, TooLargeError(f"Request body is too large: {error.text}"))
    if not raw:
        return _Payload(None, 0)
    try:
        return _Payload(read_json(raw), len(raw))
    except ValueError:
        invalid = InvalidError([problem(("body",), "JSON decode error", "json_invalid")])
        return _Payload(raw.decode("utf-8", "replace"), len(raw), invalid)


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        log.warning("the process %s that a fault was to kill is gone already", process)


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except asyncio.TimeoutError:
        return
