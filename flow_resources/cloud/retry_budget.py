"""How long somebody asks again where no answer comes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from flow_resources.clock import Clock


@dataclass
class RetryBudget:
    """What one verb may spend on asking again, over all that it asks."""

    seconds: float
    """From the first try of a request to the last, summed over its requests."""
    until: float = float("inf")
    """The moment (monotonic) at which the verb's time limit is reached."""
    clock: Clock = field(default_factory=Clock)
    say: Callable[[str], None] = lambda _: None
    """Where it says that it asks again."""
    spent: float = 0.0

    def lasts(self, began: float, pause: float) -> bool:
        """Whether a request that began then may be sent again after a pause."""
        now = self.clock.now()
        return self.spent + (now - began) + pause <= self.seconds and now + pause < self.until

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """Ask nothing again within: the answer is not worth waiting for."""
        seconds, self.seconds = self.seconds, 0.0
        try:
            yield
        finally:
            self.seconds = seconds
