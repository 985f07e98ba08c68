"""ResilientCluster for programs in other languages: the class of Python programs, run by the plugin.

The SDK's own server of components takes the inputs and options from the call, and waits until all is registered. What
it leaves out of the options is added here.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.output import contains_unknowns
from pulumi.provider import ConstructResult, Provider
from pulumi.provider.server import ProviderServicer

from flow_resources import program
from flow_resources.bid_policy import Bid
from flow_resources.core.fleet_fields import SAID_BY_PROGRAM
from flow_resources.core.inputs import did_you_mean
from flow_resources.resilient import TYPE, ResilientCluster

_OUTPUTS = ("task_ids", "public_ips", "running", "size", "members")
_POLICY = "bid_policy"
_INPUTS = (*(set(inspect.signature(ResilientCluster).parameters) - {"name", "opts"}), _POLICY)


async def construct(request: Any, engine_address: str) -> Any:
    """Construct a component. Raises pulumi.RunError, with one line, for what a program has said wrong."""
    servicer = _Servicer(_Components(None), [], engine_address)
    return await servicer._construct(request, None)  # noqa: SLF001 - `Construct` turns each error into a traceback


class _Servicer(ProviderServicer):
    @staticmethod
    def _construct_options(request: Any) -> pulumi.ResourceOptions:
        """Return the options, with those that the SDK's server drops."""
        options = ProviderServicer._construct_options(request)  # noqa: SLF001 - overridden
        limits = {name: getattr(request.customTimeouts, name) or None for name in ("create", "update", "delete")}
        if any(limits.values()):
            options.custom_timeouts = pulumi.CustomTimeouts(**limits)
        if request.HasField("deleteBeforeReplace"):
            options.delete_before_replace = request.deleteBeforeReplace
        return options


class _Components(Provider):
    def construct(
        self, name: str, resource_type: str, inputs: Mapping[str, Any], options: pulumi.ResourceOptions | None = None
    ) -> ConstructResult:
        """Construct a ResilientCluster, whose children are resources of the plugin."""
        if resource_type != TYPE:
            raise pulumi.RunError(f"there is no component {resource_type}: there is {TYPE}")
        with program.inside_the_plugin():
            fleet = ResilientCluster(name, **arguments(name, inputs), opts=options)
        return ConstructResult(fleet.urn, {one: getattr(fleet, one) for one in _OUTPUTS})


def arguments(name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a call as the arguments of the class. Raises pulumi.RunError for those that it has not."""
    found: dict[str, Any] = {}
    for one, value in inputs.items():
        if value is None:
            continue
        if one not in _INPUTS:
            hint = did_you_mean(one, _INPUTS).rstrip() or f"it has {', '.join(sorted(_INPUTS))}"
            raise pulumi.RunError(f"ResilientCluster {name!r}: {one} is not an input: {hint}")
        found[one] = _value(name, one, value)
    if _POLICY in found:
        if "max_price_per_hour" in found:
            raise pulumi.RunError(f"ResilientCluster {name!r}: max_price_per_hour and {_POLICY}: remove one of the two")
        found["max_price_per_hour"] = _as_bid(name, found.pop(_POLICY))
    if "size" not in found:
        raise pulumi.RunError(f"ResilientCluster {name!r}: size is required: it is how many members there are")
    return found


def _value(name: str, one: str, value: Any) -> Any:
    """Return an input: whole numbers are integers again, and what is not known yet is an output."""
    is_known = not isinstance(value, pulumi.Output) and not contains_unknowns(value)
    if one in SAID_BY_PROGRAM:
        if not is_known:
            raise pulumi.RunError(
                f"ResilientCluster {name!r}: {one} must be known before anything is made, because it says which "
                "members there are: write a number, or read one from the stack's configuration"
            )
        return _whole(value)
    return value if is_known or isinstance(value, pulumi.Output) else pulumi.Output.from_input(value)


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_whole, value))
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_bid(name: str, value: Any) -> Bid:
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        raise pulumi.RunError(
            f"ResilientCluster {name!r}: {_POLICY} must be a mapping with kind: write kind: per_gpu and usd: 6.25, for "
            "example"
        )
    return Bid(**value)
