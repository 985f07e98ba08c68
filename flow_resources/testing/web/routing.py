"""The table of routes: the handler of each method and path, and the request that a handler receives."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flow_resources.testing.service.accounts import User
from flow_resources.testing.service.backend import Backend
from flow_resources.testing.service.errors import MethodNotAllowedError, NotFoundError
from flow_resources.testing.service.query import Query

Result = tuple[int, Any]
"""The status and the body of a response: a JSON value, or one that is written already (`JsonText`)."""
NO_CONTENT: Result = (204, None)


@dataclass(frozen=True)
class Call:
    """One authenticated request; `fid` is the id in its path, `key` its Idempotency-Key."""

    backend: Backend
    user: User
    fid: str
    query: Query
    body: Any
    key: str | None
    now: float

    def project(self) -> str:
        """Return the required parameter `project`. Raises an ApiError unless the user has access to it."""
        fid = self.query.required("project")
        self.backend.accounts.require_project(self.user, fid)
        return fid


Handler = Callable[[Call], Result]
_ROUTES: list[tuple[re.Pattern[str], dict[str, Handler]]] = []


def find(method: str, path: str) -> tuple[Handler, str]:
    """Return the handler of a request and the id in its path. Raises NotFoundError or MethodNotAllowedError."""
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
    """Return the method and the path of all routes, such as GET and /v2/spot/bids/{fid}."""
    return [
        (method, pattern.pattern.replace("(?P<fid>[^/]+)", "{fid}"))
        for pattern, handlers in _ROUTES
        for method in handlers
    ]


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Register a handler for a path such as /v2/spot/bids/{fid}."""
    pattern = re.compile(path.replace("{fid}", "(?P<fid>[^/]+)"))

    def register(handler: Handler) -> Handler:
        for existing, handlers in _ROUTES:
            if existing.pattern == pattern.pattern:
                handlers[method] = handler
                return handler
        _ROUTES.append((pattern, {method: handler}))
        return handler

    return register
