"""FakeMithril: the cloud as a test holds it. It starts the server, and reaches behind it without HTTP."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from flow_resources.testing.service.accounts import OPERATOR, project_row
from flow_resources.testing.service.backend import Backend
from flow_resources.testing.service.catalog import BY_FID, check_region, find_types
from flow_resources.testing.service.clock import Clock, RealClock
from flow_resources.testing.service.errors import ApiError
from flow_resources.testing.service.market import Place
from flow_resources.testing.service.options import Idempotency, Options
from flow_resources.testing.service.store import Store
from flow_resources.testing.web.faults import Faults
from flow_resources.testing.web.journal import MUTATING, Journal, Request
from flow_resources.testing.web.server import HOST, Server

if TYPE_CHECKING:
    from typing_extensions import Self

Wire = dict[str, Any]


class FakeMithril:
    """A spot GPU cloud on loopback.

    with FakeMithril() as mithril:
        os.environ.update(mithril.environment)

    Everything it shows is a plain dict in the API's own form; everything it changes happens behind the back of whoever
    talks to it over HTTP. Its verbs raise KeyError for an id that does not exist and ValueError for what cannot be.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        key: str = "test-key",
        project: str = "demo",
        region: str = "us-central5-a",
        state: str | Path | None = None,
        clock: Clock | None = None,
        boot_seconds: float = 0.0,
        preemption_notice_seconds: float = 0.0,
        cancel_seconds: float = 0.0,
        page_limit: int = 100,
        idempotency: Idempotency = "dedupe",
        unique_bid_names: bool = False,
        keep_instance_ids: bool = False,
        volumes_need_pause: bool = False,
    ) -> None:
        """Prepare a cloud; `start` or `with` makes it listen. The switches are explained in `Options`.

        `state` is a file that survives restarts and crashes; without one everything is kept in memory.
        """
        self.key = key
        self.project = project
        self.region = check_region(region)
        self.clock: Clock = clock or RealClock()
        self.options = Options(
            boot_seconds,
            preemption_notice_seconds,
            cancel_seconds,
            page_limit,
            idempotency,
            unique_bid_names,
            keep_instance_ids,
            volumes_need_pause,
        )
        self.faults = Faults()
        self._journal = Journal()
        self._store = Store(state)
        self._backend = Backend(self._store, self.clock, self.options)
        self._server = Server(self._backend, self._journal, self.faults, port)
        with self._backend.session() as now:
            self.project_id: str = self._backend.accounts.add_project(project, now)["fid"]
            self._backend.accounts.add_key(key, [project])

    # --- running ---

    def start(self) -> Self:
        """Listen, on the same port as before when started again."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop listening, as an outage; the state stays, and can still be looked at."""
        self._server.stop()

    def close(self) -> None:
        """Stop for good and let the state file go."""
        self._server.stop()
        self._store.close()

    def __enter__(self) -> Self:
        """Start."""
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    @property
    def port(self) -> int:
        """The port it listens on; 0 before the first start where none was given."""
        return self._server.port

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://{HOST}:{self._server.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that send a client here."""
        return {
            "MITHRIL_API_URL": self.url,
            "MITHRIL_API_KEY": self.key,
            "MITHRIL_PROJECT": self.project,
            "MITHRIL_REGION": self.region,
        }

    def set_latency(self, seconds: float) -> None:
        """Make every answer wait that long."""
        self._server.set_latency(seconds)

    @property
    def boot_seconds(self) -> float:
        """How long machines boot that start to boot from now on."""
        return self.options.boot_seconds

    @boot_seconds.setter
    def boot_seconds(self, seconds: float) -> None:
        self.options.boot_seconds = seconds

    # --- what was asked ---

    @property
    def requests(self) -> list[Request]:
        """Every request, in order of arrival."""
        return self._journal.all()

    @property
    def mutations(self) -> list[Request]:
        """The requests that could change something."""
        return [request for request in self._journal.all() if request.method in MUTATING]

    def clear_requests(self) -> None:
        """Forget what was asked."""
        self._journal.clear()

    # --- what there is ---

    @property
    def bids(self) -> list[Wire]:
        """Every bid there ever was, in the order of submission."""
        with self._backend.session():
            return self._backend.bids.all()

    @property
    def live_bids(self) -> list[Wire]:
        """The bids that have not ended."""
        return [bid for bid in self.bids if bid["status"] != "Terminated"]

    @property
    def instances(self) -> list[Wire]:
        """Every machine there ever was."""
        with self._backend.session():
            return self._backend.machines.all()

    @property
    def reservations(self) -> list[Wire]:
        """Every reservation there ever was, in the order of creation."""
        with self._backend.session():
            return self._backend.reservations.all()

    @property
    def volumes(self) -> list[Wire]:
        """The volumes that are not deleted."""
        with self._backend.session():
            return self._backend.volumes.listing()

    @property
    def ssh_keys(self) -> list[Wire]:
        """Every SSH key."""
        with self._backend.session():
            return self._backend.accounts.ssh_keys(OPERATOR, None)

    def bid(self, bid_id: str) -> Wire:
        """Return one bid."""
        with self._acting() as now:
            return self._backend.show_bid(OPERATOR, bid_id, now)

    # --- the market ---

    def set_price(self, instance_type: str, region: str, price: float) -> None:
        """Set the spot price in USD per machine and hour. Bids held out by `preempt` are let in again."""
        if not 0 < price < math.inf or round(price * 100) < 1:
            msg = f"price must be at least a cent, got {price!r}; it is in USD per machine and hour"
            raise ValueError(msg)
        with self._acting():
            for place in self._places(instance_type, region):
                self._backend.market.set_price(place, round(price * 100))
                self._reopen(place)

    def set_capacity(self, instance_type: str, region: str, machines: int) -> None:
        """Set how many machines there are, taken ones included. Bids held out by `preempt` are let in again."""
        if machines < 0:
            msg = f"capacity must not be negative, got {machines!r}"
            raise ValueError(msg)
        with self._acting():
            for place in self._places(instance_type, region):
                self._backend.market.set_capacity(place, machines)
                self._reopen(place)

    def preempt(self, bid_id: str, notice_seconds: float | None = None) -> Wire:
        """Take a bid's machines away: Preempting for the notice (by default the cloud's own), then Open.

        The bid stays out of the auction until `release`, a new price or capacity in its place, a higher limit, or a
        pause and resume.
        """
        notice = self.options.preemption_notice_seconds if notice_seconds is None else notice_seconds
        with self._acting() as now:
            bid = self._backend.bids.get(OPERATOR, bid_id)
            if bid["status"] != "Allocated":
                msg = f"only an Allocated bid can be preempted, {bid_id} is {bid['status']}"
                raise ValueError(msg)
            self._backend.lifecycle.hold(bid, held=True)
            self._backend.lifecycle.preempt(bid, now, notice)
            return self._backend.show_bid(OPERATOR, bid_id, now)

    def release(self, bid_id: str) -> Wire:
        """Let a preempted bid take part in the auction again."""
        with self._acting() as now:
            self._backend.lifecycle.hold(self._backend.bids.get(OPERATOR, bid_id), held=False)
            return self._backend.show_bid(OPERATOR, bid_id, now)

    def fail_boot(self, bid_id: str) -> None:
        """Put the machines that a bid holds into STATUS_ERROR; they stay there until the bid boots them again."""
        with self._acting():
            self._backend.machines.mark(self._backend.bids.get(OPERATOR, bid_id)["fid"], "STATUS_ERROR")

    # --- behind everybody's back ---

    def add_project(self, name: str, *, keys: Iterable[str] = ()) -> Wire:
        """Add a project, for these keys to see."""
        with self._acting() as now:
            row = self._backend.accounts.add_project(name, now)
            for key in keys:
                self._backend.accounts.add_key(key, [name])
            return project_row(row)

    def add_key(self, key: str, projects: Iterable[str]) -> None:
        """Add a key of another account, or let a known key see more projects."""
        with self._acting():
            self._backend.accounts.add_key(key, projects)

    def add_ssh_key(
        self, name: str, public_key: str | None = None, *, project: str | None = None, required: bool = False
    ) -> Wire:
        """Add an SSH key; without a public key one is made, and the row has its `private_key`."""
        body = {"name": name, "public_key": public_key, "required": required}
        with self._acting() as now:
            body["project"] = self._project(project)
            return self._backend.accounts.create_ssh_key(OPERATOR, body, now)

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
    ) -> Wire:
        """Place a bid as somebody else would."""
        launch = {"volumes": list(volumes), "ssh_keys": list(ssh_keys), "startup_script": startup_script}
        place = self._places(instance_type, region or self.region)[0]
        body = {
            "name": name,
            "instance_type": place.instance_type,
            "region": place.region,
            "limit_price": limit_price,
            "instance_quantity": instance_quantity,
            "launch_specification": launch,
        }
        with self._acting() as now:
            body["project"] = self._project(project)
            return self._backend.create_bid(OPERATOR, body, None, now)

    def add_volume(
        self,
        name: str = "somebody-elses",
        *,
        size_gb: int = 100,
        interface: str = "File",
        region: str | None = None,
        project: str | None = None,
    ) -> Wire:
        """Make a volume as somebody else would."""
        body = {"name": name, "disk_interface": interface, "region": region or self.region, "size_gb": size_gb}
        with self._acting() as now:
            return self._backend.create_volume(OPERATOR, {**body, "project": self._project(project)}, None, now)

    def update_bid(
        self,
        bid_id: str,
        *,
        limit_price: str | None = None,
        paused: bool | None = None,
        volumes: Sequence[str] | None = None,
    ) -> Wire:
        """Change a bid as the console would."""
        body = {"limit_price": limit_price, "paused": paused, "volumes": None if volumes is None else list(volumes)}
        with self._acting() as now:
            return self._backend.update_bid(OPERATOR, bid_id, body, now)

    def terminate(self, bid_id: str) -> Wire:
        """End a bid at once, also one that is slowly being cancelled."""
        with self._acting() as now:
            bid = self._backend.bids.get(OPERATOR, bid_id)
            if bid["status"] != "Terminated":
                self._backend.lifecycle.terminate(bid, now, OPERATOR)
            return self._backend.show_bid(OPERATOR, bid_id, now)

    def update_volume(self, volume_id: str, *, name: str) -> Wire:
        """Rename a volume as the console would."""
        with self._acting():
            self._backend.volumes.rename(OPERATOR, volume_id, {"name": name})
            return self._backend.volumes.wire(volume_id)

    def delete_volume(self, volume_id: str, *, force: bool = False) -> None:
        """Delete a volume; with `force` also one that a bid uses, which goes on listing it."""
        with self._acting() as now:
            self._backend.volumes.delete(OPERATOR, volume_id, now, force=force)

    # --- helpers ---

    def _acting(self) -> _Acting:
        return _Acting(self._backend)

    def _project(self, name: str | None) -> str:
        return str(self._backend.accounts.find_project(name or self.project)["fid"])

    def _places(self, instance_type: str, region: str) -> list[Place]:
        """Return the places that a name means: of several types with one name, those on offer in the region."""
        check_region(region)
        kinds = find_types(instance_type)
        offered = [kind for kind in kinds if region in BY_FID[kind.fid].regions]
        return [Place(kind.fid, region) for kind in offered or kinds]

    def _reopen(self, place: Place) -> None:
        sql = "UPDATE bids SET held = 0 WHERE instance_type = ? AND region = ? AND status != 'Terminated'"
        self._store.run(sql, *place)
        self._backend.lifecycle.changed.add(place)


class _Acting:
    """A session whose refusals are Python errors instead of HTTP ones."""

    def __init__(self, backend: Backend) -> None:
        self._session = backend.session()

    def __enter__(self) -> float:
        return self._session.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.__exit__(kind, error, trace)
        if isinstance(error, ApiError):
            problem = KeyError if error.status == 404 else ValueError  # noqa: PLR2004
            raise problem(str(error)) from error
