"""Letting threads that will soon need the same page ask for it together."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from flow_resources.clock import Clock

_SECONDS = 0.02
"""How long one who asks waits for the others: about as long as the service takes for a page."""


class Gathering:
    """The threads of a process that are about to ask for a page. Who asks before them waits a moment for them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expected: set[int] = set()

    @contextlib.contextmanager
    def expected(self) -> Iterator[None]:
        """Be expected within, until this thread has asked."""
        self._expected.add(threading.get_ident())
        try:
            yield
        finally:
            self.has_asked()

    def has_asked(self) -> None:
        """Expect this thread no more."""
        self._expected.discard(threading.get_ident())

    def wait(self, asked: float) -> None:
        """Wait, from the moment on at which somebody asked, until nobody is expected any more, or long enough."""
        left = asked + _SECONDS - self._clock.now()
        if self._expected and left > 0:
            self._clock.pause(left, lambda: not self._expected)
