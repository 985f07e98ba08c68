"""FakeMithril: a fake cloud whose server runs in this process, with a console that needs no HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from flow_resources.testing.console import Console, python_error
from flow_resources.testing.sdk_folder import SdkFolder
from flow_resources.testing.service.backend import Backend, resolve_seed
from flow_resources.testing.service.catalog import check_region
from flow_resources.testing.service.clock import Clock
from flow_resources.testing.service.errors import ApiError
from flow_resources.testing.service.options import AttachedStatus, Idempotency, NameFilter, Options, ScriptRuns
from flow_resources.testing.service.store import Store
from flow_resources.testing.verbs import Operator
from flow_resources.testing.web.faults import Faults
from flow_resources.testing.web.journal import MUTATING, Journal, Request
from flow_resources.testing.web.server import HOST, Server

if TYPE_CHECKING:
    from typing_extensions import Self


class FakeMithril(Console):
    """A fake spot GPU cloud on loopback.

        with FakeMithril() as mithril:
            os.environ.update(mithril.environment)

    Without a seed the market is static: prices are the catalog's until a test sets them, and transitions take no time.
    With a seed the market moves: prices change, simulated bidders compete, and auctions, boots and preemption notices
    take time. The same seed always gives the same market. Each option can be set separately; see the arguments.
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
        list_lag_seconds: float = 0.0,
        idempotency: Idempotency = "dedupe",
        name_filter: NameFilter = "exact",
        unique_bid_names: bool = False,
        keep_instance_ids: bool = False,
        startup_script_runs: ScriptRuns = "first_boot",
        volumes_need_pause: bool = False,
        refuse_below_minimum: bool = False,
        attached_volume_status: AttachedStatus = 400,
    ) -> None:
        """Create a cloud; `start` or a `with` block makes it listen. All durations are seconds of the cloud's clock.

        Args:
            port: the port on 127.0.0.1; 0 takes a free one.
            key: the API key that the cloud accepts.
            project: the name of the project that `key` has access to.
            region: the default region.
            state: a file that keeps the state across restarts and crashes; None keeps it in memory. The folder of the
                same name with `.flow` behind it keeps the SDK's files (FLOW_DIR), else a temporary folder does.
            seed: makes the market move, reproducibly; None makes it static. A state file keeps its own seed.
            clock: a clock to share between clouds; excludes `speed`.
            speed: seconds of the cloud's clock per real second; 0 stops it until `clock.advance`. Default 1.
            auction_seconds: time between auctions; 0 holds one after each change. Default 0, with a seed 120.
            boot_seconds: time from winning to STATUS_RUNNING. Default 0, with a seed 90.
            preemption_notice_seconds: time that a losing bid is Preempting. Default 0, with a seed 300.
            cancel_seconds: time that a cancelled bid is still listed with its previous status.
            detach_seconds: time that volumes stay attached to a bid after it has terminated.
            boot_failure_rate: share of the machines that boot into STATUS_ERROR, from 0 to 1.
            page_limit: the maximum and default number of rows per page of a list.
            list_lag_seconds: time for which the lists of bids, volumes and keys do not show what was created.
            idempotency: the effect of an Idempotency-Key that was used before. "dedupe": return the present state of
                what it created; the key is free again once that has ended. "terminated": the same, but the key is never
                free again. "ignore": keys are not read.
            name_filter: whether `?name=` in the list of bids matches the "exact" name or a "prefix".
            unique_bid_names: reject the name of a live bid of the same project.
            keep_instance_ids: after a preemption, a bid gets the same machines again instead of new ones.
            startup_script_runs: when machines run their start-up script: at the "first_boot" of their boot disk, which
                is kept over a preemption, a pause and a relocation, or at "every_boot".
            volumes_need_pause: reject changes to the volumes of a bid that is not paused.
            refuse_below_minimum: reject a limit price below the lowest that can win at present.
            attached_volume_status: the HTTP status that rejects deleting a volume that a live bid uses.

        A duration of MANUAL ("manual" on the command line) lasts until `finish`.

        Raises:
            ValueError: an option has an invalid value; the message names it.
            StateError: the state file cannot be used.

        """
        self._closed = False
        self.listeners: list[Callable[[], None]] = []
        """Called after each verb of the console that changed something; `clock.listeners` are called by `advance`."""
        self.key = key
        self.project = project
        self._region = check_region(region)
        if clock is not None and speed is not None:
            msg = "give a clock or a speed, not both: a clock has a speed of its own"
            raise ValueError(msg)
        self.clock: Clock = clock or Clock(speed=1.0 if speed is None else speed)
        options = {
            "auction_seconds": auction_seconds,
            "boot_seconds": boot_seconds,
            "preemption_notice_seconds": preemption_notice_seconds,
            "cancel_seconds": cancel_seconds,
            "detach_seconds": detach_seconds,
            "boot_failure_rate": boot_failure_rate,
            "page_limit": page_limit,
            "list_lag_seconds": list_lag_seconds,
            "idempotency": idempotency,
            "name_filter": name_filter,
            "unique_bid_names": unique_bid_names,
            "keep_instance_ids": keep_instance_ids,
            "startup_script_runs": startup_script_runs,
            "volumes_need_pause": volumes_need_pause,
            "refuse_below_minimum": refuse_below_minimum,
            "attached_volume_status": attached_volume_status,
        }
        explicit = {name: value for name, value in options.items() if value is not None}
        self._folder = SdkFolder(state)
        self._store = Store(state)
        try:
            seed = resolve_seed(self._store, seed)
            self.options = Options.for_market(moving=seed is not None, explicit=explicit)
            self._build(port, seed)
        except BaseException:
            self._store.close()
            raise

    def _build(self, port: int, seed: int | None) -> None:
        self._backend = Backend(self._store, self.clock, self.options, seed)
        self.faults = Faults(self.clock.now, seed)
        self._journal = Journal()
        self._operator = Operator(
            self._backend, self._journal, self.faults, self.project, self._region, self._set_latency, self._notify,
            self._folder.path,
        )  # fmt: skip
        self._server = Server(self._backend, self._journal, self.faults, self._operator.perform_http, port)
        with self._backend.session() as now:
            self.project_id: str = self._backend.accounts.add_project(self.project, now)["fid"]
            self._backend.accounts.add_key(self.key, [self.project])

    def _perform(self, verb: str, /, **arguments: Any) -> Any:
        try:
            return self._operator.perform(verb, arguments)
        except ApiError as error:
            raise python_error(error.status, error.detail) from error

    # --- running ---

    def start(self) -> Self:
        """Start listening and return the cloud; a stopped cloud listens on the same port again.

        Raises OSError when the port is in use, and RuntimeError after `close`.
        """
        if self._closed:
            msg = "this cloud is closed; make another"
            raise RuntimeError(msg)
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop listening, as in an outage. The state is kept, and the console still works."""
        self._server.stop()

    def close(self) -> None:
        """Stop permanently, and release the port, the state file and the SDK's folder."""
        self._server.close()
        if not self._closed:
            self._closed = True
            self._folder.remove()
            self._backend.close()

    def __enter__(self) -> Self:
        """Start listening; close the cloud if that fails."""
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the cloud."""
        self.close()

    @property
    def port(self) -> int:
        """The port that it listens on; 0 before the first start unless one was given."""
        return self._server.port

    @property
    def url(self) -> str:
        """The base URL for clients, and the address of the page in a browser."""
        return f"http://{HOST}:{self._server.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that direct the Flow SDK and Pulumi programs to this cloud.

        FLOW_DIR is a folder for this cloud alone: the SDK keeps the keys that it makes there, and launches with those
        that it finds.
        """
        return {
            "MITHRIL_API_URL": self.url,
            "MITHRIL_API_KEY": self.key,
            "MITHRIL_PROJECT": self.project,
            "MITHRIL_REGION": self.region,
            "FLOW_DIR": self._folder.path(),
        }

    @property
    def region(self) -> str:
        """The default region."""
        return self._region

    @property
    def seed(self) -> int | None:
        """The seed of a moving market; None for a static one."""
        return self._backend.market.seed

    @property
    def boot_seconds(self) -> float:
        """Seconds that machines boot; a change applies to machines that start to boot from now on."""
        return self.options.boot_seconds

    @boot_seconds.setter
    def boot_seconds(self, seconds: float) -> None:
        self.set_options(boot_seconds=seconds)

    def _notify(self) -> None:
        for listener in tuple(self.listeners):
            listener()

    def _set_latency(self, seconds: float) -> None:
        self._server.set_latency(seconds)

    # --- requests ---

    @property
    def requests(self) -> list[Request]:
        """All requests to the API, in order of arrival."""
        return self._journal.all()

    @property
    def mutations(self) -> list[Request]:
        """The POST, PATCH, PUT and DELETE requests, in order of arrival."""
        return [request for request in self._journal.all() if request.method in MUTATING]
