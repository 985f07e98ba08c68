"""Amounts of money: Decimal, in USD and whole cents; nothing computes with floats.

Prices arrive as floats, because Pulumi carries every number as one. A price is in USD per instance-hour, as the
service's `limit_price` and Flow's `max_price_per_hour`.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

CENT = Decimal("0.01")
LIMIT = Decimal(10) ** 9  # far above any bid, and far below what a float holds to the cent
_WRITTEN = re.compile(r"\$?([0-9]+(\.[0-9]+)?)")
_WIRE = re.compile(r"\$?(([0-9]{1,25}|[0-9]{1,3}(,[0-9]{3}){1,8})(\.[0-9]+)?)")  # a comma before thousands alone


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


def known_price(value: object) -> Decimal | None:
    """Return a recorded price as a Decimal; None for what is none."""
    try:
        return price(value)
    except ValueError:
        return None


def written(text: str) -> Decimal:
    """Parse a price as a person writes it in a setting, "200", "$200" or "200.00"; raise ValueError for all else.

    A comma is refused: "200,00" is two hundred dollars in one country and twenty thousand in another.
    """
    match = _WRITTEN.fullmatch(text)
    if not match:
        raise ValueError("must be digits with a point before the cents")
    return price(Decimal(match[1]))


def from_wire(text: object) -> Decimal | None:
    """Parse a price as the service writes it, "$50.00" or "$1,200.00"; return None for what is not a price."""
    match = _WIRE.fullmatch(str(text).strip())
    return Decimal(match[1].replace(",", "")).quantize(CENT) if match else None


def to_wire(amount: Decimal) -> str:
    """Format a price for the service: "$50.00"."""
    return f"${amount.quantize(CENT)}"


def usd(amount: Decimal) -> str:
    """Format an amount for a message: "$1,200.00"."""
    return f"${amount.quantize(CENT):,}"
