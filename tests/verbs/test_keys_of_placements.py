"""The key that a create makes for its bid: one live key of the name, whatever becomes of the bid."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from support.jobs import live_keys
from support.stack import Stack, VerbError, job

from flow_resources.cloud import Cloud, Launch, Placed
from flow_resources.core import naming
from flow_resources.testing import FakeMithril

BIDS = "/v2/spot/bids$"


def add_key(cloud: FakeMithril, name: str) -> None:
    """Make a key of a name, as a create did that was cut off afterwards."""
    body = {"name": name, "expires_at": (datetime.now(timezone.utc) + timedelta(days=9)).isoformat()}
    headers = {"Authorization": f"Bearer {cloud.key}"}
    httpx.post(f"{cloud.url}/v2/api-keys", json=body, headers=headers).raise_for_status()


def learn_name(stack: Stack, cloud: FakeMithril) -> str:
    """Return the name of the job's first key, which depends on what it is made of alone."""
    stack.up({"it": job()})
    name = naming.key_name_of(stack.state["it"].outputs["task_name"], stack.state["it"].outputs["project"])
    cloud.reset()
    stack.state.clear()
    assert name
    return name


def test_a_key_that_a_create_left_is_revoked_once_the_bid_of_the_next_one_is_known(
    stack: Stack, cloud: FakeMithril
) -> None:
    """Not before: a bid that no listing shows yet can hold it."""
    name = learn_name(stack, cloud)
    add_key(cloud, name)
    seen: list[list[str]] = []
    cloud.faults.add(method="POST", path=BIDS, status=503, then=lambda _: seen.append(live_keys(cloud)))
    stack.up({"it": job()})
    assert seen == [[name, name]]
    assert live_keys(cloud) == [name]


def test_a_bid_that_waits_for_an_approval_keeps_its_key(stack: Stack, cloud: FakeMithril) -> None:
    """It comes to be later, and its machine ends it then."""
    cloud.faults.add(method="POST", path=BIDS, status=202, body={"approval_id": "appr_1"})
    with pytest.raises(VerbError):
        stack.up({"it": job()})
    assert not cloud.live_bids
    assert len(live_keys(cloud)) == 1


def test_a_key_that_cannot_be_revoked_is_named(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error is that of the bid; the next `up` revokes the key."""
    cloud.faults.add(method="POST", path=BIDS, status=400, body={"detail": "no such machine"})
    cloud.faults.add(method="DELETE", path="/v2/api-keys/", status=403, times=None)
    with pytest.raises(VerbError, match="no such machine"):
        stack.up({"it": job()})
    (name,) = live_keys(cloud)
    assert f"an API key {name!r} of no job may be left" in capsys.readouterr().err
    cloud.faults.clear()
    stack.up({"it": job()})
    assert live_keys(cloud) == [name]


def test_a_bid_of_an_earlier_request_keeps_the_key_that_it_has(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service answered with what it had made before: the new key is of no use to it."""
    name = learn_name(stack, cloud)
    add_key(cloud, name)
    place = Cloud.place

    def answered_with_an_older_one(self: Cloud, launch: Launch) -> Any:
        placed = place(self, launch)
        hour_ago = (datetime.now(timezone.utc) - timedelta(hours=1)).isoformat()
        return Placed(replace(placed.bid, created_at=hour_ago), placed.new_keys)

    monkeypatch.setattr(Cloud, "place", answered_with_an_older_one)
    headers = {"Authorization": f"Bearer {cloud.key}"}
    before = [row["fid"] for row in httpx.get(f"{cloud.url}/v2/api-keys", headers=headers).json()]
    stack.up({"it": job()})
    rows = httpx.get(f"{cloud.url}/v2/api-keys", headers=headers).json()
    assert [row["fid"] for row in rows if not row["deactivated_at"]] == before


def test_where_the_time_of_the_service_is_not_known_no_other_key_is_revoked(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose bid the answer is could be an earlier request's."""
    name = learn_name(stack, cloud)
    add_key(cloud, name)
    monkeypatch.setattr(Cloud, "service_now", lambda _self: None)
    stack.up({"it": job()})
    assert live_keys(cloud) == [name, name]
    stack.destroy()
    assert not live_keys(cloud)
