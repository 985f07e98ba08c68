"""What an operation knows of the prices of markets: each market is asked once, and its silence costs two seconds.

A market is an instance type (its id) in a region. None is not known: nobody decides on a price that is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import TypeVar

from flow_resources.cloud import Cloud, RetryBudget, read_together
from flow_resources.core.prices import CurrentPrices, PriceHistory
from flow_resources.errors import FlowResourcesError, UnavailableError
from flow_resources.lifecycle.operation import CircuitBreaker, Operation

R = TypeVar("R")
SILENCE_SECONDS = 2.0
"""How long all requests for prices may take together before the operation goes on without."""


class MarketPrices:
    """The prices that a check reads. One per verb; the answers are shared by the operation."""

    def __init__(self, op: Operation) -> None:
        self._op = op
        self.has_failed = False
        """Whether a reading has failed: a None that it returned can be a price a moment later."""

    def current(self, instance_type: str, region: str, machines: int) -> CurrentPrices | None:
        """Return what machines of a type cost in a region now; None where that is not known."""
        return self._read(
            f"prices of {machines} {instance_type} in {region}",
            lambda cloud: cloud.current_prices(instance_type, region, machines),
        )

    def history(self, instance_type: str, region: str, days: int) -> PriceHistory | None:
        """Return the prices of the last days; None where they are not known."""
        return self._read(
            f"price history of {days} days of {instance_type} in {region}",
            lambda cloud: cloud.price_history(instance_type, region, timedelta(days=days)),
        )

    def regions_with_history(self, instance_types: Collection[str], days: int) -> Sequence[str]:
        """Return the regions in which there are prices of some types over the last days; none where not known."""
        types = sorted(instance_types)
        what = f"regions with prices of {days} days of {', '.join(types)}"
        return self._read(what, lambda cloud: cloud.regions_with_history(types, timedelta(days=days))) or ()

    def _read(self, what: str, read: Callable[[Cloud], R]) -> R | None:
        deployment = self._op.deployment
        try:
            return deployment.once(what, lambda: self._ask(read))
        except FlowResourcesError as error:
            self.has_failed = True
            self._op.warn_once(f"the prices of the market are not known: {error.message}", about="the prices")
            return None

    def _ask(self, read: Callable[[Cloud], R]) -> R:
        breaker: CircuitBreaker = self._op.deployment.prices_breaker
        breaker.raise_if_open()
        budget = RetryBudget(SILENCE_SECONDS, clock=self._op.clock, request_seconds=SILENCE_SECONDS)
        cloud = Cloud(self._op.deployment.connect(), budget)
        try:
            return read_together([lambda: read(cloud)], SILENCE_SECONDS)[0]
        except UnavailableError as error:
            breaker.trip(error)
            raise
