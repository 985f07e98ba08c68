"""Several readings at the same time, and for a limited time."""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from flow_resources.errors import UnavailableError

R = TypeVar("R")


def read_together(reads: Sequence[Callable[[], R]], seconds: float = math.inf) -> list[R]:
    """Read at the same time, each in a thread of its own; return the answers in the order of the reads.

    Raises the first error, and UnavailableError where an answer is not there after so many seconds: the time limit of a
    request holds for each piece of an answer, and not for the whole of it. What comes later is dropped; the threads
    keep no process alive.
    """
    arrived: queue.SimpleQueue[tuple[int, R | None, BaseException | None]] = queue.SimpleQueue()

    def run(place: int) -> None:
        try:
            arrived.put((place, reads[place](), None))
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
            arrived.put((place, None, error))

    for place in range(len(reads)):
        threading.Thread(target=run, args=(place,), daemon=True).start()
    answers: dict[int, R] = {}
    until = time.monotonic() + seconds
    while len(answers) < len(reads):
        try:
            place, answer, error = arrived.get(
                timeout=None if until == math.inf else max(0.0, until - time.monotonic())
            )
        except queue.Empty:
            raise UnavailableError(f"no whole answer within {seconds:g} seconds") from None
        if error:
            raise error
        answers[place] = answer  # type: ignore[assignment]  # without an error it is an answer
    return [answers[place] for place in range(len(reads))]


@contextlib.contextmanager
def reading_beside(read: Callable[[], object]) -> Iterator[None]:
    """Read in a thread of its own while the block runs, and wait for its end.

    The reading is a shared one, which keeps its result or its error for whoever asks for it.
    """

    def run() -> None:
        with contextlib.suppress(Exception):
            read()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()
