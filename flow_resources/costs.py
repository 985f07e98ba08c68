"""`get_costs`: what was really paid for a bid, read while the program runs.

A data function, as those in `data.py`, by whose way it reaches the service. Under mocks the function
`flow:index:getCosts` of the mocks answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from flow_resources import program
from flow_resources.data import (
    Readings,
    ask_mocks,
    asking,
    check_options,
    count_in,
    inputs_after,
    number_in,
    readings,
    to_float,
)
from flow_resources.errors import FlowResourcesError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flow_resources.core.models import InstanceType


@dataclass(frozen=True)
class CostsResult:
    """What was paid for one bid up to now.

    Amounts are floats in USD, rounded to the cent: they are made for messages and exports, not for sums. Hours have two
    decimals. What is absent (None) is not known.
    """

    task_id: str
    spent: float | None
    """What was paid; at least that where `is_complete` is false."""
    is_complete: bool
    """Whether all that the service says of it could be read."""
    hours: float | None
    """For how long at least one machine was billed."""
    machine_hours: float | None
    """The same, with each machine counted."""
    preemptions: int | None
    """How often it lost its machines."""
    per_gpu_hour: float | None
    """What an hour of one GPU cost on average; absent also where nothing ran."""
    on_demand: float | None
    """What the same hours would have cost at the on-demand price of today."""


def get_costs(task_id: str, opts: pulumi.InvokeOptions | None = None) -> CostsResult:
    """Return what was paid for a bid up to now, over preemptions, price changes and pauses.

    It moves by itself: an export of it makes a difference at each `up`, and an input would change with each.
    `flow-resources costs` is for reading, and counts the earlier bids of a replaced cluster too.

    Args:
        task_id: The id of the bid, as the output `task_id` of a cluster or job.
        opts: Pulumi's options of functions: `parent` alone, which has no effect.

    Raises:
        pulumi.RunError: There is no such bid in the project, there is no usable API key, or the service does not answer
            within some seconds.

    """
    check_options("get_costs", opts)
    if program.is_mocked():
        answer = ask_mocks("getCosts", {"task_id": task_id})
        return CostsResult(
            task_id=task_id,
            spent=number_in(answer, "spent"),
            is_complete=bool(answer.get("is_complete")),
            hours=number_in(answer, "hours"),
            machine_hours=number_in(answer, "machine_hours"),
            preemptions=count_in(answer, "preemptions"),
            per_gpu_hour=number_in(answer, "per_gpu_hour"),
            on_demand=number_in(answer, "on_demand"),
        )
    return asking(
        "get_costs", lambda: program.once_per_program(f"costs of {task_id}", lambda: read_costs(readings(), task_id))
    )


def get_costs_output(
    task_id: pulumi.Input[str], opts: pulumi.InvokeOptions | None = None
) -> pulumi.Output[CostsResult]:
    """Return the same as `get_costs` as an output, of an id that may be an output: `cluster.task_id`.

    `opts`: `depends_on` names resources that must exist before it is read; in a preview that makes one, nothing is.
    """
    return inputs_after("get_costs_output", opts, task_id).apply(lambda known: get_costs(*known))


def read_costs(known: Readings, task_id: str) -> CostsResult:
    """Read what was paid for a bid. Raises NotFoundError where the project has none of this id."""
    from flow_resources.lifecycle.costs import read_costs_of

    types = _instance_types(known)
    costs = known.read(lambda cloud: read_costs_of(cloud, task_id, types))
    if costs is None:
        raise NotFoundError(f"there is no bid {task_id!r}", "pass the output `task_id` of a cluster or job")
    spending = costs.spending
    return CostsResult(
        task_id=task_id,
        spent=to_float(spending.spent) if spending.is_known else None,
        is_complete=spending.is_complete,
        hours=to_float(spending.hours) if spending.is_known else None,
        machine_hours=to_float(spending.instance_hours) if spending.is_known else None,
        preemptions=spending.preemptions,
        per_gpu_hour=to_float(spending.per_gpu_hour),
        on_demand=to_float(spending.on_demand),
    )


def _instance_types(known: Readings) -> Sequence[InstanceType]:
    """Return the catalogue, as the other data functions read it; none where it cannot be read."""
    try:
        return known.market().types
    except FlowResourcesError:
        return ()
