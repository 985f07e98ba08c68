"""The whole cloud without HTTP: one clock, one store, and the rooms that share them.

State is a function of time. Nothing runs in the background: whoever looks or acts does it inside `session`, which first
brings everything up to the present.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flow_resources.testing.service.accounts import Accounts, User
from flow_resources.testing.service.api_keys import ApiKeys
from flow_resources.testing.service.bids import Bids
from flow_resources.testing.service.billing import Billing
from flow_resources.testing.service.clock import Clock
from flow_resources.testing.service.cpu_vms import CpuVms
from flow_resources.testing.service.histories import Histories
from flow_resources.testing.service.lifecycle import Lifecycle
from flow_resources.testing.service.machines import Machines
from flow_resources.testing.service.market import Market, Place
from flow_resources.testing.service.options import Options
from flow_resources.testing.service.quotas import Quotas
from flow_resources.testing.service.replays import Replays
from flow_resources.testing.service.reservation_life import ReservationLife
from flow_resources.testing.service.reservation_terms import Terms
from flow_resources.testing.service.reservations import Reservations
from flow_resources.testing.service.store import StateError, Store
from flow_resources.testing.service.volumes import Volumes


class Backend:
    """The rooms, put together."""

    def __init__(self, store: Store, clock: Clock, options: Options, seed: int | None = None) -> None:
        """Start from whatever `store` holds. Raises StateError when that is the story of another seed."""
        self.store = store
        self.clock = clock
        self.options = options
        with store.lock, store.transaction():
            _begin(store, clock, seed)
        self._due: float | None = None
        self._furnish()

    def _furnish(self) -> None:
        store, options = self.store, self.options
        settled = store.fact("settled") or 0.0
        self.clock.not_before(settled)
        self.accounts = Accounts(store)
        self.quotas = Quotas(store)
        self.volumes = Volumes(store, options, self.accounts, self.quotas)
        self.machines = Machines(store, options)
        self.market = Market(store, options)
        self.billing = Billing(store)
        self.lifecycle = Lifecycle(store, options, self.market, self.machines, self.billing, settled)
        self.bids = Bids(store, options, self.accounts, self.volumes, self.machines, self.lifecycle, self.quotas)
        self.histories = Histories(store, self.market, self.billing)
        self.replays = Replays(store, options)
        self.api_keys = ApiKeys(store)
        self.terms = Terms(store)
        self.reservation_life = ReservationLife(store, self.machines)
        reserving = (self.volumes, self.machines, self.reservation_life, self.terms, self.replays)
        self.reservations = Reservations(store, options, self.accounts, *reserving)
        self.cpu_vms = CpuVms(store, self.accounts, self.reservations, self.reservation_life, self.machines)
        self._due_known = False

    def reset(self, seed: int | None) -> None:
        """Begin a story anew, inside a session; accounts, their keys and projects stay."""
        self.store.clear(but=("users", "grants", "projects"), counters=("user", "proj"))
        _begin(self.store, self.clock, seed)
        self._furnish()

    @contextmanager
    def session(self) -> Iterator[float]:
        """Do something at one moment, which is given: settle, do it, and let what it changed take effect at once."""
        with self.store.lock:
            # Reading the clock under the lock keeps moments in the order in which they are written down.
            now = self.clock.now()
            # What time did is stored for itself: a refusal of what follows does not undo it.
            with self.store.transaction():
                self._settle(now)
            before = self.store.changes
            try:
                with self.store.transaction():
                    yield now
                    if self.store.changes != before:
                        self._due_known = False
                        self._settle(now)
                        self.store.learn("settled", now)
            except BaseException:
                if self.store.changes != before:
                    self._due_known = False
                    self.lifecycle.look_again()
                raise

    def _settle(self, now: float) -> None:
        """Do everything that was due up to now, each thing at its own moment."""
        while (due := self._next_due()) is not None and due <= now:
            self.lifecycle.step(due)
            self.reservation_life.step(due)
            self.lifecycle.settled(due)
            self.store.learn("settled", due)
            self._due_known = False
        if self.lifecycle.changed:
            self._due_known = False
        self.lifecycle.settled(now)

    def _next_due(self) -> float | None:
        if not self._due_known:
            moments = (self.lifecycle.next_due(), self.reservation_life.next_due())
            self._due = min((moment for moment in moments if moment is not None), default=None)
            self._due_known = True
        return self._due

    def look_again(self) -> None:
        """Let what was changed without a request, such as an option, take effect."""
        self.lifecycle.look_again()
        self._due_known = False

    def reopen(self, place: Place) -> None:
        """Let the bids of a place that are held out of the auction in again, and hold it anew."""
        self.store.run(
            "UPDATE bids SET held = 0 WHERE instance_type = ? AND region = ? AND status != 'Terminated'", *place
        )
        self.lifecycle.changed.add(place)
        self._due_known = False

    def create_bid(self, user: User, raw: object, key: str | None, now: float) -> dict[str, Any]:
        """Place a bid, once per Idempotency-Key, and return it as it is after the auction."""

        def lives(fid: str) -> bool:
            return bool(self.bids.get(user, fid)["status"] != "Terminated")

        fid = self.replays.once(user, "/v2/spot/bids", key, raw, lambda: self.bids.create(user, raw, now), lives)
        return self.show_bid(user, fid, now)

    def update_bid(self, user: User, fid: str, raw: object, now: float) -> dict[str, Any]:
        """Change a bid and return it as it is after the auction."""
        self.bids.update(user, fid, raw, now)
        return self.show_bid(user, fid, now)

    def show_bid(self, user: User, fid: str, now: float) -> dict[str, Any]:
        """Return one bid, with what was just done to it already settled."""
        self._due_known = False
        self._settle(now)
        return self.bids.wire([self.bids.get(user, fid)])[0]

    def create_volume(self, user: User, raw: object, key: str | None, now: float) -> dict[str, Any]:
        """Make a volume, once per Idempotency-Key."""

        def lives(fid: str) -> bool:
            return self.volumes.wire(fid)["deleted_at"] is None

        fid = self.replays.once(user, "/v2/volumes", key, raw, lambda: self.volumes.create(user, raw, now), lives)
        return self.volumes.wire(fid)


def _begin(store: Store, clock: Clock, seed: int | None) -> None:
    """Write down when the story begins and what its seed is, unless it is under way."""
    if store.fact("born") is None:
        store.learn("born", clock.now())
        store.learn("seed", seed)
    elif seed is not None and seed != store.fact("seed"):
        msg = f"the state file tells the story of seed {store.fact('seed')}, not of {seed}"
        raise StateError(msg)
