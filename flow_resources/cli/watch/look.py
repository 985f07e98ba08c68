"""What one look at a stack shows: its clusters as they are recorded and as they are, and what an `up` would do.

Values only. Nothing here runs Pulumi (`stack` does) or decides anything (`heal` does).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from flow_resources.core import money
from flow_resources.core.costs import Spending
from flow_resources.core.naming import kind_of

CLUSTER, JOB, FLEET_STATUS = "GpuCluster", "Job", "FleetStatus"
WATCHED = (CLUSTER, JOB)
WAITING = ("pending", "preempted")
UNCHANGED = frozenset({"same", "refresh", "read"})
"""Steps that change nothing in the service."""
_MARKET = re.compile(r"(?:\((?P<machines>\d+) x .*)?market (?P<price>\$[0-9][0-9,.]*[0-9])")
_Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Cluster:
    """A cluster or job: what the state records of it, and what the service says now."""

    urn: str
    type: str
    recorded: _Properties | None
    """Its outputs as the state holds them; None where it holds none."""
    live: _Properties | None
    """Its outputs now; None where it is gone, or where `problem` says why it is not known."""
    inputs: _Properties = field(default_factory=dict)
    """Its inputs, as a refresh would write them."""
    problem: str = ""
    """Why the service could not be asked; empty where it was."""
    is_recorded: bool = True
    """Whether the state says what the service says."""
    market: Decimal | None = None
    """USD per instance-hour; None where it is not known."""
    parent: str = ""
    """The URN of its parent."""
    spending: Spending | None = None
    """What was paid for it so far, over all its bids; None where it is not known, or was not asked for."""

    @property
    def kind(self) -> str:
        """The kind of its type; empty where that is of another package."""
        return kind_of(self.type)

    @property
    def name(self) -> str:
        """The logical name."""
        return logical_name(self.urn)

    @property
    def status(self) -> str:
        """Its status, `gone`, or `not known`."""
        if self.problem:
            return "not known"
        return "gone" if self.live is None else str(self.live.get("status") or "not known")

    @property
    def is_waiting(self) -> bool:
        """Whether it has no machines and waits in the auction."""
        return self.status in WAITING

    @property
    def shown(self) -> _Properties:
        """The outputs to show: those of now, else the recorded ones."""
        return self.live or self.recorded or {}

    @property
    def bid(self) -> Decimal | None:
        """USD per instance-hour."""
        return money.known_price(self.shown.get("max_price_per_hour"))

    @property
    def machines(self) -> tuple[int, int | None]:
        """How many of its machines run, and how many it should have; None where that is not known."""
        states = self.live.get("instances") if self.live else None
        running = sum(one.get("status") == "running" for one in states or () if isinstance(one, Mapping))
        wanted = self.shown.get("num_instances")
        return running, int(wanted) if isinstance(wanted, (int, float)) else None

    @property
    def preemptions(self) -> int | None:
        """How often it was preempted; None where that is not known."""
        count = self.shown.get("preemptions")
        return int(count) if isinstance(count, (int, float)) else None

    @property
    def last_preempted_at(self) -> str:
        """When it was preempted last, in the service's words; empty where that is not known."""
        return str(self.shown.get("last_preempted_at") or "")

    @property
    def task_id(self) -> str:
        """The id of its bid; empty where it is not known."""
        return str(self.shown.get("task_id") or "")


@dataclass(frozen=True)
class Step:
    """What an `up` would do with one resource."""

    urn: str
    type: str
    ops: frozenset[str]
    """The engine's words, such as `update`; a replacement has several."""
    olds: _Properties = field(default_factory=dict)
    """The inputs of the state, after its refresh."""
    news: _Properties = field(default_factory=dict)
    """The inputs of the program, after check."""
    changed: frozenset[str] | None = None
    """The inputs that differ, secret ones too, by the update plan, and the options; None where there is no plan."""
    reasons: frozenset[str] = frozenset()
    """The inputs that a replacement is for."""
    parent: str = ""
    """The URN of its parent."""
    message: str = ""
    """The last line on its row that stays, such as what a policy decides; empty where there is none."""

    @property
    def kind(self) -> str:
        """The kind of its type; empty where that is of another package."""
        return kind_of(self.type)

    @property
    def name(self) -> str:
        """The logical name."""
        return logical_name(self.urn)

    @property
    def is_change(self) -> bool:
        """Whether it would change something."""
        return not self.ops <= UNCHANGED

    @property
    def verb(self) -> str:
        """The change in one word."""
        ops = self.ops - UNCHANGED
        if any("replace" in op for op in ops):
            return "replace"
        return min(ops, default="nothing")


@dataclass(frozen=True)
class Preview:
    """What an `up` would do: as far as it could be previewed."""

    steps: tuple[Step, ...] = ()
    problem: str = ""
    """Why the preview failed, in one line; empty where it did not."""

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that change something."""
        return tuple(step for step in self.steps if step.is_change)


@dataclass(frozen=True)
class Look:
    """A stack at one moment."""

    clusters: tuple[Cluster, ...] = ()
    preview: Preview = Preview()
    fleets: tuple[str, ...] = ()
    """The URNs of the statuses of fleets that are not as the state says."""

    @property
    def unknown(self) -> tuple[Cluster, ...]:
        """The clusters of which nothing is known now."""
        return tuple(cluster for cluster in self.clusters if cluster.problem)

    @property
    def unrecorded(self) -> tuple[str, ...]:
        """The URNs of the clusters, and of the statuses of fleets, that are not as the state says."""
        return (*(one.urn for one in self.clusters if not one.is_recorded and not one.problem), *self.fleets)


@dataclass(frozen=True)
class Outcome:
    """What an `up` did."""

    done: frozenset[str] = frozenset()
    """The URNs of the resources that were changed."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """By URN, why a change failed."""
    problem: str = ""
    """Why the `up` as a whole failed; empty where it did not."""
    is_outdated: bool = False
    """Whether it was refused because it would have done something other than what was previewed."""


def logical_name(urn: str) -> str:
    """Return the name that the program gave a resource."""
    return urn.rpartition("::")[2]


def market_in(message: str) -> Decimal | None:
    """Return the market price that a cluster's row tells, per instance-hour; None where it tells none.

    The row of what changes tells the price of all its machines, and how many there are.
    """
    match = _MARKET.search(message)
    price = money.from_wire(match["price"]) if match else None
    return price / int(match["machines"]) if match and price is not None and match["machines"] else price


def names(steps: Sequence[Step]) -> str:
    """Return what steps would do, for a message."""
    return ", ".join(f"{step.name} ({step.verb})" for step in steps)
