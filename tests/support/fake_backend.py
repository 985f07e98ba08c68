"""A stack beside which a command runs, without a `pulumi`: what the test says is what its backend says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from flow_resources.cli.stacks import SelectedStack
from flow_resources.core.stack_state import StackState

STACK = "acme/training/dev"


@dataclass
class Told:
    """A stack whose state and lock are what the test says, and what happens when it is asked again."""

    settings: dict[str, str]
    name: str = STACK
    state: StackState = StackState()  # noqa: RUF009 - frozen
    others: dict[str, StackState] = field(default_factory=dict)
    updated: bool = False
    asked: int = 0
    meanwhile: Callable[[int], None] = lambda _time: None

    owner = SelectedStack.owner

    def config(self) -> dict[str, str]:
        return self.settings

    def records(self) -> StackState:
        self.asked += 1
        self.meanwhile(self.asked)
        return self.state

    def beside(self) -> dict[str, StackState]:
        return self.others

    def is_being_updated(self) -> bool:
        return self.updated
