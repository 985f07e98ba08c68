"""What the Flow SDK remembers of a cloud in files, and when a mock makes it forget.

The SDK repeats lists and prices for some seconds of the real clock. A test that takes a machine away or moves the
cloud's clock by an hour does so between two of its lines, and would read of before. So what is remembered in the mock's
own FLOW_DIR goes whenever the test reaches into the cloud. What programs do there leaves it alone, as in the real one.
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
def forgotten_when_moved(mithril: FakeMithril, folder: str) -> Iterator[None]:
    """Empty the SDK's caches in `folder` after each verb of the console that changes something, and each `advance`."""

    def forget() -> None:
        # The SDK takes a folder that went while it was used for one that holds nothing, and makes it again.
        for name in _FOLDERS:
            shutil.rmtree(Path(folder, name), ignore_errors=True)

    # A clock may be shared by several clouds, and outlive this one.
    told = (mithril.listeners, mithril.clock.listeners)
    for listeners in told:
        listeners.append(forget)
    try:
        yield
    finally:
        for listeners in told:
            listeners.remove(forget)
