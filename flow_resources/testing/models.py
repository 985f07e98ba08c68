"""The rows that the console returns: plain dicts as the API writes them, typed for editors and type checkers."""

from __future__ import annotations

from typing import Literal, TypedDict

BidStatus = Literal["Open", "Allocated", "Preempting", "Terminated", "Paused"]


class LaunchSpecification(TypedDict):
    """What the machines of a bid or a reservation are launched with."""

    volumes: list[str]
    ssh_keys: list[str]
    startup_script: str | None
    kubernetes_cluster: str | None
    image_version: str | None
    memory_gb: int | None


class Order(TypedDict):
    """The fields that bids and reservations share."""

    fid: str
    name: str
    project: str
    created_by: str
    created_at: str
    deactivated_at: str | None
    instance_quantity: int
    instance_type: str
    region: str
    instances: list[str]
    launch_specification: LaunchSpecification


class Bid(Order):
    """A bid; `limit_price` is in USD per machine and hour, such as "$50.00"."""

    limit_price: str
    status: BidStatus


class Instance(TypedDict):
    """A machine; its addresses are None while it cannot be reached."""

    fid: str
    name: str
    project: str
    created_at: str
    created_by: str
    instance_type: str
    region: str
    bid: str | None
    reservation: str | None
    ssh_destination: str | None
    private_ip: str | None
    status: str


class Boot(TypedDict):
    """A boot of a machine that has finished.

    `number` is 1 for the first boot of its boot disk. `runs` is what ran at it: the "start-up script", the names of the
    systemd units that the script had installed, or nothing.
    """

    bid: str
    instance: str
    name: str
    at: str
    number: int
    runs: list[str]


class Reservation(Order):
    """Machines for a fixed time at a fixed price; prices are in USD, such as "$50.00"."""

    status: Literal["Pending", "Active", "Paused", "Canceled", "Ended"]
    start_time: str
    end_time: str
    total_price: str
    unit_price: str


class Volume(TypedDict):
    """A volume, with the live bids and reservations that use it."""

    fid: str
    name: str
    region: str
    created_at: str
    deleted_at: str | None
    capacity_gb: int
    project: str
    interface: Literal["Block", "File"]
    bids: list[str]
    reservations: list[str]
    attachments: dict[str, object]


class SshKey(TypedDict):
    """An SSH key of a project."""

    fid: str
    name: str
    project: str
    public_key: str
    created_at: str
    required: bool


class NewSshKey(SshKey):
    """A newly created SSH key; `private_key` is set where the cloud generated the pair."""

    private_key: str | None


class Project(TypedDict):
    """A project."""

    fid: str
    name: str
    created_at: str


class MarketRow(TypedDict):
    """The market of one instance type in one region.

    `price` is in USD per machine and hour; `by_hand` tells whether a test set it. `capacity` is the number of machines
    in all, `used` of those that bids hold, `free` of those that nobody holds.
    """

    instance_type: str
    type: str
    full_name: str
    region: str
    price: float
    by_hand: bool
    capacity: int
    used: int
    free: int
