"""Data functions: what the service offers now, read while the program runs.

They take the options of functions as far as these mean something: `depends_on` of the output forms is waited for, and
`parent` has no effect, because it only passes a provider on. There is no provider that would answer, so `provider`,
`version` and `plugin_download_url` are refused.

They are the one part of a Python program that sends requests: those of the other process answer the engine, and no
program can call them in the dynamic host. (The provider plugin has the same functions for programs in other languages;
what they read is `Readings`, too.) The Flow SDK is imported with the first call. A program reads each thing once, and
nothing stays open afterwards. Under mocks the functions `flow:index:getMarket`, `flow:index:getInstanceTypes` and
`flow:index:getRegions` of the mocks answer, as for functions of any provider.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi

from flow_resources import program
from flow_resources.core import money
from flow_resources.core.advice import per_gpu
from flow_resources.core.inputs import Invalid
from flow_resources.core.market import Market, named, near, where_on_offer
from flow_resources.core.models import InstanceType
from flow_resources.core.placement_fields import instance_type as normalised_type
from flow_resources.core.prices import CurrentPrices
from flow_resources.errors import FlowResourcesError, RejectedError

if TYPE_CHECKING:
    from flow_resources.cloud import Cloud, Connection

R = TypeVar("R")
_SECONDS = 5.0
"""How long one request, and all retries of a call, may take."""


@dataclass(frozen=True)
class InstanceTypeInfo:
    """An instance type of the service's catalogue."""

    id: str
    """The service's id, `it_...`."""
    name: str
    """The service's name, such as `a100-80gb.sxm.8x`. Several types can have one name."""
    spelling: str
    """What `instance_type` of a cluster takes: `8xa100`."""
    gpus: int
    """How many GPUs a machine has; 0: the service does not say."""
    gpu: str
    """The GPU, such as `A100`; empty where the service does not say."""
    hourly_price: float | None
    """The on-demand price in USD per instance-hour; absent where the service does not say one, or says 0."""
    regions: Sequence[str]
    """Where it is on offer now, sorted."""


@dataclass(frozen=True)
class MarketResult:
    """What an instance type costs in a region now.

    Prices are floats in USD per instance-hour, rounded to the cent: they are made for exports and messages, not for
    sums. What is absent (None), the service does not say.
    """

    instance_type: str
    """The type, in the spelling that `instance_type` of a cluster takes: `8xa100`."""
    region: str
    price: float | None
    """What machines cost now."""
    price_per_gpu: float | None
    """`price` divided by the GPUs of a machine, in USD per GPU-hour; absent also where their number is not known."""
    floor: float | None
    """Under it no bid ever wins."""
    lowest_to_win: float | None
    """The lowest bid that would win one machine now."""
    lowest_allocated: float | None
    """The lowest bid that holds machines now."""
    available: int | None
    """Machines that nobody holds."""
    total: int | None
    """Machines that there are."""


# -- the functions -----------------------------------------------------------------------------------------------------


def get_market(instance_type: str, region: str, opts: pulumi.InvokeOptions | None = None) -> MarketResult:
    """Return what an instance type costs in a region now.

    It moves: never pass it to an input of a resource, which would change with every `up`. `Bid` is for that.

    Args:
        instance_type: As in `GpuCluster`: "8xa100", "a100:8", a full name, or an id, `it_...`.
        region: The region, such as "us-central5-a".
        opts: Pulumi's options of functions: `parent` alone, which has no effect.

    Raises:
        pulumi.RunError: There is no such type or region, it is not on offer there, there is no usable API key, or the
            service does not answer within some seconds.

    """
    check_options("get_market", opts)
    if program.is_mocked():
        answer = ask_mocks("getMarket", {"instance_type": instance_type, "region": region})
        return MarketResult(
            instance_type=str(answer.get("instance_type", instance_type)),
            region=region,
            price=number_in(answer, "price"),
            price_per_gpu=number_in(answer, "price_per_gpu"),
            floor=number_in(answer, "floor"),
            lowest_to_win=number_in(answer, "lowest_to_win"),
            lowest_allocated=number_in(answer, "lowest_allocated"),
            available=count_in(answer, "available"),
            total=count_in(answer, "total"),
        )
    return asking("get_market", lambda: readings().prices(instance_type, region))


def get_market_output(
    instance_type: pulumi.Input[str], region: pulumi.Input[str], opts: pulumi.InvokeOptions | None = None
) -> pulumi.Output[MarketResult]:
    """Return the same as `get_market` as an output, of inputs that may be outputs of resources.

    `opts`: `depends_on` names resources that must exist before it is read; in a preview that makes one, nothing is.
    """
    return inputs_after("get_market_output", opts, instance_type, region).apply(lambda known: get_market(*known))


def get_instance_types(opts: pulumi.InvokeOptions | None = None) -> list[InstanceTypeInfo]:
    """Return the instance types of the service's catalogue, by their spelling.

    Args:
        opts: Pulumi's options of functions: `parent` alone, which has no effect.

    Raises:
        pulumi.RunError: There is no usable API key, or the service does not answer within some seconds.

    """
    check_options("get_instance_types", opts)
    if program.is_mocked():
        rows = ask_mocks("getInstanceTypes", {}).get("instance_types")
        return [
            InstanceTypeInfo(
                id=str(row["id"]),
                name=str(row["name"]),
                spelling=str(row["spelling"]),
                gpus=int(row["gpus"]),
                gpu=str(row["gpu"]),
                hourly_price=number_in(row, "hourly_price"),
                regions=tuple(map(str, row["regions"])),
            )
            for row in rows or ()
        ]
    return list(asking("get_instance_types", lambda: readings().instance_types()))


def get_instance_types_output(opts: pulumi.InvokeOptions | None = None) -> pulumi.Output[list[InstanceTypeInfo]]:
    """Return the same as `get_instance_types` as an output; `opts` as of `get_market_output`."""
    return inputs_after("get_instance_types_output", opts).apply(lambda _: get_instance_types())


def get_regions(opts: pulumi.InvokeOptions | None = None) -> list[str]:
    """Return the regions of the service, sorted.

    Args:
        opts: Pulumi's options of functions: `parent` alone, which has no effect.

    Raises:
        pulumi.RunError: There is no usable API key, or the service does not answer within some seconds.

    """
    check_options("get_regions", opts)
    if program.is_mocked():
        return [str(name) for name in ask_mocks("getRegions", {}).get("names") or ()]
    return list(asking("get_regions", lambda: readings().market()).regions)


def get_regions_output(opts: pulumi.InvokeOptions | None = None) -> pulumi.Output[list[str]]:
    """Return the same as `get_regions` as an output; `opts` as of `get_market_output`."""
    return inputs_after("get_regions_output", opts).apply(lambda _: get_regions())


# -- their options -----------------------------------------------------------------------------------------------------


_STACK = "the settings are those of the stack, such as flow:apiKey: remove it"
_REFUSED = {"provider": _STACK, "version": "remove it", "plugin_download_url": "remove it"}


def check_options(name: str, opts: pulumi.InvokeOptions | None, *, waits: bool = False) -> None:
    """Refuse the options that mean nothing here. Raises RunError, which ends the program with one line.

    `waits`: whether the call is of an output form, which waits for what it depends on.
    """
    refused = _REFUSED if waits else {**_REFUSED, "depends_on": f"call {name}_output, which waits for it"}
    for option, remedy in refused.items():
        if getattr(opts, option, None) not in (None, "", []):
            raise pulumi.RunError(f"{name}: the option {option} has no effect: {remedy}")


def inputs_after(name: str, opts: pulumi.InvokeOptions | None, *inputs: Any) -> pulumi.Output[list[Any]]:
    """Return the inputs of a call as one output, which is known as soon as what the call depends on exists."""
    check_options(name, opts, waits=True)
    depends_on = opts.depends_on if isinstance(opts, pulumi.InvokeOutputOptions) else None
    listed = [depends_on] if depends_on is None or isinstance(depends_on, pulumi.Resource) else depends_on
    resources: pulumi.Output[Any] = pulumi.Output.from_input(listed)
    waited: pulumi.Output[Any] = resources.apply(
        lambda known: pulumi.Output.all(*(_existence(one) for one in known if one))
    )
    both: pulumi.Output[list[Any]] = pulumi.Output.all(waited, *inputs)
    return both.apply(lambda known: known[1:])


def _existence(resource: pulumi.Resource) -> pulumi.Output[Any]:
    """Return an output that is known when a resource exists; of a component, when all of its children do."""
    if isinstance(resource, pulumi.CustomResource):
        return resource.id
    return pulumi.Output.all(resource.urn, *map(_existence, getattr(resource, "_childResources", ())))


# -- how they are answered ---------------------------------------------------------------------------------------------


Read = Callable[["Callable[[Cloud], Any]"], Any]
"""Reads from the service by a function of it."""


class Readings:
    """What was read of the service: each thing once."""

    def __init__(self, read: Read) -> None:
        self.read = read
        self._lock = threading.Lock()
        self._market: Market | None = None
        self._prices: dict[tuple[str, str], CurrentPrices] = {}

    def market(self) -> Market:
        """Return the catalogue."""
        with self._lock:
            if self._market is None:
                self._market = self.read(lambda cloud: cloud.market())
            return self._market

    def instance_types(self) -> list[InstanceTypeInfo]:
        """Return the instance types, by their spelling."""
        market = self.market()
        return sorted((_described(type_, market) for type_ in market.types), key=lambda one: (one.spelling, one.id))

    def prices(self, spelling: str, region: str) -> MarketResult:
        """Return what a type costs in a region. Raises RejectedError where it is not on offer there."""
        market = self.market()
        type_ = _type_on_offer(spelling, region, market)
        with self._lock:
            key = (type_.id, region)
            if key not in self._prices:
                self._prices[key] = self.read(lambda cloud: cloud.current_prices(*key))
            return _priced(type_, region, self._prices[key])


def readings() -> Readings:
    """Return what the program has read so far."""
    return program.once_per_program("data functions", lambda: Readings(read_service))


def read_service(read: Callable[[Cloud], R]) -> R:
    """Read from the service by the settings of the stack, as the plugin resolves them; close the connection."""
    from flow_resources.clock import Clock
    from flow_resources.cloud import Connection
    from flow_resources.cloud.settings import resolve
    from flow_resources.redaction import Redactor

    config, clock, redactor = pulumi.Config("flow"), Clock(), Redactor()
    settings = resolve(lambda key: config.get(key.removeprefix("flow:")))
    redactor.register(settings.api_key)
    connection = Connection(settings, clock, redactor)
    try:
        return read(brief(connection))
    finally:
        connection.close()


def brief(connection: Connection) -> Cloud:
    """Return the service for a function, whose caller waits for it: it does not retry for long."""
    from flow_resources.cloud import Cloud, RetryBudget

    seconds = min(connection.settings.retry_seconds, _SECONDS)
    return Cloud(connection, RetryBudget(seconds, clock=connection.clock, request_seconds=_SECONDS))


def asking(name: str, read: Callable[[], R]) -> R:
    """Read; what goes wrong ends the program with one line."""
    try:
        return read()
    except FlowResourcesError as error:
        raise pulumi.RunError(f"{name}: {error}") from None


def _type_on_offer(spelling: str, region: str, market: Market) -> InstanceType:
    """Return the type that a spelling means in a region. Raises RejectedError where it is not on offer there."""
    try:
        normal = normalised_type(spelling)
    except Invalid as invalid:
        raise RejectedError(f"the instance type {spelling!r} {invalid.rule}", invalid.remedy) from None
    types = {type_.id: type_ for type_ in named(normal, market.types)}
    if not types:
        known = sorted({type_.spelling for type_ in market.types})
        raise RejectedError(f"the instance type {spelling!r} is not in the service's catalogue", near(normal, known))
    if market.regions and region not in market.regions:
        raise RejectedError(f"{region!r} is not a region of the service", near(region, market.regions))
    offer = market.offer(normal, region)
    if offer is None:
        raise RejectedError(f"{spelling!r} is not on offer in {region}", where_on_offer(normal, market))
    return types[offer.instance_type]


def _priced(type_: InstanceType, region: str, prices: CurrentPrices) -> MarketResult:
    return MarketResult(
        instance_type=type_.spelling,
        region=region,
        price=to_float(prices.spot),
        price_per_gpu=to_float(per_gpu(prices.spot, type_.gpus)),
        floor=to_float(prices.floor),
        lowest_to_win=to_float(prices.lowest_to_win),
        lowest_allocated=to_float(prices.lowest_allocated),
        available=prices.available,
        total=prices.total,
    )


def _described(type_: InstanceType, market: Market) -> InstanceTypeInfo:
    return InstanceTypeInfo(
        id=type_.id,
        name=type_.name,
        spelling=type_.spelling,
        gpus=type_.gpus,
        gpu=type_.gpu,
        hourly_price=to_float(type_.hourly_price),
        regions=tuple(sorted({offer.region for offer in market.offers if offer.instance_type == type_.id})),
    )


def to_float(amount: Decimal | None) -> float | None:
    """Return an amount as the result of a data function has it."""
    return None if amount is None else float(amount.quantize(money.CENT, ROUND_HALF_UP))


# -- under mocks -------------------------------------------------------------------------------------------------------


def ask_mocks(function: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the mocks answer; no request is sent. Raises RunError where they answer nothing."""
    token, reason = f"flow:index:{function}", "they answer nothing"
    try:
        answer = pulumi.runtime.invoke(token, dict(arguments)).value
    except Exception as error:  # noqa: BLE001 - mocks are the user's code, and whatever they raise is an answer
        answer, reason = None, str(error) or repr(error)
    if not isinstance(answer, Mapping) or not answer:
        raise pulumi.RunError(
            f"the mocks of this test have no answer to {token} ({reason}): use flow_resources.testing.FlowMocks, or "
            "answer it in their `call`"
        )
    return answer


def number_in(row: Mapping[str, Any], key: str) -> float | None:
    """Return a number of an answer of mocks; None where it has none."""
    value = row.get(key)
    return None if value is None else float(value)


def count_in(row: Mapping[str, Any], key: str) -> int | None:
    """Return a whole number of an answer of mocks; None where it has none."""
    value = row.get(key)
    return None if value is None else int(value)
