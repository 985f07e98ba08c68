"""Imports: what becomes a resource of the stack as it is, without a request that changes anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flow_resources.core.answer import Answer
from flow_resources.core.imports import Account, Imported, inputs_of_bid, missing_facts, names_of_keys
from flow_resources.core.inputs import Field
from flow_resources.core.models import Bid
from flow_resources.errors import OwnershipError, RejectedError
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.resource import Resource, T

_NOT_TOLD = ("command", "script", "args", "image", "env", "ports", "restart", "preemption_signal", "name_prefix")
"""The inputs of a bid that the service does not give back, as far as its kind has them."""
_NOT_TOLD_OF_JOBS = ("max_run_time_hours", "on_failure", "triggers", "machine_api_key")


def find_importable(op: Operation, resource: Resource[Any, T, Any], id_: str) -> T:
    """Return what an id names, as it is live in the project.

    Raises an error where it is not there, has ended, is of another project, or can be in a state of the backend.
    """
    words = resource.words
    if not id_.startswith(resource.id_prefix):
        raise RejectedError(f"{id_!r} is not the id of a {words.managed}", f"one is like {resource.id_prefix}...")
    thing = next((one for one in resource.list_live(op, op.clock.now()) if one.id == id_), None)
    if thing is None:
        raise resource.absence(op, id_)
    own = op.ledger.is_in_own_state(id_, op.urn, op.report, is_preview=True)
    other, stack = op.ledger.find_other_stack(thing, op.urn, op.report, is_preview=True)
    if Answer.YES in (own, other):
        where = "the state of this stack" if own is Answer.YES else f"the state of the stack {stack}"
        raise OwnershipError(
            f"{id_} is not imported: {where} records it already, and either resource could end it",
            "remove it there first, with `pulumi state delete`, which ends nothing",
        )
    if own is Answer.NOT_KNOWN:
        raise OwnershipError(
            f"{id_} is not imported: whether this stack's state records it already could not be found out",
            "let `pulumi stack export` work where `pulumi` runs",
        )
    if other is Answer.NOT_KNOWN:
        raise OwnershipError(
            f"{id_} is not imported: whether the state of another stack records it already could not be found out",
            "let `pulumi stack export` work for every stack of the backend",
        )
    return thing


def import_bid(op: Operation, bid: Bid, fields: Sequence[Field]) -> Imported:
    """Return the inputs of a live bid. Raises RejectedError where the service does not say what each bid has."""
    market, mounts = op.cloud.market(), op.cloud.mount_paths(bid.id) if bid.volumes else {}
    keys = names_of_keys(op.cloud.ssh_keys()) if bid.ssh_keys else {}
    volumes = {volume.id for volume in op.cloud.volumes(op.fresh_since)} if bid.volumes else set()
    inputs = inputs_of_bid(bid, Account(market.types, keys, volumes))
    missing = missing_facts(bid) or ("price" if inputs["max_price_per_hour"] is None else "")
    if missing:
        raise RejectedError(
            f"{bid.id} is not imported: the service does not say its {missing}", "run the same command again"
        )
    known = {field.name for field in fields}
    not_recorded: dict[str, Any] = {name: "" for name in (*_NOT_TOLD, *_NOT_TOLD_OF_JOBS) if name in known}
    not_recorded["ssh_keys"] = ""  # whether the Flow SDK's own key is one of them, only a launch settles
    paths = {id_: mounts.get(id_, "") for id_ in dict.fromkeys(bid.volumes or ()) if id_ in volumes}
    if all(paths.values()):
        inputs["volumes"] = [{"volume_id": id_, "mount_path": path} for id_, path in paths.items()] or None
    else:
        not_recorded["volumes"] = paths
    return Imported(inputs, not_recorded)
