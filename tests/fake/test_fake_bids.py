"""The status transitions of a bid, as a client sees them."""

from __future__ import annotations

import pytest

TYPE = "8xa100"


def test_a_bid_above_the_price_wins_all_its_machines_at_once(client):
    """Two machines, running, with addresses, named after the bid."""
    bid = client.bid(instance_quantity=2)
    assert bid["status"] == "Allocated"
    machines = client.machines(bid)
    assert [machine["fid"] for machine in machines] == bid["instances"]
    assert [machine["name"] for machine in machines] == ["trainer-1", "trainer-2"]
    assert {machine["status"] for machine in machines} == {"STATUS_RUNNING"}
    assert len({machine["ssh_destination"] for machine in machines}) == 2
    assert all(":" not in machine["ssh_destination"] for machine in machines)
    assert client.events(bid) == ["Placed", "Allocated"]


def test_a_bid_below_the_price_stays_open_without_machines(client):
    """Nothing is rented below the market."""
    bid = client.bid(limit_price="$11.99")
    assert (bid["status"], bid["instances"]) == ("Open", [])
    assert client.machines(bid) == []


def test_machines_boot_over_time_and_show_no_address_before_they_run(cloud, connect, clock):
    """NEW, INITIALIZING, STARTING, RUNNING: each at its own part of boot_seconds."""
    client = connect(cloud(boot_seconds=40.0))
    bid = client.bid()
    assert bid["status"] == "Allocated"
    seen = []
    for step in (0, 9, 1, 9, 1, 19, 1):
        clock.advance(seconds=step)
        (machine,) = client.machines(bid)
        seen.append(machine["status"].removeprefix("STATUS_"))
        assert (machine["ssh_destination"] is None) == (seen[-1] != "RUNNING")
        assert (machine["private_ip"] is None) == (seen[-1] != "RUNNING")
    assert seen == ["NEW", "NEW", "INITIALIZING", "INITIALIZING", "STARTING", "STARTING", "RUNNING"]


def test_boot_seconds_counts_for_machines_that_boot_from_now_on(mithril, client):
    """The switch can be turned while the cloud runs."""
    mithril.boot_seconds = 3.0
    assert client.machines(client.bid())[0]["status"] == "STATUS_NEW"
    mithril.boot_seconds = 0.0
    assert client.machines(client.bid())[0]["status"] == "STATUS_RUNNING"


def test_a_boot_can_fail(mithril, client):
    """The machine is in error, the bid does not know."""
    bid = client.bid()
    mithril.fail_boot(bid["fid"])
    assert client.machines(bid)[0]["status"] == "STATUS_ERROR"
    assert client.read(bid)["status"] == "Allocated"


def test_a_pause_keeps_the_machine_ids_and_a_resume_boots_them_again(cloud, connect, clock):
    """Other clients wait for the very ids that they saw before the pause."""
    mithril = cloud()
    client = connect(mithril)
    bid = client.bid(instance_quantity=2)
    paused = client.patch(f"/v2/spot/bids/{bid['fid']}", json={"paused": True}).json()
    assert (paused["status"], paused["instances"]) == ("Paused", bid["instances"])
    shown = [(machine["status"], machine["ssh_destination"], machine["private_ip"]) for machine in client.machines(bid)]
    assert shown == [("STATUS_PAUSED", None, None)] * 2
    mithril.boot_seconds = 10.0
    resumed = client.patch(f"/v2/spot/bids/{bid['fid']}", json={"paused": False}).json()
    assert (resumed["status"], resumed["instances"]) == ("Allocated", bid["instances"])
    assert {machine["status"] for machine in client.machines(bid)} == {"STATUS_NEW"}
    clock.advance(seconds=10)
    assert {machine["status"] for machine in client.machines(bid)} == {"STATUS_RUNNING"}
    assert client.events(bid) == ["Placed", "Allocated", "Paused", "Resumed", "Allocated"]


def test_a_paused_bid_gives_its_machines_back_to_the_market(mithril, client):
    """Whoever waited gets them, and the paused bid waits in turn."""
    mithril.set_capacity(TYPE, mithril.region, 1)
    first, second = client.bid(name="first"), client.bid(name="second")
    assert second["status"] == "Open"
    client.patch(f"/v2/spot/bids/{first['fid']}", json={"paused": True})
    assert client.read(second)["status"] == "Allocated"
    mithril.set_capacity(TYPE, mithril.region, 2)
    assert client.read(first)["status"] == "Paused"


def test_a_new_limit_is_in_place_and_noted(client):
    """The row shows it, and the history has the price."""
    bid = client.bid(limit_price="$5.00")
    changed = client.patch(f"/v2/spot/bids/{bid['fid']}", json={"limit_price": "$60"}).json()
    assert (changed["limit_price"], changed["status"]) == ("$60.00", "Allocated")
    assert client.events(bid) == ["Placed", "Limit Price Changed", "Allocated"]


def test_an_empty_patch_and_nulls_change_nothing(client):
    """Null means no change."""
    bid = client.bid()
    body = {"limit_price": None, "paused": None, "volumes": None, "memory_gb": None}
    for sent in ({}, body):
        assert client.patch(f"/v2/spot/bids/{bid['fid']}", json=sent).json() == bid


def test_a_cancelled_bid_is_terminated_and_stays_listed(client):
    """Its machines end with it, and it can be read and cancelled again."""
    bid = client.bid()
    for _ in range(2):
        assert client.delete(f"/v2/spot/bids/{bid['fid']}").status_code == 204
    ended = client.read(bid)
    assert ended["status"] == "Terminated"
    assert ended["deactivated_at"] is not None
    (machine,) = client.machines(bid)
    assert (machine["status"], machine["ssh_destination"]) == ("STATUS_TERMINATED", None)
    status = client.get(f"/v2/instances/{machine['fid']}/status").json()
    assert status["end_time"] == ended["deactivated_at"]
    assert client.get("/v2/spot/bids", params={"name": "trainer"}).json()["data"] == [ended]
    assert client.events(bid)[-1:] == ["Terminated"]


def test_an_ended_bid_cannot_be_changed(client):
    """PATCH is refused with a sentence."""
    bid = client.bid()
    client.delete(f"/v2/spot/bids/{bid['fid']}")
    answer = client.patch(f"/v2/spot/bids/{bid['fid']}", json={"paused": True})
    assert (answer.status_code, answer.json()) == (400, {"detail": f"Bid {bid['fid']} is terminated"})


def test_a_slow_cancel_leaves_the_bid_as_it_was_for_a_while(cloud, connect, clock):
    """It ends when it is due, regardless of when it is read."""
    client = connect(cloud(cancel_seconds=30.0))
    bid = client.bid()
    assert client.delete(f"/v2/spot/bids/{bid['fid']}").status_code == 204
    clock.advance(seconds=29)
    assert client.read(bid) == bid
    assert client.patch(f"/v2/spot/bids/{bid['fid']}", json={"paused": True}).status_code == 400
    clock.advance(seconds=100)
    ended = client.read(bid)
    assert (ended["status"], ended["deactivated_at"]) == ("Terminated", "2027-01-15T08:00:30.000000Z")


def test_the_console_changes_bids_behind_our_back(mithril, client):
    """Limit, pause, end: seen on the next read, and absent from the journal."""
    bid = client.bid()
    mithril.clear_requests()
    assert mithril.update_bid(bid["fid"], limit_price="$40.00", paused=True)["status"] == "Paused"
    assert client.read(bid)["limit_price"] == "$40.00"
    assert mithril.terminate(bid["fid"])["status"] == "Terminated"
    assert mithril.live_bids == []
    assert mithril.mutations == []


def test_the_status_path_agrees_with_the_row(client):
    """It answers the id and the status only."""
    bid = client.bid()
    assert client.get(f"/v2/spot/bids/{bid['fid']}/status").json() == {"bid_fid": bid["fid"], "status": "Allocated"}


def test_names_may_repeat_by_default(client):
    """A client that repeats a POST may create two live bids of one name."""
    assert client.bid()["fid"] != client.bid()["fid"]


def test_names_of_live_bids_can_be_unique(cloud, connect):
    """The option rejects a second live bid; a name is free again when its bid has terminated."""
    client = connect(cloud(unique_bid_names=True))
    bid = client.bid()
    answer = client.post("/v2/spot/bids", json=client.bid_body())
    assert (answer.status_code, answer.json()) == (400, {"detail": "name already used"})
    client.delete(f"/v2/spot/bids/{bid['fid']}")
    assert client.bid()["status"] == "Allocated"


def test_a_price_that_cannot_win_can_be_refused(cloud, connect):
    """The option rejects it for a new bid and a live one, which stays as it was."""
    client = connect(cloud(refuse_below_minimum=True))
    answer = client.post("/v2/spot/bids", json=client.bid_body(limit_price="$11.99"))
    assert (answer.status_code, answer.json()) == (400, {"detail": "Limit price below minimum: the minimum is $12.00"})
    bid = client.bid(limit_price="$12.00")
    answer = client.patch(f"/v2/spot/bids/{bid['fid']}", json={"limit_price": "$11.99", "paused": True})
    assert (answer.status_code, client.read(bid)) == (400, bid)
    assert client.patch(f"/v2/spot/bids/{bid['fid']}", json={"limit_price": "$12.01"}).status_code == 200


def test_an_ended_or_paused_bid_keeps_its_last_price(client):
    """It was set before: an ended bid takes none, a paused one does."""
    paused, ended = client.bid(name="paused"), client.bid(name="ended")
    for bid in (paused, ended):
        assert client.patch(f"/v2/spot/bids/{bid['fid']}", json={"limit_price": "$49.98"}).status_code == 200
    client.patch(f"/v2/spot/bids/{paused['fid']}", json={"paused": True})
    client.delete(f"/v2/spot/bids/{ended['fid']}")
    assert client.read(ended)["limit_price"] == client.read(paused)["limit_price"] == "$49.98"
    answers = [client.patch(f"/v2/spot/bids/{bid['fid']}", json={"limit_price": "$49.97"}) for bid in (paused, ended)]
    assert [answer.status_code for answer in answers] == [200, 400]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"limit_price": "50"}, "limit_price"),
        ({"limit_price": "$0.00"}, "limit_price"),
        ({"limit_price": "$-1"}, "limit_price"),
        ({"limit_price": 50}, "limit_price"),
        ({"instance_quantity": 0}, "instance_quantity"),
        ({"instance_quantity": True}, "instance_quantity"),
        ({"instance_quantity": "2"}, "instance_quantity"),
        ({"region": "moon-1"}, "region"),
        ({"instance_type": "it_nothing"}, "instance_type"),
        ({"instance_type": "it_XqgKWbhZ5gznAYsG"}, "instance_type"),
        ({"launch_specification": []}, "launch_specification"),
        ({"launch_specification": {"volumes": [1], "ssh_keys": []}}, "launch_specification"),
    ],
)
def test_a_wrong_field_of_a_new_bid_is_named(mithril, client, change, field):
    """422 in the service's envelope, and nothing was rented."""
    answer = client.post("/v2/spot/bids", json={**client.bid_body(), **change})
    assert answer.status_code == 422
    assert {problem["loc"][1] for problem in answer.json()["detail"]} == {field}
    assert mithril.bids == []


def test_every_missing_field_is_reported_at_once(client):
    """An empty body names all it lacks."""
    answer = client.post("/v2/spot/bids", json={})
    missing = [tuple(problem["loc"]) for problem in answer.json()["detail"]]
    assert sorted(missing) == sorted(("body", name) for name in client.bid_body())


@pytest.mark.parametrize("kind", ["volumes", "ssh_keys"])
def test_a_bid_with_something_that_does_not_exist_is_refused(mithril, client, kind):
    """404 with a sentence, and nothing was rented."""
    answer = client.post("/v2/spot/bids", json=client.bid_body(**{kind: ["nope_1"]}))
    assert answer.status_code == 404
    assert "nope_1 not found" in answer.json()["detail"]
    assert mithril.bids == []
