"""What one plugin process knows: its settings, its door to the service, and what it has seen of each resource.

The provider objects hold nothing, because they are pickled into the state; this module is their memory. It lasts for
one operation: the engine starts a plugin process for each.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from flow_resources import backend, engine
from flow_resources.clock import Clock
from flow_resources.cloud import Cloud, Connection, RetryBudget, Settings
from flow_resources.cloud.settings import resolve
from flow_resources.core import money
from flow_resources.core.inputs import Checked
from flow_resources.core.stack_state import StackState
from flow_resources.errors import UnavailableError
from flow_resources.providers.waiting import Deadline

_CHECK_SECONDS = 5.0
"""How long a check asks again: a preview is told of silence soon, and goes on with a warning. So is a command."""
_WAIT_TIMES = 5
"""How many times as long a wait outlasts silence: what is waited for goes on without anybody asking."""
_SILENT_SECONDS = 30.0
"""For so long after silence no other check asks at all: the engine checks one resource after the other."""


@dataclass
class Session:
    """The memory of one operation."""

    config: Callable[[str], Any] = field(default=lambda _: None)
    clock: Clock = field(default_factory=Clock)
    recorded: dict[str, set[str]] = field(default_factory=dict)
    """By mark, the ids that the state holds for it, as the program found them (see `identity`)."""
    born: dict[str, str] = field(default_factory=dict)
    """When each of these was made, as the service says it."""
    replaced: set[str] = field(default_factory=set)
    """Marks whose state held something when this operation began: a create of one is a replacement."""
    placed: set[str] = field(default_factory=set)
    """Ids of the bids that this process has placed."""
    deleted: set[str] = field(default_factory=set)
    """Ids that this process has deleted."""
    gone: set[str] = field(default_factory=set)
    """Ids that a refresh of this operation has found gone."""
    held: dict[str, dict[str, str]] = field(default_factory=dict)
    """By id, the record of a declared resource that holds it (see `records`)."""
    adopted: dict[str, str] = field(default_factory=dict)
    """By id, the mark of the resource that adopts it."""
    spending: dict[str, tuple[str, Decimal]] = field(default_factory=dict)
    """By URN, the logical name and the most the cluster can cost (USD per hour)."""
    holders: dict[str, str] = field(default_factory=dict)
    """Who the bids are that hold a volume, by id (see `holders`)."""
    stacks: list[str] | None = None
    """The names of all stacks of the backend, once somebody asked."""
    own_state: Callable[[str], Any] = backend.own_state
    """Asks for the stored state of the stack of a URN; None where nobody can say."""
    other_states: Callable[[str], Iterable[tuple[str, Any]]] = backend.other_states
    """Asks for the stored states of all other stacks of the backend, one after the other."""
    beside: dict[str, StackState] | None = None
    """What they record, once somebody asked."""
    exported: list[frozenset[str] | None] = field(default_factory=list)
    """The ids in it when it was first asked for (one entry); None where it could not be had."""
    export_lock: threading.Lock = field(default_factory=threading.Lock)
    found: Settings | None = None
    connection: Connection | None = None
    owner: str = ""
    """Whose stack it is, as the program says."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    said: set[tuple[str, str]] = field(default_factory=set)
    silence: tuple[float, UnavailableError] | None = None
    """When a check found the service silent, and what it was told."""
    verb: threading.local = field(default_factory=threading.local)
    """Of the verb that a thread answers: its call, its time limit and its patience."""
    turns: dict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))
    """By mark: whoever creates the same resource twice at once finds, the second time, what the first one made."""

    def settings(self) -> Settings:
        """Return the settings of the stack; raises ConfigError where there is no key."""
        with self.lock:
            if self.found is None:
                self.found = resolve(self.config)
                engine.redactor.register(self.found.api_key)
            return self.found

    def cloud(self) -> Cloud:
        """Return this verb's view of the connection, which all threads of the operation share.

        Raises, for a check, the UnavailableError of another check of moments ago.
        """
        settings = self.settings()
        if self.silence and engine.current().method == "Check" and self.clock.now() < self.silence[0] + _SILENT_SECONDS:
            raise self.silence[1]
        with self.lock:
            if self.connection is None:
                self.connection = Connection(settings, self.clock, engine.redactor)
        return Cloud(self.connection, self.patience())

    def deadline(self) -> Deadline:
        """Return the time limit of the verb that this thread answers; it runs from when it is first asked for."""
        self._meet_verb()
        deadline: Deadline = self.verb.deadline
        return deadline

    def patience(self) -> RetryBudget:
        """Return what is left of the patience of the verb that this thread answers."""
        self._meet_verb()
        patience: RetryBudget = self.verb.patience
        return patience

    def _meet_verb(self) -> None:
        call = engine.current()
        if getattr(self.verb, "call", None) is call:
            return
        seconds = self.settings().retry_seconds
        if call.method in ("Check", None):  # none: somebody at a terminal
            seconds = min(seconds, _CHECK_SECONDS)
        deadline = Deadline.of(call, self.clock, _WAIT_TIMES * seconds)
        self.verb.call, self.verb.deadline = call, deadline
        self.verb.patience = RetryBudget(seconds, deadline.begun + deadline.seconds, self.clock, engine.row)

    def close(self) -> None:
        """Close the door; the operation is over."""
        if self.connection is not None:
            self.connection.close()

    def warn_once(self, message: str, *, about: str | None = None) -> None:
        """Warn, once a resource and operation: check runs twice for a replacement."""
        key = (about if about is not None else engine.current().urn or "", message)
        if key not in self.said:
            self.said.add(key)
            engine.warn(message)


_session = Session()


def current() -> Session:
    """Return the memory of this process."""
    return _session


def begin(config: Callable[[str], Any]) -> None:
    """Take the stack's config; the host says it once a provider class."""
    _session.config = config


def fresh(config: Callable[[str], Any], clock: Clock | None = None) -> Session:
    """Forget everything and start anew, as a new plugin process would."""
    global _session  # noqa: PLW0603 - a process has one operation
    _session.close()
    _session = Session(config, clock or Clock())
    return _session


def charge(found: Checked, urn: str, name: str, cost: Decimal, budget: Decimal | None) -> None:
    """Enter a cluster into the stack's budget and fail it when the sum goes over.

    Keyed by URN, so that a replacement, which is checked twice, counts once. A paused cluster costs nothing.
    """
    spending = current().spending
    before = {other: entry for other, entry in spending.items() if other != urn}
    spending[urn] = (name, cost)
    total = cost + sum(one for _, one in before.values())
    if budget is None or total <= budget or not cost:
        return
    listed = ", ".join(f"{other} {money.usd(one)}/h" for other, one in before.values() if one)
    found.fail(
        "max_price_per_hour",
        f"exceeds the stack's budget flow:maxCostPerHour of {money.usd(budget)}/h by {money.usd(total - budget)}/h: "
        f"this cluster can cost {money.usd(cost)}/h{f', before it {listed}' if listed else ''}",
        remedy="lower a bid, pause a cluster, or raise the budget with `pulumi config set flow:maxCostPerHour ...`",
    )
