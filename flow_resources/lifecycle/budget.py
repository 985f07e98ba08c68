"""The budget of a stack or a provider: what all its clusters can cost together, enforced at preview."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from flow_resources.core import money
from flow_resources.core.inputs import Checked
from flow_resources.core.naming import logical_name


@dataclass(frozen=True)
class BudgetWords:
    """How messages speak of a budget."""

    name: str
    budget: str
    """With whose it is."""
    remedy: str
    """How it is raised."""


OF_STACK = BudgetWords(
    "flow:maxCostPerHour",
    "the stack's budget flow:maxCostPerHour",
    "raise the budget with `pulumi config set flow:maxCostPerHour ...`",
)
OF_PROVIDER = BudgetWords(
    "the provider's max_cost_per_hour",
    "the provider's budget max_cost_per_hour",
    "raise max_cost_per_hour of the provider",
)


class Spending:
    """The most that each cluster can cost, in USD per hour, by URN: a replacement is checked twice."""

    def __init__(self, words: BudgetWords = OF_STACK) -> None:
        self.words = words
        self._lock = threading.Lock()
        self._costs: dict[str, Decimal] = {}

    def add(self, urn: str, cost: Decimal) -> dict[str, Decimal]:
        """Enter a cluster; return what the others cost that were entered before."""
        with self._lock:
            others = {other: known for other, known in self._costs.items() if other != urn}
            self._costs[urn] = cost
            return others

    def enter_within(self, urn: str, cost: Decimal, budget: Decimal, recorded: Mapping[str, Decimal]) -> bool:
        """Enter a cluster if the budget allows that, and return whether it does.

        `recorded`: what the stack's bids cost by its state, which counts for those that were not entered yet.
        """
        with self._lock:
            others = {other: known for other, known in {**recorded, **self._costs}.items() if other != urn}
            is_within = cost + sum(others.values()) <= budget
            if is_within:
                self._costs[urn] = cost
            return is_within


def charge(found: Checked, spending: Spending, urn: str, cost: Decimal, budget: Decimal | None, called: str) -> Decimal:
    """Enter a bid into the budget and fail it when the sum goes over; return the sum.

    A paused cluster costs nothing. `called`: "cluster" or the like.
    """
    others = spending.add(urn, cost)
    total = cost + sum(others.values())
    if budget is None or total <= budget or not cost:
        return total
    listed = ", ".join(f"{logical_name(other)} {money.usd(known)}/h" for other, known in others.items() if known)
    found.fail(
        "max_price_per_hour",
        f"exceeds {spending.words.budget} of {money.usd(budget)}/h by {money.usd(total - budget)}/h: "
        f"this {called} can cost {money.usd(cost)}/h{f', before it {listed}' if listed else ''}",
        remedy=f"lower a bid, pause a cluster, or {spending.words.remedy}",
    )
    return total
