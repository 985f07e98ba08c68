"""A clock for many threads whose time passes only while all of them sleep."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from flow_resources.clock import Clock

T = TypeVar("T")
R = TypeVar("R")


class VirtualClock(Clock):
    """Its threads sleep until the earliest of their moments as soon as none of them runs; `on_pass` hears how long."""

    def __init__(self, on_pass: Callable[[float], None] = lambda _: None) -> None:
        self.time, self.on_pass = 1_000.0, on_pass
        self._lock = threading.Lock()
        self._awake = 0
        self._sleeping: list[tuple[float, int, threading.Event]] = []
        self._count = itertools.count()
        self._random = random.Random(17)

    def now(self) -> float:
        return self.time

    def jitter(self) -> float:
        return self._random.uniform(0.85, 1.15)

    def sleep(self, seconds: float) -> None:
        woken = threading.Event()
        with self._lock:
            heapq.heappush(self._sleeping, (self.time + seconds, next(self._count), woken))
            self._rest()
        woken.wait()

    def run(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Work on all items at once, a thread each."""
        items = list(items)
        self._awake = len(items)

        def one(item: T) -> R:
            try:
                return work(item)
            finally:
                with self._lock:
                    self._rest()

        with ThreadPoolExecutor(len(items)) as pool:
            return list(pool.map(one, items))

    def _rest(self) -> None:
        """Let one thread less run; where none does any more, let time pass and wake whose moment has come."""
        self._awake -= 1
        if self._awake or not self._sleeping:
            return
        passed, self.time = self._sleeping[0][0] - self.time, self._sleeping[0][0]
        self.on_pass(passed)
        while self._sleeping and self._sleeping[0][0] <= self.time:
            self._awake += 1
            heapq.heappop(self._sleeping)[2].set()
