"""Idempotency-Key, with each of the three options for a known key."""

from __future__ import annotations

import pytest

KEY = {"Idempotency-Key": "pulumi-1"}


def place(client, **changes):
    """Place a bid under the key."""
    return client.post("/v2/spot/bids", json=client.bid_body(**changes), headers=KEY)


def end(client, answer):
    """End what a POST made."""
    client.delete(f"/v2/spot/bids/{answer.json()['fid']}")


@pytest.mark.parametrize("way", ["dedupe", "terminated"])
def test_a_known_key_gives_the_bid_as_it_is_now(cloud, connect, way):
    """One bid, and its present status instead of the old answer."""
    mithril = cloud(idempotency=way)
    client = connect(mithril)
    first = place(client)
    mithril.update_bid(first.json()["fid"], paused=True)
    again = place(client)
    assert (again.status_code, again.json()["fid"], again.json()["status"]) == (201, first.json()["fid"], "Paused")
    assert len(mithril.bids) == 1
    assert [request.effect for request in mithril.mutations] == [True, False]
    assert [request.idempotency_key for request in mithril.mutations] == ["pulumi-1", "pulumi-1"]


@pytest.mark.parametrize("way", ["dedupe", "terminated"])
def test_a_known_key_with_another_body_is_409(cloud, connect, way):
    """With a sentence, and without a bid."""
    mithril = cloud(idempotency=way)
    client = connect(mithril)
    place(client)
    answer = place(client, name="other")
    assert answer.status_code == 409
    assert "different request body" in answer.json()["detail"]
    assert len(mithril.bids) == 1


def test_by_default_a_key_is_free_again_when_its_bid_ended(mithril, client):
    """Destroy and create again gives a new bid, and later repeats give that one."""
    first = place(client)
    end(client, first)
    second = place(client)
    assert second.json()["fid"] != first.json()["fid"]
    assert place(client).json()["fid"] == second.json()["fid"]


def test_a_service_may_answer_with_an_ended_bid(cloud, connect):
    """The trap: 201, and the row is Terminated."""
    client = connect(cloud(idempotency="terminated"))
    first = place(client)
    end(client, first)
    again = place(client)
    assert (again.status_code, again.json()["fid"], again.json()["status"]) == (201, first.json()["fid"], "Terminated")


def test_a_service_may_ignore_the_key(cloud, connect):
    """Then every POST rents."""
    mithril = cloud(idempotency="ignore")
    client = connect(mithril)
    place(client)
    place(client)
    assert len(mithril.live_bids) == 2


def test_volumes_are_made_once_per_key_too(mithril, client):
    """Without the key the second one would be a 409."""
    answers = [client.post("/v2/volumes", json=client.volume_body(), headers=KEY) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    mithril.delete_volume(answers[0].json()["fid"])
    assert client.post("/v2/volumes", json=client.volume_body(), headers=KEY).json() != answers[0].json()


def test_a_key_belongs_to_its_user_and_path(mithril, connect):
    """The same word elsewhere is another key."""
    other = mithril.add_project("other", keys=["other-key"])
    mine, theirs = connect(mithril), connect(mithril, "other-key")
    assert place(mine).json()["fid"] != place(theirs, project=other["fid"]).json()["fid"]
    assert mine.post("/v2/volumes", json=mine.volume_body(), headers=KEY).status_code == 201


def test_a_refused_request_does_not_bind_its_key(client):
    """The corrected request may use it."""
    assert place(client, limit_price="$0").status_code == 422
    assert place(client).status_code == 201


def test_a_key_need_not_be_text(mithril, client):
    """A header is bytes; the same bytes are the same key."""
    sent = [
        client.post("/v2/volumes", json=client.volume_body(), headers={"Idempotency-Key": b"\xff\xfe"})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in sent] == [201, 201]
    assert len(mithril.volumes) == 1
