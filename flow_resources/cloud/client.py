"""What the verbs may ask of the service: one method a question, in this package's own words.

One `Cloud` serves all threads of a process. Existence is read from raw bids and instances, never from the SDK's task
status, which can call a live bid cancelled. Listings are exhausted or they fail: a cut one proves nothing.
"""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow_resources.clock import Clock
from flow_resources.cloud.errors import translating_errors
from flow_resources.cloud.launch import Launch, idempotency_key, task_config
from flow_resources.cloud.listings import Listings, every_row
from flow_resources.cloud.retry_budget import RetryBudget
from flow_resources.cloud.sdk import open_client
from flow_resources.cloud.settings import Settings
from flow_resources.cloud.startup_script import mounts_in, too_large
from flow_resources.core import money
from flow_resources.core.market import Market
from flow_resources.core.models import LIVE_INSTANCES, Bid, Instance, InstanceType, Offer, StoredVolume
from flow_resources.core.status import ClusterSnapshot
from flow_resources.errors import (
    AccountMismatchError,
    ConfigError,
    FlowResourcesError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from flow.sdk.client import Flow

    from flow_resources.cloud.transport import Transport

_ROLLBACK_LOOKS, _ROLLBACK_PAUSE = 5, 0.5  # seconds
# The words with which the SDK asks for a name before it places a bid: the same question is then asked once.
_NEWEST_FIRST = {"sort_by": "created_at", "sort_dir": "desc"}
_LIVE_INSTANCES = ",".join(f"STATUS_{word.upper()}" for word in LIVE_INSTANCES)


@dataclass(frozen=True)
class Placed:
    """A bid that was just placed, and the platform SSH keys that the SDK made on the way."""

    bid: Bid
    new_keys: tuple[Path, ...] = ()
    """Where their private halves lie; the file has the key's name."""


@dataclass(frozen=True)
class Project:
    """The project that everything happens in."""

    id: str
    name: str


class Cloud:
    """The service, as one key and one project see it.

    `patience` tells how long whoever asks now may ask again where no answer comes.
    """

    def __init__(self, settings: Settings, clock: Clock, patience: Callable[[], RetryBudget]) -> None:
        self.settings, self._clock, self._patience = settings, clock, patience
        self._now = clock.now
        self._opening = threading.Lock()
        self._client: Flow | None = None
        self._project: Project | None = None
        self._listings = Listings(self._list_bids, self._list_instances, self._now)

    # -- the account ------------------------------------------------------------------------------------------

    def project(self) -> Project:
        """Return the project of the settings, proven to be one that the key lists.

        Raises AccountMismatchError when the key does not list it, and when none is set and the account has several.
        """
        if self._project is None:
            rows = self.projects()
            wanted = self.settings.project
            found = [row for row in rows if wanted in (None, row.id, row.name)]
            if len(found) != 1:
                names = ", ".join(sorted(row.name for row in rows)) or "none"
                raise AccountMismatchError(
                    f"project {wanted!r} is not among the projects of this API key at {self.settings.api_url} ({names})"
                    if wanted
                    else f"no project is set, and this API key at {self.settings.api_url} has several ({names})",
                    "`pulumi config set flow:project ...`, or use the key of the right account",
                )
            self._project = found[0]
            self._flow.provider.ctx.select_project(self._project.id)
        return self._project

    def user(self) -> str:
        """Return the id of the user whose key this is."""
        with self._translating_errors("ask whose API key this is"):
            me = self._api.get_me()
            return str(me.get("fid") or me.get("id"))

    @property
    def known_project(self) -> Project | None:
        """The project, where somebody has asked for it already."""
        return self._project

    def projects(self) -> list[Project]:
        """List the projects of the key. Raises ConfigError where something else than the service answers."""
        try:
            with self._translating_errors("list the projects of the API key"):
                return [Project(str(row["fid"]), str(row["name"])) for row in self._api.list_projects()]
        except NotFoundError as error:  # every account has this list: whoever does not know it is not the service
            raise ConfigError(
                f"{self.settings.api_url} does not answer like Mithril's API ({error.message})",
                "flow:apiUrl or MITHRIL_API_URL must be its address alone, without a path",
            ) from error

    # -- the market -------------------------------------------------------------------------------------------

    def market(self, *, volumes: bool = False) -> Market:
        """Read the catalogue and what is on offer, and the project's volumes where they matter."""
        with self._translating_errors("read the market"):
            types = [InstanceType.read(row) for row in self._api.list_instance_types({}).rows]
            offers = [Offer.read(row) for row in self._api.list_spot_availability({}).rows]
        stored = self.volumes(begun_after=self._now() - 5) if volumes else []
        regions = sorted({one.region for one in offers} | set(self._known_regions()))
        return Market(types, offers, regions, {one.id: one for one in stored})

    def ssh_keys(self) -> dict[str, str]:
        """Return the project's platform keys, id by name and id by id."""
        with self._translating_errors("list the SSH keys"):
            rows = self._api.list_ssh_keys({"project": self.project().id})
            return {str(row.get(what)): str(row["fid"]) for row in rows for what in ("name", "fid")}

    # -- bids: reading ----------------------------------------------------------------------------------------

    def live_bids(self, begun_after: float) -> dict[str, Bid]:
        """Return the live bids of the project by id, from one listing shared by all who ask.

        The listing begins at or after `begun_after` (monotonic seconds).
        """
        return self._listings.live(begun_after)

    def recently_allocated(self, bid_id: str) -> Bid | None:
        """Return a bid that had machines within the last minute; its id, name and project never change.

        None proves nothing: it may have none, it may have ended, and the listing may have failed.
        """
        with contextlib.suppress(FlowResourcesError), self._patience().suspended():
            return self._listings.recently_allocated(bid_id)
        return None

    def observe(self, bid_id: str, begun_after: float) -> ClusterSnapshot | None:
        """Look at a bid and its machines; None only when the service answers 404 for it."""
        return self._with_machines(self._listings.bid(bid_id, begun_after) or self.bid(bid_id), begun_after)

    def observe_while_waiting(self, bid_id: str, begun_after: float) -> ClusterSnapshot | None:
        """Do the same for one who waits: fewer listings tell where what is waited for comes about."""
        return self._with_machines(self._listings.waited_for(bid_id, begun_after) or self.bid(bid_id), begun_after)

    def _with_machines(self, bid: Bid | None, begun_after: float) -> ClusterSnapshot | None:
        return None if bid is None else ClusterSnapshot(bid, self._listings.machines(bid, begun_after))

    def bid(self, bid_id: str) -> Bid | None:
        """Return one bid, fresh; None only when the service answers 404."""
        try:
            with self._translating_errors(f"read bid {bid_id}"):
                return Bid.read(self._api.get_bid(bid_id))
        except NotFoundError:
            return None

    def mount_paths(self, bid_id: str) -> dict[str, str]:
        """Return where a bid mounts its volumes, by volume id, as far as its launch tells."""
        try:
            with self._translating_errors(f"read bid {bid_id}"):
                launch = self._api.get_bid(bid_id).get("launch_specification") or {}
        except NotFoundError:
            return {}
        return mounts_in(str(launch.get("startup_script") or ""))

    def bids_named(self, name: str) -> list[Bid]:
        """Return the bids of exactly this name, newest first, the ended ones too."""
        with self._translating_errors(f"look for bids named {name!r}"):
            rows = every_row(self._list_named, {"project": self.project().id, "name": name, **_NEWEST_FIRST})
            return [bid for bid in map(Bid.read, rows) if bid.name == name]

    def history(self, bid_id: str) -> tuple[str, ...] | None:
        """Return a bid's event types, oldest first; None where they cannot be read."""
        try:
            with self._translating_errors(f"read the history of bid {bid_id}"):
                answer = self._http.request("GET", f"/v2/spot/bids/{bid_id}/history")
                return tuple(str(event["event_type"]) for event in answer["events"])
        except FlowResourcesError:
            return None  # it only tells how often; nothing is decided by it

    # -- bids: writing ----------------------------------------------------------------------------------------

    def place(self, launch: Launch) -> Placed:
        """Place a bid through `Flow.run`, named exactly as asked, and return it however the answer came.

        Raises RejectedError (nothing was placed), ApprovalPendingError (nothing yet), UnavailableError (it may exist).
        """
        seen = self._http.seen
        seen.bid, seen.keys = None, []
        try:
            with self._translating_errors(f"place the bid {launch.name!r}"):
                self._flow.run(task_config(launch))
            return Placed(Bid.read(seen.bid), self._key_files(seen.keys))
        except Exception:
            # The SDK can fail after the service has accepted the bid; it then cancels it, or could not.
            if seen.bid is None or self._ends(str(seen.bid["fid"])):
                raise
            return Placed(Bid.read(seen.bid), self._key_files(seen.keys))
        finally:
            self._listings.placed()

    def too_large(self, launch: Launch) -> str:
        """Say that the start-up script of a launch is too large for the service; empty where it fits.

        The SDK writes it and compresses it where that helps. Nothing is sent.
        """
        with self._translating_errors("write the start-up script"):
            return too_large(self._flow.provider.ctx.script_prep, launch)

    def _ends(self, bid_id: str) -> bool:
        """Whether a bid that the SDK may be cancelling ends within moments; False also where nobody can say."""
        for _ in range(_ROLLBACK_LOOKS):
            with contextlib.suppress(FlowResourcesError):
                bid = self.bid(bid_id)
                if bid is None or bid.ended:
                    return True
            self._clock.sleep(_ROLLBACK_PAUSE)
        return False

    def _key_files(self, names: list[str]) -> tuple[Path, ...]:
        folder = Path(self._flow.provider.ctx.ssh_key_mgr._key_dir)  # noqa: SLF001 - the SDK says it nowhere else
        return tuple(folder / name for name in names)

    def set_price(self, bid_id: str, price: Decimal) -> None:
        """Change the bid: one PATCH, no restart."""
        with self._translating_errors(f"set the price of bid {bid_id}"), self._listings.changing(bid_id):
            self._flow.bids.update_limit_price(bid_id, money.to_wire(price))

    def set_paused(self, bid_id: str, *, paused: bool) -> None:
        """Pause or resume the bid."""
        with (
            self._translating_errors(f"{'pause' if paused else 'resume'} bid {bid_id}"),
            self._listings.changing(bid_id),
        ):
            self._flow.bids.set_paused(bid_id, paused=paused)

    def cancel(self, bid_id: str) -> None:
        """Ask for the end of a bid; one that is gone or ended already counts."""
        try:
            with self._translating_errors(f"cancel bid {bid_id}"), self._listings.changing(bid_id):
                self._api.cancel_bid(bid_id)
        except NotFoundError:
            return
        except RejectedError:
            bid = self.bid(bid_id)
            if bid and not bid.ended:
                raise

    # -- volumes ----------------------------------------------------------------------------------------------

    def volumes(self, begun_after: float, *, with_deleted: bool = False) -> list[StoredVolume]:
        """List the project's volumes; `begun_after` as in `live_bids`."""
        params: dict[str, Any] = {"project": self.project().id}
        if with_deleted:
            params["include_deleted"] = "true"
        with self._translating_errors("list the volumes"):
            answer = self._http.shared("/v2/volumes", params).get(begun_after)
            if isinstance(answer, dict) and answer.get("next_cursor"):
                raise UnavailableError(
                    "the listing of the volumes is cut", "it proves nothing; run the same command again"
                )
            rows = answer if isinstance(answer, list) else answer["data"]
            every = map(StoredVolume.read, rows)
            return [one for one in every if with_deleted or not one.deleted]

    def create_volume(self, name: str, size_gb: int, interface: str, region: str, key: str) -> StoredVolume:
        """Make a volume; `key` tells the service that two sendings are one request.

        A service that knows the key answers with what it made then, whatever that is called now.
        """
        with self._translating_errors(f"create the volume {name!r}"):
            self._flow.volumes.create(
                size_gb, name=name, interface=interface, region=region, idempotency_key=idempotency_key(key)
            )
            return StoredVolume.read(self._http.seen.volume)

    def rename_volume(self, volume_id: str, name: str) -> None:
        """Change a volume's name."""
        with self._translating_errors(f"rename volume {volume_id} to {name!r}"):
            self._http.request("PATCH", f"/v2/volumes/{volume_id}", json={"name": name})

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume; one that is gone already counts. Raises RejectedError while something holds it."""
        try:
            with self._translating_errors(f"delete volume {volume_id}"):
                self._flow.volumes.delete(volume_id)
        except NotFoundError:
            return

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    # -- inside -----------------------------------------------------------------------------------------------

    @property
    def _flow(self) -> Flow:
        if self._client is None:
            with self._opening, self._translating_errors("start the Flow SDK"):
                if self._client is None:
                    self._client = open_client(self.settings, self._clock, self._patience)
        return self._client

    @property
    def _api(self) -> Any:
        return self._flow.provider.ctx.api

    @property
    def _http(self) -> Transport:
        http: Transport = self._flow.provider.ctx.http
        return http

    def _translating_errors(self, what: str) -> Any:
        return translating_errors(self.settings, what)

    def _list_bids(self, status: str) -> dict[str, Bid]:
        params = {"project": self.project().id, "status": status}
        with self._translating_errors("list the bids"):
            return {bid.id: bid for bid in map(Bid.read, every_row(self._api.list_bids, params))}

    def _list_instances(self) -> dict[str, list[Instance]]:
        by_bid: dict[str, list[Instance]] = defaultdict(list)
        with self._translating_errors("list the instances"):
            params = {"project": self.project().id, "status_in": _LIVE_INSTANCES, "order_type_in": "Bid"}
            for machine in map(Instance.read, every_row(self._api.list_instances, params)):
                by_bid[machine.bid].append(machine)
        return by_bid

    def _list_named(self, params: dict[str, Any], **_: object) -> Any:
        from flow.utils.api_rows import ApiPage

        answer = self._http.shared("/v2/spot/bids", params).get(self._now())
        rows, cursor = (answer, None) if isinstance(answer, list) else (answer["data"], answer.get("next_cursor"))
        return ApiPage(rows=rows, next_cursor=cursor)

    @staticmethod
    def _known_regions() -> list[str]:
        from flow.domain.models.regions import BASE_VALID_REGIONS

        return list(BASE_VALID_REGIONS)
