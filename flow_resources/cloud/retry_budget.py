"""How long a verb may retry requests that get no answer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from flow_resources.clock import Clock


@dataclass
class RetryBudget:
    """The time that one verb may spend on retries, over all of its requests."""

    seconds: float
    """From the first attempt of a request to its last one, summed over all requests."""
    until: float = float("inf")
    """The moment (monotonic) at which the verb's time limit is reached."""
    clock: Clock = field(default_factory=Clock)
    report: Callable[[str], None] = lambda _: None
    """Called with a message before each retry."""
    spent: float = 0.0
    request_seconds: float = float("inf")
    """How long one request may take, where that is less than the settings say."""

    def may_retry(self, began: float, pause: float) -> bool:
        """Whether a request whose first attempt began then may be sent again after a pause."""
        now = self.clock.now()
        if self.clock.is_interrupted:
            return False
        return self.spent + (now - began) + pause <= self.seconds and now + pause < self.until

    def wait(self, pause: float) -> bool:
        """Wait for what the service shows later, which is no retry and spends nothing; False where no time is left."""
        if self.clock.is_interrupted or self.clock.now() + pause >= self.until or self.seconds <= 0:
            return False
        self.clock.sleep(pause)
        self.seconds += pause
        return True

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """Allow no retries within: the answer is not worth waiting for."""
        seconds, self.seconds = self.seconds, 0.0
        try:
            yield
        finally:
            self.seconds = seconds
