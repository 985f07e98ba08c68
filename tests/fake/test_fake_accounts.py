"""Access of API keys to projects."""

from __future__ import annotations

import base64

import httpx
import pytest


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer wrong", "Basic dGVzdC1rZXk=", b"Bearer \xff"])
def test_a_key_nobody_knows_is_401(mithril, header):
    """Missing, empty, unknown, of another scheme, no text."""
    headers = {"Authorization": header} if header else {}
    answer = httpx.get(f"{mithril.url}/v2/me", headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert isinstance(answer.json()["detail"], str)


def test_a_key_sees_its_own_projects_only(mithril, connect):
    """A second account has a world of its own."""
    other = mithril.add_project("other")
    mithril.add_key("other-key", projects=["other"])
    mine, theirs = connect(mithril), connect(mithril, "other-key")
    assert [row["name"] for row in mine.get("/v2/projects").json()] == ["demo"]
    assert [row["name"] for row in theirs.get("/v2/projects").json()] == ["other"]
    assert mine.get("/v2/me").json()["fid"] != theirs.get("/v2/me").json()["fid"]
    assert theirs.get("/v2/me/teammates").json()[0]["project_ids"] == [other["fid"]]


def test_a_foreign_project_is_403_and_what_is_in_it_404(mithril, connect):
    """Lists by project are forbidden; ids look as if they did not exist."""
    mithril.add_project("other", keys=["other-key"])
    mine, theirs = connect(mithril), connect(mithril, "other-key")
    volume = mine.volume()
    bid = mine.bid(volumes=[volume["fid"]])
    key = mithril.add_ssh_key("laptop")
    (machine,) = mine.machines(bid)
    for path in ("spot/bids", "instances", "volumes", "ssh-keys", "reservation", "quotas", "kubernetes/clusters"):
        assert theirs.get(f"/v2/{path}", params={"project": mithril.project_id}).status_code == 403
    for path in (f"spot/bids/{bid['fid']}", f"spot/bids/{bid['fid']}/history", f"instances/{machine['fid']}/status"):
        assert theirs.get(f"/v2/{path}").status_code == 404
    for path in (f"spot/bids/{bid['fid']}", f"volumes/{volume['fid']}", f"ssh-keys/{key['fid']}"):
        assert theirs.delete(f"/v2/{path}").status_code == 404
    assert theirs.post("/v2/spot/bids", json=mine.bid_body()).status_code == 403
    assert theirs.post("/v2/volumes", json=mine.volume_body(name="x")).status_code == 403
    assert theirs.get("/v2/spot/bids").json()["data"] == []
    assert len(mithril.live_bids) == 1


def test_a_volume_of_another_project_cannot_be_attached(mithril, connect):
    """Even by a user with access to both projects."""
    mithril.add_project("other", keys=[mithril.key])
    client = connect(mithril)
    volume = mithril.add_volume("theirs", project="other")
    assert client.post("/v2/spot/bids", json=client.bid_body(volumes=[volume["fid"]])).status_code == 404


def test_a_project_that_does_not_exist_is_404(client):
    """Whoever asks."""
    assert client.get("/v2/volumes", params={"project": "proj_none"}).status_code == 404


def test_a_public_key_is_kept_and_listed(mithril, client):
    """Registered keys have no private half to give."""
    body = {"name": "laptop", "project": mithril.project_id, "public_key": "ssh-ed25519 AAAAC3Nz me@laptop"}
    made = client.post("/v2/ssh-keys", json=body).json()
    assert made["private_key"] is None
    (listed,) = client.get("/v2/ssh-keys", params={"project": mithril.project_id}).json()
    assert listed == {name: value for name, value in made.items() if name != "private_key"}
    changed = client.patch(f"/v2/ssh-keys/{made['fid']}", json={"required": True}).json()
    assert changed == {**listed, "required": True}


def test_a_key_pair_is_made_when_no_public_key_is_sent(mithril, client):
    """The private half is given once, in the form that ssh tools read."""
    made = client.post("/v2/ssh-keys", json={"name": "auto", "project": mithril.project_id}).json()
    lines = made["private_key"].splitlines()
    assert lines[0] == "-----BEGIN OPENSSH PRIVATE KEY-----"
    assert base64.b64decode("".join(lines[1:-1])).startswith(b"openssh-key-v1\0")
    assert made["public_key"].startswith("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5")
    assert "private_key" not in mithril.ssh_keys[0]


def test_a_key_that_a_live_bid_uses_cannot_be_deleted(mithril, client):
    """It can when the bid has ended."""
    key = mithril.add_ssh_key("laptop")
    bid = client.bid(ssh_keys=[key["fid"]])
    answer = client.delete(f"/v2/ssh-keys/{key['fid']}")
    assert (answer.status_code, answer.json()) == (400, {"detail": f"SSH key is in use by {bid['fid']}"})
    client.delete(f"/v2/spot/bids/{bid['fid']}")
    assert client.delete(f"/v2/ssh-keys/{key['fid']}").status_code == 204
    assert client.delete(f"/v2/ssh-keys/{key['fid']}").status_code == 404


def test_a_public_key_that_is_none_is_422(mithril, client):
    """The field is named."""
    body = {"name": "laptop", "project": mithril.project_id, "public_key": "hello"}
    answer = client.post("/v2/ssh-keys", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "public_key"]
