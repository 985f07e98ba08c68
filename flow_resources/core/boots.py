"""What runs on machines that boot again, after a preemption, a pause or a relocation: what a row says of it.

The service runs a start-up script at the first boot of a boot disk alone. So a machine that is back does nothing by
itself unless the command was installed to run at every boot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flow_resources.core.cluster_fields import FIELDS
from flow_resources.core.status import ClusterSnapshot

_IDLE = next(field.default for field in FIELDS if field.name == "command")
_BACK = ("starting", "running")
_OFF = ("preempted", "paused")
NOT_KNOWN = "whether the command runs again is not known, because the state has no run_on: log in to see"


def describe_change(recorded: Mapping[str, Any], seen: ClusterSnapshot, again: str) -> str:
    """Return what became of a bid since its outputs were recorded; empty where its machines went on running.

    `again` is what a later boot runs, which is said where the machines have booted again.
    """
    status, is_preempted_since = recorded.get("status"), _is_preempted_since(recorded, seen)
    if status is None or (status == seen.status and not is_preempted_since):
        return ""
    before = f"{status}, preempted meanwhile" if is_preempted_since and status in _BACK else status
    change = f"was {before}, now {seen.message}"
    is_back = seen.status in _BACK and (status in _OFF or is_preempted_since or _has_other_instances(recorded, seen))
    return f"{change}: {again}" if is_back and again else change


def what_runs_again(recorded: Mapping[str, Any]) -> str:
    """Return what a later boot runs, by the recorded inputs; empty for the default command, which does nothing."""
    command, run_on = recorded.get("command"), recorded.get("run_on")
    if command in (None, _IDLE):
        return ""
    if run_on == "every_boot":
        return "the command runs again"
    return "run_on='first_boot': the command does not run again" if run_on == "first_boot" else NOT_KNOWN


def _is_preempted_since(recorded: Mapping[str, Any], seen: ClusterSnapshot) -> bool:
    before = recorded.get("preemptions")
    return before is not None and seen.preemptions is not None and seen.preemptions > before


def _has_other_instances(recorded: Mapping[str, Any], seen: ClusterSnapshot) -> bool:
    """Whether none of the recorded instances is left: after a preemption a bid gets others."""
    before = {instance.get("id") for instance in recorded.get("instances") or ()}
    return bool(before) and before.isdisjoint(instance.id for instance in seen.present)
