"""What the commands need of a kind: how `sweep` lists and ends it, how `adopt` writes it as a program.

A kind of resource is a `CommandKind`; its kind in `lifecycle` lists, finds and deletes it in the service. What is no
resource of its own, and can be left over all the same, is a `SweptKind`. A new kind fills in one of these classes and
is an entry of a table in `kinds`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Generic, TypeVar

from flow_resources.cli.program_text import Item
from flow_resources.core.models import Named
from flow_resources.lifecycle import verbs
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


class SweptKind(ABC, Generic[T]):
    """A kind of thing that `sweep` finds and ends. Its instance holds nothing."""

    noun: ClassVar[str]
    """What the service calls one: "bid"."""
    plural: ClassVar[str]
    """In sentences."""
    ending: ClassVar[str]
    """What `sweep --yes` prints before it ends one: "deleting"."""
    ended: ClassVar[str]
    """And after it: "deleted"."""
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
    is_essential: ClassVar[bool] = True
    """Whether nothing is searched for where it cannot be listed."""

    @property
    def document_key(self) -> str:
        """Its key in the JSON document of `sweep`."""
        return self.plural.lower().replace(" ", "_")

    @abstractmethod
    def list_all(self, op: Operation) -> Sequence[T]:
        """List what is live now, for a search that must not miss anything."""

    @abstractmethod
    def find(self, op: Operation, id_: str) -> T | None:
        """Return one as it is now; None where there is none."""

    @abstractmethod
    def end(self, op: Operation, thing: T) -> None:
        """End one and see it ended. Absent counts as ended."""

    def recorded_as(self, thing: T) -> Named:
        """Return what a state records in its place."""
        return thing

    def reason_to_keep(self, thing: T) -> str:  # noqa: ARG002
        """Return why one must not be ended as it is now; empty where it may be."""
        return ""

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


class CommandKind(SweptKind[T]):
    """A kind of resource for the commands. Its instance holds nothing."""

    resource: ClassVar[AnyResource]
    name_output: ClassVar[str]
    """The output of the resource that holds its name in the service."""

    @property
    def noun(self) -> str:  # type: ignore[override]
        """What the service calls one."""
        return self.resource.words.noun

    def list_all(self, op: Operation) -> Sequence[T]:
        """List what is live now."""
        return self.resource.list_all(op)

    def find(self, op: Operation, id_: str) -> T | None:
        """Return one as it is now, also one that has ended where the service still tells."""
        found: T | None = self.resource.find(op, id_)
        return found

    def end(self, op: Operation, thing: T) -> None:
        """End one by the verb that `pulumi destroy` uses."""
        verbs.delete(op, self.resource, thing.id, {self.name_output: thing.name})

    def reason_to_keep(self, thing: T) -> str:
        """Return what holds it, as of now: what held it may just have been ended."""
        holders = self.resource.holders(thing)
        return f"attached to {', '.join(holders)}" if holders else ""

    # -- adopt --------------------------------------------------------------------------------------------------------

    fallback_name: ClassVar[str]
    """What a program calls one whose name in the service has nothing that a program can use."""
    heading: ClassVar[tuple[str, ...]] = ()
    """Comments at the top of a program that declares any."""
    note: ClassVar[str] = ""
    """What the person is told about a program that declares any."""

    not_read_back_in_yaml: ClassVar[tuple[str, ...]] = ()
    """Comments in place of the inputs that the service does not give back, in a program in YAML."""

    def in_yaml(self, value: Any, variables: Mapping[str, str]) -> Any:  # noqa: ARG002
        """Return an input as a program in YAML has it, with references to its other resources."""
        return value

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
