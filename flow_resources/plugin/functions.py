"""The data functions for programs in other languages: what `data` and `costs` read, by the plugin's own connection."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from flow_resources.core.inputs import did_you_mean
from flow_resources.costs import read_costs
from flow_resources.data import Readings, brief
from flow_resources.errors import FlowResourcesError, RejectedError
from flow_resources.lifecycle.operation import Operation

_PREFIX = "flow:index:"
FUNCTIONS: Mapping[str, tuple[tuple[str, ...], Callable[..., Any]]] = {
    "getMarket": (
        ("instance_type", "region"),
        lambda op, instance_type, region: _readings(op).prices(instance_type, region),
    ),
    "getInstanceTypes": ((), lambda op: {"instance_types": _readings(op).instance_types()}),
    "getRegions": ((), lambda op: {"names": list(_readings(op).market().regions)}),
    "getCosts": (
        ("task_id",),
        lambda op, task_id: op.deployment.once(f"costs of {task_id}", lambda: read_costs(_readings(op), task_id)),
    ),
}
"""By name, the arguments of each function, all of which are required, and what it returns."""


def invoke(op: Operation, token: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a function returns; what the service does not say is left out. Nothing is changed.

    Raises an error, in one line that begins with the name of the function, for arguments that it does not take.
    """
    name = token.removeprefix(_PREFIX)
    if not token.startswith(_PREFIX) or name not in FUNCTIONS:
        raise RejectedError(f"there is no function {token}", f"there are {', '.join(map(_PREFIX.__add__, FUNCTIONS))}")
    names, function = FUNCTIONS[name]
    for one, value in arguments.items():
        if one not in names:
            takes = f"it takes {' and '.join(names) or 'none'}"
            raise RejectedError(f"{name}: {one} is not an argument", did_you_mean(one, names).rstrip() or takes)
        if not isinstance(value, str):
            raise RejectedError(f"{name}: {one} must be a string", f"got {value!r}")
    if missing := [one for one in names if not arguments.get(one)]:
        raise RejectedError(f"{name}: {' and '.join(missing)} is required", f"it takes {' and '.join(names)}")
    try:
        result: dict[str, Any] = _plain(function(op, **arguments))
    except FlowResourcesError as error:
        raise FlowResourcesError(f"{name}: {error.message}", error.remedy) from error
    return result


def _readings(op: Operation) -> Readings:
    """Return what this process has read so far."""
    return op.deployment.once("data functions", lambda: Readings(lambda read: read(brief(op.deployment.connect()))))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value
