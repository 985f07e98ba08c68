"""A stack beside which a command runs, without a `pulumi`: its state, lock and config are what the test sets."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flow_resources.cli.stacks import SelectedStack
from flow_resources.core.stack_state import StackState

STACK = "acme/training/dev"


@dataclass
class FakeStack:
    """Stands in for a SelectedStack."""

    settings: dict[str, str]
    name: str = STACK
    recorded: StackState = StackState()  # noqa: RUF009 - frozen
    others: dict[str, StackState] = field(default_factory=dict)
    updated: bool = False
    reads: int = 0
    on_read: Callable[[int], None] = lambda _reads: None
    """Called before each read of the state, with how many there were."""

    reads_of_others: int = 0
    on_read_of_others: Callable[[int], None] = lambda _reads: None
    """The same for the states of the other stacks, which are read all at once."""

    exported: Any = None
    """What `pulumi stack export` prints; None for what is never asked."""
    on_export: Callable[[int], None] = lambda _exports: None
    """Called before each export, with how many there were."""
    exports: int = 0

    owner = SelectedStack.owner

    def config(self) -> dict[str, str]:
        return self.settings

    def state(self) -> StackState:
        self.reads += 1
        self.on_read(self.reads)
        return self.recorded

    def other_states(self) -> dict[str, StackState]:
        self.reads_of_others += 1
        self.on_read_of_others(self.reads_of_others)
        return self.others

    def export(self) -> Any:
        self.exports += 1
        self.on_export(self.exports)
        return copy.deepcopy(self.exported)

    def store(self, export: Any) -> None:
        self.exported = copy.deepcopy(export)

    def is_being_updated(self) -> bool:
        return self.updated
