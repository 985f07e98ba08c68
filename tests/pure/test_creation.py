"""Creating a named thing once: what a lost answer created is found by its name, for every kind in the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from flow.errors import APIError, AuthenticationError, InvalidResponseError, NetworkError, RateLimitError
from support.stack import FakeClock

from flow_resources.cloud import RetryBudget
from flow_resources.cloud.creation import KINDS, Creation, NamedKind, create_once, require_key
from flow_resources.errors import UnavailableError

TOYS = NamedKind("/v2/toys", lambda _: {}, lambda row: row.get("status") != "broken")
EVERY_KIND = [*(kind for kind in KINDS.values() if not kind.told_once), TOYS]
BODY = {"project": "proj_1", "name": "mine"}
GONE = {
    "/v2/spot/bids": {"status": "Terminated"},
    "/v2/volumes": {"deleted_at": "now"},
    "/v2/ssh-keys": {"name": "mine-1"},  # one that was deleted is in no listing
    "/v2/toys": {"status": "broken"},
}


class Service:
    """A service that ignores the Idempotency-Key and fails the first requests."""

    def __init__(self, kind: NamedKind, *failures: tuple[bool, Exception | None]) -> None:
        self.kind, self.failures, self.sent, self.listed = kind, list(failures), 0, 0
        self.answers: list[Any] = []
        """What the next requests answer, in place of the row that they made."""
        self.discarded: list[str] = []
        self.discard_failures: list[Exception] = []
        self.newest_failure: Exception | None = None
        self.read = list[str]()
        self.lag = 0.0
        self.rows: list[dict[str, Any]] = []
        self.next_cursor: str | None = None
        self.clock = FakeClock()
        self.made_at: dict[str, float] = {}

    def add(self, **fields: Any) -> dict[str, Any]:
        """Add a row."""
        number = len(self.rows) + 1
        row = {"fid": f"id_{number}", "name": BODY["name"], "created_at": f"2026-01-0{number}", **fields}
        self.rows.append(row)
        self.made_at[row["fid"]] = self.clock.now()
        return self.rows[-1]

    def send(self) -> dict[str, Any]:
        """Answer a POST: each failure says whether the request took effect."""
        self.sent += 1
        effect, error = self.failures.pop(0) if self.failures else (True, None)
        row = self.add() if effect else {}
        if error:
            raise error
        if self.answers:
            return self.answers.pop(0)
        return {**row, self.kind.told_once: f"s3cret of {row['fid']}"} if self.kind.told_once else row

    def discard(self, id_: str) -> None:
        """Answer a DELETE."""
        assert self.kind.told_once
        self.discarded.append(id_)
        if self.discard_failures:
            raise self.discard_failures.pop(0)
        next(row for row in self.rows if row["fid"] == id_)["deactivated_at"] = "now"

    def get_together(self, path: str, params: Mapping[str, Any], budget: RetryBudget) -> Any:
        """Answer the page of the newest, which lags."""
        assert (path, params) == (self.kind.path, {"project": BODY["project"], **(self.kind.newest or {})})
        assert budget.seconds == 0.0, "what is asked for by its id next is not worth a wait"
        if self.newest_failure:
            raise self.newest_failure
        return {"data": [row for row in self.rows if self.made_at[row["fid"]] + self.lag <= self.clock.now()]}

    def get_once(self, path: str, params: Mapping[str, Any]) -> Any:
        """Answer a listing, which lags, or a read of one, which does not."""
        self.read.append(path)
        if path != self.kind.path:
            assert self.kind.has_get
            for row in self.rows:
                if path == f"{self.kind.path}/{row['fid']}":
                    return row
            raise APIError("none", status_code=404)
        assert (params.get("project"), params.get("name", "mine")) == (
            BODY["project"] if self.kind.is_of_project else None,
            "mine",
        )
        self.listed += 1
        rows = [row for row in self.rows if self.made_at[row["fid"]] + self.lag <= self.clock.now()]
        return {"data": rows, "next_cursor": self.next_cursor}

    def create_all(self, time_limit: float = 600.0) -> Creation:
        """Create under the name; return what was made, and what beside it."""
        budget = RetryBudget(60.0, self.clock.now() + time_limit, self.clock)
        return create_once(self.kind, BODY, self.send, self, budget, self.discard)

    def create(self) -> Any:
        """Create under the name; return what was made."""
        return self.create_all().row


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
    # A kind that cannot be asked for by its id is listed before, and to see what was made.
    assert (service.sent, service.listed) == (2, 0 if kind.has_get else 2)


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
    made = service.create_all()
    assert made.row == service.rows[0]


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


# -- answers that are none, and listings that lag ----------------------------------------------------------------------

NO_ANSWER: dict[str, Any] = {
    "an empty object": {},
    "a list": [],
    "null": None,
    "text": "created",
    "a number": 7,
    "an empty id": {"fid": "", "name": "mine"},
    "an id that is no text": {"fid": 7, "name": "mine"},
    "another shape": {"data": {"fid": "id_1", "name": "mine"}},
}


@pytest.mark.parametrize("answer", NO_ANSWER.values(), ids=NO_ANSWER)
def test_an_answer_without_an_id_is_a_lost_answer(kind: NamedKind, answer: Any) -> None:
    """What it created is found by its name."""
    service = Service(kind)
    service.answers = [answer]
    assert service.create() == service.rows[0]
    assert (service.sent, len(service.rows)) == (1, 1)


@pytest.mark.parametrize("name", ["mine", "theirs"])
def test_an_answer_with_the_id_of_something_else_is_a_lost_answer(name: str) -> None:
    """Whatever name it gives."""
    service = Service(KINDS["/v2/spot/bids"])
    theirs = service.add(name="theirs")
    service.answers = [{**theirs, "name": name}]
    assert service.create() == service.rows[1]
    assert service.sent == 1


def test_an_answer_with_an_id_that_was_there_before_is_the_answer_of_a_known_key() -> None:
    """It was renamed since, or deleted; the caller chooses another name."""
    service = Service(TOYS, (False, None))
    renamed = service.add(name="renamed")
    service.answers = [renamed]
    assert service.create() == renamed
    assert service.sent == 1


def test_an_answer_with_an_id_that_was_there_before_is_not_believed_beside_a_new_thing() -> None:
    """Also where the listing shows the new one late."""
    service = Service(TOYS)
    service.lag = 8.0
    service.answers = [service.add(name="theirs")]
    service.clock.sleep(10.0)
    assert service.create() == service.rows[1]


@pytest.mark.parametrize("name", ["mine", "theirs"])
def test_an_answer_with_an_id_that_nobody_knows_is_a_lost_answer(kind: NamedKind, name: str) -> None:
    """The listing has the thing under another id."""
    service = Service(kind)
    service.answers = [{"fid": "id_999", "name": name}]
    assert service.create() == service.rows[0]
    assert service.sent == 1


BIDS = KINDS["/v2/spot/bids"]


@pytest.mark.parametrize("answer", [{}, {"fid": "id_1"}, {"fid": "id_1", "name": "mine"}])
def test_what_the_page_of_the_newest_shows_is_not_asked_for_again(answer: dict[str, Any]) -> None:
    """Those who create at the same time share that page, and no other reading tells more."""
    service = Service(BIDS)
    service.answers = [answer] if answer else []
    assert service.create() == service.rows[0]
    assert service.read == []


@pytest.mark.parametrize("failure", [None, NetworkError("down"), InvalidResponseError("odd")])
def test_what_the_page_of_the_newest_does_not_show_is_asked_for_by_its_id(failure: Exception | None) -> None:
    """The page lags, or it cannot be read."""
    service = Service(BIDS)
    service.lag, service.newest_failure = (0.0 if failure else 3.0), failure
    assert service.create() == service.rows[0]
    assert service.read == ["/v2/spot/bids/id_1"]


def test_what_the_page_of_the_newest_shows_under_another_name_is_not_ours() -> None:
    """The answer had the id of another's; ours is found by its name."""
    service = Service(BIDS)
    service.answers = [{"fid": service.add(name="theirs")["fid"], "name": "mine"}]
    assert service.create() == service.rows[1]


def test_an_answer_that_says_too_little_is_completed(kind: NamedKind) -> None:
    """By what the service shows under its id."""
    service = Service(kind)
    service.answers = [{"fid": "id_1"}]
    assert service.create() == service.rows[0]


UNREADABLE = {"down": NetworkError("down"), "refused": AuthenticationError("no such key"), "odd": ValueError("odd")}


def fail_reads_after_a_request(service: Service, error: Exception) -> None:
    """Let every read fail once something was sent."""
    get = service.get_once

    def get_before(path: str, params: Mapping[str, Any]) -> Any:
        if service.sent:
            raise error
        return get(path, params)

    service.get_once, service.newest_failure = get_before, error  # type: ignore[method-assign]


@pytest.mark.parametrize("error", UNREADABLE.values(), ids=UNREADABLE)
def test_an_answer_counts_where_nothing_can_be_asked(kind: NamedKind, error: Exception) -> None:
    """Its id must not get lost: also a key that the service refuses from now on says nothing against it."""
    service = Service(kind)
    fail_reads_after_a_request(service, error)
    assert service.create() == service.rows[0]


@pytest.mark.parametrize("error", UNREADABLE.values(), ids=UNREADABLE)
def test_a_lost_answer_is_no_refusal_where_it_cannot_be_looked_for(kind: NamedKind, error: Exception) -> None:
    """What was asked for may exist: whoever believed a refusal would forget it, or revoke its key."""
    service = Service(kind, (True, NetworkError("lost")))
    fail_reads_after_a_request(service, error)
    with pytest.raises(UnavailableError, match="'mine': it may exist"):
        service.create()
    assert service.sent == 1


@pytest.mark.parametrize("lag", [0.5, 3.0, 5.0])
def test_a_lost_answer_does_not_believe_a_listing_that_lags(kind: NamedKind, lag: float) -> None:
    """It looks again before it sends again."""
    service = Service(kind, (True, NetworkError("lost")))
    service.lag = lag
    assert service.create() == service.rows[0]
    assert (service.sent, len(service.rows)) == (1, 1)


@pytest.mark.parametrize("lag", [7.0, 9.0])
def test_what_two_requests_made_is_told_and_the_older_one_counts(kind: NamedKind, lag: float) -> None:
    """Where the listing lags for longer, and the service ignores the key."""
    service = Service(kind, (True, NetworkError("lost")))
    service.lag = lag
    made = service.create_all()
    assert service.sent == 2
    assert made.row == service.rows[0]
    assert list(made.doubles) == [service.rows[1]]


def test_a_name_that_is_taken_after_a_lost_answer_is_taken_by_the_lost_request(kind: NamedKind) -> None:
    """The listing shows it later."""
    service = Service(kind, (True, NetworkError("lost")), (False, APIError("name already used", status_code=409)))
    service.lag = 8.0
    assert service.create() == service.rows[0]
    assert (service.sent, len(service.rows)) == (2, 1)


def test_nothing_is_sent_again_without_the_time_to_look_again(kind: NamedKind) -> None:
    """The outcome is not known then."""
    service = Service(kind, (True, NetworkError("lost")))
    service.lag = 60.0
    with pytest.raises(UnavailableError, match="'mine': it may exist"):
        service.create_all(time_limit=3.0)
    assert service.sent == 1


def test_looking_does_not_spend_the_time_for_retries(kind: NamedKind) -> None:
    """In a storm every other answer can be lost, and each is looked for."""
    service = Service(kind, *[(False, NetworkError("lost"))] * 10)
    assert service.create() == service.rows[0]
    assert service.sent == 11


def test_a_listing_that_fails_between_two_looks_costs_no_further_request(kind: NamedKind) -> None:
    """The looks go on until the time of a lag is over, with a listing that succeeded after it."""
    service = Service(kind, (False, NetworkError("lost")))
    get, failures = service.get_once, iter([False, True, True])

    def sometimes(path: str, params: Mapping[str, Any]) -> Any:
        if service.sent == 1 and path == kind.path and next(failures, False):
            raise NetworkError("down")
        return get(path, params)

    service.get_once = sometimes  # type: ignore[method-assign]
    assert service.create() == service.rows[0]
    assert service.sent == 2


# -- what only the answer makes of use ---------------------------------------------------------------------------------

API_KEYS = KINDS["/v2/api-keys"]
LOST = NetworkError("lost")


def live_ids(service: Service) -> list[str]:
    return [row["fid"] for row in service.rows if row["name"] == "mine" and not row.get("deactivated_at")]


def test_a_key_whose_answer_was_lost_is_discarded_and_another_one_is_made() -> None:
    """The answer alone tells its secret."""
    service = Service(API_KEYS, (True, LOST))
    made = service.create_all()
    assert (made.row["fid"], made.row["secret"], made.doubles) == ("id_2", "s3cret of id_2", ())
    assert (service.discarded, live_ids(service)) == (["id_1"], ["id_2"])
    assert not service.clock.slept[1:]  # nothing is left that a listing could show late


def test_a_lost_key_is_no_refusal_where_it_cannot_be_discarded() -> None:
    """It may be live, of use to nobody."""
    service = Service(API_KEYS, (True, NetworkError("lost")))
    service.discard_failures = [AuthenticationError("no such key")]
    with pytest.raises(UnavailableError, match="'mine': it may exist"):
        service.create()
    assert service.sent == 1


def test_all_keys_whose_answers_were_lost_are_discarded() -> None:
    """One after the other."""
    service = Service(API_KEYS, (True, LOST), (False, LOST), (True, LOST))
    assert service.create()["fid"] == "id_3"
    assert (service.discarded, live_ids(service)) == (["id_1", "id_2"], ["id_3"])


@pytest.mark.parametrize("lag", [0.5, 3.0, 7.0, 9.0])
def test_a_lost_key_that_the_listing_shows_late_is_discarded_too(lag: float) -> None:
    """Before the next one is made, or after it; never the one that was told."""
    service = Service(API_KEYS, (True, LOST))
    service.lag = lag
    assert service.create()["fid"] == "id_2"
    assert live_ids(service) == ["id_2"]


def test_a_key_that_existed_before_is_not_discarded() -> None:
    """A bid can hold it. Nor is one of another name, or one that was revoked."""
    service = Service(API_KEYS, (True, LOST))
    for fields in ({}, {"name": "ci"}, {"deactivated_at": "now"}):
        service.add(**fields)
    assert service.create()["fid"] == "id_5"
    assert service.discarded == ["id_4"]


@pytest.mark.parametrize(
    "answer",
    [
        *NO_ANSWER.values(),
        {"fid": "id_1", "name": "mine"},
        {"fid": "id_1", "name": "mine", "secret": ""},
        {"fid": "id_1", "name": "mine", "secret": 7},
        {"fid": "id_1", "name": "theirs", "secret": "x"},
        {"fid": "id_1", "name": "mine", "secret": "x", "deactivated_at": "now"},
    ],
)
def test_an_answer_that_does_not_tell_the_secret_is_a_lost_answer(answer: Any) -> None:
    """Or that tells of another key."""
    service = Service(API_KEYS)
    service.answers = [answer]
    assert service.create()["secret"] == "s3cret of id_2"
    assert live_ids(service) == ["id_2"]


def test_an_answer_that_tells_of_an_older_key_is_a_lost_answer() -> None:
    """And that key stays."""
    service = Service(API_KEYS)
    service.answers = [{**service.add(), "secret": "x"}]
    assert service.create()["fid"] == "id_3"
    assert live_ids(service) == ["id_1", "id_3"]


def test_a_key_that_cannot_be_discarded_at_once_is_discarded_later() -> None:
    """No further key is made before that."""
    service = Service(API_KEYS, (True, LOST))
    service.discard_failures = [LOST, APIError("down", status_code=503)]
    assert service.create()["fid"] == "id_2"
    assert (service.discarded, live_ids(service)) == (["id_1"] * 3, ["id_2"])


def test_a_key_that_was_made_is_told_though_its_double_stays() -> None:
    """What fails after the answer does not lose it."""
    service = Service(API_KEYS, (True, LOST))
    service.lag = 7.0
    service.discard_failures = [APIError("down", status_code=503)]
    assert service.create()["secret"] == "s3cret of id_2"


def test_a_refusal_after_a_lost_key_is_a_refusal() -> None:
    """The lost one is discarded, and not taken for the answer."""
    service = Service(API_KEYS, (True, LOST), (False, APIError("no", status_code=400)))
    with pytest.raises(APIError, match="no"):
        service.create()
    assert live_ids(service) == []


def test_a_lost_key_without_further_answers_is_named() -> None:
    """It may exist."""
    with pytest.raises(UnavailableError, match="'mine': it may exist, of use to nobody"):
        Service(API_KEYS, *[(False, LOST)] * 99).create()


KEY = {"project": "proj_1", "name": "flow-auto"}


@pytest.mark.parametrize(
    "answer",
    [*NO_ANSWER.values(), {"fid": "key_1", "name": "flow-auto"}, {"fid": "key_1", "name": "x", "private_key": "p"}],
)
def test_an_answer_that_is_no_ssh_key_is_told(answer: Any) -> None:
    """Its private half is told once."""
    with pytest.raises(UnavailableError, match="no readable answer to the request for the SSH key 'flow-auto'"):
        require_key(KEY, answer)


def test_an_ssh_key_is_one() -> None:
    """Made by the service, or uploaded: then under whatever name the service has it."""
    require_key(KEY, {"fid": "key_1", "name": "flow-auto", "private_key": "p"})
    require_key({**KEY, "public_key": "ssh-ed25519 AAAA"}, {"fid": "key_1", "name": "other"})
