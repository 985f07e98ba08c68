"""The service's rows, read once, at the border.

Readers are tolerant: a key or a word that the service adds later never fails a refresh. Field names follow the
OpenAPI document inside the flow-compute wheel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Protocol

from flow_resources.core import money

ENDED = "Terminated"
LIVE_STATUSES = ("Open", "Allocated", "Preempting", "Paused")
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
_GONE_INSTANCES = {"terminated", "preempted", "replaced", "stopped"}


class Named(Protocol):
    """A bid or a volume."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def created_at(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Bid:
    """A bid: one Flow task."""

    id: str
    name: str
    project: str
    status: str
    price: Decimal | None
    """USD per instance-hour."""
    quantity: int
    instance_type: str
    """The service's id of the type, `it_...`."""
    region: str | None
    instances: tuple[str, ...]
    volumes: tuple[str, ...]
    created_at: str
    ssh_keys: tuple[str, ...] = ()
    created_by: str = ""
    """The user whose key placed it."""

    @property
    def max_cost(self) -> Decimal | None:
        """The most that it can cost, USD per hour: its price times its machines; None where the price is not known."""
        return None if self.price is None else self.price * self.quantity

    @property
    def ended(self) -> bool:
        """Whether it is over for good. A preempted bid is not: it is Open, and comes back."""
        return self.status == ENDED

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Bid:
        """Read a BidModel."""
        launch = row.get("launch_specification") or {}
        return cls(
            id=str(row["fid"]),
            name=str(row.get("name") or ""),
            project=str(row.get("project") or ""),
            status=str(row.get("status") or ""),
            price=money.from_wire(row.get("limit_price")),
            quantity=int(row.get("instance_quantity") or 0),
            instance_type=str(row.get("instance_type") or ""),
            region=row.get("region"),
            instances=tuple(row.get("instances") or ()),
            volumes=tuple(launch.get("volumes") or ()),
            created_at=str(row.get("created_at") or ""),
            ssh_keys=tuple(launch.get("ssh_keys") or ()),
            created_by=str(row.get("created_by") or ""),
        )


@dataclass(frozen=True)
class Instance:
    """One instance of a bid."""

    id: str
    bid: str
    status: str
    """The service's word without `STATUS_`, in lower case."""
    public_ip: str | None
    ssh_port: int | None
    private_ip: str | None

    @property
    def gone(self) -> bool:
        """Whether it will not come back under this id."""
        return self.status in _GONE_INSTANCES

    @property
    def up(self) -> bool:
        """Whether it runs and can be reached."""
        return self.status == "running" and self.public_ip is not None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Instance:
        """Read an InstanceModel. `ssh_destination` is a host, or host:port; port 22 when none is said."""
        host, port = _split_host(row.get("ssh_destination"))
        return cls(
            id=str(row["fid"]),
            bid=str(row.get("bid") or ""),
            status=str(row.get("status") or "").removeprefix("STATUS_").lower(),
            public_ip=host,
            ssh_port=port,
            private_ip=row.get("private_ip") or None,
        )


@dataclass(frozen=True)
class StoredVolume:
    """A volume as the service holds it."""

    id: str
    name: str
    project: str
    size_gb: int
    interface: str
    """"file" or "block"."""
    region: str
    bids: tuple[str, ...]
    created_at: str
    deleted: bool

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> StoredVolume:
        """Read a VolumeModel."""
        return cls(
            id=str(row["fid"]),
            name=str(row.get("name") or ""),
            project=str(row.get("project") or ""),
            size_gb=int(row.get("capacity_gb") or 0),
            interface=str(row.get("interface") or "").lower(),
            region=str(row.get("region") or ""),
            bids=tuple(row.get("bids") or ()),
            created_at=str(row.get("created_at") or ""),
            deleted=bool(row.get("deleted_at")),
        )


@dataclass(frozen=True)
class InstanceType:
    """A row of the catalogue."""

    id: str
    name: str
    gpus: int
    gpu: str

    @property
    def spelling(self) -> str:
        """The short spelling that Flow teaches: `8xa100`."""
        return f"{self.gpus}x{self.gpu.lower()}" if self.gpus and self.gpu else self.name

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> InstanceType:
        """Read an InstanceTypeModel."""
        gpus, gpu = int(row.get("num_gpus") or 0), str(row.get("gpu_type") or "")
        return cls(str(row["fid"]), str(row.get("name") or ""), gpus, gpu)


@dataclass(frozen=True)
class Offer:
    """What the market has: a type in a region, at the price of the last auction (USD per instance-hour)."""

    instance_type: str
    region: str
    price: Decimal | None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Offer:
        """Read an AuctionModel."""
        return cls(str(row["instance_type"]), str(row["region"]), money.from_wire(row.get("last_instance_price")))


def age_of(created_at: str, now: datetime) -> timedelta | None:
    """Return how old something is by the time that the service gave it; None where that cannot be read."""
    born = _moment(created_at)
    return None if born is None else now - born


def is_older(created_at: str, other: str) -> bool:
    """Whether something was made before something else was; False where either time cannot be read."""
    born, later = _moment(created_at), _moment(other)
    return born is not None and later is not None and born < later


def latest(moments: Iterable[str]) -> str:
    """Return the latest of the service's times; empty where there is none that can be read."""
    known = [(moment, one) for one in moments if (moment := _moment(one))]
    return max(known, default=(None, ""))[1]


def _moment(created_at: str) -> datetime | None:
    """Read a time of the service. As text, times do not compare: a fraction of a second may be left out."""
    try:
        moment = datetime.fromisoformat(created_at.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _split_host(destination: object) -> tuple[str | None, int | None]:
    text = str(destination or "").strip()
    if not text:
        return None, None
    host, colon, port = text.rpartition(":")
    if colon and port.isdecimal() and (":" not in host or host.startswith("[")):
        return host.strip("[]"), int(port)
    return text.strip("[]"), 22
