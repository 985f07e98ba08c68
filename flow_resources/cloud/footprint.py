"""What keeps a plugin process small. The engine starts one for each operation, and it lives for seconds or minutes."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flow_resources.errors import UnavailableError
from flow_resources.heap import collecting_later, return_free_memory

PAGE = 100  # rows; the most that the service puts on a page (openapi.json of flow-compute: limit, maximum)
_importing = threading.RLock()


@contextlib.contextmanager
def importing_sdk() -> Iterator[None]:
    """Import parts of the SDK within: in less time and memory than it takes by itself."""
    with collecting_later():
        import_httpx()
        with building_models_late():
            yield


def import_httpx() -> None:
    """Import httpx, before the SDK does, without its command line. Saves 7 MB: rich, pygments and click.

    httpx works without its command line where those packages are not installed, and for Python a module that is None is
    a module that is not installed.
    """
    if "httpx" in sys.modules:
        return
    command_line: Any = None
    sys.modules["httpx._main"] = command_line
    try:
        import httpx  # noqa: F401
    finally:
        sys.modules.pop("httpx._main", None)


@contextlib.contextmanager
def building_models_late() -> Iterator[None]:
    """Import parts of the SDK within: pydantic builds each of their models when it is first used.

    Saves 1.5 MB: of more than fifty, a plugin that creates nothing uses eight. Does nothing where pydantic has no lock
    around that, without which two threads can disturb each other.
    """
    from pydantic import BaseModel, main

    base: Any = BaseModel
    if not hasattr(main, "_rebuild_lock"):
        yield
        return
    with _importing:
        before = base.model_config
        base.model_config = {**before, "defer_build": True}
        try:
            yield
        finally:
            base.model_config = before


def release_response(response: Any) -> None:
    """Break the reference cycle between an httpx response and its stream, once the response is read.

    Saves 4 MB at the peak with 1,000 live bids, whose scripts make a page 1 MB: without this, the bodies of all pages
    stay until the garbage collector runs.
    """
    vars(response).pop("stream", None)


def without_scripts(answer: Any) -> Any:
    """Take the start-up scripts out of a listing of bids that is kept for a while: up to 10,000 characters each."""
    rows = answer.get("data") if isinstance(answer, dict) else None
    for row in rows if isinstance(rows, list) else ():
        launch = row.get("launch_specification") if isinstance(row, dict) else None
        if isinstance(launch, dict):
            launch.pop("startup_script", None)
    return answer


def rows_of_all_pages(
    list_page: Callable[..., Any], params: Mapping[str, Any], limit: int = PAGE
) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a listing, page by page: who stops reading asks for no more pages.

    Saves 8 MB at the peak with 1,000 live bids, whose scripts make a page 1 MB: each page is dropped before the next is
    read.

    Raises UnavailableError where a cursor comes back, so that the pages do not end: half a listing proves nothing.
    """
    query, cursors = {**params, "limit": limit}, set[str]()
    while True:
        page = list_page(query, bypass_cache=True)
        yield from page.rows
        cursor = page.next_cursor
        del page
        if not cursor:
            return_free_memory()
            return
        if cursor in cursors:
            raise UnavailableError(
                "a listing of the service is cut: its pages go round", "it proves nothing; run the same command again"
            )
        cursors.add(cursor)
        query = {**query, "next_cursor": cursor}  # not changed in place: who was handed it may keep it
