"""One request over HTTP: note it, let the rules break it, carry it out, answer."""

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
from flow_resources.testing.service.notation import read_json
from flow_resources.testing.service.query import Query
from flow_resources.testing.web import CONTROL
from flow_resources.testing.web.control import Perform, answer_control
from flow_resources.testing.web.faults import FaultRule, Faults
from flow_resources.testing.web.journal import MUTATING, Journal, Request
from flow_resources.testing.web.page import asset
from flow_resources.testing.web.routes import Answer, Call, find
from flow_resources.testing.web.wire import cut, drip, send_half, spoiled

log = logging.getLogger(__name__)


class Door(Protocol):
    """Whoever listens: it can be shut for a while."""

    async def refuse(self, seconds: float) -> None:
        """Accept no connection for so many real seconds."""


class Serving:
    """The handler behind every connection; one per running server, since its events belong to one event loop."""

    def __init__(self, backend: Backend, journal: Journal, faults: Faults, control: Perform, door: Door) -> None:
        """Answer from `backend`, note in `journal`, break by `faults`; `control` performs what only a fake can do."""
        self._backend = backend
        self._journal = journal
        self._faults = faults
        self._control = control
        self._door = door
        # Threads of their own: whatever `then` of a fault waits for, the control API answers.
        self._operators = ThreadPoolExecutor(4, "fake-mithril-control")
        self._released = asyncio.Event()
        self.latency = 0.0

    def release(self) -> None:
        """Let go of the clients that hang now; those that hang later are not meant."""
        self._released.set()
        self._released = asyncio.Event()

    def close(self) -> None:
        """Let the threads of the control API go."""
        self._operators.shutdown(wait=False)

    async def handle(self, http: web.BaseRequest) -> web.StreamResponse:
        """Take one request from the first byte to the last of its answer."""
        if http.path.startswith(CONTROL):
            return await answer_control(http, self._control, self._operators)
        page = asset(http.path) if http.method == "GET" and http.path.count("/") == 1 else None
        if page is not None:
            return web.Response(body=page[0], headers={"Content-Type": page[1], "Cache-Control": "no-store"})
        sent = await _read(http)
        authorization = http.headers.get("Authorization")
        query = Query(http.query.items())
        request = Request(
            http.method, unquote(http.path), query.plain(), sent.body, http.headers.get("Idempotency-Key"),
            key=fingerprint(authorization), at=self._backend.clock.now(),
        )  # fmt: skip
        self._journal.record(request, sent.size)
        act = partial(self._carry_out, request, query, sent, authorization)
        rule = self._faults.strike(request)
        if self.latency > 0:
            await asyncio.sleep(self.latency)
        return self._answer(request, act()) if rule is None else await self._suffer(http, request, rule, act)

    async def _suffer(
        self, http: web.BaseRequest, request: Request, rule: FaultRule, act: Callable[[], Answer]
    ) -> web.StreamResponse:
        request.fault = rule.kind
        if rule.kind == "slow" and rule.when == "before":
            await asyncio.sleep(rule.seconds or 0.0)
        answer = act() if rule.acts else None
        if rule.then is not None:
            await asyncio.get_running_loop().run_in_executor(None, rule.then, request)
        if rule.kill is not None:
            _kill(rule.kill)
        return await self._break(http, request, rule, answer)

    def _carry_out(self, request: Request, query: Query, sent: _Sent, authorization: str | None) -> Answer:
        backend = self._backend
        try:
            handler, fid = find(request.method, request.path)
            with backend.session() as now:
                user = backend.accounts.identify(authorization, now)
                before = backend.store.changes
                call = Call(backend, user, fid, query, sent.readable(), request.idempotency_key, now)
                answer = handler(call)
                changed = backend.store.changes != before
            # Only now is it stored: a request had no effect if the transaction did not end well.
            request.effect = changed and request.method in MUTATING
        except ApiError as error:
            return error.status, {"detail": error.detail}
        except Exception:
            log.exception("the fake failed on %s %s", request.method, request.path)
            return 500, {"detail": "Internal Server Error"}
        return answer

    def _answer(self, request: Request, answer: Answer) -> web.Response:
        status, body = answer
        request.status = status
        # Clients read the service's time from it: it is the cloud's, also where that is ahead.
        headers = {"Date": formatdate(self._backend.clock.now(), usegmt=True)}
        if body is None:
            return web.Response(status=status, headers=headers)
        text = json.dumps(body).encode()
        return web.Response(status=status, body=text, headers={**headers, "Content-Type": "application/json"})

    async def _break(
        self, http: web.BaseRequest, request: Request, rule: FaultRule, answer: Answer | None
    ) -> web.StreamResponse:
        if rule.kind == "hang":
            await _wait(self._released, rule.seconds)
        if rule.kind == "refuse":
            await self._door.refuse(1.0 if rule.seconds is None else rule.seconds)
        if answer is not None and rule.kind in ("slow", "drip", "pass", "refuse"):
            return await self._answer_yet(http, request, rule, answer)
        if rule.kind in ("hang", "reset", "refuse"):
            cut(http)
            return web.Response()
        status, text = spoiled(rule, answer)
        request.status = status
        headers = {"Content-Type": "application/json", **rule.headers}
        if rule.kind == "truncate":
            return await send_half(http, status, text, headers)
        return web.Response(status=status, body=text, headers=headers)

    async def _answer_yet(
        self, http: web.BaseRequest, request: Request, rule: FaultRule, answer: Answer
    ) -> web.StreamResponse:
        if rule.kind == "slow" and rule.when == "after":
            await asyncio.sleep(rule.seconds or 0.0)
        proper = self._answer(request, answer)
        if rule.kind == "refuse":
            proper.force_close()
        return await drip(http, proper, rule.seconds or 0.0) if rule.kind == "drip" else proper


class _Sent(NamedTuple):
    """What came as the body of a request: as the journal shows it, and what refuses it when no API can read it."""

    body: Any
    size: int
    refusal: ApiError | None = None

    def readable(self) -> Any:
        """Return the body that an API can read. Raises what refuses another."""
        if self.refusal is not None:
            raise self.refusal
        return self.body


async def _read(http: web.BaseRequest) -> _Sent:
    try:
        raw = await http.read()
    except web.HTTPRequestEntityTooLarge as error:
        return _Sent("", 0, TooLargeError(f"Request body is too large: {error.text}"))
    if not raw:
        return _Sent(None, 0)
    try:
        return _Sent(read_json(raw), len(raw))
    except ValueError:
        refusal = InvalidError([problem(("body",), "JSON decode error", "json_invalid")])
        return _Sent(raw.decode("utf-8", "replace"), len(raw), refusal)


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
