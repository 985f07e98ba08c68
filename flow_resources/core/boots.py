"""What runs on machines that boot again, after a preemption, a pause or a relocation: what a row says of it.

The service runs a start-up script at the first boot of a boot disk alone. So a machine that is back does nothing by
itself unless the command was installed to run at every boot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flow_resources.core.cluster_fields import DEFAULT_COMMAND
from flow_resources.core.status import ClusterSnapshot

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
    change = f"was {status}{_meanwhile(recorded, seen)}, now {seen.message}"
    is_back = seen.status in _BACK and (status in _OFF or is_preempted_since or _has_other_instances(recorded, seen))
    return f"{change}: {again}" if is_back and again else change


def what_runs_again(recorded: Mapping[str, Any]) -> str:
    """Return what a later boot runs, by the recorded inputs; empty for the default command, which does nothing."""
    command, run_on = recorded.get("command"), recorded.get("run_on")
    if command in (None, DEFAULT_COMMAND):
        return ""
    if run_on == "every_boot":
        return "the command runs again"
    return "run_on='first_boot': the command does not run again" if run_on == "first_boot" else NOT_KNOWN


def _meanwhile(recorded: Mapping[str, Any], seen: ClusterSnapshot) -> str:
    """Return what became of a bid between two looks, where neither of them tells it."""
    since = _preemptions_since(recorded, seen) - (seen.status == "preempted")
    if recorded.get("status") in _BACK and since > 0:
        return ", preempted meanwhile"
    if recorded.get("status") == seen.status == "preempted" and since >= 0:
        return ", running meanwhile"
    return ""


def _is_preempted_since(recorded: Mapping[str, Any], seen: ClusterSnapshot) -> bool:
    return _preemptions_since(recorded, seen) > 0


def _preemptions_since(recorded: Mapping[str, Any], seen: ClusterSnapshot) -> int:
    """Return how often it was preempted since; 0 where that is not known."""
    before = recorded.get("preemptions")
    return 0 if before is None or seen.preemptions is None else seen.preemptions - int(before)


def _has_other_instances(recorded: Mapping[str, Any], seen: ClusterSnapshot) -> bool:
    """Whether none of the recorded instances is left: after a preemption a bid gets others."""
    before = {instance.get("id") for instance in recorded.get("instances") or ()}
    return bool(before) and before.isdisjoint(instance.id for instance in seen.present)
