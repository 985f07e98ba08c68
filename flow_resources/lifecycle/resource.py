"""What a kind of resource is made of. `verbs` calls these methods; a new kind fills them in and gets the rest.

Three types: `S`, what the program wants; `T`, a live thing as a listing has it, with id, name and time; `V`, a snapshot
of it, from which outputs are made. For many kinds `T` and `V` are the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from flow_resources.core.answer import Answer
from flow_resources.core.hidden import Identity, Record
from flow_resources.core.imports import Imported
from flow_resources.core.inputs import Checked, Field
from flow_resources.core.models import Named
from flow_resources.core.spec import Spec
from flow_resources.core.takeover import Wanted
from flow_resources.errors import (
    FlowResourcesError,
    NotFoundError,
    OwnershipError,
    RejectedError,
    TerminatedError,
)
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.quota import Claim

S = TypeVar("S", bound=Spec)
T = TypeVar("T", bound=Named)
V = TypeVar("V")


@dataclass(frozen=True)
class Words:
    """How messages speak of a kind."""

    noun: str
    """What the service calls it: "bid"."""
    managed: str
    """What the person calls it: "task"."""
    end_command: str
    """The Flow command that ends one, but for the id: "flow cancel"."""
    ends: str
    """What that does to it: "ends"."""
    adopt_input: str
    """The input that adopts one; empty where none does."""
    conflict_remedy: str
    """What to do about one whose owner is in doubt, the safer way first; `{id}` is its id."""
    lost_by_replacement: str
    """What a replacement loses."""
    list_command: str = ""
    """The Flow command that lists them."""

    def way_to_adopt(self, separator: str) -> str:
        """Return how one is taken over, as the end of a sentence; empty where nothing does that."""
        return f"{separator} {self.adopt_input} takes it over" if self.adopt_input else ""


def require_name(thing: Named, words: Words) -> None:
    """Raise OwnershipError where the service does not say the name of something that is to be deleted."""
    if not thing.name_is_known:
        raise OwnershipError(
            f"the service does not say the name of the {words.noun} {thing.id}, which is compared with the recorded "
            "one before it is deleted: nothing was touched",
            "run the same command again",
        )


@dataclass(frozen=True)
class Update:
    """What an update carries out."""

    inputs: frozenset[str]
    """The inputs that it carries out; nothing is sent for any other."""
    is_resumed: bool
    """Whether it goes on where an earlier verb had to stop."""


class Resource(ABC, Generic[S, T, V]):
    """A kind of resource. Its instance holds nothing."""

    name: ClassVar[str]
    """The class's name in the program, and the last part of the type token."""
    id_prefix: ClassVar[str]
    """What its ids in the service begin with."""
    fields: ClassVar[Sequence[Field]]
    words: ClassVar[Words]
    is_shared: ClassVar[bool] = False
    """Whether several resources can record the same one."""

    # -- check and diff -----------------------------------------------------------------------------------------------

    def check(self, op: Operation, found: Checked, olds: Mapping[str, Any], identity: Identity) -> None:
        """Check what the fields' own rules cannot: against the account, the market, the recorded inputs."""

    def needs_whole_record(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Whether a check depends on more of the state than the recorded inputs; it does of what may be made."""
        return not olds

    def check_replaced_with(self, found: Checked) -> None:
        """Check a resource that is replaced whenever another one is (`replace_with`)."""

    def check_retained(self, found: Checked) -> None:
        """Check a resource whose options keep in the service what it replaces (`retain_on_delete`)."""

    def warn_of_update(self, op: Operation, update: Update, news: Mapping[str, Any]) -> None:
        """Warn of what an update in place loses."""

    def comparable(self, op: Operation, olds: Mapping[str, Any], news: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG002
        """Return the new inputs as they are compared with the recorded ones."""
        return news

    def has_hidden_change(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Whether the state is to learn something that no input shows."""
        return False

    def replaced_by_policy(self, olds: Mapping[str, Any], news: Mapping[str, Any], replaces: Sequence[str]) -> str:  # noqa: ARG002
        """Return the input because of which a policy replaces it, and not the program; empty where none does.

        `replaces`: the inputs whose change replaces it.
        """
        return ""

    def lost_by_replacement(self, record: Record) -> str:  # noqa: ARG002
        """Return what a replacement of what the state records loses."""
        return self.words.lost_by_replacement

    def is_deleted_first(self, news: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Whether a replacement deletes before it creates, where the program does not say."""
        return True

    def warn_of_record(self, op: Operation, record: Record) -> None:
        """Warn of what the state records, where nothing changes it."""

    @abstractmethod
    def parse(self, props: Mapping[str, Any]) -> S:
        """Parse the inputs that check has accepted."""

    # -- create -------------------------------------------------------------------------------------------------------

    def require_resolved(self, spec: S) -> None:
        """Raise RejectedError where check could not resolve what a create needs."""

    def require_updatable(self, spec: S) -> None:
        """Raise RejectedError where check could not resolve what an update needs."""

    def adopted_id(self, spec: S) -> str | None:  # noqa: ARG002
        """Return the id that the program adopts."""
        return None

    def find_adoptable(self, op: Operation, spec: S, id_: str) -> T:
        """Return what the program adopts. Raises RejectedError where it is not what the program says."""
        raise NotImplementedError(f"{self.name} adopts nothing")

    @abstractmethod
    def list_live(self, op: Operation, begun_after: float) -> Sequence[T]:
        """List what is live in the project, from a whole listing that begins at or after a moment."""

    def list_before_create(self, op: Operation, spec: S) -> Sequence[T]:  # noqa: ARG002
        """List what a create judges, and what `place` has to know of what ended, before it places anything."""
        return self.list_live(op, op.clock.now())

    def is_live(self, thing: T) -> bool:  # noqa: ARG002
        """Whether one of the things listed before a create is live."""
        return True

    def want(self, op: Operation, spec: S) -> Wanted[T]:
        """Return what a create wants, for `takeover.decide`. By default nothing is ever cancelled for it."""
        return Wanted(spec.mark, spec.digest(op.settings.api_key), may_cancel=False, differs=lambda _: False)

    def find_usable(self, op: Operation, spec: S, live: Sequence[T]) -> T | None:  # noqa: ARG002
        """Return what is live and serves a program as it is, whoever made it: then nothing is made. By default none."""
        return None

    def is_of_another_user(self, op: Operation, thing: T) -> Answer:  # noqa: ARG002
        """Whether another user placed it, or uses it."""
        return Answer.NO

    def require_placeable(self, op: Operation, spec: S) -> None:
        """Raise an error where one could not be made now, before anything is ended for it. By default it could be."""

    @abstractmethod
    def place(self, op: Operation, spec: S, generation: int, listed: Sequence[T]) -> T:
        """Make one under a name that was never used, from this generation on; `listed` is what was there before.

        Returns it once it exists. Raises RejectedError where it is proven not to, ApprovalPendingError where it does
        not yet, and UnavailableError where that is not known: the next `up` looks for it by its name.
        """

    def cancel(self, op: Operation, thing: T) -> None:
        """End what has another specification, and see it ended. Raises NotReadyError at the time limit."""
        self.delete(op, thing.id, Record(name=thing.name))

    @abstractmethod
    def describe_cost(self, thing: T) -> str:
        """Return what one costs, or how large it is."""

    def claim(self, op: Operation, spec: S) -> Claim | None:  # noqa: ARG002
        """Return what a create needs of the project's quotas."""
        return None

    def holding(self, thing: T) -> tuple[str, int | None]:  # noqa: ARG002
        """Return the product of a quota that one uses, and how much of it; None where the service does not say."""
        return "", 0

    # -- what is there ------------------------------------------------------------------------------------------------

    def list_all(self, op: Operation) -> Sequence[T]:
        """List what is live now, for a search that must not miss anything."""
        return self.list_live(op, op.clock.now())

    def find(self, op: Operation, id_: str) -> T | None:
        """Return one as it is now, also one that has ended where the service still tells; None where there is none."""
        return next((thing for thing in self.list_live(op, op.clock.now()) if thing.id == id_), None)

    def absence(self, op: Operation, id_: str) -> FlowResourcesError:
        """Return why an id that a person named is not among what is live."""
        return NotFoundError(
            f"there is no {self.words.managed} {id_} in project {op.cloud.project().name}",
            f"`{self.words.list_command}` shows them",
        )

    def describe_import(self, op: Operation, thing: T) -> Imported:  # noqa: ARG002
        """Return what an import records of one that is live. Raises RejectedError where it cannot be imported."""
        raise RejectedError(f"a {self.words.managed} cannot be imported", "declare it in the program")

    def holders(self, thing: T) -> Sequence[str]:  # noqa: ARG002
        """Return the ids of what holds it, and keeps it from being deleted."""
        return ()

    @abstractmethod
    def snapshot(self, thing: T) -> V:
        """Return what is known of it without asking."""

    @abstractmethod
    def observe(self, op: Operation, id_: str, record: Record) -> V | None:
        """Return what is true now, for a refresh; None only where it is proven gone."""

    def observe_for_update(self, op: Operation, id_: str, record: Record) -> V:
        """Return what an update begins with. Raises TerminatedError where it is proven gone."""
        seen = self.observe(op, id_, record)
        if seen is None:
            raise TerminatedError(f"the {self.words.noun} {id_} is gone", "`pulumi up --refresh` makes a new one")
        return seen

    def observe_unready(self, op: Operation, seen: V) -> V:  # noqa: ARG002
        """Return the newest snapshot that can be had of what is not ready. Never raises."""
        return seen

    def act_on_policy(self, op: Operation, seen: V, spec: S, record: Record, update: Update | None) -> V:  # noqa: ARG002
        """Do what check has decided beside the program; return the snapshot with what is to be recorded of it."""
        return seen

    def converge(self, op: Operation, seen: V, spec: S, record: Record, update: Update | None) -> V:  # noqa: ARG002
        """Bring one to what the program says, and wait as far as it asks. `update` is None for a create."""
        return seen

    def is_ready(self, seen: V, inputs: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Whether it is as far as the program wants it."""
        return True

    def is_unfinished(self, seen: V) -> bool:  # noqa: ARG002
        """Whether something is left that the next `up` has to do, though the program has not changed."""
        return False

    def known_outputs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return the outputs that are known before anything is made, besides the inputs."""
        return {}

    @abstractmethod
    def outputs(self, seen: V, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs that the service decides."""

    def live_inputs(self, seen: V, inputs: Mapping[str, Any], record: Record) -> dict[str, Any]:  # noqa: ARG002
        """Return the recorded inputs as the service holds them now, so that drift shows as a diff."""
        return dict(inputs)

    def hidden_inputs(self, seen: V) -> dict[str, Any]:  # noqa: ARG002
        """Return the hidden inputs that a refresh writes."""
        return {}

    def outputs_of_get(self, seen: V) -> dict[str, Any]:  # noqa: ARG002
        """Return what else is an output of a resource that is only read."""
        return {}

    def report_drift(self, op: Operation, seen: V, record: Record) -> None:
        """Tell what changed behind the state's back and shows in no diff."""

    # -- delete -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def delete(self, op: Operation, id_: str, record: Record) -> None:
        """End it and see it gone. Absent counts as deleted. Raises OwnershipError for a stranger under this id."""
