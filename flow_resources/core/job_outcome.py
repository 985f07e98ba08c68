"""How a job ended, as its machine tells it by the limit price of the bid.

The service has no field for it: a bid that its machine ended looks like one that a person ended. The limit price is a
field of the bid that a machine can write, that the whole project can read, and that stays on an ended bid. So the
machine lowers it by a cent or two before it ends or pauses the bid (cloud/machine/end_job.py), and never raises it.

The marks are relative to the price at which the bid was placed, which its start-up script carries: an update can have
changed the bid's price since. No update sets one of them. A person who does that with another tool, and then cancels
the bid, makes this tell an outcome that no machine told.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from flow_resources.core.money import CENT


class Outcome(Enum):
    """How a job ended. A job of which no outcome was told has ended, and nobody can say how."""

    SUCCEEDED = "succeeded"
    """The command ended with exit code 0."""
    FAILED = "failed"
    """It ended with another exit code, or the time limit passed."""


_CENTS_BELOW = {Outcome.SUCCEEDED: 1, Outcome.FAILED: 2}


def mark(placed: Decimal, outcome: Outcome) -> Decimal | None:
    """Return the limit price that tells an outcome, in USD per instance-hour.

    None where there is none: the placed price is so low that the mark would not be a price.
    """
    price = placed - _CENTS_BELOW[outcome] * CENT
    return price if price > 0 else None


def told(placed: Decimal | None, live: Decimal | None) -> Outcome | None:
    """Return the outcome that the price of an ended or paused bid tells.

    None where it tells none, or where the placed or the live price is not known.
    """
    if placed is None or live is None:
        return None
    return next((outcome for outcome in Outcome if mark(placed, outcome) == live), None)


def lowest_price() -> Decimal:
    """Return the lowest price of a placement that leaves a price below it for every outcome."""
    return (max(_CENTS_BELOW.values()) + 1) * CENT


def is_mark(placed: Decimal, price: Decimal) -> bool:
    """Return whether a price tells an outcome of a job that was placed at `placed`; no update may set it."""
    return told(placed, price) is not None


def nearest_prices(placed: Decimal) -> tuple[Decimal, ...]:
    """Return the prices next to the marks that tell nothing, lower one first: what an update can set instead."""
    below = placed - 3 * CENT
    return (below, placed) if below > 0 else (placed,)
