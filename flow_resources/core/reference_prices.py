"""What machines cost without an auction: the price under which `Bid.infrastructure` never bids.

A bid at this price is as dear, at worst, as a machine that nobody can take away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from flow_resources.core.models import InstanceType
from flow_resources.core.prices import CurrentPrices

USUAL_BIDS: Mapping[str, Decimal] = {"8xa100": Decimal(50), "a100": Decimal(25), "h100": Decimal(100)}
"""The usual bids for infrastructure, in USD per instance-hour, by the short spelling of a type, else by its GPU.

Source: the limit prices of the Flow examples that keep infrastructure up. They are used only where the service tells no
price of its own; `reference=` overrides them.
"""

USUAL = "the usual bid for this type"
"""The source of a reference that is one of them."""


@dataclass(frozen=True)
class Reference:
    """A price that an infrastructure bid does not go under, in USD per instance-hour, and whose word it is."""

    price: Decimal
    source: str


def reference_of(
    given: Decimal | None, current: CurrentPrices | None, instance_type: InstanceType | None
) -> Reference | None:
    """Return the reference of an instance type: the program's, the service's, else the usual bid; None without any.

    Of the service: the price of a reservation, else the hourly price of the catalogue. A price of 0 is none.
    """
    on_demand = current.on_demand if current else None
    if given is not None:
        return Reference(given, "the program's reference")
    if on_demand:
        return Reference(on_demand, "the on-demand price")
    if instance_type is None:
        return None
    if instance_type.hourly_price:
        return Reference(instance_type.hourly_price, "the hourly price of the catalogue")
    usual = USUAL_BIDS.get(instance_type.spelling) or USUAL_BIDS.get(instance_type.gpu.lower())
    return Reference(usual, USUAL) if usual else None
