"""What the command `market` reads: what is on offer, what it costs now, and how the price of one market was.

A market is an instance type in a region. One that does not answer is not known, and the others are shown without it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from flow_resources.cloud import Cloud, RetryBudget
from flow_resources.core import advice, market, placement_fields
from flow_resources.core.inputs import Invalid
from flow_resources.core.market import Market
from flow_resources.core.models import InstanceType, Offer
from flow_resources.core.prices import CurrentPrices, PriceHistory
from flow_resources.errors import FlowResourcesError
from flow_resources.lifecycle.market_prices import SILENCE_SECONDS
from flow_resources.lifecycle.operation import Operation

_AT_ONCE = 8
"""How many markets are asked at the same time."""
_UNKNOWN_PRICES = CurrentPrices.read(None)


class UsageError(FlowResourcesError):
    """The arguments name no market that there is, or more than one where one is needed."""


@dataclass(frozen=True)
class Row:
    """A market and its prices. None is not known."""

    type: InstanceType
    region: str
    price: Decimal | None
    """What a machine costs now, USD per hour."""
    prices: CurrentPrices = _UNKNOWN_PRICES

    @property
    def per_gpu(self) -> Decimal | None:
        """What a GPU of it costs now, USD per hour."""
        return advice.per_gpu(self.price, self.type.gpus)


@dataclass(frozen=True)
class Markets:
    """The markets that were asked for, the cheapest per GPU first."""

    rows: Sequence[Row]
    service: str
    """The API URL."""


def read(op: Operation, spellings: Sequence[str], region: str | None, machines: int) -> Markets:
    """Read the markets of some types (all without any) in a region, or in all; prices for a number of machines.

    Raises UsageError for a type or a region that the service does not have, and what the service answers where the
    offers cannot be read.
    """
    whole = op.cloud.market()
    rows = _current(op, _rows(whole, _offers(whole, spellings, region)), machines)
    return Markets(sorted(rows, key=_rank), op.settings.api_url)


def single_market(found: Markets, spellings: Sequence[str], *, is_needed: bool) -> Row | None:
    """Return the market of one type, where it is the only one that was asked for.

    Raises UsageError where it is needed and there is none, with what there is to choose from.
    """
    if len(spellings) == 1 and len(found.rows) == 1:
        return found.rows[0]
    if not is_needed:
        return None
    if len(spellings) != 1:
        raise UsageError("what was or would have been is told of one instance type", "name one, for example 8xa100")
    regions = sorted({row.region for row in found.rows})
    if len(regions) > 1:
        raise UsageError(f"{spellings[0]} is on offer in several regions", f"add --region, one of {', '.join(regions)}")
    ids = ", ".join(sorted(row.type.id for row in found.rows))
    raise UsageError(f"{spellings[0]} means several instance types in {regions[0]}", f"name one of {ids}")


def read_history(op: Operation, row: Row, hours: int) -> PriceHistory | None:
    """Read how the price of a market was over the last hours; None where it is not known, with a warning if that fails.

    The prices of another market are never taken for it.
    """
    try:
        return op.cloud.price_history(row.type.id, row.region, timedelta(hours=hours))
    except FlowResourcesError as error:
        op.report.warn(f"the price history of {_name(row)} is not known: {error.message}")
        return None


def _offers(whole: Market, spellings: Sequence[str], region: str | None) -> list[Offer]:
    if region is not None and region not in whole.regions:
        raise UsageError(f"{region!r} is not a region of the service", market.near(region, whole.regions))
    if not spellings:
        return [offer for offer in whole.offers if region in (None, offer.region)]
    return [offer for spelling in dict.fromkeys(spellings) for offer in _offers_of(whole, spelling, region)]


def _offers_of(whole: Market, written: str, region: str | None) -> list[Offer]:
    """Return what is on offer of a type."""
    if written in whole.regions:
        raise UsageError(f"{written!r} is a region", f"add --region {written}")
    try:
        spelling = placement_fields.instance_type(written)
    except Invalid as invalid:
        raise UsageError(f"{written!r} {invalid.rule}", invalid.remedy) from invalid
    ids = {type_.id for type_ in market.named(spelling, whole.types)}
    offers = [offer for offer in whole.offers if offer.instance_type in ids and region in (None, offer.region)]
    if not ids:
        offered = {offer.instance_type for offer in whole.offers}
        known = sorted({type_.spelling for type_ in whole.types if type_.id in offered or not offered})
        raise UsageError(f"{written!r} is not in the service's catalogue", market.near(spelling, known))
    if not offers:
        place = f" in {region}" if region else ""
        raise UsageError(f"{written} is not on offer{place}", market.where_on_offer(spelling, whole))
    return offers


def _rows(whole: Market, offers: Sequence[Offer]) -> list[Row]:
    types = {type_.id: type_ for type_ in whole.types}
    return [
        Row(types.get(offer.instance_type) or InstanceType(offer.instance_type, "", 0, ""), offer.region, offer.price)
        for offer in dict.fromkeys(offers)
    ]


@dataclass
class _Answers:
    """Whether any market answers: where none does, the rest of them is not asked."""

    answered: int = 0
    problems: list[tuple[Row, FlowResourcesError]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_silent(self) -> bool:
        return not self.answered and len(self.problems) >= _AT_ONCE


def _current(op: Operation, rows: Sequence[Row], machines: int) -> list[Row]:
    """Return the rows with what each market says now, asked at the same time; one warning for all that is not known."""
    answers = _Answers()
    connection = op.deployment.connect()

    def ask(row: Row) -> Row:
        if answers.is_silent:
            return row
        budget = RetryBudget(SILENCE_SECONDS, clock=op.clock, request_seconds=SILENCE_SECONDS)
        try:
            prices = Cloud(connection, budget).current_prices(row.type.id, row.region, machines)
        except FlowResourcesError as error:
            with answers.lock:
                answers.problems.append((row, error))
            return row
        with answers.lock:
            answers.answered += 1
        return Row(row.type, row.region, row.price if prices.spot is None else prices.spot, prices)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = list(pool.map(ask, rows))
    if answers.problems:
        row, error = answers.problems[0]
        lost = len(rows) - answers.answered
        what = f"of {_name(row)}" if lost == 1 else f"of {lost} of {len(rows)} markets, {_name(row)} among them,"
        op.report.warn(f"the prices {what} are not known: {error.message}")
    return asked


def _name(row: Row) -> str:
    return f"{row.type.spelling or row.type.id} in {row.region}"


def _rank(row: Row) -> tuple[bool, Decimal, bool, Decimal, str, str, str]:
    """Order by the price per GPU, what is not known last."""
    zero = Decimal(0)
    per_gpu = row.per_gpu
    return (
        per_gpu is None, per_gpu or zero, row.price is None, row.price or zero,
        row.type.spelling, row.region, row.type.id,
    )  # fmt: skip
