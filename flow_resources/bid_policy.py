"""Bid: a policy that a program says instead of a number, as the property that check reads."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pulumi

from flow_resources.core.bid_policy import DEFAULT_DAYS, DEFAULT_MARGIN


class Bid:
    """A policy that decides a bid, in place of a number for `max_price_per_hour`.

    The first `up` resolves it to a number, which stays: a market that moves changes nothing. A change of the policy,
    and a replacement, resolve it anew. All prices are in USD per instance-hour in whole cents, but for those of
    `per_gpu`; a number that is computed is rounded up to the cent, and never above `cap`. Preview and `up` read the
    market each for themselves, so the number of a preview can differ. While the prices are not known, an `up` refuses.

    A bad value is a failure of the preview. Each argument can be an output of another resource.
    """

    __slots__ = ("_props",)
    _props: dict[str, Any]

    def __init__(self, kind: str, **values: Any) -> None:
        """Keep the values of a policy; programs call one of the methods below."""
        given = {name: value for name, value in values.items() if value is not None}
        object.__setattr__(self, "_props", {"kind": kind, **given})

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Bid cannot be changed: make another one ({name})")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Bid cannot be changed: make another one ({name})")

    def __eq__(self, other: object) -> bool:
        """Whether both are the same policy with the same values; an output equals itself alone."""
        return self._props == other._props if isinstance(other, Bid) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self._props.items()))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self._props.items() if name != "kind")
        return f"Bid.{self._props['kind']}({values})"

    @staticmethod
    def per_gpu(usd: pulumi.Input[float | Decimal]) -> Bid:
        """Bid a price per GPU-hour, times the GPUs of a machine.

        Args:
            usd: USD per GPU-hour. `Bid.per_gpu(6.25)` for "8xa100" is a bid of $50.00 per machine.

        """
        return Bid("per_gpu", usd=usd)

    @staticmethod
    def infrastructure(
        *, cap: pulumi.Input[float | Decimal] | None = None, reference: pulumi.Input[float | Decimal] | None = None
    ) -> Bid:
        """Bid for machines that should stay: not under their on-demand price, nor under the market.

        Args:
            cap: Required: the most that the bid may be.
            reference: The price that the bid does not go under. Default: the service's on-demand price of the type,
                else the catalogue's hourly price, else the usual bid for the type ($25 for a100, $50 for 8xa100, $100
                for h100).

        """
        return Bid("infrastructure", cap=cap, reference=reference)

    @staticmethod
    def workload(
        *, margin: pulumi.Input[float] = DEFAULT_MARGIN, cap: pulumi.Input[float | Decimal] | None = None
    ) -> Bid:
        """Bid for work that may be interrupted: a margin above the market of now.

        Args:
            margin: How far above the market: 0.1 is 10 %.
            cap: Required: the most that the bid may be.

        """
        return Bid("workload", margin=margin, cap=cap)

    @staticmethod
    def market(multiplier: pulumi.Input[float], *, cap: pulumi.Input[float | Decimal] | None = None) -> Bid:
        """Bid a multiple of the market of now.

        Args:
            multiplier: 2 is twice the market.
            cap: Required: the most that the bid may be.

        """
        return Bid("market", multiplier=multiplier, cap=cap)

    @staticmethod
    def uptime(
        target: pulumi.Input[float],
        *,
        days: pulumi.Input[int] = DEFAULT_DAYS,
        cap: pulumi.Input[float | Decimal] | None = None,
    ) -> Bid:
        """Bid the lowest price that would have held for a share of the last days.

        It is computed from past prices, and does not predict future ones.

        Args:
            target: The share of the time, more than 0 and less than 1: 0.97 is 97 %.
            days: How many days back, 1 to 30. Where the service tells fewer, those are taken, and the row says so.
            cap: Required: the most that the bid may be.

        """
        return Bid("uptime", target=target, days=days, cap=cap)


def bid_arguments(max_price_per_hour: Any) -> dict[str, Any]:
    """Return the arguments of a resource for its bid: a number, or the policy that decides it."""
    if isinstance(max_price_per_hour, Bid):
        return {"max_price_per_hour": None, "bid_policy": dict(max_price_per_hour._props)}  # noqa: SLF001 - of this module
    return {"max_price_per_hour": max_price_per_hour, "bid_policy": None}
