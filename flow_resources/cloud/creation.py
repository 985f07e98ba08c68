"""Creating a named thing exactly once, also where the answer to the request is lost, or is none.

When the answer to a creating POST is lost, the stock client fails (500) or sends the request again (504, connection
reset, time-out), which rents twice where the service ignores the Idempotency-Key. Here, what the lost request may have
created is looked up by its exact name first, more than once because a listing can lag, and the request is sent again
only where there is nothing. What two requests may have made is looked for again afterwards.

An answer counts once the service shows a thing of that id and name. A 2xx answer without an id, or with one that the
service does not know or knows under another name, is a lost answer.

What only the answer makes of use cannot be found again: the service tells the secret of an API key once. What a lost
request made of that kind is discarded, and another one is made.

A new kind of named thing is one line in `KINDS`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from flow.errors import APIError, FlowError, InvalidResponseError, RateLimitError

from flow_resources.cloud.errors import NOT_FOUND
from flow_resources.cloud.footprint import PAGE
from flow_resources.cloud.listings import Page
from flow_resources.cloud.paths import API_KEYS, BIDS, NEWEST_FIRST, SSH_KEYS, VOLUMES
from flow_resources.cloud.retries import call_with_retries, is_outcome_unknown, is_transient
from flow_resources.cloud.retry_budget import RetryBudget
from flow_resources.errors import UnavailableError

Row = Mapping[str, Any]


@dataclass(frozen=True)
class NamedKind:
    """A kind of thing that is created under a name and can be found again by it."""

    path: str
    """Where it is created and listed."""
    query: Callable[[str], dict[str, Any]]
    """The parameters, besides the project, that list at least everything of a name."""
    is_live: Callable[[Row], bool]
    """Whether a row of the listing still exists."""
    is_name_new: bool = False
    """Whether every request has a name that was never used before, so that nothing of that name is there yet."""
    has_get: bool = False
    """Whether the service can be asked for one by its id; else only the listing shows it."""
    newest: Mapping[str, Any] | None = None
    """The parameters, besides the project, of the page of the newest of all names; None where there is no such page."""
    told_once: str = ""
    """What only the answer to the request tells, and without which the thing is of no use; empty for nothing."""
    is_of_project: bool = True
    """Whether it belongs to a project, which its listing has to name."""


class Reader(Protocol):
    """How what was created is read."""

    def get_once(self, url: str, params: Mapping[str, Any]) -> Any:
        """Read anew, without retries."""

    def get_together(self, url: str, params: Mapping[str, Any], budget: RetryBudget) -> Any:
        """Read, or share a reading that another thread begins from now on; rows come without start-up scripts."""


class Creation(NamedTuple):
    """What was created."""

    row: Row
    doubles: tuple[Row, ...] = ()
    """Other live things of the same new name: the service took effect of a lost request and of the one after it."""


_LAG, _PAUSE = 5.0, 1.0
"""For how many seconds a listing may lag behind what was created, and how long after the first look the second is."""
_SHOWN_WITHIN = 30.0
"""For how many seconds what an answer names is looked for, where the service does not show it at once."""
_OLDEST_FIRST = {"sort_by": "created_at", "sort_dir": "asc", "limit": 100}
KINDS = {
    kind.path: kind
    for kind in (
        NamedKind(
            BIDS,
            lambda name: {"name": name, **_OLDEST_FIRST},
            lambda row: row.get("status") != "Terminated",
            is_name_new=True,
            has_get=True,
            newest={**NEWEST_FIRST, "limit": PAGE},
        ),
        # The deleted ones too: a service that knows the key may answer with one of them.
        NamedKind(VOLUMES, lambda _: {"include_deleted": "true"}, lambda row: not row.get("deleted_at")),
        NamedKind(
            API_KEYS,
            lambda _: {},
            lambda row: not row.get("deactivated_at"),
            told_once="secret",
            is_of_project=False,
        ),
        # A public key of the program's. Of one that the service generates, the answer alone has the private half, and
        # the SDK keeps it: see `require_key`.
        NamedKind(SSH_KEYS, lambda _: {}, lambda _: True),
    )
}


def create_once(
    kind: NamedKind,
    body: Row,
    send: Callable[[], Any],
    service: Reader,
    budget: RetryBudget,
    discard: Callable[[str], None],
) -> Creation:
    """Send a creating request until it is answered, or until what a lost request created is found.

    What exists before the first request was not created by a lost one, whatever its name. Raises UnavailableError where
    the thing may exist and was not found, and the service's own error where it refused, and nothing was found.
    `discard` removes a thing by its id: what only the answer makes of use, where that was lost.
    """
    creator = (
        _ToldOnceCreator(kind, body, send, service, budget, discard=discard)
        if kind.told_once
        else _Creator(kind, body, send, service, budget)
    )
    creator.note_existing()
    try:
        row = call_with_retries(creator.find_or_send, budget, is_transient)
    except Exception as error:
        if not (creator.is_lost and is_transient(error)):
            raise  # the service refused it, after look-ups that found nothing
        raise creator.unknown_outcome() from error
    return creator.with_doubles(row)


def require_key(body: Row, answer: Any) -> None:
    """Raise UnavailableError where the answer to a request for an SSH key is no such key.

    The service tells the private half once: a key whose answer was lost serves nobody; the next launch makes another.
    """
    wanted = ("fid",) if body.get("public_key") else ("fid", "private_key")
    is_key = isinstance(answer, Mapping) and all(isinstance(answer.get(name), str) and answer[name] for name in wanted)
    if is_key and (body.get("public_key") or answer.get("name") == body["name"]):
        return
    raise UnavailableError(
        f"no readable answer to the request for the SSH key {body['name']!r}",
        "it may exist, without a private half here, and `flow ssh-key delete` removes it; "
        "run `pulumi up` again, which makes another",
    )


@dataclass
class _Creator:
    kind: NamedKind
    body: Row
    send: Callable[[], Any]
    service: Reader
    budget: RetryBudget
    lost_at: float | None = None
    """When the last answer was lost to a request that may have taken effect, in monotonic seconds."""
    effects: int = 0
    """How many requests may have taken effect."""
    existing: dict[str, str] = field(default_factory=dict)
    """By id, the names of what was there before the first request."""

    def note_existing(self) -> None:
        """Note what is there before the first request, where its name may be in use."""
        if not self.kind.is_name_new:
            listed = call_with_retries(self._list, self.budget, is_transient)
            self.existing = {str(row.get("fid")): str(row.get("name")) for row in listed}

    def find_or_send(self) -> Row:
        """Return what a lost request created, or else send the request."""
        if self.lost_at is not None and (found := self._look(self.lost_at)):
            return _oldest(found)
        try:
            answer = self.send()
        except Exception as error:
            if is_outcome_unknown(error):
                self._lose()
            # Refused because of what the lost request made: its name, or its quota, is used.
            elif self.is_lost and not isinstance(error, RateLimitError) and (found := self._look(self._now())):
                return _oldest(found)
            raise
        id_ = answer.get("fid") if isinstance(answer, Mapping) else None
        if not (isinstance(id_, str) and id_):
            self._lose()
            raise InvalidResponseError(f"the answer to the request for {self._name!r} has no id")
        row: Row = answer
        if id_ in self.existing:
            return self._confirm_existing(self.existing[id_], row)
        self.effects += 1
        return self._confirm(id_, row)

    def with_doubles(self, row: Row) -> Creation:
        """Return the row with what another request made beside it; the oldest counts.

        Nothing that fails here matters: the row is known, and a double that is not found is named by a refresh.
        """
        found = [row]
        if self.effects > 1:
            try:
                found = self._look(self._now(), enough=2)
            except Exception as error:
                if not is_transient(error) and not isinstance(error, UnavailableError):
                    raise
        ids = {one["fid"] for one in found}
        oldest = _oldest(found if row["fid"] in ids else [row, *found])
        others = (one for one in (row, *found) if one["fid"] != oldest["fid"])
        return Creation(oldest, tuple({one["fid"]: one for one in others}.values()))

    def unknown_outcome(self) -> UnavailableError:
        """Return the error for an outcome that nobody knows.

        This must not be one of the SDK's own errors: its retry loop around this call would start over.
        """
        return UnavailableError(
            f"no readable answer to the request for {self._name!r}",
            "it may exist: run `pulumi up` again, which looks for it by that name before it makes another",
        )

    @property
    def is_lost(self) -> bool:
        """Whether the answer to a request was lost that may have taken effect."""
        return self.lost_at is not None

    @property
    def _name(self) -> str:
        return str(self.body["name"])

    @property
    def _project(self) -> dict[str, Any]:
        return {"project": self.body["project"]} if self.kind.is_of_project else {}

    def _now(self) -> float:
        return self.budget.clock.now()

    def _lose(self) -> None:
        self.lost_at = self._now()
        self.effects += 1

    def _confirm_existing(self, name: str, answer: Row) -> Row:
        """Return an answer that has the id of what was there before, under this name; or the new thing, if one is made.

        The service knows the key of something that was renamed, or deleted, since.
        """
        if name == self._name:
            return answer
        if found := self._look(self._now(), seconds=_SHOWN_WITHIN):
            return _oldest(found)
        if answer.get("name") != name:
            raise self.unknown_outcome()
        return answer

    def _confirm(self, id_: str, answer: Row) -> Row:
        """Return what the service shows under the id of an answer; where that is not ours, what has the name.

        Where it shows nothing just now, the answer counts.
        """
        is_named = answer.get("name") == self._name
        try:
            shown = self._show(id_)
        except Exception as error:
            if is_named:
                return answer  # a reading that fails, or is refused, says nothing against what was answered
            if is_transient(error):
                raise
            raise self.unknown_outcome() from error
        if shown and shown.get("name") == self._name:
            return shown
        self.lost_at = self._now()
        found = list[Row]()
        if not (is_named and shown is None):
            found = self._look(self.lost_at)
        else:
            with contextlib.suppress(UnavailableError):  # no time to look: what was answered counts, or is not known
                found = self._look(self.lost_at, seconds=_SHOWN_WITHIN)
        if found:
            return next((row for row in found if row["fid"] == id_), _oldest(found))
        if shown or self.kind.has_get or not is_named:
            raise self.unknown_outcome()
        return answer  # a listing that lags for longer says nothing against it

    def _show(self, id_: str) -> Row | None:
        if shown := self._show_among_newest(id_):
            return shown
        if not self.kind.has_get:
            return next((row for row in self._list() if row.get("fid") == id_), None)
        try:
            shown = self.service.get_once(f"{self.kind.path}/{id_}", {})
        except APIError as error:
            if error.status_code == NOT_FOUND:
                return None
            raise
        return shown if isinstance(shown, Mapping) else None

    def _show_among_newest(self, id_: str) -> Row | None:
        """Return what the page of the newest shows under an id; None where it does not, which proves nothing.

        All who have just created something share it, and those who are about to.
        """
        if self.kind.newest is None:
            return None
        try:
            with self.budget.suspended():
                page = self.service.get_together(self.kind.path, {**self._project, **self.kind.newest}, self.budget)
            rows = Page.read(page).rows
        except FlowError:
            return None  # the service is asked for this one next
        return next((row for row in rows if isinstance(row, Mapping) and row.get("fid") == id_), None)

    def _look(self, since: float, *, enough: int = 1, seconds: float = _LAG) -> list[Row]:
        """Return what lost requests created, or what is there by so many seconds after a moment.

        Raises UnavailableError where there is no time to wait for that, or the listing is refused: the outcome is not
        known then.
        """
        found, pause = self._list_new(), _PAUSE
        while len(found) < enough and (left := since + seconds - self._now()) > 0:
            self.budget.report(f"looking whether {self._name!r} exists: no readable answer came")
            if not self.budget.wait(min(pause, left)):
                raise self.unknown_outcome()
            found, pause = self._list_new(), _LAG
        return found

    def _list_new(self) -> list[Row]:
        try:
            rows = self._list()
        except Exception as error:
            if is_transient(error) or isinstance(error, UnavailableError):
                raise
            raise self.unknown_outcome() from error
        named = (row for row in rows if row.get("name") == self._name and self.kind.is_live(row))
        return [row for row in named if row.get("fid") and row["fid"] not in self.existing]

    def _list(self) -> list[Row]:
        query = {**self._project, **self.kind.query(self._name)}
        rows = Page.read(self.service.get_once(self.kind.path, query)).whole(self.kind.path)
        return [row for row in rows if isinstance(row, Mapping)]


@dataclass
class _ToldOnceCreator(_Creator):
    """Creates what only the answer makes of use: what a lost request made is discarded before the next is sent."""

    discard: Callable[[str], None] = field(kw_only=True)

    def find_or_send(self) -> Row:
        """Discard what a lost request created, and send the request."""
        if self.lost_at is not None:
            self._discard(self._look(self.lost_at))
        try:
            answer = self.send()
        except Exception as error:
            if is_outcome_unknown(error):
                self._lose()
            raise
        if not self._is_told(answer):
            self._lose()
            raise InvalidResponseError(f"the answer to the request for {self._name!r} does not tell it")
        self.effects += 1
        row: Row = answer
        return row

    def with_doubles(self, row: Row) -> Creation:
        """Discard what another request made, which a listing may show late; nothing that fails here matters."""
        with contextlib.suppress(UnavailableError, FlowError, OSError):
            if self.effects > 1:
                self._discard([one for one in self._look(self._now(), enough=2) if one["fid"] != row["fid"]])
        return Creation(row)

    def unknown_outcome(self) -> UnavailableError:
        """Return the error for an outcome that nobody knows."""
        return UnavailableError(
            f"no readable answer to the request for {self._name!r}",
            "it may exist, of use to nobody; run `pulumi up` again, which makes another",
        )

    def _is_told(self, answer: Any) -> bool:
        """Whether an answer tells all of a new thing of our name."""
        if not isinstance(answer, Mapping) or answer.get("name") != self._name or not self.kind.is_live(answer):
            return False
        if answer.get("fid") in self.existing:
            return False
        return all(isinstance(answer.get(name), str) and answer[name] for name in ("fid", self.kind.told_once))

    def _discard(self, rows: list[Row]) -> None:
        for row in rows:
            try:
                self.discard(str(row["fid"]))
            except Exception as error:
                if is_transient(error):
                    raise
                raise self.unknown_outcome() from error
            self.effects -= 1


def _oldest(rows: list[Row]) -> Row:
    return min(rows, key=lambda row: (str(row.get("created_at")), str(row["fid"])))
