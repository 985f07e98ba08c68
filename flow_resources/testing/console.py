"""The console of a fake cloud: what a test can see and do behind the back of whoever talks to it over HTTP.

One surface for a cloud in this process (`FakeMithril`) and for one in another (`RemoteMithril`): each verb only says
its name and arguments, and `_ask` has it performed. Verbs raise KeyError for an id that does not exist and ValueError,
with the name of the argument, for what cannot be.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from flow_resources.testing.rows import Bid, Instance, MarketRow, NewSshKey, Project, Reservation, SshKey, Volume
from flow_resources.testing.service.errors import NotFoundError, sentence

if TYPE_CHECKING:
    from flow_resources.testing.service.lifecycle import Transition


class Console(ABC):
    """Everything that can be seen and done; all rows are plain dicts in the API's own form."""

    @abstractmethod
    def _ask(self, verb: str, /, **arguments: Any) -> Any:
        """Have one verb performed."""

    # --- what there is ---

    @property
    def bids(self) -> list[Bid]:
        """Every bid there ever was, in the order of submission."""
        return cast("list[Bid]", self._ask("bids"))

    @property
    def live_bids(self) -> list[Bid]:
        """The bids that have not ended."""
        return [bid for bid in self.bids if bid["status"] != "Terminated"]

    @property
    def instances(self) -> list[Instance]:
        """Every machine there ever was."""
        return cast("list[Instance]", self._ask("instances"))

    @property
    def reservations(self) -> list[Reservation]:
        """Every reservation there ever was, in the order of creation."""
        return cast("list[Reservation]", self._ask("reservations"))

    @property
    def volumes(self) -> list[Volume]:
        """The volumes that are not deleted."""
        return cast("list[Volume]", self._ask("volumes"))

    @property
    def ssh_keys(self) -> list[SshKey]:
        """Every SSH key."""
        return cast("list[SshKey]", self._ask("ssh-keys"))

    @property
    def spend(self) -> float:
        """What a real account would have paid so far, in USD: the spot price for the time that bids held machines."""
        return float(self._ask("spend")["total_usd"])

    @property
    def spend_by_bid(self) -> dict[str, float]:
        """What each bid has cost so far, in USD."""
        return cast("dict[str, float]", self._ask("spend")["bids"])

    @property
    def market(self) -> list[MarketRow]:
        """Price and capacity of every type in every region."""
        return cast("list[MarketRow]", self._ask("market"))

    def bid(self, bid_id: str) -> Bid:
        """Return one bid."""
        return cast("Bid", self._ask("bid", bid_id=bid_id))

    def price(self, instance_type: str, region: str) -> float:
        """Return the spot price, in USD per machine and hour."""
        return self.price_history(instance_type, region, hours=0.0)[-1][1]

    def price_history(self, instance_type: str, region: str, *, hours: float = 24.0) -> list[tuple[float, float]]:
        """Return (seconds since 1970, USD per machine and hour): each change over the last hours, the oldest first."""
        points = self._ask("price-history", instance_type=instance_type, region=region, hours=hours)
        return [(at, price) for at, price in points]

    # --- the market ---

    def set_price(self, instance_type: str, region: str, price: float | None) -> None:
        """Set the spot price in USD per machine and hour, for good; None gives it back to the market.

        Bids held out by `preempt` are let in again. A place whose price is set has no other bidders.
        """
        self._ask("set-price", instance_type=instance_type, region=region, price=price)

    def set_path(self, instance_type: str, region: str, path: Sequence[tuple[float, float | None]]) -> None:
        """Plan the price: (seconds from now, USD per machine and hour or None) in place of what was planned before."""
        self._ask("set-path", instance_type=instance_type, region=region, path=[list(point) for point in path])

    def set_capacity(self, instance_type: str, region: str, machines: int) -> None:
        """Set how many machines there are, taken ones included. Bids held out by `preempt` are let in again."""
        self._ask("set-capacity", instance_type=instance_type, region=region, machines=machines)

    def set_quota(self, product: str, total: int, *, project: str | None = None) -> None:
        """Set how many machines of a type a project may hold, or, for "storage", how many GB."""
        self._ask("set-quota", product=product, total=total, project=project)

    def hold_auction(self) -> None:
        """Hold an auction everywhere, now, whenever the next one is due."""
        self._ask("hold-auction")

    # --- the lives of bids ---

    def preempt(self, bid_id: str, notice_seconds: float | None = None) -> Bid:
        """Take a bid's machines away: Preempting for the notice (by default the cloud's own), then Open.

        The bid stays out of the auction until `release`, a new price or capacity in its place, a higher limit, or a
        pause and resume.
        """
        return cast("Bid", self._ask("preempt", bid_id=bid_id, notice_seconds=notice_seconds))

    def release(self, bid_id: str) -> Bid:
        """Let a preempted bid take part in the auction again."""
        return cast("Bid", self._ask("release", bid_id=bid_id))

    def fail_boot(self, bid_id: str) -> Bid:
        """Put the machines that a bid holds into STATUS_ERROR; they stay there until the bid boots them again."""
        return cast("Bid", self._ask("fail-boot", bid_id=bid_id))

    def terminate(self, bid_id: str) -> Bid:
        """End a bid at once, also one that is slowly being cancelled."""
        return cast("Bid", self._ask("terminate", bid_id=bid_id))

    def finish(self, what: Transition, bid_id: str | None = None) -> None:
        """End now what takes time, of one bid or of all.

        auction: hold it; boot: machines run (or fail); notice: what is Preempting is Open; cancel: what is being
        cancelled is Terminated; detach: ended bids let go of their volumes.
        """
        self._ask("finish", what=what, bid_id=bid_id)

    # --- behind everybody's back ---

    def add_project(self, name: str, *, keys: Iterable[str] = ()) -> Project:
        """Add a project, for these keys to see."""
        return cast("Project", self._ask("add-project", name=name, keys=list(keys)))

    def add_key(self, key: str, projects: Iterable[str]) -> None:
        """Add a key of another account, or let a known key see more projects."""
        self._ask("add-key", key=key, projects=list(projects))

    def add_ssh_key(
        self, name: str, public_key: str | None = None, *, project: str | None = None, required: bool = False
    ) -> NewSshKey:
        """Add an SSH key; without a public key one is made, and the row has its `private_key`."""
        key = {"name": name, "public_key": public_key, "required": required, "project": project}
        return cast("NewSshKey", self._ask("add-ssh-key", **key))

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
        """Place a bid as somebody else would."""
        wanted = {
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
        return cast("Bid", self._ask("add-bid", **wanted))

    def add_volume(
        self,
        name: str = "somebody-elses",
        *,
        size_gb: int = 100,
        interface: str = "File",
        region: str | None = None,
        project: str | None = None,
    ) -> Volume:
        """Make a volume as somebody else would."""
        wanted = {"name": name, "disk_interface": interface, "region": region or self.region, "size_gb": size_gb}
        return cast("Volume", self._ask("add-volume", **wanted, project=project))

    def update_bid(
        self,
        bid_id: str,
        *,
        limit_price: str | None = None,
        paused: bool | None = None,
        volumes: Sequence[str] | None = None,
    ) -> Bid:
        """Change a bid as the console would."""
        change = {"limit_price": limit_price, "paused": paused, "volumes": None if volumes is None else list(volumes)}
        return cast("Bid", self._ask("update-bid", bid_id=bid_id, **change))

    def update_volume(self, volume_id: str, *, name: str) -> Volume:
        """Rename a volume as the console would."""
        return cast("Volume", self._ask("update-volume", volume_id=volume_id, name=name))

    def delete_volume(self, volume_id: str, *, force: bool = False) -> None:
        """Delete a volume; with `force` also one that a bid uses, which goes on listing it."""
        self._ask("delete-volume", volume_id=volume_id, force=force)

    # --- the cloud as a whole ---

    @property
    @abstractmethod
    def region(self) -> str:
        """The region that is meant where none is named."""

    def set_options(self, **options: object) -> None:
        """Change switches of `Options` while the cloud runs; they count from now on."""
        self._ask("set-options", **options)

    def set_latency(self, seconds: float) -> None:
        """Make every answer of the service wait that many real seconds."""
        self._ask("set-latency", seconds=seconds)

    def clear_requests(self) -> None:
        """Forget what was asked."""
        self._ask("clear-requests")

    def reset(self, seed: int | None = None) -> None:
        """Begin anew, with the story of a seed: only accounts, their keys and projects stay."""
        self._ask("reset", seed=seed)


def python_error(status: int, detail: Any) -> Exception:
    """Return what Python raises where the service would answer with this status and detail."""
    return (KeyError if status == NotFoundError.status else ValueError)(sentence(detail))
