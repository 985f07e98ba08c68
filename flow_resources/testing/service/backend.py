"""The whole cloud without HTTP: one clock, one store, and the parts that share them.

Nothing runs in the background. Every read and every change happens inside `session`, which first performs all
transitions that are due.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flow_resources.testing.service.accounts import Accounts, User
from flow_resources.testing.service.api_keys import ApiKeys
from flow_resources.testing.service.bids import Bids
from flow_resources.testing.service.billing import Billing
from flow_resources.testing.service.boots import Boots
from flow_resources.testing.service.clock import Clock
from flow_resources.testing.service.cpu_vms import CpuVms
from flow_resources.testing.service.errors import FieldError, NotStoredError
from flow_resources.testing.service.events import Events
from flow_resources.testing.service.formats import INTEGER_MAX
from flow_resources.testing.service.histories import Histories
from flow_resources.testing.service.idempotency import IdempotencyKeys
from flow_resources.testing.service.instances import Instances
from flow_resources.testing.service.lifecycle import Lifecycle
from flow_resources.testing.service.market import Market
from flow_resources.testing.service.options import Options
from flow_resources.testing.service.quotas import Quotas
from flow_resources.testing.service.quotes import Quotes
from flow_resources.testing.service.reservation_lifecycle import ReservationLifecycle
from flow_resources.testing.service.reservation_terms import Terms
from flow_resources.testing.service.reservations import Reservations
from flow_resources.testing.service.store import StateError, Store
from flow_resources.testing.service.timeline import PRESENT, Timeline
from flow_resources.testing.service.volumes import Volumes

log = logging.getLogger(__name__)


class Backend:
    """The parts of the cloud, wired together."""

    def __init__(self, store: Store, clock: Clock, options: Options, seed: int | None = None) -> None:
        """Continue from the state in `store`; an empty one starts now, with this seed."""
        self.store = store
        self.clock = clock
        self.options = options
        with store.lock, store.transaction():
            if store.fact("born") is None:
                self._record_start(clock.now(), seed)
        clock.not_before(store.fact(PRESENT))
        self._build()
        options.apply_within(self._changing_options)

    def _record_start(self, now: float, seed: int | None) -> None:
        for name, value in (("born", now), ("seed", seed), (PRESENT, now)):
            self.store.set_fact(name, value)

    def _build(self) -> None:
        store, options = self.store, self.options
        self.accounts = Accounts(store)
        self.quotas = Quotas(store)
        self.volumes = Volumes(store, options, self.accounts, self.quotas)
        self.events = Events(store)
        self.instances = Instances(store, options)
        self.boots = Boots(store, options)
        self.market = Market(store)
        self.quotes = Quotes(store, self.market)
        self.billing = Billing(store)
        self.lifecycle = Lifecycle(store, options, self.market, self.instances, self.billing, self.events)
        for_bids = (self.volumes, self.instances, self.lifecycle, self.quotas, self.events)
        self.bids = Bids(store, options, self.accounts, *for_bids)
        self.histories = Histories(store, self.market, self.billing)
        self.idempotency_keys = IdempotencyKeys(store, options)
        self.api_keys = ApiKeys(store)
        self.terms = Terms(store)
        self.reservation_lifecycle = ReservationLifecycle(store, self.instances, self.events)
        for_reservations = (self.volumes, self.instances, self.reservation_lifecycle, self.terms, self.events)
        self.reservations = Reservations(store, options, self.accounts, *for_reservations)
        self.cpu_vms = CpuVms(store, self.accounts, self.reservations, self.reservation_lifecycle, self.instances)
        self.timeline = Timeline(store, self.clock, self.lifecycle, self.reservation_lifecycle)

    def reset(self, now: float, seed: int | None) -> None:
        """Remove everything but projects and their API keys, and start again with this seed; call inside a session."""
        self.store.clear(keep_tables=("users", "grants", "projects"), keep_counters=("user", "proj"))
        self._record_start(now, seed)
        self._build()

    @contextmanager
    def session(self) -> Iterator[float]:
        """Read or change the cloud at one point in time, which is returned, in one transaction.

        Transitions that are due are performed before, and those that the change causes at once after it. Raises
        NotStoredError when the state cannot be written.
        """
        with self.store.lock:
            # The clock is read under the lock, so that times are stored in ascending order.
            now = self.clock.now()
            before = -1
            try:
                # Due transitions have a transaction of their own: an error in what follows does not roll them back.
                with self.store.transaction():
                    self.timeline.catch_up(now)
                before = self.store.changes
                with self.store.transaction():
                    yield now
                    if self.store.changes != before:
                        self.timeline.invalidate()
                        self.timeline.catch_up(now)
                        self.timeline.save(now)
            except BaseException as error:
                if self.store.changes != before:
                    self.timeline.recover()
                if isinstance(error, sqlite3.OperationalError):
                    msg = f"the state cannot be stored, so nothing happened: {error}"
                    log.error(msg)  # noqa: TRY400 - the cause is a full disk, so a traceback would not help
                    raise NotStoredError(msg) from error
                raise

    @contextmanager
    def _changing_options(self) -> Iterator[None]:
        """Apply a change of options to transitions from now on: those that are due are performed before it."""
        with self.session() as now:
            yield
            self.lifecycle.request_auctions()
            self.timeline.invalidate()
            self.timeline.catch_up(now)

    def close(self) -> None:
        """Store the present time and close the store. Raises NotStoredError when it cannot be written."""
        try:
            with self.session() as now:
                self.timeline.save(now)
        finally:
            self.store.close()

    def create_bid(self, user: User, raw: object, key: str | None, now: float) -> dict[str, Any]:
        """Place a bid, once per Idempotency-Key, and return it after the auction."""
        fid = self.idempotency_keys.create_once(
            user,
            "/v2/spot/bids",
            key,
            raw,
            create=lambda: self.bids.create(user, raw, now),
            is_live=lambda fid: bool(self.bids.get(user, fid)["status"] != "Terminated"),
        )
        return self.settled_bid(user, fid, now)

    def update_bid(self, user: User, fid: str, raw: object, now: float) -> dict[str, Any]:
        """Change a bid and return it after the auction."""
        self.bids.update(user, fid, raw, now)
        return self.settled_bid(user, fid, now)

    def settled_bid(self, user: User, fid: str, now: float) -> dict[str, Any]:
        """Return a bid that was just changed, after the auction."""
        self.timeline.invalidate()
        self.timeline.catch_up(now)
        return self.bids.show(user, fid)

    def create_reservation(self, user: User, raw: object, key: str | None, now: float) -> dict[str, Any]:
        """Reserve machines, once per Idempotency-Key, and return the reservation."""
        fid = self.idempotency_keys.create_once(
            user,
            "/v2/reservation",
            key,
            raw,
            create=lambda: self.reservations.create(user, raw, now),
            is_live=lambda fid: bool(self.reservations.get(user, fid)["status"] != "Ended"),
        )
        return self.reservations.show(user, fid)

    def create_volume(self, user: User, raw: object, key: str | None, now: float) -> dict[str, Any]:
        """Create a volume, once per Idempotency-Key, and return it."""
        fid = self.idempotency_keys.create_once(
            user,
            "/v2/volumes",
            key,
            raw,
            create=lambda: self.volumes.create(user, raw, now),
            is_live=lambda fid: self.volumes.wire(fid)["deleted_at"] is None,
        )
        return self.volumes.wire(fid)


def resolve_seed(store: Store, requested: int | None) -> int | None:
    """Return the seed of an existing state, or the requested one for a new state.

    Raises StateError when the state has another seed than the requested one, and FieldError for an invalid seed.
    """
    if requested is not None and (not isinstance(requested, int) or not 0 <= requested <= INTEGER_MAX):
        raise FieldError("seed", f"a whole number from 0 to {INTEGER_MAX}", requested)
    if store.fact("born") is None:
        return requested
    seed: int | None = store.fact("seed")
    if requested is not None and requested != seed:
        msg = f"the state file tells the story of seed {seed}, not of {requested}"
        raise StateError(msg)
    return seed
