"""A fleet: one-machine clusters by index. Which members there are, what they do now, who should go in a shrink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flow_resources.core.answer import Answer
from flow_resources.core.status import ClusterSnapshot

MEMBER_STATUSES = ("waiting", "starting", "running", "preempting", "paused", "failed", "unknown")
"""`waiting`: in the auction, for the first time or after a preemption; the listings do not tell which."""
_IN_AUCTION = ("pending", "preempted")


@dataclass(frozen=True)
class Member:
    """One member of a fleet, as the listings show its bid."""

    index: int
    task_id: str
    seen: ClusterSnapshot | None = None
    """None: no listing shows its bid, which proves nothing."""

    @property
    def status(self) -> str:
        """One of MEMBER_STATUSES."""
        if self.seen is None or self.seen.bid.ended:
            return "unknown"
        if self.seen.status in _IN_AUCTION:
            return "waiting"
        if self.seen.status == "running" and not self.seen.reached("running"):
            return "starting"  # its machine has no address yet
        return self.seen.status

    @property
    def runs(self) -> Answer:
        """Whether its machine runs and can be reached."""
        return Answer.of(None if self.status == "unknown" else self.status == "running")

    @property
    def waits(self) -> Answer:
        """Whether it waits in the auction."""
        return Answer.of(None if self.status == "unknown" else self.status == "waiting")

    def as_output(self) -> dict[str, Any]:
        """Return it as an output. The keys are written into states and never change."""
        machine = next(iter(self.seen.present), None) if self.seen else None
        return {
            "index": self.index,
            "task_id": self.task_id,
            "status": self.status,
            "public_ip": machine.public_ip if machine else None,
            "private_ip": machine.private_ip if machine else None,
            "ssh_port": machine.ssh_port if machine else None,
        }


@dataclass(frozen=True)
class Fleet:
    """The members of a fleet at one moment, by index."""

    id: str
    members: tuple[Member, ...]
    name: str = ""
    created_at: str = ""
    name_is_known: bool = True

    @property
    def task_ids(self) -> tuple[str, ...]:
        """The members' task ids."""
        return tuple(member.task_id for member in self.members)

    def with_seen(self, seen: Mapping[str, ClusterSnapshot]) -> Fleet:
        """Return it with what was seen of its members, by task id."""
        return replace(self, members=tuple(replace(one, seen=seen.get(one.task_id)) for one in self.members))

    @property
    def running(self) -> tuple[Member, ...]:
        """The members that run."""
        return tuple(member for member in self.members if member.runs is Answer.YES)

    @property
    def message(self) -> str:
        """The fleet as a sentence: how many run, and what the others do."""
        others = [f"{_called(indices)} {words}" for status, words in _WORDS if (indices := self._indices(status))]
        message = f"{len(self.running)} of {len(self.members)} members run"
        return f"{message} ({', '.join(others)})" if others else message

    def _indices(self, status: str) -> list[int]:
        return [member.index for member in self.members if member.status == status]


_WORDS = (
    ("waiting", "in the auction"),
    ("starting", "starting"),
    ("preempting", "about to be preempted"),
    ("paused", "paused"),
    ("failed", "in error"),
    ("unknown", "not seen"),
)
_MOST_SHOWN = 10


def unlucky_shrink(going: Sequence[Member], kept: Sequence[Member]) -> str:
    """Say that a running member goes while one that stays waits, and which `skip` keeps those that run; else empty."""
    running = [member.index for member in going if member.runs is Answer.YES]
    waiting = [member.index for member in kept if member.waits is Answer.YES]
    if not running or not waiting:
        return ""
    # What is not known, and what is to be placed, stays as the program says.
    ranked = [*(member.index for member in kept if member.waits is not Answer.YES), *running, *waiting]
    chosen = set(ranked[: len(kept)])
    skip = [index for index in range(max(chosen)) if index not in chosen]
    return (
        f"{_called(running)}, which {'runs, is' if len(running) == 1 else 'run, are'} ended, and {_called(waiting)}, "
        f"which {'waits in the auction, stays' if len(waiting) == 1 else 'wait in the auction, stay'}: "
        f"skip={skip} ends what waits first"
    )


def _called(indices: Sequence[int]) -> str:
    """Return how a message calls members: "members 1, 3"; of many the first ones."""
    shown = ", ".join(map(str, indices[:_MOST_SHOWN]))
    more = f" and {len(indices) - _MOST_SHOWN} more" if len(indices) > _MOST_SHOWN else ""
    return f"{'member' if len(indices) == 1 else 'members'} {shown}{more}"


def read_members(ids: Mapping[str, Any], seen: Mapping[str, ClusterSnapshot] | None = None) -> tuple[Member, ...]:
    """Return the members of a mapping of indices to task ids, with what was seen of them, in the order of the index."""
    by_index = sorted((int(index), str(id_)) for index, id_ in ids.items())
    return tuple(Member(index, id_, (seen or {}).get(id_)) for index, id_ in by_index)
