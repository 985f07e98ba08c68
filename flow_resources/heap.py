"""The heap of a process with many threads. It imports nothing else, because it has to come before the threads."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterator

_ARENAS, _LARGE = -8, -3  # M_ARENA_MAX and M_MMAP_THRESHOLD of glibc's malloc.h


def share_one_heap() -> bool:
    """Let all threads share one heap. Saves 20 MB: glibc gives the threads up to 8 heaps per core.

    A thread that has a heap of its own keeps it, and others come to use it, too: the sooner, the better.

    Large blocks, such as a page of bids, get pages of their own, which go back to the system at once. Returns whether
    it worked: another C library, or another system, has no such setting.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return all([mallopt(_ARENAS, 1), mallopt(_LARGE, 64 * 1024)])


@contextlib.contextmanager
def collecting_later() -> Iterator[None]:
    """Import many modules within, without the garbage collector: it looks through all of them, and little is garbage.

    Saves a tenth of the SDK's start. Collections go on at the end.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def return_free_memory() -> None:
    """Give back to the system what is free in the heaps, after something large: pieces of it lie between what stays.

    Saves 4 MB of a plugin that refreshes a hundred clusters sixty times. Does nothing where there is no such call.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
