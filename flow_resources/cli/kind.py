"""What the commands need of a kind of resource: how `sweep` lists it, how `adopt` writes it as a program.

Its kind in `lifecycle` lists, finds and deletes it in the service. A new kind fills in this class and is an entry of
the table in `kinds`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Generic, TypeVar

from flow_resources.cli.program_text import Item
from flow_resources.core.models import Named
from flow_resources.errors import FlowResourcesError
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.verbs import AnyResource

T = TypeVar("T", bound=Named)


@dataclass(frozen=True)
class Draft:
    """Something live, as the inputs of a program."""

    thing: Named
    inputs: Mapping[str, Any]
    fill_in: tuple[str, ...] = ()
    """The paths of the inputs that the person has to write."""
    notes: tuple[str, ...] = ()
    problem: str = ""
    """Why no program can declare it, beside what the check of its inputs says; empty where one can."""


class CommandKind(ABC, Generic[T]):
    """A kind of resource for the commands. Its instance holds nothing."""

    resource: ClassVar[AnyResource]
    plural: ClassVar[str]
    """In sentences, and as its key in the JSON document of `sweep`."""

    # -- sweep --------------------------------------------------------------------------------------------------------

    ending: ClassVar[str]
    """What `sweep --yes` prints before it ends one: "deleting"."""
    ended: ClassVar[str]
    """And after it: "deleted"."""
    name_output: ClassVar[str]
    """The output of the resource that holds its name in the service."""
    option: ClassVar[str] = ""
    """The option, without its dashes, that `sweep --yes` needs to delete it; empty where it needs none."""
    end_advice: ClassVar[str]
    """What `sweep --yes` does to it, with its option."""
    number_titles: ClassVar[tuple[str, ...]]
    """The titles of its columns of numbers."""
    state_title: ClassVar[str]
    """The title of the column that says what it does now."""
    has_cost: ClassVar[bool] = False
    """Whether it is paid by the hour."""

    def max_cost(self, thing: T) -> Decimal | None:  # noqa: ARG002
        """Return the most that one can cost, in USD per hour and whole cents; None where it is not known."""
        return None

    def observe_status(self, op: Operation, thing: T, begun_after: float) -> str:  # noqa: ARG002
        """Return the status that a listing does not tell; it is requested for each that `sweep` reports."""
        return ""

    @abstractmethod
    def numbers(self, thing: T) -> list[str]:
        """Return the cells of the columns of numbers."""

    @abstractmethod
    def state(self, thing: T, status: str) -> str:
        """Return the cell that says what it does now."""

    @abstractmethod
    def document(self, thing: T, status: str) -> dict[str, Any]:
        """Return its own keys of the JSON document of `sweep`."""

    # -- adopt --------------------------------------------------------------------------------------------------------

    fallback_name: ClassVar[str]
    """What a program calls one whose name in the service has nothing that a program can use."""
    heading: ClassVar[tuple[str, ...]] = ()
    """Comments at the top of a program that declares any."""
    note: ClassVar[str] = ""
    """What the person is told about a program that declares any."""

    @abstractmethod
    def absence(self, op: Operation, id_: str) -> FlowResourcesError:
        """Return why an id that the person named is not among what is live."""

    @abstractmethod
    def drafts(self, op: Operation, things: Sequence[T], live: Collection[str], begun_after: float) -> Sequence[Draft]:
        """Read what a program needs to know of live things. `live` are the ids of all that is live in the project."""

    def classes(self, inputs: Mapping[str, Any]) -> set[str]:  # noqa: ARG002
        """Return the classes of this package that a declaration uses."""
        return {self.resource.name}

    @abstractmethod
    def arguments(
        self, inputs: Mapping[str, Any], fill_in: Collection[str], variables: Mapping[str, str]
    ) -> Iterator[Item]:
        """Yield the arguments of a declaration. `variables` are the program's variables, by id in the service."""
