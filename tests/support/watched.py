"""A stack as the watch sees it, without an engine: what it shows, what an `up` would do, and what was done to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from flow_resources.cli.watch.events import Event
from flow_resources.cli.watch.look import CLUSTER, FLEET_STATUS, Cluster, Look, Outcome, Preview, Step
from flow_resources.cli.watch.stack import StackBusyError, WatchedStack
from flow_resources.core.hidden import PREEMPTION
from flow_resources.core.naming import dynamic_type

NAME = "acme/training/dev"
TYPE, STATUS_TYPE = dynamic_type(CLUSTER), dynamic_type(FLEET_STATUS)
AT = "2026-11-30T12:00:00Z"
SEEN, HANDLED = f"seen=bid_1@{AT}", f"seen=bid_1@{AT} handled=bid_1@{AT} action=raise base=50.00 raised=60.00 alone"


def urn_of(name: str, type_: str = TYPE) -> str:
    return f"urn:pulumi:dev::training::{type_}::{name}"


def a_cluster(name: str = "c0", status: str = "running", policy: str = "raise_bid", **changes: Any) -> Cluster:
    """Make a cluster that is recorded as it is."""
    instances = [{"id": "inst_1", "status": "running"}] if status == "running" else []
    outputs = {
        "status": status, "status_message": f"it is {status}", "task_id": "bid_1", "num_instances": 1,
        "max_price_per_hour": 50.0, "instances": instances, "preemptions": 0,
    }  # fmt: skip
    outputs |= changes.pop("outputs", {})
    inputs = {"on_preemption": policy, "max_price_per_hour": 50.0, "instance_type": "8xa100"}
    inputs |= {PREEMPTION: SEEN} if status == "preempted" else {}
    return replace(Cluster(urn_of(name), TYPE, outputs, outputs, inputs | changes.pop("inputs", {})), **changes)


def a_raise(name: str = "c0", **changes: Any) -> Step:
    """Make what a preview shows of `raise_bid`."""
    olds = {"on_preemption": "raise_bid", "max_price_per_hour": 50.0, "raise_up_to_per_hour": 70.0, PREEMPTION: SEEN}
    news = {**olds, "max_price_per_hour": 60.0, PREEMPTION: HANDLED}
    changed = frozenset({"max_price_per_hour", PREEMPTION})
    step = Step(urn_of(name), TYPE, frozenset({"update", "refresh"}), olds, news, changed, message="the bid goes up")
    return replace(step, **changes)


def a_replacement(name: str = "c0", **changes: Any) -> Step:
    """Make what a preview shows of `replace`."""
    news = {"on_preemption": "replace", "max_price_per_hour": 50.0}
    olds = {**news, PREEMPTION: SEEN}
    ops = frozenset({"replace", "create-replacement", "delete-replaced", "refresh"})
    step = Step(
        urn_of(name), TYPE, ops, olds, news, frozenset({PREEMPTION}),
        frozenset({"on_preemption"}), message="the bid is replaced",
    )  # fmt: skip
    return replace(step, **changes)


def a_move(name: str = "c0", **changes: Any) -> Step:
    """Make what a preview shows of a bid that has waited too long and moves on to its next placement."""
    places = [
        {"instance_type": "8xa100", "region": region, "max_price_per_hour": price}
        for region, price in (("us-central5-a", 50.0), ("us-central1-b", 60.0))
    ]
    common = {"on_preemption": "keep", "max_wait_minutes": 60, "placements": places}
    olds = {**common, **places[0], PREEMPTION: f"waits=bid_1@{AT}"}
    changed = frozenset({PREEMPTION, "region", "max_price_per_hour"})
    ops = frozenset({"replace", "create-replacement", "delete-replaced", "refresh"})
    step = Step(
        urn_of(name), TYPE, ops, olds, {**common, **places[1]}, changed, frozenset({"max_wait_minutes"}),
        message="moves on",
    )  # fmt: skip
    return replace(step, **changes)


def a_fleet_status(parent: str, **changes: Any) -> Step:
    """Make what a preview shows of the status of a fleet of which a member has a new bid."""
    urn = urn_of("fleet-status", STATUS_TYPE)
    step = Step(urn, STATUS_TYPE, frozenset({"update"}), changed=frozenset({"task_ids"}), parent=parent)
    return replace(step, **changes)


@dataclass
class FakeWatched:
    """Stands in for a stack; what a test changes shows at the next look."""

    clusters: list[Cluster] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    """What an `up` of everything would do."""
    name: str = NAME
    problem: str = ""
    """Why a preview fails."""
    busy: int = 0
    """How many attempts to take the lock fail from now on."""
    looking: Exception | None = None
    """What a look raises."""
    history: list[tuple[str, datetime | None]] = field(default_factory=list)
    done: list[tuple[str, ...]] = field(default_factory=list)
    """What took the lock, with its targets."""
    looks: int = 0
    on_up: Callable[[FakeWatched, Sequence[str]], Outcome] | None = None
    on_preview: Callable[[FakeWatched], None] = lambda _stack: None

    def look(self) -> Look:
        self.looks += 1
        if self.looking:
            raise self.looking
        # A look has no plan.
        steps = tuple(replace(step, changed=None) for step in self.steps)
        return Look(tuple(self.clusters), Preview(steps, self.problem))

    def record(self, urns: Sequence[str]) -> None:
        self._lock()
        self.done.append(("refresh", *urns))
        self.clusters = [
            replace(one, recorded=one.live, is_recorded=True) if one.urn in urns else one for one in self.clusters
        ]
        self.clusters = [one for one in self.clusters if one.recorded is not None]

    def preview(self, targets: Sequence[str], plan: Path) -> Preview:
        assert plan.parent.is_dir()
        self.on_preview(self)
        steps = tuple(step for step in self.steps if not targets or step.urn in targets)
        return Preview(steps, self.problem)

    def up(self, targets: Sequence[str], plan: Path, message: str) -> Outcome:
        self._lock()
        self.done.append(("up", *targets))
        self.history.insert(0, (message, None))
        if self.on_up:
            return self.on_up(self, targets)
        done = frozenset(step.urn for step in self.steps if step.is_change and (not targets or step.urn in targets))
        news = {step.urn: step.news for step in self.steps if step.urn in done}
        self.clusters = [replace(one, inputs={**one.inputs, **news.get(one.urn, {})}) for one in self.clusters]
        self.steps = [step for step in self.steps if step.urn not in done]
        return Outcome(done)

    def updates(self, _since: datetime) -> list[tuple[str, datetime | None]]:
        return self.history

    def _lock(self) -> None:
        if self.busy:
            self.busy -= 1
            raise StackBusyError("the stack is locked", "wait")


@dataclass
class Told:
    """The events of a watch."""

    events: list[Event] = field(default_factory=list)

    def __call__(self, _stack: WatchedStack, event: Event) -> None:
        self.events.append(event)

    @property
    def words(self) -> list[str]:
        """The events and the clusters that they are about, since this was asked last."""
        events, self.events = self.events, []
        return [" ".join([event.kind.value, *([event.cluster.name] if event.cluster else [])]) for event in events]
