"""What keeps a plugin small: it lives for seconds or minutes, and the engine starts one for each operation."""

from __future__ import annotations

import sys
from typing import Any


def import_httpx() -> None:
    """Import httpx, before the SDK does, without its command line: that brings rich, pygments and click, 7 MB.

    It goes without where those are not installed, and Python takes a module that is None for one that is not.
    """
    if "httpx" in sys.modules:
        return
    command_line: Any = None
    sys.modules["httpx._main"] = command_line
    try:
        import httpx  # noqa: F401
    finally:
        sys.modules.pop("httpx._main", None)
