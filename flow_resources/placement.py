"""A placement to choose from: what a program says, as the property that check reads."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, TypedDict

import pulumi

from flow_resources.arguments import is_list
from flow_resources.bid_policy import Bid, bid_arguments

Choose = Literal["first", "cheapest"]


class _RequiredOfPlacement(TypedDict):
    instance_type: pulumi.Input[str]
    region: pulumi.Input[str]


class PlacementDict(_RequiredOfPlacement, total=False):
    """A placement to choose from, as a plain mapping."""

    max_price_per_hour: pulumi.Input[float | Decimal] | Bid


class Placement:
    """Machines in a region, of which several are given to choose from: `placements=[Placement(...), ...]`."""

    def __init__(
        self,
        instance_type: pulumi.Input[str],
        region: pulumi.Input[str],
        max_price_per_hour: pulumi.Input[float | Decimal] | Bid | None = None,
    ) -> None:
        """Describe a placement.

        Args:
            instance_type: The machines: "8xa100", "a100:8", a full name of the catalogue, or an id `it_...`.
            region: Where.
            max_price_per_hour: The bid there, in USD per instance-hour, whole cents, or a `Bid`. Default: that of the
                resource.

        """
        self.instance_type, self.region, self.max_price_per_hour = instance_type, region, max_price_per_hour

    def _to_props(self) -> dict[str, Any]:
        bid = bid_arguments(self.max_price_per_hour)
        given = {name: value for name, value in bid.items() if value is not None}
        return {"instance_type": self.instance_type, "region": self.region, **given}


def placement_props(placements: Any) -> Any:
    """Turn placements into properties. Anything else is passed on to check, which reports it with its path."""
    if isinstance(placements, pulumi.Output) or inspect.isawaitable(placements):
        return pulumi.Output.from_input(placements).apply(placement_props)
    if is_list(placements):
        return [placement_props(one) for one in placements]
    if isinstance(placements, Mapping) and isinstance(placements.get("max_price_per_hour"), Bid):
        return {**placements, **bid_arguments(placements["max_price_per_hour"])}
    return placements._to_props() if isinstance(placements, Placement) else placements  # noqa: SLF001 - of this module
