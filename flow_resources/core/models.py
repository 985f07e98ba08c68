"""The service's JSON as typed values.

Reading is tolerant: a key or a status that the service adds later does not fail a refresh, and what a row does not say,
or says in another type, is None, or an empty string where that can be mistaken for nothing else. Only a row without an
id is none. Field names follow the OpenAPI document inside the flow-compute wheel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn, Protocol

from flow_resources.core import money
from flow_resources.core.answer import Answer
from flow_resources.core.moments import moment_of
from flow_resources.core.public_keys import content_of

ENDED, WAITING, ALLOCATED = "Terminated", "Open", "Allocated"
LIVE_STATUSES = ("Open", "Allocated", "Preempting", "Paused")
KNOWN_STATUSES = {*LIVE_STATUSES, ENDED, "Relocating"}
LIVE_INSTANCES = (
    "new",
    "confirmed",
    "initializing",
    "starting",
    "running",
    "relocating",
    "preempting",
    "paused",
    "error",
)
STORAGE = "storage"
_GONE_INSTANCES = {"terminated", "preempted", "replaced", "stopped"}


class Named(Protocol):
    """A bid, a volume, an SSH key or the API key of a job."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def created_at(self) -> str: ...  # noqa: D102
    @property
    def name_is_known(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True)
class Bid:
    """A bid: one Flow task."""

    id: str
    name: str
    project: str | None
    status: str
    price: Decimal | None
    """USD per instance-hour."""
    quantity: int | None
    instance_type: str
    """The service's id of the type, `it_...`."""
    region: str | None
    instances: tuple[str, ...] | None
    volumes: tuple[str, ...] | None
    created_at: str
    ssh_keys: tuple[str, ...] | None = ()
    created_by: str = ""
    """The user whose key placed it."""
    name_is_known: bool = True

    @property
    def max_cost(self) -> Decimal | None:
        """The most that it can cost, in USD per hour: price times quantity; None where either is not known."""
        return None if self.price is None or self.quantity is None else self.price * self.quantity

    @property
    def ended(self) -> bool:
        """Whether it has ended for good. A preempted bid has not: it is Open, and can win again."""
        return self.status == ENDED

    @property
    def has_no_instances(self) -> bool:
        """Whether it is known to have none; false also where the service does not say."""
        return self.ended or self.instances == ()

    @property
    def has_known_status(self) -> bool:
        """Whether its status is one that the service had when this was written."""
        return self.status in KNOWN_STATUSES

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Bid:
        """Return a BidModel as a Bid."""
        launch = row.get("launch_specification")
        launch = launch if isinstance(launch, Mapping) else {}
        return cls(
            id=_id(row),
            name=_text(row.get("name")) or "",
            project=_text(row.get("project")),
            status=str(row.get("status") or ""),
            price=money.from_wire(row.get("limit_price")),
            quantity=_integer(row.get("instance_quantity")),
            instance_type=_text(row.get("instance_type")) or "",
            region=_text(row.get("region")),
            instances=_ids(row.get("instances")),
            volumes=_ids(launch.get("volumes")),
            created_at=_text(row.get("created_at")) or "",
            ssh_keys=_ids(launch.get("ssh_keys")),
            created_by=_text(row.get("created_by")) or "",
            name_is_known=isinstance(row.get("name"), str),
        )


@dataclass(frozen=True)
class BidEvent:
    """An event of a bid's history."""

    type: str
    """The service's word: "Allocated", "Preempted", "Terminated", ..."""
    at: str | None
    """When it was; None where the service does not say."""

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> BidEvent:
        """Return an event of the history as a BidEvent."""
        return cls(str(row["event_type"]), _text(row.get("timestamp")))


def in_order(events: Iterable[BidEvent]) -> tuple[BidEvent, ...]:
    """Return events oldest first, by their times; as they were told where one of those cannot be read."""
    told = tuple(events)
    moments = [moment_of(event.at) for event in told]
    if None in moments:
        return told
    return tuple(event for _, event in sorted(zip(moments, told, strict=True), key=lambda pair: pair[0]))  # type: ignore[arg-type,return-value]


@dataclass(frozen=True)
class Instance:
    """One instance of a bid."""

    id: str
    bid: str
    status: str
    """The service's status without `STATUS_`, in lower case."""
    public_ip: str | None
    ssh_port: int | None
    private_ip: str | None

    @property
    def gone(self) -> bool:
        """Whether it is gone for good; it never comes back under this id."""
        return self.status in _GONE_INSTANCES

    @property
    def up(self) -> bool:
        """Whether it runs and can be reached."""
        return self.status == "running" and self.public_ip is not None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Instance:
        """Return an InstanceModel as an Instance. `ssh_destination` is a host, or host:port; the default port is 22."""
        host, port = _split_host(row.get("ssh_destination"))
        return cls(
            id=_id(row),
            bid=str(row.get("bid") or ""),
            status=str(row.get("status") or "").removeprefix("STATUS_").lower(),
            public_ip=host,
            ssh_port=port,
            private_ip=row.get("private_ip") or None,
        )


@dataclass(frozen=True)
class StoredVolume:
    """A volume in the service."""

    id: str
    name: str
    project: str | None
    size_gb: int | None
    interface: str | None
    """"file" or "block"."""
    region: str | None
    bids: tuple[str, ...] | None
    """The bids that hold it."""
    created_at: str
    deleted: bool
    name_is_known: bool = True

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> StoredVolume:
        """Return a VolumeModel as a StoredVolume."""
        return cls(
            id=_id(row),
            name=_text(row.get("name")) or "",
            project=_text(row.get("project")),
            size_gb=_integer(row.get("capacity_gb")),
            interface=(_text(row.get("interface")) or "").lower() or None,
            region=_text(row.get("region")),
            bids=_ids(row.get("bids")),
            created_at=_text(row.get("created_at")) or "",
            deleted=bool(row.get("deleted_at")),
            name_is_known=isinstance(row.get("name"), str),
        )


@dataclass(frozen=True)
class StoredKey:
    """A platform SSH key of a project: its public half."""

    id: str
    name: str
    project: str | None
    content: str | None
    """Its type and content; None where the service does not say."""
    created_at: str
    is_required: bool = False
    """Whether the service puts it on every machine of the project."""
    name_is_known: bool = True
    ours: Answer = Answer.NOT_KNOWN
    """Whether this stack made it: what is not known to be is never deleted."""
    bids: tuple[str, ...] = ()
    """The live bids that use it, where somebody has looked."""

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> StoredKey:
        """Return a NewSshKeyModel as a StoredKey."""
        return cls(
            id=_id(row),
            name=_text(row.get("name")) or "",
            project=_text(row.get("project")),
            content=content_of(_text(row.get("public_key"))),
            created_at=_text(row.get("created_at")) or "",
            is_required=row.get("required") is True,
            name_is_known=isinstance(row.get("name"), str),
        )


@dataclass(frozen=True)
class JobKey:
    """An API key of a job. It is never pickled: states and logs are made of pickles."""

    id: str
    name: str
    secret: str | None = field(default=None, repr=False)
    """The key itself, which the service tells once, to whoever makes it."""
    expires_at: datetime | None = None
    """None: not known."""
    created_at: str = ""
    is_revoked: bool = False
    name_is_known: bool = True

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is not pickled")

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> JobKey:
        """Return an ApiKeyModel, or the answer to its creation, as a JobKey."""
        return cls(
            id=_id(row),
            name=_text(row.get("name")) or "",
            secret=_text(row.get("secret")),
            expires_at=moment_of(_text(row.get("expires_at"))),
            created_at=_text(row.get("created_at")) or "",
            is_revoked=bool(row.get("deactivated_at")),
            name_is_known=isinstance(row.get("name"), str),
        )

    def is_expired(self, now: datetime | None) -> Answer:
        """Whether it has expired by a time of the service; not known where either time is not."""
        return Answer.of(None if self.expires_at is None or now is None else self.expires_at <= now)


@dataclass(frozen=True)
class InstanceType:
    """An instance type of the catalogue."""

    id: str
    name: str
    gpus: int
    """How many GPUs a machine has; 0: the service does not say."""
    gpu: str
    hourly_price: Decimal | None = None
    """The on-demand price, USD per instance-hour; None where the service does not say one, or says 0."""

    @property
    def spelling(self) -> str:
        """The short spelling of Flow's documentation: `8xa100`."""
        return f"{self.gpus}x{self.gpu.lower()}" if self.gpus and self.gpu else self.name

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> InstanceType:
        """Return an InstanceTypeModel as an InstanceType."""
        gpus, gpu = int(row.get("num_gpus") or 0), str(row.get("gpu_type") or "")
        return cls(str(row["fid"]), str(row.get("name") or ""), gpus, gpu, _hourly_price(row.get("hourly_price")))


@dataclass(frozen=True)
class Offer:
    """An instance type on offer in a region, at the price of the last auction (USD per instance-hour)."""

    instance_type: str
    region: str
    price: Decimal | None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Offer:
        """Return an AuctionModel as an Offer."""
        return cls(str(row["instance_type"]), str(row["region"]), money.from_wire(row.get("last_instance_price")))


@dataclass(frozen=True)
class Quota:
    """How much of something a project may hold. None: the service does not say."""

    product: str
    """The id of the instance type, `it_...`, or STORAGE."""
    total: int | None
    used: int | None
    units: str
    """"instances", "GB"."""

    @property
    def free(self) -> int | None:
        """What is left of it."""
        return None if self.total is None or self.used is None else self.total - self.used

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Quota | None:
        """Return a QuotaModel as a Quota; None for a product that nothing here uses."""
        kind, instance_type = str(row.get("product_type") or "").lower(), row.get("instance_type")
        if kind != ("spot" if instance_type else STORAGE):
            return None
        total, used = (_integer(row.get(name)) for name in ("total_quantity", "used_quantity"))
        return cls(str(instance_type or STORAGE), total, used, str(row.get("units") or ""))


def _id(row: Mapping[str, Any]) -> str:
    """Return the id of a row. Raises ValueError where it has none: then it is not a row of a listing."""
    if not isinstance(row.get("fid"), str) or not row["fid"]:
        raise ValueError("a row of the service has no id")
    return str(row["fid"])


def _text(value: Any) -> str | None:
    """Return a text; None for one that is empty, and for what is none."""
    return value if isinstance(value, str) and value else None


def _integer(value: Any) -> int | None:
    """Return a whole number; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value // 1:
        return None
    return int(value)


def _hourly_price(value: Any) -> Decimal | None:
    """Return a price that the catalogue writes as a number of dollars, to the cent; None for 0 and for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < money.LIMIT:
        return None
    return money.known_price(round(Decimal(repr(value)), 2))


def _ids(value: Any) -> tuple[str, ...] | None:
    """Return a list of ids; None for what is none."""
    return tuple(map(str, value)) if isinstance(value, list) else None


def _split_host(destination: object) -> tuple[str | None, int | None]:
    text = str(destination or "").strip()
    if not text:
        return None, None
    host, colon, port = text.rpartition(":")
    if colon and port.isdecimal() and (":" not in host or host.startswith("[")):
        return host.strip("[]"), int(port)
    return text.strip("[]"), 22
