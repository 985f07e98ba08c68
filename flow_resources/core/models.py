"""The service's JSON as typed values.

Reading is tolerant: a key or a status that the service adds later does not fail a refresh. Field names follow the
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
STORAGE = "storage"
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
        """The most that it can cost, in USD per hour: price times quantity; None where the price is not known."""
        return None if self.price is None else self.price * self.quantity

    @property
    def ended(self) -> bool:
        """Whether it has ended for good. A preempted bid has not: it is Open, and can win again."""
        return self.status == ENDED

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Bid:
        """Return a BidModel as a Bid."""
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
            id=str(row["fid"]),
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
        """Return a VolumeModel as a StoredVolume."""
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
    """An instance type of the catalogue."""

    id: str
    name: str
    gpus: int
    gpu: str

    @property
    def spelling(self) -> str:
        """The short spelling of Flow's documentation: `8xa100`."""
        return f"{self.gpus}x{self.gpu.lower()}" if self.gpus and self.gpu else self.name

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> InstanceType:
        """Return an InstanceTypeModel as an InstanceType."""
        gpus, gpu = int(row.get("num_gpus") or 0), str(row.get("gpu_type") or "")
        return cls(str(row["fid"]), str(row.get("name") or ""), gpus, gpu)


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
        total, used = (
            None if row.get(name) is None else int(row[name]) for name in ("total_quantity", "used_quantity")
        )
        return cls(str(instance_type or STORAGE), total, used, str(row.get("units") or ""))


def age_of(created_at: str, now: datetime) -> timedelta | None:
    """Return the age of something, by its `created_at`; None where that cannot be read."""
    moment = _moment(created_at)
    return None if moment is None else now - moment


def is_older(created_at: str, other: str) -> bool:
    """Whether a `created_at` is earlier than another one; False where either cannot be read."""
    moment, other_moment = _moment(created_at), _moment(other)
    return moment is not None and other_moment is not None and moment < other_moment


def latest(times: Iterable[str]) -> str:
    """Return the latest of several `created_at`; empty where none can be read."""
    known = [(moment, time) for time in times if (moment := _moment(time))]
    return max(known, default=(None, ""))[1]


def _moment(created_at: str) -> datetime | None:
    """Parse a time of the service. As text, times do not compare: the fraction of a second is optional."""
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
