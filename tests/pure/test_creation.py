"""Creating a named thing once: what a lost answer created is found by its name, for every kind in the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from flow.errors import APIError, NetworkError, RateLimitError
from support.stack import FakeClock

from flow_resources.cloud import RetryBudget
from flow_resources.cloud.creation import KINDS, NamedKind, create_once
from flow_resources.errors import UnavailableError

TOYS = NamedKind("/v2/toys", lambda _: {}, lambda row: row.get("status") != "broken")
EVERY_KIND = [*KINDS.values(), TOYS]
BODY = {"project": "proj_1", "name": "mine"}
GONE = {
    "/v2/spot/bids": {"status": "Terminated"},
    "/v2/volumes": {"deleted_at": "now"},
    "/v2/toys": {"status": "broken"},
}


class Service:
    """A service that ignores the Idempotency-Key and fails the first requests."""

    def __init__(self, kind: NamedKind, *failures: tuple[bool, Exception]) -> None:
        self.kind, self.failures, self.sent, self.listed = kind, list(failures), 0, 0
        self.rows: list[dict[str, Any]] = []
        self.next_cursor: str | None = None
        self.clock = FakeClock()

    def add(self, **fields: Any) -> dict[str, Any]:
        """Add a row."""
        number = len(self.rows) + 1
        self.rows.append({"fid": f"id_{number}", "name": BODY["name"], "created_at": f"2026-01-0{number}", **fields})
        return self.rows[-1]

    def send(self) -> dict[str, Any]:
        """Answer a POST: each failure says whether the request took effect."""
        self.sent += 1
        effect, error = self.failures.pop(0) if self.failures else (True, None)
        row = self.add() if effect else {}
        if error:
            raise error
        return row

    def get(self, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a listing."""
        assert (path, params["project"], params.get("name", "mine")) == (self.kind.path, "proj_1", "mine")
        self.listed += 1
        return {"data": list(self.rows), "next_cursor": self.next_cursor}

    def create(self) -> Any:
        """Create under the name."""
        return create_once(self.kind, BODY, self.send, self.get, RetryBudget(60.0, clock=self.clock))


@pytest.fixture(params=EVERY_KIND, ids=lambda kind: kind.path)
def kind(request: pytest.FixtureRequest) -> NamedKind:
    """A kind of the table, or one that was never in it."""
    return request.param


def test_what_a_lost_answer_created_is_found(kind: NamedKind) -> None:
    """The request is sent once."""
    service = Service(kind, (True, NetworkError("lost")))
    assert service.create() == service.rows[0]
    assert (service.sent, len(service.rows)) == (1, 1)


def test_a_request_without_effect_is_sent_again(kind: NamedKind) -> None:
    """The look-up found nothing."""
    service = Service(kind, (False, NetworkError("lost")))
    assert service.create() == service.rows[0]
    assert (service.sent, len(service.rows)) == (2, 1)


def test_what_has_ended_or_has_another_name_is_not_taken_for_it(kind: NamedKind) -> None:
    """A listing may hold both."""
    service = Service(kind, (False, NetworkError("lost")))
    service.add(**GONE[kind.path])
    service.add(name="mine-2")
    assert service.create() == service.rows[2]


def test_a_rate_limited_request_is_sent_again_without_a_look_up(kind: NamedKind) -> None:
    """Nothing happened."""
    service = Service(kind, (False, RateLimitError("busy")))
    service.create()
    assert (service.sent, service.listed) == (2, 0 if kind.is_name_new else 1)


def test_what_existed_before_is_not_taken_for_it() -> None:
    """Where a name may be in use already."""
    service = Service(TOYS, (False, NetworkError("lost")))
    existing = service.add()
    assert service.create() != existing
    assert service.sent == 2


def test_the_oldest_of_several_is_taken(kind: NamedKind) -> None:
    """Each lost request took effect, and the first look-up failed."""
    service = Service(kind, (True, NetworkError("lost")))
    send = service.send
    service.send = lambda: (service.add(), send())[1]  # type: ignore[method-assign]
    assert service.create() == service.rows[0]


def test_a_refusal_after_a_lost_answer_is_a_refusal(kind: NamedKind) -> None:
    """The look-up in between found nothing."""
    refusal = APIError("no", status_code=422)
    with pytest.raises(APIError, match="no"):
        Service(kind, (False, NetworkError("lost")), (False, refusal)).create()


def test_an_unknown_outcome_names_what_may_exist(kind: NamedKind) -> None:
    """No answer came within the budget."""
    with pytest.raises(UnavailableError, match="'mine': it may exist"):
        Service(kind, *[(False, NetworkError("lost"))] * 99).create()


def test_a_listing_that_is_cut_proves_nothing(kind: NamedKind) -> None:
    """The request is not sent again, or not at all where the name may be in use."""
    service = Service(kind, (False, NetworkError("lost")))
    service.next_cursor = "more"
    with pytest.raises(UnavailableError, match="is cut"):
        service.create()
    assert service.sent == (1 if kind.is_name_new else 0)
