"""The events of `flow-resources watch`: what happened between two looks at a stack, and what the watch did.

The words and the fields are a promise (docs/reference/watch.md): new ones may be added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from flow_resources.cli.watch.look import Cluster

_LOST = ("preempting", "preempted")


class Kind(str, Enum):
    """What happened."""

    PREEMPTED = "preempted"
    RUNNING_AGAIN = "running_again"
    STATUS_CHANGED = "status_changed"
    ENDED = "ended"
    HEALED = "healed"
    HEAL_FAILED = "heal_failed"
    LEFT_ALONE = "left_alone"
    WAITING_FOR_STACK = "waiting_for_stack"
    UNREACHABLE = "unreachable"
    REACHABLE = "reachable"


@dataclass(frozen=True)
class Event:
    """Something that happened, at a moment that the watch adds."""

    kind: Kind
    message: str
    """One sentence, in plain words."""
    cluster: Cluster | None = None
    """The cluster that it happened to; None for the stack as a whole."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Fields of this kind of event alone."""

    def document(self, stack: str, at: str) -> dict[str, Any]:
        """Return it as JSON values."""
        about = self.cluster
        own = {} if about is None else {
            "cluster": about.name,
            "urn": about.urn,
            "task_id": about.task_id or None,
            "status": about.status,
            "preemptions": about.preemptions,
            "last_preempted_at": about.last_preempted_at or None,
        }  # fmt: skip
        return {"event": self.kind.value, "at": at, "stack": stack, "message": self.message, **own, **self.more}


def changes(before: Mapping[str, Any] | None, cluster: Cluster) -> Iterator[Event]:
    """Yield what happened to a cluster since its outputs were as `before`; None where it was not there."""
    if cluster.problem:
        return  # not known is no change
    status, was = cluster.status, str((before or {}).get("status") or "")
    if status in ("gone", "terminated"):
        if before is not None and was != "terminated":
            yield Event(Kind.ENDED, _ending(cluster), cluster, {"was": was or None})
        return
    is_new = before is None or before.get("task_id") != (cluster.live or {}).get("task_id")
    preempted = not is_new and _was_preempted_since(before or {}, cluster)
    if preempted or (status in _LOST and was not in _LOST):
        yield Event(Kind.PREEMPTED, _describe(cluster), cluster, {"was": was or None})
    if status == "running" and (preempted or was in _LOST):
        yield Event(Kind.RUNNING_AGAIN, _describe(cluster), cluster, {"was": was or None})
    elif status != was and status not in _LOST:
        since = f"was {was}, " if was else ""
        yield Event(Kind.STATUS_CHANGED, f"{since}now {_describe(cluster)}", cluster, {"was": was or None})


def _was_preempted_since(before: Mapping[str, Any], cluster: Cluster) -> bool:
    """Whether another preemption is told than before: a cluster can be preempted and run again between two looks."""
    live = cluster.live or {}
    then, now = before.get("preemptions"), live.get("preemptions")
    if isinstance(then, (int, float)) and isinstance(now, (int, float)):
        return now > then
    moments = (before.get("last_preempted_at"), live.get("last_preempted_at"))
    return all(moments) and moments[0] != moments[1]


def _describe(cluster: Cluster) -> str:
    said = str((cluster.live or {}).get("status_message") or "")
    return said or cluster.status


def _ending(cluster: Cluster) -> str:
    task = f" {cluster.task_id}" if cluster.task_id else ""
    what = "gone from the service" if cluster.live is None else "terminated"
    return f"its bid{task} is {what}; `pulumi up` would make a new one where the program still has it"
