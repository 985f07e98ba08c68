"""The project's quotas: what an operation needs of them, so that a preview fails for what an `up` could not place."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from flow_resources.core.models import Quota


@dataclass(frozen=True)
class Claim:
    """What a create needs of a quota."""

    product: str
    """The id of an instance type, or STORAGE; as in `Quota`."""
    amount: int
    input: str
    """The input that says how much."""
    name: str
    """How the program calls the product."""


class Claims:
    """What the creates of an operation need together, by URN: a resource can be checked twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claimed: dict[str, tuple[str, int]] = {}

    def add(self, urn: str, product: str, amount: int) -> int:
        """Enter a resource; return how much of the product all need that were entered."""
        with self._lock:
            self._claimed[urn] = (product, amount)
            return sum(claimed for other, claimed in self._claimed.values() if other == product)


def excess(claim: Claim, claimed: int, quota: Quota | None) -> str:
    """Say that a claim goes over the quota; empty where it does not, or the service does not say."""
    if quota is None or quota.free is None or claimed <= quota.free:
        return ""
    return (
        f"exceeds the project's quota of {quota.total:,} {quota.units} of {claim.name}: {quota.used:,} are in use, and "
        f"this operation needs {claimed:,} more"
    )
