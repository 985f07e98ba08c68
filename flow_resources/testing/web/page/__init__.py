"""The page at `/`: plain files that a browser reads as they are, and which of them belongs to which path.

Nothing is built, and nothing is fetched from elsewhere: the page works on a machine without a network. What it shows
comes from GET /mithril-fake/overview; what it does are POSTs to /mithril-fake/<verb>.
"""

from __future__ import annotations

from importlib.resources import files

_CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}


def asset(path: str) -> tuple[bytes, str] | None:
    """Return the bytes and the content type of what the page has under `path`, or None where it has nothing.

    `/` is the page itself; every other file lies under its own name, such as `/page.js`.
    """
    wanted = "index.html" if path == "/" else path.removeprefix("/")
    # Only names that the folder really lists are opened: a path can never lead out of it.
    for file in files(__name__).iterdir():
        content_type = _CONTENT_TYPES.get(file.name.rpartition(".")[2])
        if file.name == wanted and content_type is not None:
            return file.read_bytes(), content_type
    return None
