"""API keys that users create, and the user endpoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from flow_resources.testing.service.formats import write_time


@pytest.fixture
def make(client, clock):
    """Return a function that makes a key good for so many seconds."""

    def make(name="ci", seconds=3600.0):
        return client.post("/v2/api-keys", json={"name": name, "expires_at": write_time(clock.now() + seconds)})

    return make


def test_a_made_key_works_and_acts_as_its_maker(mithril, client, connect, make):
    """Its secret is an API key like any other."""
    key = make().json()
    other = connect(mithril, key["secret"])
    assert other.get("/v2/me").json() == client.get("/v2/me").json()
    assert other.bid()["created_by"] == client.get("/v2/me").json()["fid"]


def test_the_secret_is_shown_once(client, make):
    """Lists have a snippet of it."""
    made = make()
    assert made.status_code == 201
    key = made.json()
    secret = key.pop("secret")
    assert key["snippet"] == f"{secret[:9]}..."
    assert client.get("/v2/api-keys").json() == [key]


def test_the_state_holds_no_secret(cloud, connect, clock, tmp_path):
    """A state file may be passed around, and the log of requests too."""
    mithril = cloud(state=tmp_path / "cloud.db")
    body = {"name": "ci", "expires_at": write_time(clock.now() + 60)}
    secret = connect(mithril).post("/v2/api-keys", json=body).json()["secret"].encode()
    assert b"fkey_" in secret
    assert secret not in repr(mithril.requests).encode()
    mithril.close()
    written = b"".join(Path(path).read_bytes() for path in tmp_path.iterdir())
    assert b"fkey_" in written  # the snippet
    assert secret not in written


def test_a_key_expires_by_the_clock_of_the_cloud(mithril, client, connect, clock, make):
    """To the second; it stays listed."""
    other = connect(mithril, make(seconds=60.0).json()["secret"])
    clock.advance(seconds=59)
    assert other.get("/v2/me").status_code == 200
    clock.advance(seconds=1)
    assert other.get("/v2/me").status_code == 401
    assert len(client.get("/v2/api-keys").json()) == 1


def test_a_revoked_key_is_dead_and_stays_listed(mithril, client, connect, clock, make):
    """Also where it revokes itself, and revoking it again changes nothing."""
    key = make().json()
    other = connect(mithril, key["secret"])
    assert other.delete(f"/v2/api-keys/{key['fid']}").status_code == 204
    assert other.get("/v2/me").status_code == 401
    at = write_time(clock.now())
    clock.advance(seconds=5)
    assert client.delete(f"/v2/api-keys/{key['fid']}").status_code == 204
    assert [row["deactivated_at"] for row in client.get("/v2/api-keys").json()] == [at]
    assert [request.effect for request in mithril.mutations] == [True, True, False]


def test_keys_are_their_makers_business(mithril, client, connect, make):
    """Nobody else lists or revokes them, not even in the same project."""
    key = make().json()
    mithril.add_key("colleague", [mithril.project])
    colleague = connect(mithril, "colleague")
    assert colleague.get("/v2/api-keys").json() == []
    assert colleague.delete(f"/v2/api-keys/{key['fid']}").status_code == 404
    assert client.get("/v2/api-keys").json()[0]["deactivated_at"] is None


def test_what_a_key_made_lives_on_without_it(mithril, client, connect, clock):
    """A key can make another of the same user that lasts longer; its end ends no other."""
    first = client.post("/v2/api-keys", json={"name": "a", "expires_at": write_time(clock.now() + 60)}).json()
    maker = connect(mithril, first["secret"])
    second = maker.post("/v2/api-keys", json={"name": "b", "expires_at": write_time(clock.now() + 86_400)}).json()
    assert [key["fid"] for key in maker.get("/v2/api-keys").json()] == [first["fid"], second["fid"]]
    maker.delete(f"/v2/api-keys/{first['fid']}")
    assert maker.get("/v2/me").status_code == 401
    assert connect(mithril, second["secret"]).get("/v2/me").json() == client.get("/v2/me").json()


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 365 * 86_400 + 1.0])
def test_a_key_expires_between_now_and_a_year_from_now(make, seconds):
    """Everything else is 400."""
    assert make(seconds=seconds).status_code == 400


def test_the_name_of_a_key_has_less_than_60_characters(make):
    """The service says so with 400."""
    assert make("x" * 59).status_code == 201
    answer = make("x" * 60)
    assert (answer.status_code, answer.json()["detail"]) == (400, "API key name must be less than 60 characters")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["name", "expires_at"]),
        ({"name": "", "expires_at": ""}, ["name", "expires_at"]),
        ({"name": 1, "expires_at": 2}, ["name", "expires_at"]),
        ({"name": "ci", "expires_at": "2027-01-16T00:00:00"}, ["expires_at"]),
        ({"name": "ci", "expires_at": "2027-02-30T00:00:00Z"}, ["expires_at"]),
        ({"name": "ci", "expires_at": "tomorrow"}, ["expires_at"]),
    ],
)
def test_a_wrong_key_is_refused_field_by_field(client, body, fields):
    """422 in the service's envelope."""
    answer = client.post("/v2/api-keys", json=body)
    assert answer.status_code == 422
    assert [problem["loc"] for problem in answer.json()["detail"]] == [["body", field] for field in fields]


@pytest.mark.parametrize("text", ["2027-01-16T01:00:00+00:00", "2027-01-16T02:00:00.5+01:00", "2027-01-16T01:00:00Z"])
def test_times_are_read_with_any_zone_and_fraction(client, text):
    """Clients write them in several ways."""
    answer = client.post("/v2/api-keys", json={"name": "ci", "expires_at": text})
    assert answer.status_code == 201
    assert answer.json()["expires_at"].startswith("2027-01-16T01:00:00")


def test_people_who_share_a_project_know_each_other(mithril, client, connect):
    """As teammates and by id; users without a common project are not found; the operator is."""
    mithril.add_key("colleague", [mithril.project])
    mithril.add_project("other", keys=["stranger"])
    me, them = client.get("/v2/me").json(), connect(mithril, "colleague").get("/v2/me").json()
    stranger = connect(mithril, "stranger").get("/v2/me").json()
    team = client.get("/v2/me/teammates").json()
    assert [row["fid"] for row in team] == [me["fid"], them["fid"]]
    assert [row["project_ids"] for row in team] == [[mithril.project_id]] * 2
    assert client.get(f"/v2/users/{me['fid']}").json() == me
    assert client.get(f"/v2/users/{them['fid']}").json() == them
    assert client.get(f"/v2/users/{stranger['fid']}").status_code == 404
    assert client.get(f"/v2/users/{mithril.add_bid()['created_by']}").status_code == 200


def test_images_are_listed_and_one_is_stable(client):
    """Those of control planes by region."""
    assert [image["stable"] for image in client.get("/v2/image-versions").json()].count(True) == 1
    assert client.get("/v2/mcc-image-versions", params={"region": "us-east1-a"}).json()[0]["nvidia_driver"] is None
    assert client.get("/v2/mcc-image-versions", params={"region": "moon-1"}).status_code == 422
    assert client.get("/v2/mcc-image-versions").status_code == 422
