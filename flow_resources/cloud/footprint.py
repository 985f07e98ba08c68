"""What keeps a plugin process small. The engine starts one for each operation, and it lives for seconds or minutes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flow_resources.errors import UnavailableError
from flow_resources.heap import return_free_memory

PAGE = 100  # rows; the most that the service puts on a page (openapi.json of flow-compute: limit, maximum)


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
        query["next_cursor"] = cursor
