"""What a cluster's check asks of the service beside what every bid's does: the task that it adopts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flow_resources.cloud import has_command_unit
from flow_resources.core import cluster_fields
from flow_resources.core.inputs import Checked
from flow_resources.core.market import Market, named
from flow_resources.core.models import Bid
from flow_resources.core.naming import Mark
from flow_resources.core.spec import ClusterSpec
from flow_resources.errors import RejectedError
from flow_resources.lifecycle.adoption import Launched, launch_differences
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.takeover import ADOPTION_REMEDY, may_adopt

_FIRST_BOOT_ALONE = (
    "{}: its machines run the command at their first boot alone, and come back from a preemption without it; "
    "`pulumi up --replace URN` places it anew"
)


def pin_run_on(op: Operation, found: Checked, olds: Mapping[str, Any]) -> None:
    """Keep a cluster that was placed before `run_on` existed as it is, and warn of what its machines do."""
    if cluster_fields.pin_run_on(found, olds) and cluster_fields.has_work(found):
        op.warn_once(_FIRST_BOOT_ALONE.format("this cluster was adopted, or placed before `run_on` existed"))


def check_adoption(op: Operation, found: Checked, mark: Mark, market: Market) -> bool:
    """Check a cluster against the task that it adopts; return whether there is one, and it is what the program says."""
    id_ = found.known("adopt_task_id")
    if not id_ or not may_adopt(op, id_, mark):
        return False
    bid = op.cloud.bid(id_)
    if bid is None:
        found.fail("adopt_task_id", "is not a task of this account", id_, "remove it to place a new bid")
        return False
    known = (found.known(name) for name in ("instance_type", "num_instances", "region"))
    problem = _differences(op, bid, market, Launched.of_check(found), *known)
    if problem:
        found.fail("adopt_task_id", f"names a task that {problem}", id_, ADOPTION_REMEDY)
    elif not has_command_unit(op.cloud.startup_script(id_)):
        cluster_fields.pin_adopted(found)
        if cluster_fields.has_work(found):
            op.warn_once(_FIRST_BOOT_ALONE.format(f"the task {id_} was not placed by this package"))
    return not problem


def find_adoptable(op: Operation, spec: ClusterSpec, id_: str) -> Bid:
    """Return the task to adopt. Raises RejectedError where it is not what the program says."""
    bid = op.cloud.bid(id_)
    if bid is None:
        raise RejectedError(f"adopt_task_id: there is no task {id_}", "remove it to place a new bid")
    place = (spec.instance_type, spec.num_instances, spec.region)
    if problem := _differences(op, bid, op.cloud.market(), Launched.of_spec(spec), *place):
        raise RejectedError(f"adopt_task_id: the task {id_} {problem}", ADOPTION_REMEDY)
    return bid


def _differences(
    op: Operation,
    bid: Bid,
    market: Market,
    launched: Launched,
    instance_type: str | None,
    num_instances: int | None,
    region: str | None,
) -> str:
    """Say how a task differs from the program in what only a replacement can change; empty where it does not."""
    problems, project = ["has ended"] if bid.ended else [], op.cloud.project().id
    if bid.project != project:
        problems.append(f"is in project {bid.project}, the settings point at {project}")
    if instance_type and bid.instance_type not in {
        instance_type,  # its own id, also of a type that the catalogue has no more
        *(one.id for one in named(instance_type, market.types)),
    }:
        is_a = next((one.spelling for one in market.types if one.id == bid.instance_type), bid.instance_type)
        problems.append(f"is of type {is_a}, the program says {instance_type}")
    if num_instances is not None and bid.quantity != num_instances:
        problems.append(f"has {bid.quantity} machines, the program says {num_instances}")
    if region and bid.region != region:
        problems.append(f"is in {bid.region}, the program says {region}")
    if not problems:
        problems += launch_differences(op, bid, launched)
    return " and ".join(problems)
