"""The context of a verb, made once at its start and handed down: which verb of which resource, and what it may use.

`Deployment` is what all verbs of one `pulumi preview`, `up`, `refresh` or `destroy` share: the engine starts a plugin
process for each. `Operation` is one verb in it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from flow_resources.clock import Clock
from flow_resources.cloud import Cloud, Connection, RetryBudget, Settings
from flow_resources.cloud.settings import resolve
from flow_resources.core.inputs import Checked, Failure
from flow_resources.core.market import RegionSources, region_sources
from flow_resources.errors import FlowResourcesError, UnavailableError
from flow_resources.lifecycle.budget import Spending
from flow_resources.lifecycle.ledger import Ledger
from flow_resources.lifecycle.own_records import OwnRecord, OwnRecords
from flow_resources.lifecycle.quota import Claims
from flow_resources.lifecycle.report import Report
from flow_resources.lifecycle.stored_states import Backend, StoredStates
from flow_resources.lifecycle.waiting import DEFAULT_SECONDS, Deadline
from flow_resources.redaction import Redactor

R = TypeVar("R")
CHECK = "check"
LISTING_SECONDS = 5.0
"""How old a listing may be that a check looks into."""
_CHECK_SECONDS = 5.0
"""For how long a check, or a step of a command, retries: a preview reports an unreachable service soon and goes on."""
_WAIT_TIMES = 5
"""How many times as long a wait tolerates an unreachable service: what it waits for makes progress meanwhile."""
_OPEN_SECONDS = 30.0
_FRESH_SECONDS = 2.0
_REFRESH_SECONDS = 15.0


class CircuitBreaker:
    """Keeps each check from waiting anew for a service that has just been found unreachable."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: tuple[float, UnavailableError] | None = None

    def trip(self, error: UnavailableError) -> None:
        """Remember that a check found the service unreachable."""
        if self._open is None or self._open[1] is not error:
            self._open = (self._clock.now(), error)

    def raise_if_open(self) -> None:
        """Raise the error that a check of the last 30 seconds met."""
        if self._open and self._clock.now() < self._open[0] + _OPEN_SECONDS:
            raise self._open[1]


class Deployment:
    """What the verbs of one plugin process share. Its lock guards what happens once."""

    def __init__(
        self,
        config: Callable[[str], Any],
        backend: Backend,
        clock: Clock | None = None,
        owner_not_known: str = "whose resource this is is not known: set flow:owner",
    ) -> None:
        self.config, self.clock, self.owner_not_known = config, clock or Clock(), owner_not_known
        """`owner_not_known`: what a check says where it is not known whose a resource is, and what to do."""
        self.tells_options = True
        """Whether the host tells a check the resource's options, such as its time limits."""
        self.ledger = Ledger(StoredStates(backend, self.clock))
        self.own_records = OwnRecords(self.ledger)
        self.spending = Spending()
        self.claims = Claims()
        self.breaker, self.prices_breaker = CircuitBreaker(self.clock), CircuitBreaker(self.clock)
        self.redactor = Redactor()
        self.checked_urns: set[str | None] = set()
        """The resources that the program declares, as far as it has run; none in a destroy."""
        self.bid_names: dict[str, str] = {}
        """How the bids that hold a volume are called, by id (see `holders`)."""
        self.block_mounts: dict[str, str] = {}
        """Which cluster of the program mounts a block volume: its URN, by the volume's id and by the volume's URN."""
        self.ssh_keys: dict[str, str] = {}
        """Which SshKey of the program has a public key: its URN, by the key."""
        self._lock = threading.Lock()
        self._settings: Settings | None = None
        self._connection: Connection | None = None
        self._warned: set[tuple[str, str]] = set()
        self._once: dict[str, tuple[threading.Lock, list[Any]]] = {}

    def settings(self) -> Settings:
        """Return the settings of the stack; raises ConfigError where there is no API key."""
        with self._lock:
            if self._settings is None:
                self._settings = resolve(self.config)
                self.redactor.register(self._settings.api_key)
            return self._settings

    def connect(self) -> Connection:
        """Return the connection to the service, one for all threads."""
        settings = self.settings()
        with self._lock:
            if self._connection is None:
                self._connection = Connection(settings, self.clock, self.redactor)
            return self._connection

    def once(self, what: str, read: Callable[[], R]) -> R:
        """Return what is read once for all checks; what could not be read is asked for again."""
        with self._lock:
            reading, answers = self._once.setdefault(what, (threading.Lock(), []))
        with reading:
            if not answers:
                answers.append(read())
            answer: R = answers[0]
            return answer

    def is_first_warning(self, about: str, message: str) -> bool:
        """Whether this is the first such warning: check runs twice for a replacement."""
        with self._lock:
            is_new = (about, message) not in self._warned
            self._warned.add((about, message))
            return is_new

    def close(self) -> None:
        """Close the connection; the operation is over."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()


@dataclass
class Operation:
    """One verb."""

    deployment: Deployment
    report: Report
    verb: str | None = None
    """check, diff, create, read, update or delete; None for a command line."""
    urn: str | None = None
    """None: not known."""
    timeout: float | None = None
    """`custom_timeouts`, in seconds."""
    create_timeout: float | None = field(default=None, init=False)
    """Of a check: how long the create may take, in seconds, by the program's word; None for the default."""
    is_preview: bool = field(default=False, init=False)
    """Whether a check is of a preview, by the program's word."""
    ignore_changes: tuple[str, ...] = ()
    """Of an update: the property paths whose changes the program ignores, "*" for all."""
    begun: float = field(init=False)
    """Monotonic seconds."""

    def __post_init__(self) -> None:
        self.begun = self.clock.now()

    @property
    def clock(self) -> Clock:
        """The time."""
        return self.deployment.clock

    def ignores(self, name: str) -> bool:
        """Whether the program ignores changes of an input."""
        return any(path in (name, "*") or path.startswith((f"{name}.", f"{name}[")) for path in self.ignore_changes)

    @property
    def fresh_since(self) -> float:
        """The moment since which an answer of the service is fresh enough for this verb: all resources share it."""
        return self.begun - _FRESH_SECONDS

    @property
    def read_since(self) -> float:
        """The moment since which a listing may have ended that a refresh takes for the truth.

        What is read takes as long as a listing of all that there is: were it as old as its beginning, a listing of a
        thousand bids would be too old for the next ones to be read as soon as it has come.
        """
        return self.begun - _REFRESH_SECONDS

    @property
    def ledger(self) -> Ledger:
        """Who records what."""
        return self.deployment.ledger

    @property
    def own_record(self) -> OwnRecord:
        """What the state holds under the resource's own URN; the stored state is read where no check was told."""
        return self.deployment.own_records.of(self.urn, self.report)

    @property
    def settings(self) -> Settings:
        """The settings of the stack; raises ConfigError where there is no API key."""
        return self.deployment.settings()

    @cached_property
    def deadline(self) -> Deadline:
        """The time limit of the verb, which runs from its start."""
        silence = _WAIT_TIMES * self._retry_seconds
        return Deadline(self.clock, self.begun, self.timeout or DEFAULT_SECONDS, silence, self.report)

    @property
    def cloud(self) -> Cloud:
        """The service, with this verb's retry budget. Raises ConfigError where there is no API key.

        Raises, for a check, the UnavailableError of another check of moments ago.
        """
        if self.verb == CHECK:
            self.deployment.breaker.raise_if_open()
        # A command line is not a verb: each of its steps has a budget of its own.
        return Cloud(self.deployment.connect(), self._budget if self.verb else self._new_budget())

    @cached_property
    def _budget(self) -> RetryBudget:
        return self._new_budget()

    def _new_budget(self) -> RetryBudget:
        return RetryBudget(self._retry_seconds, self.deadline.end, self.clock, self.report.progress)

    @property
    def _retry_seconds(self) -> float:
        seconds = self.settings.retry_seconds
        return min(seconds, _CHECK_SECONDS) if self.verb in (CHECK, None) else seconds

    def warn_once(self, message: str, *, about: str | None = None, kind: str = "") -> None:
        """Warn, once per resource and deployment; of one kind the first message alone."""
        if self.deployment.is_first_warning(self.urn or "" if about is None else about, kind or message):
            self.report.warn(message)

    @contextlib.contextmanager
    def collecting_failures(self, found: Checked) -> Iterator[None]:
        """Send requests within a check: an unreachable service is one warning in all, other errors are failures."""
        try:
            yield
        except UnavailableError as error:
            self.deployment.breaker.trip(error)
            self.warn_once(f"the inputs are checked without the service: {error.message}", about="the service")
        except FlowResourcesError as error:
            found.failures.append(Failure("", str(error)))


def region_sources_of(op: Operation, found: Checked, olds: Mapping[str, Any], default: str | None) -> RegionSources:
    """Return where a resource's region comes from; the state is asked only where the program names none."""
    if "region" in found.inputs:
        return RegionSources()
    return region_sources(olds, op.own_record.exists, op.own_record.region, default)
