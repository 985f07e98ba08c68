"""The Flow SDK's caches on disk, and when a mock empties them.

The SDK reuses lists and prices for some seconds of real time. A test that preempts a bid or advances the cloud's clock
by an hour does so between two statements, and would read the previous answers. So the caches in the mock's FLOW_DIR are
emptied whenever the test changes the cloud through the console. Changes that the program makes do not empty them, as
with the real service.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flow_resources.testing.fake import FakeMithril

_FOLDERS = ("http_cache", "pricing_cache")


@contextmanager
def cleared_on_change(mithril: FakeMithril, folder: str) -> Iterator[None]:
    """Empty the SDK's caches in `folder` after each verb of the console that changes something, and each `advance`."""

    def clear() -> None:
        # The SDK treats a folder that disappears while in use as an empty cache, and creates it again.
        for name in _FOLDERS:
            shutil.rmtree(Path(folder, name), ignore_errors=True)

    # Several clouds may share a clock, and it may outlive this one.
    registries = (mithril.listeners, mithril.clock.listeners)
    for listeners in registries:
        listeners.append(clear)
    try:
        yield
    finally:
        for listeners in registries:
            listeners.remove(clear)
