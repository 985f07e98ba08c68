"""Ending what `sweep` found, by the very verbs that `pulumi destroy` uses: cancelled, then seen ended.

The order matters. Right before each end the stack's lock is looked at, then the state is read again, then the lock is
looked at once more, then the live name: an `up` that took the thing over meanwhile keeps it, also one that recorded it
and ended in between, and between the last look and the end lie the milliseconds of one request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flow_resources.cli.stacks import SelectedStack, StackError
from flow_resources.cli.sweep_report import Report
from flow_resources.core.models import Bid, StoredVolume
from flow_resources.core.orphans import Orphan
from flow_resources.errors import OwnershipError
from flow_resources.lifecycle import verbs
from flow_resources.lifecycle.cluster import CLUSTER
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.volume import VOLUME


def ends(op: Operation, report: Report, stack: SelectedStack, *, volumes: bool) -> Iterator[str]:
    """End the bids that may be ended, then, where asked, the volumes; yield what is done, and note it in the report.

    Raises OwnershipError where another person's stack can have the same owner, and StackError while the stack is being
    updated. What was ended before that stays ended.
    """
    if report.found and report.shared:
        raise OwnershipError(
            f"nothing was ended: the owner is {report.owner!r}, as for everybody with a project and a stack of these "
            "names on a self-managed backend, and the cluster that runs may be theirs",
            "`flow cancel ID` ends one that is yours; `pulumi config set flow:owner ...` before the first `up` lets "
            "--yes tell",
        )
    end = _End(report, stack)
    for bid in report.found.bids:
        yield from end(bid, _Bids(op))
    for volume in report.found.volumes if volumes else ():
        yield from end(volume, _Volumes(op))


@dataclass(frozen=True)
class _Bids:
    op: Operation
    doing, done = "ending", "ended"

    def look(self, id_: str) -> Bid | None:
        return self.op.cloud.bid(id_)

    def end(self, id_: str, name: str) -> None:
        verbs.delete(self.op, CLUSTER, id_, {"task_name": name})


@dataclass(frozen=True)
class _Volumes:
    op: Operation
    doing, done = "deleting", "deleted"

    def look(self, id_: str) -> StoredVolume | None:
        return next((one for one in self.op.cloud.volumes(self.op.clock.now()) if one.id == id_), None)

    def end(self, id_: str, name: str) -> None:
        verbs.delete(self.op, VOLUME, id_, {"volume_name": name})


@dataclass(frozen=True)
class _End:
    """One end after the other."""

    report: Report
    stack: SelectedStack

    def __call__(self, left: Orphan[Bid] | Orphan[StoredVolume], things: _Bids | _Volumes) -> Iterator[str]:
        id_, name = left.thing.id, left.thing.name
        why = left.note or self._why_not(id_, name, things.look)
        if why:
            self.report.outcomes[id_] = "kept"
            yield f"kept {id_}: {why}"
            return
        yield f"{things.doing} {id_}"
        self.report.outcomes[id_] = "unknown"  # until it was seen
        things.end(id_, name)
        self.report.outcomes[id_] = things.done
        yield f"{things.done} {id_}"

    def _why_not(self, id_: str, name: str, look: Callable[[str], Bid | StoredVolume | None]) -> str:
        """Say why it must not be ended after all; empty where it may be, also where it is gone already."""
        self._refuse_during_an_update()
        recorded = id_ in self.stack.records().ids
        self._refuse_during_an_update()
        live = look(id_)
        if recorded:
            return "the state records it by now"
        if live and live.name != name:
            return f"it is named {live.name!r} by now"
        if isinstance(live, StoredVolume) and live.bids:  # by now: the bid that held it may just have been ended
            return f"attached to {', '.join(live.bids)}"
        return ""

    def _refuse_during_an_update(self) -> None:
        if self.stack.is_being_updated():
            raise StackError(
                f"an update of {self.stack.name} is under way",
                "wait for its end; where it has died, `pulumi cancel` takes its lock away",
            )
