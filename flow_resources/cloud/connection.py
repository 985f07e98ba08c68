"""The connection of one plugin process to the service: the opened SDK, the proven project, the shared listings."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flow_resources.clock import Clock
from flow_resources.cloud.catalogue import Catalogue
from flow_resources.cloud.errors import translating_errors
from flow_resources.cloud.footprint import PAGE, rows_of_all_pages
from flow_resources.cloud.listings import Listings, Page
from flow_resources.cloud.paths import BIDS, NEWEST_FIRST
from flow_resources.cloud.retry_budget import RetryBudget
from flow_resources.cloud.sdk import Sdk, open_sdk
from flow_resources.cloud.service_clock import ServiceClock
from flow_resources.cloud.settings import Settings
from flow_resources.core.config_keys import API_URL_PLACES
from flow_resources.core.models import LIVE_INSTANCES, Bid, Instance
from flow_resources.errors import AccountMismatchError, ConfigError, NotFoundError, UnavailableError
from flow_resources.redaction import Redactor

if TYPE_CHECKING:
    from flow_resources.cloud.transport import Created

_LIVE_INSTANCES = ",".join(f"STATUS_{status.upper()}" for status in LIVE_INSTANCES)


@dataclass(frozen=True)
class Project:
    """The project that everything happens in."""

    id: str
    name: str


class Connection:
    """Made once per plugin process; the SDK is opened when it is first needed. All threads may use it.

    Whoever sends a request says within which retry budget.
    """

    def __init__(self, settings: Settings, clock: Clock, redactor: Redactor) -> None:
        self.settings, self.clock, self.redactor = settings, clock, redactor
        self.listings = Listings(self, clock.now)
        self.service_clock = ServiceClock(clock.now)
        self.known_project: Project | None = None
        """The project, once it has been proven."""
        self.catalogue = Catalogue()
        """What was read last, parsed."""
        self._lock = threading.Lock()
        self._sdk: Sdk | None = None

    @contextlib.contextmanager
    def calling_sdk(self, action: str, budget: RetryBudget, created: list[Created] | None = None) -> Iterator[Sdk]:
        """Call the SDK within: the only way to it.

        Its errors become this package's, which name the action. Its requests are retried within the budget, and what
        they create is appended to `created`.
        """
        with translating_errors(action, self.settings.api_url, self.redactor):
            sdk = self._opened()
            with sdk.transport.sdk_call(budget, [] if created is None else created):
                yield sdk

    def project(self, budget: RetryBudget) -> Project:
        """Return the project of the settings, proven to be one that the key lists.

        Raises AccountMismatchError when the key does not list it, and when none is set and the account has several.
        """
        if self.known_project is None:
            projects, wanted = self.projects(budget), self.settings.project
            matching = [project for project in projects if wanted in (None, project.id, project.name)]
            if len(matching) != 1:
                names = ", ".join(sorted(project.name for project in projects)) or "none"
                raise AccountMismatchError(
                    f"project {wanted!r} is not among the projects of this API key at {self.settings.api_url} ({names})"
                    if wanted
                    else f"no project is set, and this API key at {self.settings.api_url} has several ({names})",
                    "`pulumi config set flow:project ...`, or use the key of the right account",
                )
            with self.calling_sdk("select the project", budget) as sdk:
                sdk.select_project(matching[0].id)
            self.known_project = matching[0]
        return self.known_project

    def projects(self, budget: RetryBudget) -> list[Project]:
        """List the projects of the key. Raises ConfigError where something else than the service answers."""
        try:
            with self.calling_sdk("list the projects of the API key", budget) as sdk:
                return [Project(str(row["fid"]), str(row["name"])) for row in sdk.api.list_projects()]
        except NotFoundError as error:  # the service has this list for every account
            raise ConfigError(
                f"{self.settings.api_url} does not answer like Mithril's API ({error.message})",
                f"{API_URL_PLACES} must be its address alone, without a path",
            ) from error

    def close(self) -> None:
        """Close the SDK; the next call opens it again."""
        with self._lock:
            if self._sdk is not None:
                self._sdk.close()
                self._sdk = None

    # -- what the shared listings send ----------------------------------------------------------------------------

    def list_bids(self, status: str, budget: RetryBudget) -> Iterator[Bid]:
        """List the bids of a status."""
        query = {"project": self.project(budget).id, "status": status}
        with self.calling_sdk("list the bids", budget) as sdk:
            yield from map(Bid.read, rows_of_all_pages(sdk.api.list_bids, query))

    def list_newest_bids(self, limit: int, budget: RetryBudget) -> Iterator[Bid]:
        """List the bids of every status, newest first, so many on a page: who stops reading asks for no more pages.

        A first page of the usual size is shared with all threads, also with those who look for what they just created.
        """
        query = {"project": self.project(budget).id, **NEWEST_FIRST}
        with self.calling_sdk("list the bids", budget) as sdk:

            def list_page(query: dict[str, Any], **_: object) -> Any:
                if limit == PAGE and "next_cursor" not in query:
                    return Page.read(sdk.transport.get_together(BIDS, query, budget))
                return sdk.api.list_bids(query)

            yield from map(Bid.read, rows_of_all_pages(list_page, query, limit))

    def list_instances(self, budget: RetryBudget, bid_ids: Collection[str] = ()) -> Iterator[Instance]:
        """List the live instances of some bids, at most a page of them, or of all where none is named."""
        query = {"project": self.project(budget).id, "status_in": _LIVE_INSTANCES, "order_type_in": "Bid"}
        if bid_ids:
            query["bid_fid_in"] = ",".join(bid_ids)
        with self.calling_sdk("list the instances", budget) as sdk:
            yield from map(Instance.read, rows_of_all_pages(sdk.api.list_instances, query))

    def read_bid(self, bid_id: str, budget: RetryBudget) -> Bid | None:
        """Read a bid by its id; None where the service answers 404."""
        try:
            with self.calling_sdk(f"read bid {bid_id}", budget) as sdk:
                row = sdk.api.get_bid(bid_id)
                if row.get("fid") != bid_id:
                    raise UnavailableError(
                        f"the answer to a request for bid {bid_id} is no such bid", "run the same command again"
                    )
                return Bid.read(row)
        except NotFoundError:
            return None

    def service_now(self) -> datetime | None:
        """Return the time of the service; None where it is not known."""
        return self.service_clock.now()

    # -- inside ---------------------------------------------------------------------------------------------------

    def _opened(self) -> Sdk:
        with self._lock:
            if self._sdk is None:
                with translating_errors("start the Flow SDK", self.settings.api_url, self.redactor):
                    self._sdk = open_sdk(self.settings, self.clock, self.service_clock)
            return self._sdk
