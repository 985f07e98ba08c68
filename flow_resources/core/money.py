"""Amounts of money: Decimal, in USD and whole cents; nothing computes with floats.

Prices arrive as floats, because Pulumi carries every number as one. A price is in USD per instance-hour, as the
service's `limit_price` and Flow's `max_price_per_hour`.
"""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation

CENT = Decimal("0.01")
LIMIT = Decimal(10) ** 9  # far above any bid, and far below what a float holds to the cent


def price(value: object) -> Decimal:
    """Return a bid as a Decimal; raise ValueError with the rule that it breaks."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise ValueError("must be a number")  # noqa: TRY004 - one kind of exception for all rules
    if not isinstance(value, int) and not math.isfinite(value):
        raise ValueError("must be a finite number")
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if exact <= 0:
        raise ValueError("must be greater than 0")
    if exact >= LIMIT:
        raise ValueError(f"must be less than {LIMIT:,}")
    if exact != exact.quantize(CENT):
        raise ValueError("must not be finer than a cent")
    return exact.quantize(CENT)


def from_wire(text: object) -> Decimal | None:
    """Parse a price as the service writes it, "$50.00"; return None for what is not a price."""
    try:
        amount = Decimal(str(text).strip().lstrip("$").replace(",", "")).quantize(CENT)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def to_wire(amount: Decimal) -> str:
    """Format a price for the service: "$50.00"."""
    return f"${amount.quantize(CENT)}"


def usd(amount: Decimal) -> str:
    """Format an amount for a message: "$1,200.00"."""
    return f"${amount.quantize(CENT):,}"
