"""FakeMithril: the cloud in this process. It starts the server, and reaches behind it without HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from flow_resources.testing.console import Console, python_error
from flow_resources.testing.service.backend import Backend, told_seed
from flow_resources.testing.service.catalog import check_region
from flow_resources.testing.service.clock import Clock
from flow_resources.testing.service.errors import ApiError
from flow_resources.testing.service.options import AttachedStatus, Idempotency, NameFilter, Options
from flow_resources.testing.service.store import Store
from flow_resources.testing.verbs import Operator
from flow_resources.testing.web.faults import Faults
from flow_resources.testing.web.journal import MUTATING, Journal, Request
from flow_resources.testing.web.server import HOST, Server

if TYPE_CHECKING:
    from typing_extensions import Self


class FakeMithril(Console):
    """A spot GPU cloud on loopback.

        with FakeMithril() as mithril:
            os.environ.update(mithril.environment)

    Without a seed its market stands still: prices are the catalog's until a test sets them, and everything happens at
    once. With one, prices move, others bid, and auction, boot and notice take their time. Every switch can be set by
    itself; what they mean stands with `Options`.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        key: str = "test-key",
        project: str = "demo",
        region: str = "us-central5-a",
        state: str | Path | None = None,
        seed: int | None = None,
        clock: Clock | None = None,
        speed: float | None = None,
        auction_seconds: float | None = None,
        boot_seconds: float | None = None,
        preemption_notice_seconds: float | None = None,
        cancel_seconds: float = 0.0,
        detach_seconds: float = 0.0,
        boot_failure_rate: float = 0.0,
        page_limit: int = 100,
        idempotency: Idempotency = "dedupe",
        name_filter: NameFilter = "exact",
        unique_bid_names: bool = False,
        keep_instance_ids: bool = False,
        volumes_need_pause: bool = False,
        attached_volume_status: AttachedStatus = 400,
    ) -> None:
        """Prepare a cloud; `start` or `with` makes it listen.

        `port`: 0 for a free one. `key` and `project`: an account to start with. `region`: the one meant where none is
        named. `state`: a file that survives restarts and crashes; without one everything is kept in memory. `seed`: the
        story of the market; a state file keeps its own. `clock`: a clock to share, or `speed`: how many seconds pass in
        a real one, 0 for only when told. Raises ValueError, naming the switch, and StateError for a state file that
        cannot be used.
        """
        self._closed = False
        self.listeners: list[Callable[[], None]] = []
        """Told after each verb of the console that changed something; `clock.listeners` are told of `advance`."""
        self.key = key
        self.project = project
        self._region = check_region(region)
        if clock is not None and speed is not None:
            msg = "give a clock or a speed, not both: a clock has a speed of its own"
            raise ValueError(msg)
        self.clock: Clock = clock or Clock(speed=1.0 if speed is None else speed)
        given = {
            "auction_seconds": auction_seconds,
            "boot_seconds": boot_seconds,
            "preemption_notice_seconds": preemption_notice_seconds,
            "cancel_seconds": cancel_seconds,
            "detach_seconds": detach_seconds,
            "boot_failure_rate": boot_failure_rate,
            "page_limit": page_limit,
            "idempotency": idempotency,
            "name_filter": name_filter,
            "unique_bid_names": unique_bid_names,
            "keep_instance_ids": keep_instance_ids,
            "volumes_need_pause": volumes_need_pause,
            "attached_volume_status": attached_volume_status,
        }
        said = {name: value for name, value in given.items() if value is not None}
        self._store = Store(state)
        try:
            seed = told_seed(self._store, seed)
            self.options = Options.of(living=seed is not None, given=said)
            self._furnish(port, seed)
        except BaseException:
            self._store.close()
            raise

    def _furnish(self, port: int, seed: int | None) -> None:
        self._backend = Backend(self._store, self.clock, self.options, seed)
        self.faults = Faults(self.clock.now, seed)
        self._journal = Journal()
        self._operator = Operator(
            self._backend, self._journal, self.faults, self.project, self._region, self._set_latency, self._tell
        )
        self._server = Server(self._backend, self._journal, self.faults, self._operator.perform_http, port)
        with self._backend.session() as now:
            self.project_id: str = self._backend.accounts.add_project(self.project, now)["fid"]
            self._backend.accounts.add_key(self.key, [self.project])

    def _ask(self, verb: str, /, **arguments: Any) -> Any:
        try:
            return self._operator.perform(verb, arguments)
        except ApiError as error:
            raise python_error(error.status, error.detail) from error

    # --- running ---

    def start(self) -> Self:
        """Listen, on the same port as before when started again.

        Raises OSError when it is taken, and RuntimeError after `close`.
        """
        if self._closed:
            msg = "this cloud is closed; make another"
            raise RuntimeError(msg)
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop listening, as an outage; the state stays, and can still be looked at."""
        self._server.stop()

    def close(self) -> None:
        """Stop for good and let the port and the state file go."""
        self._server.close()
        if not self._closed:
            self._closed = True
            self._backend.close()

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
        """The base URL for clients, and the address of the page for a browser."""
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

    @property
    def region(self) -> str:
        """The region that is meant where none is named."""
        return self._region

    @property
    def seed(self) -> int | None:
        """The seed of the story; None where the market stands still."""
        return self._backend.market.seed

    @property
    def boot_seconds(self) -> float:
        """How long machines boot that start to boot from now on."""
        return self.options.boot_seconds

    @boot_seconds.setter
    def boot_seconds(self, seconds: float) -> None:
        self.set_options(boot_seconds=seconds)

    def _tell(self) -> None:
        for tell in tuple(self.listeners):
            tell()

    def _set_latency(self, seconds: float) -> None:
        self._server.set_latency(seconds)

    # --- what was asked ---

    @property
    def requests(self) -> list[Request]:
        """Every request, in order of arrival."""
        return self._journal.all()

    @property
    def mutations(self) -> list[Request]:
        """The requests that could change something."""
        return [request for request in self._journal.all() if request.method in MUTATING]
