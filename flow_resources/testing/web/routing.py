"""The table of routes: what answers which method and path, and what a handler is told. No sockets here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flow_resources.testing.service.accounts import User
from flow_resources.testing.service.backend import Backend
from flow_resources.testing.service.errors import MethodNotAllowedError, NotFoundError
from flow_resources.testing.service.query import Query

Answer = tuple[int, Any]
NO_CONTENT: Answer = (204, None)


@dataclass(frozen=True)
class Call:
    """One request that was let in: who asks, for what, with what, at which moment."""

    backend: Backend
    user: User
    fid: str
    query: Query
    body: Any
    key: str | None
    now: float

    def project(self) -> str:
        """Return the project that the query must name, when the caller may see it."""
        fid = self.query.required("project")
        self.backend.accounts.require_project(self.user, fid)
        return fid


Handler = Callable[[Call], Answer]
_ROUTES: list[tuple[re.Pattern[str], dict[str, Handler]]] = []


def find(method: str, path: str) -> tuple[Handler, str]:
    """Return what answers a request, and the id in its path. Raises NotFoundError or MethodNotAllowedError."""
    for pattern, handlers in _ROUTES:
        match = pattern.fullmatch(path)
        if match is None:
            continue
        if method not in handlers:
            msg = "Method Not Allowed"
            raise MethodNotAllowedError(msg)
        return handlers[method], match.groupdict().get("fid") or ""
    msg = "Not Found"
    raise NotFoundError(msg)


def paths() -> list[tuple[str, str]]:
    """Return every method and path that is answered, such as GET and /v2/spot/bids/{fid}."""
    return [
        (method, pattern.pattern.replace("(?P<fid>[^/]+)", "{fid}"))
        for pattern, handlers in _ROUTES
        for method in handlers
    ]


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Register a function under a path such as /v2/spot/bids/{fid}."""
    pattern = re.compile(path.replace("{fid}", "(?P<fid>[^/]+)"))

    def register(handler: Handler) -> Handler:
        for known, handlers in _ROUTES:
            if known.pattern == pattern.pattern:
                handlers[method] = handler
                return handler
        _ROUTES.append((pattern, {method: handler}))
        return handler

    return register
