"""The page at `/`: its files, and the paths under which they are served.

There is no build step, and nothing is loaded from other hosts, so the page works without a network. It reads
GET /mithril-fake/overview, and its buttons send POST /mithril-fake/<verb>.
"""

from __future__ import annotations

from importlib.resources import files

_CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}


def asset(path: str) -> tuple[bytes, str] | None:
    """Return the content and the content type of the file at a path; None if there is none.

    `/` is the page itself; the path of every other file is its name, such as `/page.js`.
    """
    name = "index.html" if path == "/" else path.removeprefix("/")
    # Only files that the folder lists are opened, so a path cannot lead out of it.
    for file in files(__name__).iterdir():
        content_type = _CONTENT_TYPES.get(file.name.rpartition(".")[2])
        if file.name == name and content_type is not None:
            return file.read_bytes(), content_type
    return None
