"""The console of a fake cloud: what a test can read and change besides the API that the tested program uses.

`FakeMithril` (a cloud in this process) and `RemoteMithril` (a cloud in another process) share this interface. Each
method passes the name of a verb and its arguments to `_perform`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from flow_resources.testing.models import (
    Bid,
    Boot,
    Instance,
    MarketRow,
    NewSshKey,
    Project,
    Reservation,
    SshKey,
    Volume,
)
from flow_resources.testing.service.errors import NotFoundError, sentence

if TYPE_CHECKING:
    from flow_resources.testing.service.lifecycle import Transition


class Console(ABC):
    """The interface of a fake cloud for tests. All rows are plain dicts as the API writes them.

    Methods raise KeyError for an id that does not exist, and ValueError, naming the argument, for an invalid value or
    for a change that the present status does not allow.
    """

    @abstractmethod
    def _perform(self, verb: str, /, **arguments: Any) -> Any:
        """Perform one verb and return its result."""

    # --- reading ---

    @property
    def bids(self) -> list[Bid]:
        """All bids, including terminated ones, in the order of submission."""
        return cast("list[Bid]", self._perform("bids"))

    @property
    def live_bids(self) -> list[Bid]:
        """The bids that are not terminated, in the order of submission."""
        return [bid for bid in self.bids if bid["status"] != "Terminated"]

    @property
    def instances(self) -> list[Instance]:
        """All machines, including those that have ended, in the order of creation."""
        return cast("list[Instance]", self._perform("instances"))

    @property
    def reservations(self) -> list[Reservation]:
        """All reservations, including ended ones, in the order of creation."""
        return cast("list[Reservation]", self._perform("reservations"))

    @property
    def volumes(self) -> list[Volume]:
        """The volumes that are not deleted, in the order of creation."""
        return cast("list[Volume]", self._perform("volumes"))

    @property
    def ssh_keys(self) -> list[SshKey]:
        """All SSH keys, of every project."""
        return cast("list[SshKey]", self._perform("ssh-keys"))

    @property
    def spend(self) -> float:
        """The total cost so far, in USD: the spot price for the time that bids held machines."""
        return float(self._perform("spend")["total_usd"])

    @property
    def spend_by_bid(self) -> dict[str, float]:
        """The cost of each bid so far, in USD, by bid id."""
        return cast("dict[str, float]", self._perform("spend")["bids"])

    @property
    def market(self) -> list[MarketRow]:
        """Price and capacity of every instance type in every region; prices in USD per machine and hour."""
        return cast("list[MarketRow]", self._perform("market"))

    def bid(self, bid_id: str) -> Bid:
        """Return the bid with this id. Raises KeyError if there is none."""
        return cast("Bid", self._perform("bid", bid_id=bid_id))

    def boots(self, bid_id: str) -> list[Boot]:
        """Return each boot of a bid's machines that has finished, oldest first, and what ran at it.

        A boot disk is kept until its bid ends. Its first boot runs the start-up script; a later one, after a
        preemption, a pause or a relocation, runs only the systemd units that the script has installed, unless the
        option `startup_script_runs` says otherwise.
        """
        return cast("list[Boot]", self._perform("boots", bid_id=bid_id))

    def price(self, instance_type: str, region: str) -> float:
        """Return the present spot price, in USD per machine and hour."""
        return self.price_history(instance_type, region, hours=0.0)[-1][1]

    def price_history(self, instance_type: str, region: str, *, hours: float = 24.0) -> list[tuple[float, float]]:
        """Return (seconds since 1970, USD per machine and hour) for each change in the last `hours`, oldest first."""
        points = self._perform("price-history", instance_type=instance_type, region=region, hours=hours)
        return [(at, price) for at, price in points]

    # --- the market ---

    def set_price(self, instance_type: str, region: str, price: float | None) -> None:
        """Set the spot price, in USD per machine and hour, until it is set again; None returns it to the market.

        Bids of this type and region that `preempt` excluded from auctions take part again. While the price is set, no
        simulated bidders compete there.
        """
        self._perform("set-price", instance_type=instance_type, region=region, price=price)

    def set_path(self, instance_type: str, region: str, path: Sequence[tuple[float, float | None]]) -> None:
        """Schedule prices as (seconds from now, USD per machine and hour, or None), replacing any earlier schedule."""
        self._perform("set-path", instance_type=instance_type, region=region, path=[list(point) for point in path])

    def set_capacity(self, instance_type: str, region: str, machines: int) -> None:
        """Set the total number of machines, including those in use.

        Bids of this type and region that `preempt` excluded from auctions take part again.
        """
        self._perform("set-capacity", instance_type=instance_type, region=region, machines=machines)

    def set_quota(self, product: str, total: int, *, project: str | None = None) -> None:
        """Set how many machines of a type a project may hold; with `product` "storage", how many GB of volumes.

        `project` is a name or an id, by default the cloud's own project.
        """
        self._perform("set-quota", product=product, total=total, project=project)

    def hold_auction(self) -> None:
        """Hold an auction for every type and region now, regardless of when the next one is due."""
        self._perform("hold-auction")

    # --- the status of bids ---

    def preempt(self, bid_id: str, notice_seconds: float | None = None) -> Bid:
        """Take the machines from an Allocated bid: it is Preempting during the notice, then Open.

        `notice_seconds` defaults to the option `preemption_notice_seconds`. The bid is excluded from auctions until
        `release`, a new price or capacity for its type and region, a higher limit price, or a pause and resume.
        """
        return cast("Bid", self._perform("preempt", bid_id=bid_id, notice_seconds=notice_seconds))

    def release(self, bid_id: str) -> Bid:
        """Let a preempted bid take part in auctions again."""
        return cast("Bid", self._perform("release", bid_id=bid_id))

    def fail_boot(self, bid_id: str) -> Bid:
        """Set the machines of an Allocated bid to STATUS_ERROR, until the bid boots machines again."""
        return cast("Bid", self._perform("fail-boot", bid_id=bid_id))

    def relocate(self, bid_id: str) -> Bid:
        """Move the machines of an Allocated bid to other hosts: they boot again from their boot disks."""
        return cast("Bid", self._perform("relocate", bid_id=bid_id))

    def terminate(self, bid_id: str) -> Bid:
        """Terminate a bid at once, including one whose cancellation takes time."""
        return cast("Bid", self._perform("terminate", bid_id=bid_id))

    def finish(self, what: Transition, bid_id: str | None = None) -> None:
        """Complete a transition that takes time now, for one bid or, without `bid_id`, for all.

        `what` is one of: "auction" (hold it everywhere), "boot" (machines run, or fail), "notice" (Preempting bids
        become Open), "cancel" (bids that are being cancelled become Terminated), "detach" (terminated bids release
        their volumes).
        """
        self._perform("finish", what=what, bid_id=bid_id)

    # --- changes by other users ---

    def add_project(self, name: str, *, keys: Iterable[str] = ()) -> Project:
        """Add a project and give these API keys access to it."""
        return cast("Project", self._perform("add-project", name=name, keys=list(keys)))

    def add_key(self, key: str, projects: Iterable[str]) -> None:
        """Add the API key of another user, or give an existing key access to more projects."""
        self._perform("add-key", key=key, projects=list(projects))

    def add_ssh_key(
        self, name: str, public_key: str | None = None, *, project: str | None = None, required: bool = False
    ) -> NewSshKey:
        """Add an SSH key. Without `public_key` the cloud generates a pair and the row has its `private_key`."""
        fields = {"name": name, "public_key": public_key, "required": required, "project": project}
        return cast("NewSshKey", self._perform("add-ssh-key", **fields))

    def add_bid(
        self,
        name: str = "somebody-elses",
        *,
        instance_type: str = "8xa100",
        region: str | None = None,
        limit_price: str = "$50.00",
        instance_quantity: int = 1,
        volumes: Sequence[str] = (),
        ssh_keys: Sequence[str] = (),
        startup_script: str | None = None,
        project: str | None = None,
    ) -> Bid:
        """Place a bid as another user would; `limit_price` is USD per machine and hour, such as "$50.00"."""
        fields = {
            "name": name,
            "instance_type": instance_type,
            "region": region or self.region,
            "limit_price": limit_price,
            "instance_quantity": instance_quantity,
            "volumes": list(volumes),
            "ssh_keys": list(ssh_keys),
            "startup_script": startup_script,
            "project": project,
        }
        return cast("Bid", self._perform("add-bid", **fields))

    def add_volume(
        self,
        name: str = "somebody-elses",
        *,
        size_gb: int = 100,
        interface: str = "File",
        region: str | None = None,
        project: str | None = None,
    ) -> Volume:
        """Create a volume as another user would; `interface` is "File" or "Block"."""
        fields = {"name": name, "disk_interface": interface, "region": region or self.region, "size_gb": size_gb}
        return cast("Volume", self._perform("add-volume", **fields, project=project))

    def update_bid(
        self,
        bid_id: str,
        *,
        limit_price: str | None = None,
        paused: bool | None = None,
        volumes: Sequence[str] | None = None,
    ) -> Bid:
        """Change a bid as another user would; None leaves a field as it is."""
        changes = {"limit_price": limit_price, "paused": paused, "volumes": None if volumes is None else list(volumes)}
        return cast("Bid", self._perform("update-bid", bid_id=bid_id, **changes))

    def update_volume(self, volume_id: str, *, name: str) -> Volume:
        """Rename a volume as another user would."""
        return cast("Volume", self._perform("update-volume", volume_id=volume_id, name=name))

    def delete_volume(self, volume_id: str, *, force: bool = False) -> None:
        """Delete a volume; with `force` even one that a bid uses, which continues to list it."""
        self._perform("delete-volume", volume_id=volume_id, force=force)

    # --- the cloud as a whole ---

    @property
    @abstractmethod
    def region(self) -> str:
        """The default region."""

    def set_options(self, **options: object) -> None:
        """Change options while the cloud runs; they apply from now on.

        The names are the keyword arguments of `FakeMithril` from `auction_seconds` on. Raises ValueError, naming the
        option, for an unknown name or an invalid value.
        """
        self._perform("set-options", **options)

    def set_latency(self, seconds: float) -> None:
        """Delay every response of the API by this many seconds of real time."""
        self._perform("set-latency", seconds=seconds)

    def clear_requests(self) -> None:
        """Clear the log of requests."""
        self._perform("clear-requests")

    def reset(self, seed: int | None = None) -> None:
        """Restart from an empty cloud, with the market of this seed, or a static market without one.

        API keys, projects and options that were set explicitly are kept.
        """
        self._perform("reset", seed=seed)


def python_error(status: int, detail: Any) -> Exception:
    """Return the Python exception for a response with this status and detail."""
    return (KeyError if status == NotFoundError.status else ValueError)(sentence(detail))
