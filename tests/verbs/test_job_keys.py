"""The API keys of jobs, at the fake over HTTP: made once, told to nobody else, listed, revoked."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from support.stack import SkippingClock, Stack, operation

from flow_resources.cloud import Cloud
from flow_resources.core.models import JobKey
from flow_resources.core.naming import Mark, key_name
from flow_resources.errors import RejectedError, UnavailableError
from flow_resources.testing import Clock, FakeMithril
from flow_resources.testing.service.api_keys import ApiKeys

KEYS = r"/v2/api-keys$"
NAME = key_name(Mark("3f9a1c5d08b6", "7be02d4d"), "9c01d2", 1, "proj_000001")
LOST: list[dict[str, Any]] = [
    {"status": 500, "when": "after"},
    {"status": 504, "when": "after"},
    {"status": 500, "when": "before"},
    {"kind": "reset", "when": "after"},
    {"kind": "reset", "when": "before"},
    {"kind": "truncate", "when": "after"},
    {"kind": "malformed", "when": "after"},
    {"kind": "alter", "body": {"secret": None}},
    {"kind": "alter", "body": {"fid": None}},
    {"kind": "alter", "body": {"name": "ci"}},
]
WITHOUT_EFFECT = [fault for fault in LOST if fault.get("when") == "before"]


def name_of(fault: dict[str, Any]) -> str:
    return "-".join(
        str(word) for word in (fault.get("kind", fault.get("status")), fault.get("when", fault.get("body")))
    )


@pytest.fixture
def client(stack: Stack) -> Cloud:
    """The client of the model's stack."""
    stack.operation()
    return operation("create").cloud


def in_days(days: float = 30) -> datetime:
    return datetime.now(timezone.utc) + timedelta(days=days)


def rows(cloud: FakeMithril, *, key: str = "") -> list[dict[str, Any]]:
    """Return all keys of a user, the revoked ones included."""
    headers = {"Authorization": f"Bearer {key or cloud.key}"}
    listed: list[dict[str, Any]] = httpx.get(f"{cloud.url}/v2/api-keys", headers=headers).json()
    return listed


def live(cloud: FakeMithril) -> list[str]:
    """Return the ids of the keys that work."""
    return [row["fid"] for row in rows(cloud) if row["deactivated_at"] is None]


def accepts(cloud: FakeMithril, secret: str | None) -> bool:
    """Whether the service takes a key."""
    return httpx.get(f"{cloud.url}/v2/me", headers={"Authorization": f"Bearer {secret}"}).status_code == 200


# -- making one --------------------------------------------------------------------------------------------------------


def test_a_key_is_made_with_its_name_and_its_expiry(cloud: FakeMithril, client: Cloud) -> None:
    """With one request, and it works."""
    expires_at = in_days(37)
    key = client.mint_job_key(NAME, expires_at)
    assert (key.name, key.expires_at) == (NAME, expires_at)
    assert [request.body for request in cloud.mutations] == [{"name": NAME, "expires_at": expires_at.isoformat()}]
    assert live(cloud) == [key.id]
    assert accepts(cloud, key.secret)


@pytest.mark.parametrize("fault", LOST, ids=name_of)
@pytest.mark.parametrize("times", [1, 2])
def test_a_lost_answer_leaves_one_live_key_and_that_one_is_told(
    cloud: FakeMithril, client: Cloud, fault: dict[str, Any], times: int
) -> None:
    """What a lost request made serves nobody, and is revoked."""
    cloud.faults.add(method="POST", path=KEYS, times=times, **fault)
    key = client.mint_job_key(NAME, in_days())
    assert live(cloud) == [key.id]
    assert accepts(cloud, key.secret)
    assert len(rows(cloud)) == (1 if fault in WITHOUT_EFFECT else times + 1)


@pytest.mark.parametrize("fault", [{"status": 500}, {"kind": "reset", "when": "after"}, {"status": 404}], ids=str)
def test_a_revocation_whose_answer_is_lost_too_leaves_one_live_key(
    cloud: FakeMithril, client: Cloud, fault: dict[str, Any]
) -> None:
    """One fault seldom comes alone; and a 404 is no reason to give up."""
    cloud.faults.add(method="POST", path=KEYS, kind="reset", when="after")
    cloud.faults.add(method="DELETE", path=r"/v2/api-keys/", **fault)
    key = client.mint_job_key(NAME, in_days())
    assert key.id in live(cloud)
    assert accepts(cloud, key.secret)
    if fault != {"status": 404}:
        assert live(cloud) == [key.id]


def test_a_key_of_the_same_name_stays(cloud: FakeMithril, client: Cloud) -> None:
    """A bid that no listing shows yet can hold it. When the bid is known, it is revoked by its name."""
    before = client.mint_job_key(NAME, in_days())
    cloud.faults.add(method="POST", path=KEYS, kind="reset", when="after")
    key = client.mint_job_key(NAME, in_days())
    assert live(cloud) == [before.id, key.id]
    assert [one.id for one in client.revoke_job_keys(NAME, besides=key.id)] == [before.id]
    assert live(cloud) == [key.id]


def test_a_refusal_makes_nothing_and_says_why(cloud: FakeMithril, client: Cloud) -> None:
    """In the service's words."""
    with pytest.raises(
        RejectedError, match=r"could not make the API key 'flow-job-.*must expire between now and 1 year"
    ):
        client.mint_job_key(NAME, in_days(366))
    assert rows(cloud) == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_may_not_make_keys_says_so(cloud: FakeMithril, client: Cloud, status: int) -> None:
    """Nothing is retried."""
    cloud.faults.add(method="POST", path=KEYS, status=status, times=None)
    with pytest.raises(Exception, match="could not make the API key") as failed:
        client.mint_job_key(NAME, in_days())
    assert len(cloud.mutations) == 1
    assert failed.type.__module__ == "flow_resources.errors"


def test_a_service_that_is_gone_says_that_a_key_may_exist(cloud: FakeMithril, client: Cloud) -> None:
    """The next call makes another one."""

    def go(_request: object) -> None:
        cloud.faults.add(kind="reset", when="before", times=None)

    cloud.faults.add(method="POST", path=KEYS, kind="reset", when="after", then=go)
    with pytest.raises(UnavailableError, match=f"{NAME}.*it may exist, of use to nobody"):
        client.mint_job_key(NAME, in_days())
    cloud.faults.clear()
    assert len(live(cloud)) == 1


# -- the secret --------------------------------------------------------------------------------------------------------


def test_no_text_and_no_pickle_holds_the_secret(cloud: FakeMithril, client: Cloud) -> None:
    """It is redacted wherever it comes back, whatever its form."""
    cloud.faults.add(method="POST", path=KEYS, kind="alter", body={"secret": "canary-9f3b7c"})
    key = client.mint_job_key(NAME, in_days())
    assert key.secret == "canary-9f3b7c"
    assert key.secret not in f"{key!r} {key} {[key]}"
    for copies in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="an API key is not pickled"):
            copies(key)
    cloud.faults.add(status=400, body={"detail": f"no such key as {key.secret}"})
    with pytest.raises(RejectedError) as failed:
        client.revoke_job_key(key.id)
    assert "no such key as …" in str(failed.value)


@pytest.mark.parametrize("fault", [*LOST, {"status": 400, "when": "after"}], ids=name_of)
def test_no_error_and_no_log_holds_a_secret(
    cloud: FakeMithril,
    client: Cloud,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, Any],
) -> None:
    """Also where nobody has ever read the answer that tells it."""
    caplog.set_level(logging.DEBUG)
    told = list[str]()
    create = ApiKeys.create

    def remember(keys: ApiKeys, *arguments: Any) -> Any:
        row = create(keys, *arguments)
        told.append(row["secret"])
        return row

    monkeypatch.setattr(ApiKeys, "create", remember)
    if fault.get("status") == 400:
        fault = {**fault, "body": {"detail": "you asked for a key, here: fkey_0123456789-abcdef_0123456789ab"}}
    cloud.faults.add(method="POST", path=KEYS, times=None, **fault)
    with pytest.raises((RejectedError, UnavailableError)) as failed:
        client.mint_job_key(NAME, in_days())
    text = f"{failed.value} {failed.value!r} {caplog.text} {cloud.requests!r}"
    assert told or fault in WITHOUT_EFFECT or "status" in fault
    for secret in [*told, "fkey_0123456789-abcdef_0123456789ab"]:
        assert secret not in text
    assert NAME in str(failed.value)
    assert traceback.format_exception(failed.value)


# -- listing and revoking ----------------------------------------------------------------------------------------------


def test_live_keys_of_the_form_are_listed_without_their_secrets(cloud: FakeMithril, client: Cloud) -> None:
    """Neither those of another form, nor revoked ones, nor another user's."""
    key = client.mint_job_key(NAME, in_days())
    revoked = client.mint_job_key(NAME, in_days())
    client.mint_job_key("flow-task-trainer-3f9a1c5d", in_days())
    client.revoke_job_key(revoked.id)
    cloud.add_key("colleague", [cloud.project])
    httpx.post(
        f"{cloud.url}/v2/api-keys",
        headers={"Authorization": "Bearer colleague"},
        json={"name": NAME, "expires_at": in_days().isoformat()},
    ).raise_for_status()
    (listed,) = client.job_keys()
    assert (listed.id, listed.name, listed.secret, listed.expires_at) == (key.id, NAME, None, key.expires_at)
    assert listed.created_at


def test_a_key_has_expired_by_the_services_clock(clean_environment: None) -> None:
    """Whatever the clock of this machine says: it is five hours ahead here."""
    now = datetime.now(timezone.utc)
    clock = Clock((now - timedelta(hours=5)).timestamp())
    with FakeMithril(clock=clock) as cloud:
        stack = Stack({"flow:apiKey": cloud.key, "flow:apiUrl": cloud.url}, clock=SkippingClock())
        stack.operation()
        client = operation("create").cloud
        client.mint_job_key(NAME, now - timedelta(hours=1))
        assert len(client.job_keys()) == 1
        clock.advance(hours=5)
        assert client.job_keys() == []


@pytest.mark.parametrize("expires_at", [None, "soon", 7])
def test_a_key_whose_expiry_cannot_be_read_may_be_live(cloud: FakeMithril, client: Cloud, expires_at: object) -> None:
    """It is listed: nobody must take it for a dead one."""
    client.mint_job_key(NAME, in_days())
    cloud.faults.add(method="GET", path=KEYS, kind="alter", body={"expires_at": expires_at})
    assert [key.expires_at for key in client.job_keys()] == [None]


@pytest.mark.parametrize("fault", [{"kind": "alter", "body": {"fid": None}}, {"status": 403}, {"status": 401}], ids=str)
def test_a_listing_that_cannot_be_read_is_an_error(cloud: FakeMithril, client: Cloud, fault: dict[str, Any]) -> None:
    """Never "there are none"."""
    client.mint_job_key(NAME, in_days())
    cloud.faults.add(method="GET", path=KEYS, times=None, **fault)
    with pytest.raises(Exception, match="could not list the API keys") as failed:
        client.job_keys()
    assert failed.type.__module__ == "flow_resources.errors"


def test_a_revoked_key_is_dead_and_revoking_it_again_is_no_error(cloud: FakeMithril, client: Cloud) -> None:
    """The same for one whose first answer was lost."""
    key = client.mint_job_key(NAME, in_days())
    cloud.faults.add(method="DELETE", kind="reset", when="after")
    assert client.revoke_job_key(key.id)
    assert not accepts(cloud, key.secret)
    assert client.revoke_job_key(key.id)
    assert live(cloud) == []


def test_what_is_not_there_and_what_is_another_users_is_not_revoked(cloud: FakeMithril, client: Cloud) -> None:
    """The service tells them apart for nobody."""
    cloud.add_key("colleague", [cloud.project])
    answer = httpx.post(
        f"{cloud.url}/v2/api-keys",
        headers={"Authorization": "Bearer colleague"},
        json={"name": NAME, "expires_at": in_days().isoformat()},
    ).json()
    assert not client.revoke_job_key("apikey_999999")
    assert not client.revoke_job_key(answer["fid"])
    assert accepts(cloud, answer["secret"])
    assert client.revoke_job_keys(NAME) == []


def test_a_revocation_that_nobody_answers_is_an_error(cloud: FakeMithril, client: Cloud) -> None:
    """Never "revoked"."""
    key = client.mint_job_key(NAME, in_days())
    cloud.faults.add(method="DELETE", status=503, times=None)
    with pytest.raises(UnavailableError, match=f"could not revoke the API key {key.id}"):
        client.revoke_job_key(key.id)


def test_only_the_exact_name_is_revoked(cloud: FakeMithril, client: Cloud) -> None:
    """Another generation is another bid's key."""
    mark = Mark("3f9a1c5d08b6", "7be02d4d")
    others = [key_name(mark, "9c01d2", 11, "proj_000001"), key_name(mark, "9c01d3", 1, "proj_000001")]
    kept = [client.mint_job_key(name, in_days()).id for name in others]
    gone = [client.mint_job_key(NAME, in_days()).id for _ in range(2)]
    assert [key.id for key in client.revoke_job_keys(NAME)] == gone
    assert live(cloud) == kept


def test_a_key_without_an_id_is_no_key() -> None:
    """It could not be revoked."""
    with pytest.raises(ValueError, match="no id"):
        JobKey.read({"name": NAME})


# -- a listing that lags -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [3.0, 8.0])
def test_a_lost_key_that_is_listed_late_is_revoked_too(clean_environment: None, lag: float) -> None:
    """Before the next one is made, or after it."""
    service_time = Clock(datetime.now(timezone.utc).timestamp())
    with FakeMithril(list_lag_seconds=lag, clock=service_time) as cloud:
        clock = SkippingClock()
        sleep = clock.sleep
        clock.sleep = lambda seconds: (sleep(seconds), service_time.advance(seconds=seconds))[0]  # type: ignore[method-assign]
        stack = Stack({"flow:apiKey": cloud.key, "flow:apiUrl": cloud.url}, clock=clock)
        stack.operation()
        cloud.faults.add(method="POST", path=KEYS, kind="reset", when="after")
        key = operation("create").cloud.mint_job_key(NAME, in_days())
        service_time.advance(seconds=lag)
        assert live(cloud) == [key.id]
        assert len(rows(cloud)) == 2
