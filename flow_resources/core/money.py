"""Money: Decimal dollars with whole cents, never float arithmetic.

Floats stand only at the two borders: Pulumi's property bags carry numbers as floats, and users type them. Every
price here is in USD per instance-hour, which is what the service calls `limit_price` and Flow `max_price_per_hour`.
"""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation

CENT = Decimal("0.01")
LIMIT = Decimal(10) ** 9  # far above any bid, and far below what a float holds to the cent


def price(value: object) -> Decimal:
    """Return a bid as Decimal; raise ValueError, with the rule, for what is no bid."""
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
    """Read a price as the service writes it, "$50.00"; None for what is no price."""
    try:
        amount = Decimal(str(text).strip().lstrip("$").replace(",", "")).quantize(CENT)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def to_wire(amount: Decimal) -> str:
    """Write a price as the service reads it, "$50.00"."""
    return f"${amount.quantize(CENT)}"


def usd(amount: Decimal) -> str:
    """Write an amount for a person: "$1,200.00"."""
    return f"${amount.quantize(CENT):,}"
