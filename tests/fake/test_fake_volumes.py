"""Volumes: create, attach, rename, delete."""

from __future__ import annotations

import pytest


def test_a_volume_is_listed_until_it_is_deleted(client):
    """Deleted ones show only when asked for."""
    volume = client.volume(size_gb=200)
    assert (volume["capacity_gb"], volume["interface"], volume["bids"]) == (200, "File", [])
    assert client.volumes() == [volume]
    assert client.volumes(region="us-east1-a") == []
    assert client.delete(f"/v2/volumes/{volume['fid']}").status_code == 204
    assert client.volumes() == []
    (gone,) = client.volumes(include_deleted="true")
    assert gone["deleted_at"] is not None


def test_a_second_delete_is_404(client):
    """Unlike bids, volumes vanish."""
    volume = client.volume()
    client.delete(f"/v2/volumes/{volume['fid']}")
    assert client.delete(f"/v2/volumes/{volume['fid']}").status_code == 404
    assert client.patch(f"/v2/volumes/{volume['fid']}", json={"name": "x"}).status_code == 404


def test_a_volume_shows_the_live_bids_that_use_it(client):
    """An ended bid does not count; a paused one does."""
    volume = client.volume()
    bids = [client.bid(volumes=[volume["fid"]]) for _ in range(2)]
    assert bids[0]["launch_specification"]["volumes"] == [volume["fid"]]
    assert client.volumes()[0]["bids"] == [bid["fid"] for bid in bids]
    client.delete(f"/v2/spot/bids/{bids[0]['fid']}")
    client.patch(f"/v2/spot/bids/{bids[1]['fid']}", json={"paused": True})
    assert client.volumes()[0]["bids"] == [bids[1]["fid"]]


def test_a_volume_in_use_cannot_be_deleted(mithril, client):
    """400 with the bid's id; force, from behind, does it anyway."""
    volume = client.volume()
    bid = client.bid(volumes=[volume["fid"]])
    answer = client.delete(f"/v2/volumes/{volume['fid']}")
    assert (answer.status_code, answer.json()) == (400, {"detail": f"Volume is attached to {bid['fid']}"})
    with pytest.raises(ValueError, match="attached"):
        mithril.delete_volume(volume["fid"])
    mithril.delete_volume(volume["fid"], force=True)
    assert mithril.volumes == []
    assert client.read(bid)["launch_specification"]["volumes"] == [volume["fid"]]


def test_names_are_unique_among_the_volumes_of_a_project(client):
    """409 while the first is there, and free again afterwards."""
    volume = client.volume()
    answer = client.post("/v2/volumes", json=client.volume_body(region="us-east1-a"))
    assert (answer.status_code, answer.json()) == (409, {"detail": "Volume name already exists"})
    client.delete(f"/v2/volumes/{volume['fid']}")
    client.volume()


def test_a_volume_can_be_renamed_and_nothing_else(client):
    """Also to its own name, but not to a taken one."""
    volume, other = client.volume(), client.volume(name="other")
    path = f"/v2/volumes/{volume['fid']}"
    assert client.patch(path, json={"name": "renamed"}).json() == {**volume, "name": "renamed"}
    assert client.patch(path, json={"name": "renamed"}).status_code == 200
    assert client.patch(path, json={"name": other["name"]}).status_code == 409
    assert client.patch(path, json={"size_gb": 5}).status_code == 422
    assert client.patch(path, json={"name": "No"}).status_code == 422


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "0data"}, "name"),
        ({"name": "a" * 65}, "name"),
        ({"name": "data\n"}, "name"),
        ({"disk_interface": "block"}, "disk_interface"),
        ({"size_gb": 0}, "size_gb"),
        ({"size_gb": 2.5}, "size_gb"),
        ({"size_gb": 10**30}, "size_gb"),
        ({"region": "moon-1"}, "region"),
    ],
)
def test_a_wrong_field_of_a_new_volume_is_named(mithril, client, change, field):
    """422 in the service's envelope, and nothing was made."""
    answer = client.post("/v2/volumes", json=client.volume_body(**change))
    assert answer.status_code == 422
    assert [problem["loc"] for problem in answer.json()["detail"]] == [["body", field]]
    assert mithril.volumes == []


def test_a_block_volume_serves_one_machine_of_one_bid(client):
    """Not two machines, not two bids; free again when the bid ends."""
    volume = client.volume(disk_interface="Block")
    two = client.post("/v2/spot/bids", json=client.bid_body(volumes=[volume["fid"]], instance_quantity=2))
    assert (two.status_code, "cannot serve 2 instances" in two.json()["detail"]) == (400, True)
    bid = client.bid(volumes=[volume["fid"]])
    again = client.post("/v2/spot/bids", json=client.bid_body(volumes=[volume["fid"]]))
    assert (again.status_code, f"is attached to {bid['fid']}" in again.json()["detail"]) == (400, True)
    client.delete(f"/v2/spot/bids/{bid['fid']}")
    client.bid(volumes=[volume["fid"]])


def test_a_volume_must_be_where_the_bid_is(client):
    """A volume belongs to one region."""
    volume = client.volume(region="us-east1-a")
    answer = client.post("/v2/spot/bids", json=client.bid_body(volumes=[volume["fid"]]))
    assert answer.status_code == 400
    assert "is in region us-east1-a" in answer.json()["detail"]


def test_the_volumes_of_a_bid_can_be_changed(client):
    """Attached and removed volumes are in the history."""
    first, second = client.volume(), client.volume(name="second")
    bid = client.bid(volumes=[first["fid"]])
    changed = client.patch(f"/v2/spot/bids/{bid['fid']}", json={"volumes": [second["fid"]]}).json()
    assert changed["launch_specification"]["volumes"] == [second["fid"]]
    assert client.events(bid)[-2:] == ["Volumes Attached", "Volumes Removed"]
    assert client.delete(f"/v2/volumes/{first['fid']}").status_code == 204


def test_volumes_cannot_be_changed_under_notice(mithril, client):
    """The one restriction that every client's documentation knows."""
    volume, bid = client.volume(), client.bid()
    mithril.preempt(bid["fid"], notice_seconds=60)
    answer = client.patch(f"/v2/spot/bids/{bid['fid']}", json={"volumes": [volume["fid"]]})
    assert (answer.status_code, "is preempted" in answer.json()["detail"]) == (400, True)


def test_volumes_cannot_be_changed_while_a_preempted_bid_waits(mithril, client):
    """Before its first machines, while it is paused and once it has machines again they can be."""
    bid = client.bid(limit_price="$1.00")
    first, second, third = (mithril.add_volume(name)["fid"] for name in ("a", "b", "c"))

    def change(*volumes):
        return client.patch(f"/v2/spot/bids/{bid['fid']}", json={"volumes": volumes}).status_code

    assert (client.read(bid)["status"], change(first)) == ("Open", 200)
    client.patch(f"/v2/spot/bids/{bid['fid']}", json={"limit_price": "$50.00"})
    mithril.preempt(bid["fid"])
    assert (client.read(bid)["status"], change(second)) == ("Open", 400)
    assert change(first) == 200  # no change
    client.patch(f"/v2/spot/bids/{bid['fid']}", json={"paused": True})
    assert change(second) == 200
    client.patch(f"/v2/spot/bids/{bid['fid']}", json={"paused": False})
    assert (client.read(bid)["status"], change(third)) == ("Allocated", 200)


def test_volumes_may_need_a_pause(cloud, connect):
    """A guess about the service, so it is a switch; a PATCH refused this way changes nothing else either."""
    client = connect(cloud(volumes_need_pause=True))
    volume, bid = client.volume(), client.bid()
    body = {"volumes": [volume["fid"]], "limit_price": "$70.00"}
    assert client.patch(f"/v2/spot/bids/{bid['fid']}", json=body).status_code == 400
    assert client.read(bid) == bid
    client.patch(f"/v2/spot/bids/{bid['fid']}", json={"paused": True})
    assert client.patch(f"/v2/spot/bids/{bid['fid']}", json=body).status_code == 200


def test_things_that_are_not_ours_can_be_put_there(mithril, client):
    """A volume, a bid and a key that existed before."""
    key = mithril.add_ssh_key("laptop", "ssh-ed25519 AAAA someone@laptop", required=True)
    volume = mithril.add_volume("shared", size_gb=7)
    bid = mithril.add_bid("old", volumes=[volume["fid"]], ssh_keys=[key["fid"]])
    assert (bid["status"], bid["created_by"]) == ("Allocated", "user_console")
    assert mithril.update_volume(volume["fid"], name="renamed")["name"] == "renamed"
    assert [row["name"] for row in client.volumes()] == ["renamed"]
    assert mithril.mutations == []


@pytest.mark.parametrize("status", [400, 409, 422])
def test_what_refuses_to_delete_a_volume_in_use_may_be_chosen(cloud, connect, status):
    """Each with the envelope that belongs to it."""
    client = connect(cloud(attached_volume_status=status))
    volume = client.volume()
    bid = client.bid(volumes=[volume["fid"]])
    answer = client.delete(f"/v2/volumes/{volume['fid']}")
    assert (answer.status_code, f"Volume is attached to {bid['fid']}" in answer.text) == (status, True)
    assert isinstance(answer.json()["detail"], list) is (status == 422)
    assert len(client.volumes()) == 1
