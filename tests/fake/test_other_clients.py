"""What clients other than the Flow SDK expect of the API."""

from __future__ import annotations

import pytest

A100 = "it_Sg1nDx1I8NFep60J"


def test_an_ssh_destination_is_a_bare_host(client):
    """Clients append the port themselves."""
    (machine,) = client.machines(client.bid())
    assert machine["ssh_destination"].count(".") == 3
    assert ":" not in machine["ssh_destination"]


def test_pause_and_resume_keep_the_machines(client):
    """A paused bid still lists them, and they come back under their ids."""
    bid = client.bid(instance_quantity=2)
    path = f"/v2/spot/bids/{bid['fid']}"
    paused = client.patch(path, json={"paused": True}).json()
    assert (paused["status"], paused["instances"]) == ("Paused", bid["instances"])
    assert client.patch(path, json={"paused": False}).json() == bid
    assert [machine["fid"] for machine in client.machines(bid)] == bid["instances"]


@pytest.mark.parametrize("keep", [False, True])
def test_machines_after_a_preemption_are_new_ones_or_the_same(cloud, connect, keep):
    """Nobody knows, so it is a switch."""
    mithril = cloud(keep_instance_ids=keep)
    client = connect(mithril)
    bid = client.bid()
    mithril.preempt(bid["fid"])
    assert (mithril.release(bid["fid"])["instances"] == bid["instances"]) is keep


def test_a_filter_by_name_is_exact_and_shows_ended_bids_in_every_project(mithril, client):
    """Clients take the first row for the bid of that name."""
    ended, longer = client.bid(name="train"), client.bid(name="train-2")
    client.delete(f"/v2/spot/bids/{ended['fid']}")
    bids = client.get("/v2/spot/bids", params={"name": "train"}).json()["data"]
    assert [(row["fid"], row["status"]) for row in bids] == [(ended["fid"], "Terminated")]
    assert client.get("/v2/spot/bids", params={"name": "train-2"}).json()["data"] == [longer]


def test_the_newest_bid_of_a_name_comes_first(client):
    """A name may be used again once its bid has ended."""
    old = client.bid(name="train")
    client.delete(f"/v2/spot/bids/{old['fid']}")
    new = client.bid(name="train")
    bids = client.get("/v2/spot/bids", params={"name": "train"}).json()["data"]
    assert [row["fid"] for row in bids] == [new["fid"], old["fid"]]


def test_a_request_without_a_key_that_is_sent_twice_rents_twice(mithril, client):
    """So do clients that know no Idempotency-Key and try again."""
    first, second = client.bid(), client.bid()
    assert first["name"] == second["name"]
    assert len({bid["fid"] for bid in mithril.live_bids}) == 2


def test_a_name_of_a_type_can_have_one_id_per_region(client):
    """What is on offer in a region says which one is meant there."""
    ids = {kind["fid"] for kind in client.get("/v2/instance-types").json() if kind["name"] == "h100-80gb.sxm.8x"}
    assert len(ids) > 1
    rows = [row for row in client.get("/v2/spot/availability").json() if row["instance_type"] in ids]
    offered = {row["region"]: row["instance_type"] for row in rows}
    assert len(offered) == len(rows)
    assert set(offered.values()) == ids
    for region, fid in offered.items():
        for kind in ids:
            answer = client.post("/v2/spot/bids", json=client.bid_body(instance_type=kind, region=region))
            assert answer.status_code == (201 if kind == fid else 422)


def test_what_a_row_does_not_have_is_null_and_not_missing(cloud, connect):
    """Of bids, machines, volumes, auctions and prices."""
    mithril = cloud(boot_seconds=60.0)
    client = connect(mithril)
    bid, volume = client.bid(), client.volume()
    assert bid["deactivated_at"] is None
    launch = bid["launch_specification"]
    assert [launch[name] for name in ("startup_script", "kubernetes_cluster", "image_version", "memory_gb")] == [
        None
    ] * 4
    (machine,) = client.machines(bid)
    assert [machine[name] for name in ("reservation", "ssh_destination", "private_ip")] == [None] * 3
    assert volume["deleted_at"] is None
    assert {row["default_image_version"] for row in client.get("/v2/spot/availability").json()} == {None}
    assert client.get("/v2/pricing/current", params={"instance_type": A100}).json()["reserved_price_cents"] is None


def test_the_name_of_a_machine_starts_with_that_of_its_bid(client):
    """Clients find the nodes of a cluster by it."""
    machines = client.machines(client.bid(name="train", instance_quantity=3))
    assert len({machine["name"] for machine in machines}) == 3
    assert all(machine["name"].startswith("train-") for machine in machines)


def test_a_price_without_a_region_has_a_minimum(mithril, client):
    """The cheapest of all regions."""
    mithril.set_price("8xa100", "me-central1-a", 7.00)
    answer = client.get("/v2/pricing/current", params={"instance_type": A100}).json()
    assert answer["minimum_price_cents"] == answer["spot_price_cents"] == 700


def test_a_project_in_the_query_of_a_change_is_accepted(mithril, client):
    """Some clients send it with every request."""
    bid = client.bid()
    path, query = f"/v2/spot/bids/{bid['fid']}", {"project": mithril.project_id}
    assert client.patch(path, params=query, json={"limit_price": "$60.00"}).json()["limit_price"] == "$60.00"
    assert client.delete(path, params=query).status_code == 204
    assert mithril.live_bids == []


def test_lists_in_a_query_come_repeated_as_well_as_with_commas(mithril, client):
    """Both mean the same, for every such filter."""
    a, b = client.bid(name="a"), client.bid(name="b")
    client.patch(f"/v2/spot/bids/{b['fid']}", json={"paused": True})
    for name, values in (
        ("bid_fid_in", [a["fid"], b["fid"]]),
        ("status_in", ["STATUS_RUNNING", "STATUS_PAUSED"]),
        ("order_type_in", ["Bid", "Reservation"]),
    ):
        project = ("project", mithril.project_id)
        repeated = client.get("/v2/instances", params=[project, *((name, value) for value in values)]).json()["data"]
        joined = client.get("/v2/instances", params=[project, (name, ",".join(values))]).json()["data"]
        assert repeated == joined
        assert len(joined) == 2


def test_a_bid_is_not_found_by_its_name(client):
    """404, and clients look through the list then."""
    client.bid(name="train")
    assert client.get("/v2/spot/bids/train").status_code == 404


def test_teammates_can_be_listed(client):
    """At least oneself."""
    answer = client.get("/v2/me/teammates")
    assert answer.status_code == 200
    assert client.get("/v2/me").json()["fid"] in [row["fid"] for row in answer.json()]


def test_an_ssh_key_in_use_is_not_deleted(mithril, client):
    """By a live bid, paused or not."""
    key = mithril.add_ssh_key("laptop")
    bid = client.bid(ssh_keys=[key["fid"]])
    path = f"/v2/ssh-keys/{key['fid']}"
    assert client.delete(path).status_code == 400
    client.patch(f"/v2/spot/bids/{bid['fid']}", json={"paused": True})
    assert client.delete(path).status_code == 400
    client.delete(f"/v2/spot/bids/{bid['fid']}")
    assert client.delete(path).status_code == 204


def test_no_status_is_sent_that_the_document_does_not_know(cloud, connect, clock, document):
    """Through a whole life: boot, run, notice, preemption, pause, end."""
    mithril = cloud(boot_seconds=40.0, preemption_notice_seconds=10.0)
    client = connect(mithril)
    bid = client.bid()
    seen = set()

    def look():
        seen.update(machine["status"] for machine in client.machines(bid))

    for _ in range(5):
        look()
        clock.advance(seconds=10)
    mithril.preempt(bid["fid"])
    look()
    clock.advance(seconds=10)
    look()
    mithril.release(bid["fid"])
    for change in ({"paused": True}, {"paused": False}):
        client.patch(f"/v2/spot/bids/{bid['fid']}", json=change)
        look()
    client.delete(f"/v2/spot/bids/{bid['fid']}")
    look()
    documented = document["components"]["schemas"]["InstanceModel"]["properties"]["status"]["enum"]
    assert seen <= set(documented)
    assert {"STATUS_NEW", "STATUS_RUNNING", "STATUS_PREEMPTING", "STATUS_PREEMPTED", "STATUS_PAUSED"} < seen


def test_a_bid_has_all_its_machines_or_none_and_equal_ones_are_served_in_order(mithril, client):
    """Five machines: two for the first, two for the second, and not one for the third."""
    mithril.set_capacity("8xa100", mithril.region, 5)
    bids = [client.bid(name=name, instance_quantity=2) for name in "abc"]
    assert [(bid["status"], len(bid["instances"])) for bid in bids] == [("Allocated", 2), ("Allocated", 2), ("Open", 0)]


def test_a_preempted_bid_is_preempting_for_the_notice_and_then_open(cloud, connect, clock):
    """And it wins again by itself."""
    mithril = cloud(preemption_notice_seconds=300.0)
    client = connect(mithril)
    bid = client.bid()
    mithril.set_price("8xa100", mithril.region, 61.00)
    assert client.read(bid)["status"] == "Preempting"
    clock.advance(seconds=300)
    assert client.read(bid)["status"] == "Open"
    mithril.set_price("8xa100", mithril.region, 12.00)
    assert client.read(bid)["status"] == "Allocated"


def test_volumes_are_changed_while_paused_and_not_while_preempted(cloud, connect):
    """200 and 400."""
    mithril = cloud(preemption_notice_seconds=300.0)
    client = connect(mithril)
    bid, volume = client.bid(), client.volume()
    path, change = f"/v2/spot/bids/{bid['fid']}", {"volumes": [volume["fid"]]}
    mithril.preempt(bid["fid"])
    assert client.patch(path, json=change).status_code == 400
    client.patch(path, json={"paused": True})
    assert client.patch(path, json=change).json()["launch_specification"]["volumes"] == [volume["fid"]]
