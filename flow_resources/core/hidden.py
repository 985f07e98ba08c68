"""The hidden properties of a resource, in one place: their names, and how they are written and read.

A name that starts with two underscores is shown by no diff. The program passes the first group along because the plugin
cannot know it; check takes all of it out again but the owner. The second group is written into states. A property that
is absent is not known: its type here says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from flow_resources.core import money
from flow_resources.core.answer import Answer
from flow_resources.core.naming import Mark
from flow_resources.core.price_lines import Terms

# From the program to check.
OWNER, URN, RECORDED = "__owner", "__urn", "__recorded"
DELETED_WITH, REPLACED_WITH = "__deleted_with", "__replaced_with"
TIMEOUT = "__timeout"
"""How long a create may take, as the program writes it (`custom_timeouts`): check is not told by the engine."""
IGNORED, RETAINED = "__ignored", "__retained"
"""The inputs whose changes the program ignores (`ignore_changes`), and that it keeps in the service what it replaces
(`retain_on_delete`): check is not told of these options by the engine."""
PREVIEW = "__preview"
"""That the program runs for a preview: the engine does not tell check."""
# In the state: the mark and the API URL that a resource was made with; the last verb ended before it was ready; the
# program chose a volume's name; the id of the create that recorded it; the inputs of which the outputs tell another
# value.
MARK, SERVICE, UNREADY, NAMED, CREATE_ID = "__mark", "__service", "__unready", "__named", "__create_id"
INPUTS = "__inputs"
TAKEN_OVER_BY = "__taken_over_by"
"""The provider (see `Ledger.provider`) that took it over while the state had another record of it, by which it is still
to be deleted: no other provider knows that the two are one."""
# Of a job: it has ended, and how its bid is; an API key of it may be live, and the user who made that, or true.
ENDED, JOB_KEY = "__ended", "__job_key"
# Of a cluster: the preemption that the last refresh saw, and what was done for the last one (see `core.preemption`).
PREEMPTION = "__preemption"
# Of a bid with a policy: the number that check has resolved it to, which later checks keep.
RESOLVED_BID = "__resolved_bid"
# Of an SSH key: whether this stack made it; absent where that is not known.
IS_OURS = "__is_ours"
# Of what was imported: the inputs that nobody tells, with what is known of each (see `core.imports`).
NOT_RECORDED = "__not_recorded"
TOKEN = "__provider"  # noqa: S105 - Pulumi's name for the serialised provider
NOT_KNOWN = "?"
"""Stands in RECORDED where the program could not read its stack's state."""

DELETED_WITH_REFUSED = (
    "the option deleted_with cannot be used: when the other resource is deleted, Pulumi forgets this one without "
    "deleting it, and it goes on costing money in no state: remove the option, also from the parent and from "
    "transforms (depends_on keeps the order)"
)
PRIVATE = "private"
"""Stands in the state for an owner that no other stack has: `flow:owner` can be set as a secret."""
_SELF_MANAGED = "organization/"  # the organization of every self-managed backend


@dataclass(frozen=True)
class Identity:
    """Whose a resource is: the mark that its name in the service carries, and the owner that the mark was made from."""

    mark: Mark
    owner: str | None = None
    """`flow:owner`, else organization/project/stack; PRIVATE as it is read from a state. None: not known."""

    @property
    def owner_is_shared(self) -> Answer:
        """Whether stacks of other people can have the same owner: self-managed backends all say "organization"."""
        return Answer.of(self.owner.startswith(_SELF_MANAGED) if self.owner else None)


@dataclass(frozen=True)
class RecordedId:
    """An id that the stack's state holds, as the program read it."""

    id: str
    created_at: str = ""
    """The service's time; empty where the state does not record it."""
    is_own: bool = False
    """Whether Pulumi owns it under the resource's own URN, and it has not only a name with its mark."""
    region: str = ""
    """Its region; empty where it is not known."""
    has_ended: bool = False
    """Whether it is a job that has ended, as the state records it."""
    terms: Terms | None = None
    """Its bid and machines; None for a resource that places no bid, and where they are not known."""

    def __str__(self) -> str:
        if not self.is_own:
            return f"{self.id}@{self.created_at}"
        parts = [self.id, self.created_at, "own", self.region, "ended" if self.has_ended else ""]
        if self.terms:
            paused = "paused" if self.terms.is_paused else ""
            parts += [str(self.terms.price), str(self.terms.machines), str(self.terms.instance_type), paused]
        return "@".join(parts).rstrip("@")


@dataclass(frozen=True)
class HiddenInputs:
    """What the program passes along."""

    owner: str | None
    """None: not known."""
    urn: str | None
    recorded: tuple[RecordedId, ...] | None
    """What the stack's state holds for the resource; None: not known."""
    is_deleted_with_another: bool = False
    """Whether its options say that it is deleted with another resource."""
    is_replaced_with_another: bool = False
    """Whether they say that it is replaced with another one."""
    timeout: str | None = None
    """How long a create may take, as the program writes it; None for the default."""
    ignored: tuple[str, ...] = ()
    """The property paths whose changes it ignores, "*" for all."""
    is_retained: bool = False
    """Whether its options say that what is replaced or destroyed stays in the service."""
    is_preview: bool = False
    """Whether the program runs for a preview. False with `ignore_changes=["*"]`, too: the words of an `up` then."""


@dataclass(frozen=True)
class Record:
    """What the state records of a resource, parsed once."""

    identity: Identity | None = None
    """None for a resource that is only read (`get`)."""
    name: str | None = None
    """In the service. Nothing is deleted that has another one, or while it is not known."""
    service: str | None = None
    project: str | None = None
    create_id: str | None = None
    taken_over_by: str | None = None
    is_unready: bool = False
    is_named: bool = False
    resolved_bid: Decimal | None = None
    """The number that the policy of a bid was resolved to; None where it has no policy, or that is not known."""
    not_recorded: Mapping[str, Any] = field(default_factory=dict)
    """Of what was imported: the inputs that nobody tells, with what is known of each."""
    outputs: Mapping[str, Any] | None = field(default=None, repr=False)
    """All properties as they are recorded; None where nothing is."""

    @property
    def mark(self) -> Mark | None:
        """The mark of a resource that Pulumi owns."""
        return self.identity.mark if self.identity else None

    def text(self, name: str) -> str | None:
        """Return a recorded output that is a string; None where there is none."""
        value = (self.outputs or {}).get(name)
        return str(value) if value else None


def write_recorded(recorded: Iterable[RecordedId] | None) -> str:
    """Write what the state holds for a resource."""
    return NOT_KNOWN if recorded is None else ",".join(map(str, recorded))


def read_hidden_inputs(props: Mapping[str, Any]) -> HiddenInputs:
    """Read what the program passed along."""
    owner, urn = (str(props[name]) if props.get(name) else None for name in (OWNER, URN))
    recorded = _read_recorded(props.get(RECORDED))
    return HiddenInputs(
        None if owner == PRIVATE else owner,
        urn,
        recorded,
        DELETED_WITH in props,
        REPLACED_WITH in props,
        str(props[TIMEOUT]) if props.get(TIMEOUT) else None,
        _read_ignored(props),
        RETAINED in props,
        PREVIEW in props,
    )


def _read_ignored(props: Mapping[str, Any]) -> tuple[str, ...]:
    """Read what is ignored; with `ignore_changes=["*"]` the recorded inputs are there instead, the mark among them."""
    if MARK in props:
        return ("*",)
    ignored = props.get(IGNORED)
    return tuple(map(str, ignored)) if isinstance(ignored, (list, tuple)) else ()


def _read_recorded(text: Any) -> tuple[RecordedId, ...] | None:
    if not isinstance(text, str) or text == NOT_KNOWN:
        return None
    entries = [f"{entry}@@@@@@@@".split("@") for entry in text.split(",") if entry]
    return tuple(
        RecordedId(id_, created_at, own == "own", region, ended == "ended", _read_terms(region, *terms[:4]))
        for id_, created_at, own, region, ended, *terms in entries
    )


def _read_terms(region: str, price: str, machines: str, instance_type: str, paused: str) -> Terms | None:
    bid = money.from_wire(price)
    if bid is None or not machines.isdecimal():
        return None
    return Terms(bid, int(machines), instance_type, region, paused == "paused")


def read_identity(props: Mapping[str, Any]) -> Identity | None:
    """Read the mark and the owner that check wrote into the inputs, or that the state holds."""
    mark, owner = props.get(MARK), props.get(OWNER)
    return Identity(Mark.parse(str(mark)), str(owner) if owner else None) if mark else None


def write_identity(identity: Identity | None) -> dict[str, Any]:
    """Write the mark and, as far as the state needs it, the owner."""
    if identity is None:
        return {}
    if identity.owner is None:
        return {MARK: str(identity.mark)}
    return {MARK: str(identity.mark), OWNER: identity.owner if identity.owner_is_shared is Answer.YES else PRIVATE}


def read_record(props: Mapping[str, Any]) -> Record:
    """Read what the state records."""

    def text(name: str) -> str | None:
        return str(props[name]) if props.get(name) else None

    return Record(
        read_identity(props),
        text("task_name") or text("volume_name") or text("key_name"),
        text(SERVICE),
        text("project"),
        text(CREATE_ID),
        text(TAKEN_OVER_BY),
        bool(props.get(UNREADY)),
        bool(props.get(NAMED)),
        read_resolved_bid(props),
        read_not_recorded(props),
        props,
    )


def read_resolved_bid(props: Mapping[str, Any]) -> Decimal | None:
    """Read the number that a policy was resolved to; None where there is none, or what is there is no price."""
    return money.known_price(props.get(RESOLVED_BID))


def write_resolved_bid(price: Decimal | None) -> dict[str, Any]:
    """Write the number that a policy was resolved to, where there is one."""
    return {} if price is None else {RESOLVED_BID: float(price)}


def read_not_recorded(props: Mapping[str, Any]) -> dict[str, Any]:
    """Read which inputs an import has not recorded, with what is known of each; none for what was not imported."""
    names = props.get(NOT_RECORDED)
    return dict(names) if isinstance(names, Mapping) else {}


def write_not_recorded(names: Mapping[str, Any]) -> dict[str, Any]:
    """Write which inputs an import has not recorded, where there are any."""
    return {NOT_RECORDED: dict(names)} if names else {}


def write_inputs(inputs: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Write the inputs of which the service tells another value: outputs and inputs share their keys in a state."""
    differing = {name: value for name, value in inputs.items() if told.get(name, value) != value}
    return {INPUTS: differing} if differing else {}


def recorded_inputs(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return recorded outputs with the inputs as the state has them."""
    return {**outputs, **(outputs.get(INPUTS) or {})}


def visible(props: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties without the hidden ones."""
    return {name: value for name, value in props.items() if not name.startswith("__")}
