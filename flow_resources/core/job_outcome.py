"""How a job ended, as its machine tells it by the limit price of its bid.

The service has no place for an exit code. The price is part of the bid, everybody in the project sees it, and it stays
on a bid that has ended. So a machine lowers it from the price at which the bid was placed, by a cent for success and by
two for failure, before it ends the bid.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from flow_resources.core.money import CENT


class Outcome(Enum):
    """What a machine told of the end of its job."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


_MARKS = {CENT: Outcome.SUCCEEDED, 2 * CENT: Outcome.FAILED}


def told(placed: Decimal | None, live: Decimal | None) -> Outcome | None:
    """Return what a bid's price tells, relative to the price at which it was placed; None where it tells nothing."""
    return None if placed is None or live is None else _MARKS.get(placed - live)


def is_mark(placed: Decimal | None, price: Decimal) -> bool:
    """Whether a price would tell an outcome."""
    return told(placed, price) is not None


def nearest_prices(placed: Decimal) -> tuple[Decimal, Decimal]:
    """Return the nearest prices below and above the marks that tell nothing."""
    return placed - 3 * CENT, placed
