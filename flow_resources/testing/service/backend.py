"""The whole cloud without HTTP: one clock, one store, and the rooms that share them.

State is a function of time. Nothing runs in the background: whoever looks or acts does it inside `session`, which first
brings everything up to the present.
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
from flow_resources.testing.service.clock import Clock
from flow_resources.testing.service.cpu_vms import CpuVms
from flow_resources.testing.service.errors import FieldError, NotStoredError
from flow_resources.testing.service.events import Events
from flow_resources.testing.service.histories import Histories
from flow_resources.testing.service.lifecycle import Lifecycle
from flow_resources.testing.service.machines import Machines
from flow_resources.testing.service.market import Market
from flow_resources.testing.service.notation import WHOLE_MAX
from flow_resources.testing.service.options import Options
from flow_resources.testing.service.quotas import Quotas
from flow_resources.testing.service.quotes import Quotes
from flow_resources.testing.service.replays import Replays
from flow_resources.testing.service.reservation_life import ReservationLife
from flow_resources.testing.service.reservation_terms import Terms
from flow_resources.testing.service.reservations import Reservations
from flow_resources.testing.service.store import StateError, Store
from flow_resources.testing.service.timeline import PRESENT, Timeline
from flow_resources.testing.service.volumes import Volumes

log = logging.getLogger(__name__)


class Backend:
    """The rooms, put together."""

    def __init__(self, store: Store, clock: Clock, options: Options, seed: int | None = None) -> None:
        """Start from whatever `store` holds; where it holds nothing yet, with the story of this seed."""
        self.store = store
        self.clock = clock
        self.options = options
        with store.lock, store.transaction():
            if store.fact("born") is None:
                self._begin(clock.now(), seed)
        clock.not_before(store.fact(PRESENT))
        self._furnish()
        options.only_through(self._changing)

    def _begin(self, now: float, seed: int | None) -> None:
        for name, value in (("born", now), ("seed", seed), (PRESENT, now)):
            self.store.learn(name, value)

    def _furnish(self) -> None:
        store, options = self.store, self.options
        self.accounts = Accounts(store)
        self.quotas = Quotas(store)
        self.volumes = Volumes(store, options, self.accounts, self.quotas)
        self.events = Events(store)
        self.machines = Machines(store, options)
        self.market = Market(store)
        self.quotes = Quotes(store, self.market)
        self.billing = Billing(store)
        self.lifecycle = Lifecycle(store, options, self.market, self.machines, self.billing, self.events)
        bidding = (self.volumes, self.machines, self.lifecycle, self.quotas, self.events)
        self.bids = Bids(store, options, self.accounts, *bidding)
        self.histories = Histories(store, self.market, self.billing)
        self.replays = Replays(store, options)
        self.api_keys = ApiKeys(store)
        self.terms = Terms(store)
        self.reservation_life = ReservationLife(store, self.machines, self.events)
        reserving = (self.volumes, self.machines, self.reservation_life, self.terms, self.events)
        self.reservations = Reservations(store, options, self.accounts, *reserving)
        self.cpu_vms = CpuVms(store, self.accounts, self.reservations, self.reservation_life, self.machines)
        self.timeline = Timeline(store, self.clock, self.lifecycle, self.reservation_life)

    def reset(self, now: float, seed: int | None) -> None:
        """Begin a story anew, inside a session; accounts, their keys and projects stay."""
        self.store.clear(but=("users", "grants", "projects"), counters=("user", "proj"))
        self._begin(now, seed)
        self._furnish()

    @contextmanager
    def session(self) -> Iterator[float]:
        """Do something at one moment, which is given: catch up, do it, and let what it changed take effect at once."""
        with self.store.lock:
            # Reading the clock under the lock keeps moments in the order in which they are written down.
            now = self.clock.now()
            before = -1
            try:
                # What time did is stored for itself: a refusal of what follows does not undo it.
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
                    log.error(msg)  # noqa: TRY400 - one line: the person who reads it needs room on a disk, not a traceback
                    raise NotStoredError(msg) from error
                raise

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Let a change of the options count from now on: not before, and not only when somebody looks."""
        with self.session() as now:
            yield
            self.lifecycle.look_again()
            self.timeline.invalidate()
            self.timeline.catch_up(now)

    def close(self) -> None:
        """Write down what time it is, and let the store go. Raises NotStoredError when that cannot be written."""
        try:
            with self.session() as now:
                self.timeline.save(now)
        finally:
            self.store.close()

    def create_bid(self, user: User, raw: object, key: str | None, now: float) -> dict[str, Any]:
        """Place a bid, once per Idempotency-Key, and return it as it is after the auction."""

        def make() -> str:
            return self.bids.create(user, raw, now)

        def lives(fid: str) -> bool:
            return bool(self.bids.get(user, fid)["status"] != "Terminated")

        fid = self.replays.once(user, "/v2/spot/bids", key, raw, make, lives)
        return self.settled_bid(user, fid, now)

    def update_bid(self, user: User, fid: str, raw: object, now: float) -> dict[str, Any]:
        """Change a bid and return it as it is after the auction."""
        self.bids.update(user, fid, raw, now)
        return self.settled_bid(user, fid, now)

    def settled_bid(self, user: User, fid: str, now: float) -> dict[str, Any]:
        """Return a bid to which something was just done, as it is after the auction."""
        self.timeline.invalidate()
        self.timeline.catch_up(now)
        return self.bids.show(user, fid)

    def create_reservation(self, user: User, raw: object, key: str | None, now: float) -> dict[str, Any]:
        """Reserve machines, once per Idempotency-Key."""

        def make() -> str:
            return self.reservations.create(user, raw, now)

        def lives(fid: str) -> bool:
            return bool(self.reservations.get(user, fid)["status"] != "Ended")

        fid = self.replays.once(user, "/v2/reservation", key, raw, make, lives)
        return self.reservations.show(user, fid)

    def create_volume(self, user: User, raw: object, key: str | None, now: float) -> dict[str, Any]:
        """Make a volume, once per Idempotency-Key."""

        def make() -> str:
            return self.volumes.create(user, raw, now)

        def lives(fid: str) -> bool:
            return self.volumes.wire(fid)["deleted_at"] is None

        fid = self.replays.once(user, "/v2/volumes", key, raw, make, lives)
        return self.volumes.wire(fid)


def told_seed(store: Store, asked: int | None) -> int | None:
    """Return the seed of the story: what a state file tells, or what is asked for where it tells none yet.

    Raises StateError when it tells another than is asked for, and FieldError for what is no seed.
    """
    if asked is not None and (not isinstance(asked, int) or not 0 <= asked <= WHOLE_MAX):
        raise FieldError("seed", f"a whole number from 0 to {WHOLE_MAX}", asked)
    if store.fact("born") is None:
        return asked
    told: int | None = store.fact("seed")
    if asked is not None and asked != told:
        msg = f"the state file tells the story of seed {told}, not of {asked}"
        raise StateError(msg)
    return told
