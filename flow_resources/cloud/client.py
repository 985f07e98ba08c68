"""What the verbs may ask of the service: one method per request, with this package's own types.

Existence is read from raw bids and instances, never from the SDK's task status, which can call a live bid cancelled. A
listing is read to its end or fails: half a listing proves nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flow_resources.cloud.connection import Connection, Project
from flow_resources.cloud.footprint import rows_of_all_pages
from flow_resources.cloud.launch import Launch, idempotency_key
from flow_resources.cloud.listings import Page, Waited, Waiting
from flow_resources.cloud.parallel import read_together
from flow_resources.cloud.paths import (
    API_KEYS,
    BIDS,
    CURRENT_PRICES,
    INSTANCE_PRICES,
    NEWEST_FIRST,
    PRICE_HISTORY,
    QUOTAS,
    SSH_KEYS,
    VOLUMES,
)
from flow_resources.cloud.retry_budget import RetryBudget
from flow_resources.cloud.sdk import Sdk, why_not_writable
from flow_resources.cloud.settings import Settings
from flow_resources.cloud.startup_script import PlacedJob, mounts_in, too_large
from flow_resources.core import money, naming
from flow_resources.core.answer import Answer
from flow_resources.core.costs import PaidPeriod, paid_periods_in
from flow_resources.core.market import Market
from flow_resources.core.models import (
    ENDED,
    LIVE_STATUSES,
    Bid,
    BidEvent,
    JobKey,
    Quota,
    StoredKey,
    StoredVolume,
    in_order,
)
from flow_resources.core.prices import CurrentPrices, PriceHistory, regions_with_prices
from flow_resources.core.status import ClusterSnapshot
from flow_resources.errors import FlowResourcesError, NotFoundError, RejectedError, UnavailableError

if TYPE_CHECKING:
    from flow_resources.cloud.transport import Created

_RETRY = "run the same command again"
_ROLLBACK_LOOKS, _ROLLBACK_PAUSE = 5, 0.5  # seconds
_ENDED_BIDS = 1000
_PART, _MOST_PARTS = timedelta(days=7), 8
"""How long a part of a price history is, and how many are read at the same time at most: longer ones are then."""


@dataclass(frozen=True)
class Placed:
    """A bid that was just placed, and the platform SSH keys that the SDK made for it."""

    bid: Bid
    new_keys: tuple[Path, ...] = ()
    """Where their private halves lie; the file has the key's name."""
    doubles: tuple[Bid, ...] = ()
    """Other live bids of the same new name: a request whose answer was lost and the one after it both took effect."""


class MadeVolume(NamedTuple):
    """A volume that was just made."""

    volume: StoredVolume
    doubles: tuple[StoredVolume, ...] = ()
    """As of `Placed`."""


class MadeKey(NamedTuple):
    """An SSH key that was just made."""

    key: StoredKey
    doubles: tuple[StoredKey, ...] = ()
    """As of `Placed`."""


class Cloud:
    """The service as one verb sees it: a view of the process's connection, with the verb's own retry budget."""

    def __init__(self, connection: Connection, budget: RetryBudget) -> None:
        self._connection, self.budget = connection, budget

    @property
    def settings(self) -> Settings:
        """The settings of the connection."""
        return self._connection.settings

    def service_now(self) -> datetime | None:
        """Return the time of the service, as the `Date` of its answers tells it; no request is sent.

        None: not known, because no answer with a readable `Date` has arrived in this process.
        """
        return self._connection.service_clock.now()

    # -- the account ------------------------------------------------------------------------------------------

    def project(self) -> Project:
        """Return the project of the settings, proven to be one that the key lists.

        Raises AccountMismatchError when the key does not list it, and when none is set and the account has several.
        """
        return self._connection.project(self.budget)

    @property
    def known_project(self) -> Project | None:
        """The project, if this process has proven it already."""
        return self._connection.known_project

    def projects(self) -> list[Project]:
        """List the projects of the key. Raises ConfigError where something else than the service answers."""
        return self._connection.projects(self.budget)

    def user(self) -> str | None:
        """Return the id of the user whose key this is; None where the service does not say."""
        with self._sdk("ask whose API key this is") as sdk:
            user = sdk.api.get_me()
            id_ = user.get("fid") or user.get("id")
            return str(id_) if id_ else None

    # -- the market -------------------------------------------------------------------------------------------

    def market(self, *, volumes: bool = False) -> Market:
        """Read the catalogue and what is on offer, and the project's volumes where they matter."""
        with self._sdk("read the market") as sdk:
            catalogue = self._connection.catalogue = self._connection.catalogue.as_of(sdk)
        stored = self.volumes(begun_after=self._connection.clock.now() - 5) if volumes else []
        return Market(catalogue.types, catalogue.offers, catalogue.regions, {volume.id: volume for volume in stored})

    def current_prices(self, instance_type: str, region: str, machines: int = 1) -> CurrentPrices:
        """Read what a number of machines of a type (its id, `it_...`) cost in a region now."""
        query = {"instance_type": instance_type, "region": region, "instance_quantity": machines}
        with self._sdk(f"read the prices in {region}") as sdk:
            return CurrentPrices.read(sdk.transport.get(CURRENT_PRICES, self.budget, query))

    def price_history(self, instance_type: str, region: str, duration: timedelta) -> PriceHistory | None:
        """Read every change of the spot price of a type (its id, `it_...`) in a region over the last time.

        None where the service has none, or its time is not known. It can begin later than was asked for. A long one is
        read in parts at the same time, about a week each.
        """
        now = self.service_now()
        if now is None:
            return None
        parts = min(_MOST_PARTS, math.ceil(duration / _PART))
        moments = [now - duration * (parts - part) / parts for part in range(parts)]

        def read(start: datetime, end: datetime) -> Any:
            query = {"instance_types": instance_type, "region": region, **_window(start, end), "num_samples": -1}
            return sdk.transport.get(PRICE_HISTORY, dataclasses.replace(self.budget), query)

        reads = [functools.partial(read, *window) for window in zip(moments, [*moments[1:], now], strict=True)]
        with self._sdk(f"read the price history in {region}") as sdk:
            answers = zip(moments, read_together(reads), strict=True)
            return PriceHistory.read(answers, instance_type, region, now)

    def regions_with_history(self, instance_types: Collection[str], duration: timedelta) -> list[str]:
        """Read in which regions there are prices of some types (their ids) over the last time, sorted."""
        if (now := self.service_now()) is None:
            return []
        # Two samples of each market: the answer tells where there are any.
        query = {"instance_types": ",".join(instance_types), **_window(now - duration, now), "num_samples": 2}
        with self._sdk("read where there are price histories") as sdk:
            answer = sdk.transport.get(PRICE_HISTORY, self.budget, query)
            return sorted(regions_with_prices(answer, instance_types))

    def quotas(self) -> dict[str, Quota]:
        """Read what the project may hold, by product: the id of an instance type, or STORAGE."""
        query = {"project": self.project().id}
        with self._sdk("read the quotas") as sdk:
            rows = Page.read(sdk.transport.get(QUOTAS, self.budget, query)).whole("the quotas")
            return {quota.product: quota for row in rows if (quota := Quota.read(row))}

    def ssh_keys(self) -> dict[str, str]:
        """Return the ids of the project's platform keys, by name and by id."""
        query = {"project": self.project().id}
        with self._sdk("list the SSH keys") as sdk:
            rows = sdk.api.list_ssh_keys(query)
            return {str(row.get(field)): str(row["fid"]) for row in rows for field in ("name", "fid")}

    def key_folder_problem(self) -> str:
        """Say why the SDK cannot keep the key that it makes for a launch that names none; empty where it can.

        Empty also where it has a key already, which it need not write.
        """
        with self._sdk("look for the folder of the SSH keys") as sdk:
            problem = why_not_writable(sdk.ssh_key_folder)
            local = sdk.keys.local_keys(self.project().id, self.settings.ssh_keys) if problem else set()
        return "" if not problem or local & self.ssh_keys().keys() else problem

    # -- bids: reading ----------------------------------------------------------------------------------------

    def live_bids(self, begun_after: float) -> Mapping[str, Bid]:
        """Return the live bids of the project by id, from one listing that all threads share.

        The listing begins at or after `begun_after` (monotonic seconds).
        """
        return self._connection.listings.live_bids(begun_after, self.budget)

    def live_bids_before_create(self, matters: Callable[[Bid], bool], begun_after: float) -> list[Bid]:
        """Return the live bids that matter to a create, as they are at or after `begun_after`.

        All threads share the readings: everything once, and then what was placed since. What matters and was read
        before is read again by its id. Where that is a 404, which proves nothing, or does not tell whether the bid has
        ended, everything is listed anew.
        """
        known = self._connection.listings.live_bids_before_create(begun_after, self.budget)
        live = list[Bid]()
        for bid in filter(matters, known.bids.values()):
            newest = bid if bid.id in known.just_read else self.bid(bid.id)
            if newest is None or not newest.has_known_status:
                return list(filter(matters, self.live_bids(self._connection.clock.now()).values()))
            if not newest.ended:
                live.append(newest)
        return live

    def recently_allocated(self, bid_id: str) -> Bid | None:
        """Return a bid that was allocated within the last minute; its id, name and project never change.

        None proves nothing: the bid may not be allocated, it may have ended, and the listing may have failed.
        """
        with contextlib.suppress(FlowResourcesError), self.budget.suspended():
            return self._connection.listings.recently_allocated(bid_id, self.budget)
        return None

    def observe(self, bid_id: str, begun_after: float, ended_after: float = math.inf) -> ClusterSnapshot | None:
        """Observe a bid and its instances; None only where it is proven absent (see `find_bid`).

        Listings that ended at or after `ended_after` will do, too: of a thousand bids, one takes seconds to read.
        """
        listings = self._connection.listings
        asked = listings.instance_listings
        bid = listings.bid(bid_id, begun_after, self.budget, ended_after, with_instances=True)
        bid = bid or self.find_bid(bid_id, self._connection.clock.now())
        return self._snapshot(bid, begun_after, ended_after, asked)

    def observe_while_waiting(self, bid_id: str, begun_after: float) -> ClusterSnapshot | None:
        """Observe in the same way, in a reading of exactly those bids that are waited for (see `waiting_for`)."""
        read = self._connection.listings.waited([bid_id], begun_after, self.budget)
        bid = read.bids.get(bid_id) or self.find_bid(bid_id, begun_after)
        return None if bid is None else _snapshot_of(bid, read)

    def observe_before_update(self, bid_id: str, begun_after: float) -> ClusterSnapshot | None:
        """Observe in the same way, with fewer listings where the bid is allocated or open."""
        bid = self._connection.listings.bid_while_waiting(bid_id, begun_after, self.budget)
        return self._snapshot(bid or self.find_bid(bid_id, begun_after), begun_after)

    def observe_new(self, bid: Bid) -> ClusterSnapshot:
        """Observe the instances of a bid that the caller has just read, and waits for from now on."""
        return ClusterSnapshot(bid, self._connection.listings.instances_of_new(bid, self.budget))

    def waiting_for(self, bid_ids: Collection[str]) -> Waiting:
        """Return one who waits for bids: who waits together shares each reading."""
        return Waiting(self._connection.listings, bid_ids)

    def observe_all(self, bid_ids: Iterable[str], begun_after: float) -> dict[str, ClusterSnapshot]:
        """Observe bids in the listings that all threads share, however many there are.

        What no listing shows is left out, which proves nothing.
        """
        bids = {id_: self._connection.listings.bid(id_, begun_after, self.budget) for id_ in bid_ids}
        return {id_: seen for id_, bid in bids.items() if (seen := self._snapshot(bid, begun_after))}

    def observe_all_while_waiting(self, bid_ids: Collection[str], begun_after: float) -> dict[str, ClusterSnapshot]:
        """Observe in the same way, in a reading of exactly those bids that are waited for."""
        read = self._connection.listings.waited(bid_ids, begun_after, self.budget)
        bids = {id_: bid for id_ in bid_ids if (bid := read.bids.get(id_)) and not bid.ended}
        return {id_: _snapshot_of(bid, read) for id_, bid in bids.items()}

    def _snapshot(
        self, bid: Bid | None, begun_after: float, ended_after: float = math.inf, asked: int | None = None
    ) -> ClusterSnapshot | None:
        if bid is None:
            return None
        listings = self._connection.listings
        return ClusterSnapshot(bid, listings.instances(bid, begun_after, self.budget, ended_after, asked))

    def bid(self, bid_id: str) -> Bid | None:
        """Return one bid, read anew; None when the service answers 404, which alone proves nothing (see `find_bid`)."""
        bid = self._connection.read_bid(bid_id, self.budget)
        if bid and bid.ended:
            self._connection.listings.record_end(bid_id)
        return bid

    def find_bid(self, bid_id: str, begun_after: float) -> Bid | None:
        """Return one bid, read anew; None only where it is proven absent.

        Proof is a 404 together with a listing of all live bids, read to its end, that does not have it either and began
        at or after `begun_after`. The listing is asked for only after a 404.
        """
        return self.bid(bid_id) or self._connection.listings.bid(bid_id, begun_after, self.budget)

    def mount_paths(self, bid_id: str) -> dict[str, str]:
        """Return where a bid mounts its volumes, by volume id, as far as its launch says."""
        return mounts_in(self.startup_script(bid_id))

    def startup_script(self, bid_id: str) -> str:
        """Return the start-up script of a bid; empty where the service does not say."""
        try:
            with self._sdk(f"read bid {bid_id}") as sdk:
                launch = sdk.api.get_bid(bid_id).get("launch_specification") or {}
        except NotFoundError:
            return ""
        return str(launch.get("startup_script") or "")

    def bids_named(self, name: str) -> list[Bid]:
        """Return the bids of exactly this name, newest first, those that have ended included.

        Raises UnavailableError where one that the service lists under it has no name that can be read.
        """
        query = {"project": self.project().id, "name": name, **NEWEST_FIRST}
        with self._sdk(f"look for bids named {name!r}") as sdk:

            def list_page(query: dict[str, Any], **_: object) -> Page:
                now = self._connection.clock.now()
                return Page.read(sdk.transport.get_shared(BIDS, query, now, self.budget))

            bids = [Bid.read(row) for row in rows_of_all_pages(list_page, query)]
            if nameless := next((bid for bid in bids if not bid.name_is_known), None):
                raise UnavailableError(f"the service does not say whether the bid {nameless.id} is {name!r}", _RETRY)
            return [bid for bid in bids if bid.name == name]

    def bids_ended_last(self) -> list[Bid]:
        """Return the newest of the bids that have ended, at most 1,000."""
        query = {"project": self.project().id, "status": ENDED, **NEWEST_FIRST}
        with self._sdk("list the bids that ended last") as sdk:
            return [Bid.read(row) for row in itertools.islice(rows_of_all_pages(sdk.api.list_bids, query), _ENDED_BIDS)]

    def every_bid(self, is_enough: Callable[[Bid], bool] = lambda _bid: False) -> list[Bid]:
        """Return all bids of the project, newest first, however long ago they ended; none after one that is enough."""
        query, bids = {"project": self.project().id, **NEWEST_FIRST}, dict[str, Bid]()
        with self._sdk("list all bids of the project") as sdk:
            for bid in map(Bid.read, rows_of_all_pages(sdk.api.list_bids, query)):
                bids[bid.id] = bid
                if is_enough(bid):
                    break
        return list(bids.values())

    def with_instances(self, bid: Bid, begun_after: float) -> ClusterSnapshot:
        """Return a bid that was just listed with its instances, from the listing that all threads share."""
        return ClusterSnapshot(bid, self._connection.listings.instances(bid, begun_after, self.budget))

    def paid_periods(self, bid_id: str) -> list[PaidPeriod]:
        """Return what was paid for each instance of a bid, as the service says; none where it never had one."""
        query = {"project": self.project().id, "bid_fid": bid_id}
        with self._sdk(f"read what was paid for bid {bid_id}") as sdk:

            def list_page(query: dict[str, Any], **_: object) -> Page:
                return Page.read(sdk.transport.get(INSTANCE_PRICES, self.budget, query), "instances")

            return [period for row in rows_of_all_pages(list_page, query) for period in paid_periods_in(row, bid_id)]

    def placed_price(self, bid_id: str) -> Decimal | None:
        """Return the price at which a job's bid was placed, as its start-up script says; None where it does not say."""
        return self.placed_job(bid_id).price

    def placed_job(self, bid_id: str) -> PlacedJob:
        """Return what the start-up script of a job's bid tells of the job, by one reading."""
        return PlacedJob.read(self.startup_script(bid_id))

    def events(self, bid_id: str) -> tuple[BidEvent, ...] | None:
        """Return a bid's events, oldest first; None where they cannot be read."""
        try:
            with self._sdk(f"read the history of bid {bid_id}") as sdk:
                answer = sdk.transport.get(f"{BIDS}/{bid_id}/history", self.budget)
                return in_order(map(BidEvent.read, answer["events"]))
        except FlowResourcesError:
            return None  # whatever a preemption is needed for, it is not known then

    # -- bids: writing ----------------------------------------------------------------------------------------

    def place(self, launch: Launch) -> Placed:
        """Place a bid through `Flow.run`, named exactly as asked, and return it however the answer came.

        Raises RejectedError (nothing was placed), ApprovalPendingError (nothing yet), UnavailableError (it may exist).
        """
        created: list[Created] = []
        try:
            with self._sdk(f"place the bid {launch.name!r}", created) as sdk, sdk.transport.creators.expected():
                sdk.place(launch)
        except Exception:
            # The SDK can fail after the service has accepted the bid; it then cancels the bid, or tries to.
            if not any(one.path == BIDS for one in created) or self._ends_soon(str(_last(created, BIDS).row["fid"])):
                raise
        finally:
            self._connection.listings.record_placement()
        with self._sdk(f"read the bid {launch.name!r}") as sdk:
            new_keys = tuple(sdk.ssh_key_folder / key.name for key in created if key.path == SSH_KEYS)
            placed = _last(created, BIDS)
            return Placed(Bid.read(placed.row), new_keys, tuple(map(Bid.read, placed.doubles)))

    def too_large(self, launch: Launch) -> str:
        """Say that the start-up script of a launch is too large for the service; empty where it fits.

        The SDK writes the script, and compresses it where that helps. Nothing is sent.
        """
        with self._sdk("write the start-up script") as sdk:
            return too_large(sdk.write_script, launch)

    def _ends_soon(self, bid_id: str) -> bool:
        """Whether a bid that the SDK may be cancelling ends within moments; False also where nobody can say.

        A 404 says nothing: it was placed a moment ago.
        """
        for _ in range(_ROLLBACK_LOOKS):
            with contextlib.suppress(FlowResourcesError):
                bid = self.bid(bid_id)
                if bid and bid.ended:
                    return True
            self._connection.clock.sleep(_ROLLBACK_PAUSE)
        return False

    def set_price(self, bid_id: str, price: Decimal) -> Bid | None:
        """Change the bid's price: one PATCH, no restart. Return the bid as the answer tells it; None where it does not.

        It does not where it is of no such bid, of another price, or of one that is not live.
        """
        with self._changing_bid(bid_id, f"set the price of bid {bid_id}") as sdk:
            row = sdk.flow.bids.update_limit_price(bid_id, money.to_wire(price))
            if not isinstance(row, Mapping) or row.get("fid") != bid_id:
                return None
            bid = Bid.read(row)
            return bid if bid.price == price and bid.status in LIVE_STATUSES else None

    def set_paused(self, bid_id: str, *, paused: bool) -> None:
        """Pause or resume the bid."""
        with self._changing_bid(bid_id, f"{'pause' if paused else 'resume'} bid {bid_id}") as sdk:
            sdk.flow.bids.set_paused(bid_id, paused=paused)

    def cancel(self, bid_id: str) -> bool:
        """Cancel a bid; one that has ended counts as cancelled. Return False where the service answers 404."""
        try:
            with self._changing_bid(bid_id, f"cancel bid {bid_id}") as sdk:
                sdk.api.cancel_bid(bid_id)
        except NotFoundError:
            return False
        except RejectedError:
            bid = self.find_bid(bid_id, self._connection.clock.now())
            if bid and not bid.ended:
                raise
        return True

    # -- volumes ----------------------------------------------------------------------------------------------

    def volumes(self, begun_after: float, *, with_deleted: bool = False) -> list[StoredVolume]:
        """List the project's volumes; `begun_after` as in `live_bids`."""
        query: dict[str, Any] = {"project": self.project().id}
        if with_deleted:
            query["include_deleted"] = "true"
        with self._sdk("list the volumes") as sdk:
            page = Page.read(sdk.transport.get_shared(VOLUMES, query, begun_after, self.budget))
            volumes = map(StoredVolume.read, page.whole("the volumes"))
            return [volume for volume in volumes if with_deleted or not volume.deleted]

    def create_volume(self, name: str, size_gb: int, interface: str, region: str, key: str) -> MadeVolume:
        """Create a volume; `key` tells the service that two requests are one.

        A service that knows the key answers with the volume that it created then, whatever its name is now.
        """
        created: list[Created] = []
        with self._sdk(f"create the volume {name!r}", created) as sdk:
            sdk.flow.volumes.create(
                size_gb, name=name, interface=interface, region=region, idempotency_key=idempotency_key(key)
            )
            made = _last(created, VOLUMES)
            return MadeVolume(StoredVolume.read(made.row), tuple(map(StoredVolume.read, made.doubles)))

    def rename_volume(self, volume_id: str, name: str) -> None:
        """Change a volume's name."""
        with self._sdk(f"rename volume {volume_id} to {name!r}") as sdk:
            sdk.transport.patch(f"{VOLUMES}/{volume_id}", {"name": name}, self.budget)

    def delete_volume(self, volume_id: str) -> bool:
        """Delete a volume. Return False where the service answers 404; raise RejectedError while it is attached."""
        try:
            with self._sdk(f"delete volume {volume_id}") as sdk:
                sdk.flow.volumes.delete(volume_id)
        except NotFoundError:
            return False
        return True

    # -- SSH keys ---------------------------------------------------------------------------------------------

    def stored_ssh_keys(self, begun_after: float) -> list[StoredKey]:
        """List the project's platform SSH keys; `begun_after` as in `live_bids`."""
        query = {"project": self.project().id}
        with self._sdk("list the SSH keys") as sdk:
            page = Page.read(sdk.transport.get_shared(SSH_KEYS, query, begun_after, self.budget))
            return [StoredKey.read(row) for row in page.whole("the SSH keys")]

    def create_ssh_key(self, name: str, public_key: str) -> MadeKey:
        """Give the project a public key, under a name; a key that a lost request made is found again by the name."""
        body = {"project": self.project().id, "name": name, "public_key": public_key}
        with self._sdk(f"create the SSH key {name!r}") as sdk:
            made = sdk.transport.create(SSH_KEYS, body, self.budget)
            return MadeKey(StoredKey.read(made.row), tuple(map(StoredKey.read, made.doubles)))

    def delete_ssh_key(self, key_id: str) -> bool:
        """Delete a platform SSH key. Return False where the service answers 404; raise RejectedError while used."""
        try:
            with self._sdk(f"delete the SSH key {key_id}") as sdk:
                sdk.api.delete_ssh_key(key_id)
        except NotFoundError:
            return False
        return True

    # -- API keys of jobs -------------------------------------------------------------------------------------

    def mint_job_key(self, name: str, expires_at: datetime) -> JobKey:
        """Create an API key of the calling user, with which the machine of a job ends its bid.

        The answer alone tells the secret. A key whose answer was lost is revoked, and another one is made, so that one
        live key more than before has this name. Those that had it before are not touched: a bid that a listing does not
        show yet can hold one, and would never end (`revoke_job_keys` revokes them, once the bid is known).

        Raises UnavailableError where the last answer was lost, or what a lost request made could not be revoked.
        """
        created: list[Created] = []
        with self._sdk(f"make the API key {name!r}", created) as sdk:
            try:
                row = sdk.api.create_api_key({"name": name, "expires_at": expires_at.isoformat()})
            finally:
                for one in created:
                    self._connection.redactor.register(one.row.get("secret"))
            return JobKey.read(row)

    def job_keys(self) -> list[JobKey]:
        """Return the calling user's live keys that are named like a job's, of all projects; no other user's are told.

        A key that has expired is none by the service's clock; one whose expiry cannot be read is. Raises
        UnavailableError where a live one has no name that can be read.
        """
        with self._sdk("list the API keys") as sdk:
            rows = Page.read(sdk.transport.get(API_KEYS, self.budget)).whole("the API keys")
            keys = [key for key in map(JobKey.read, rows) if not key.is_revoked]
            live = [key for key in keys if key.is_expired(self.service_now()) is not Answer.YES]
            if nameless := next((key for key in live if not key.name_is_known), None):
                raise UnavailableError(
                    f"could not list the API keys of jobs: the service does not say the name of {nameless.id}", _RETRY
                )
            return [key for key in live if naming.is_key_name(key.name)]

    def revoke_job_key(self, key_id: str) -> bool:
        """Revoke a key; no effect on one that is revoked. Return False where the service answers 404.

        It does so where there is no such key, and where it is another user's, who alone can revoke it.
        """
        try:
            with self._sdk(f"revoke the API key {key_id}") as sdk:
                sdk.api.revoke_api_key(key_id)
        except NotFoundError:
            return False
        return True

    def revoke_job_keys(self, name: str, *, besides: str | None = None) -> list[JobKey]:
        """Revoke the calling user's live keys of exactly this name, but for one id; return those that were revoked."""
        keys = [key for key in self.job_keys() if key.name == name and key.id != besides]
        return [key for key in keys if self.revoke_job_key(key.id)]

    # -- inside -----------------------------------------------------------------------------------------------

    def _sdk(self, action: str, created: list[Created] | None = None) -> AbstractContextManager[Sdk]:
        return self._connection.calling_sdk(action, self.budget, created)

    @contextlib.contextmanager
    def _changing_bid(self, bid_id: str, action: str) -> Iterator[Sdk]:
        with self._sdk(action) as sdk, self._connection.listings.recording_change(bid_id):
            yield sdk


def _snapshot_of(bid: Bid, read: Waited) -> ClusterSnapshot:
    """Return a bid with its instances as a reading tells them."""
    return ClusterSnapshot(bid, () if bid.has_no_instances else read.instances.get(bid.id, ()))


def _last(created: list[Created], path: str) -> Created:
    """Return what was created last at a path. Raises UnavailableError where the SDK's call created nothing there."""
    for one in reversed(created):
        if one.path == path:
            last: Created = one
            return last
    raise UnavailableError(f"the Flow SDK sent no request to {path}", _RETRY)


def _window(start: datetime, end: datetime) -> dict[str, str]:
    return {"start_time": _written(start), "end_time": _written(end)}


def _written(moment: datetime) -> str:
    """Return a moment as the service reads it."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
