"""Reservations: machines for a fixed time, from a separate stock."""

from __future__ import annotations

import pytest

from flow_resources.testing.service.formats import write_time
from flow_resources.testing.service.periods import Period, free, latest_end, slots

A100 = "it_Sg1nDx1I8NFep60J"
HOUR = 3600.0


@pytest.fixture
def body(mithril, clock):
    """Return a function that makes bodies for POST /v2/reservation; `start` and `hours` count from now."""

    def body(start=0.0, hours=8.0, **changes):
        begin = clock.now() + start * HOUR
        launch = {"volumes": changes.pop("volumes", []), "ssh_keys": changes.pop("ssh_keys", [])}
        return {
            "project": mithril.project_id,
            "name": "night",
            "instance_type": A100,
            "region": mithril.region,
            "instance_quantity": 2,
            "start_time": write_time(begin),
            "end_time": write_time(begin + hours * HOUR),
            "launch_specification": launch,
            **changes,
        }

    return body


@pytest.fixture
def reserve(client, body):
    """Return a function that reserves machines and returns the row."""

    def reserve(*window, **changes):
        answer = client.post("/v2/reservation", json=body(*window, **changes))
        assert answer.status_code == 201, answer.text
        return answer.json()

    return reserve


@pytest.fixture
def read(mithril, client):
    """Return a function that reads a reservation again, in the only way that the service offers."""

    def read(row):
        answer = client.get("/v2/reservation", params={"project": mithril.project_id}).json()
        return next(reservation for reservation in answer["data"] if reservation["fid"] == row["fid"])

    return read


@pytest.fixture
def query(mithril, clock):
    """Return a function that makes queries for availability and quotes; times count in hours from now."""

    def query(**asked):
        hours = {name: asked.pop(name) for name in list(asked) if name.endswith("time")}
        times = {name: write_time(clock.now() + HOUR * after) for name, after in hours.items()}
        return {"project": mithril.project_id, "instance_type": A100, "region": mithril.region, **asked, **times}

    return query


def machines(mithril, client, **asked):
    """Return the machines of the project, in the order of their creation."""
    params = {"project": mithril.project_id, "sort_dir": "asc", **asked}
    return client.get("/v2/instances", params=params).json()["data"]


def events(client, row):
    """Return the kinds of events in the history of a reservation."""
    answer = client.get(f"/v2/reservation/{row['fid']}/history").json()
    return [event["event_type"] for event in answer["events"]]


def test_a_reservation_lives_by_the_clock(mithril, client, clock, reserve, read):
    """Pending, Active with machines, Ended without."""
    row = reserve(1.0, 8.0)
    assert (row["status"], row["instances"]) == ("Pending", [])
    clock.advance(hours=1)
    active = read(row)
    assert active["status"] == "Active"
    instances = machines(mithril, client)
    assert [machine["fid"] for machine in instances] == active["instances"]
    assert [machine["name"] for machine in instances] == ["night-1", "night-2"]
    assert {(instance["status"], instance["bid"], instance["reservation"]) for instance in instances} == {
        ("STATUS_RUNNING", None, row["fid"])
    }
    clock.advance(hours=8)
    ended = read(row)
    assert (ended["status"], ended["deactivated_at"]) == ("Ended", ended["end_time"])
    assert {machine["status"] for machine in machines(mithril, client)} == {"STATUS_TERMINATED"}
    assert events(client, row) == ["Placed", "Active", "Ended"]


def test_what_time_did_happened_at_its_own_moment(client, clock, reserve, read):
    """Whoever looks later sees the same history."""
    row = reserve(1.0, 8.0)
    clock.advance(hours=48)
    assert read(row)["status"] == "Ended"
    answer = client.get(f"/v2/reservation/{row['fid']}/history").json()
    assert [event["timestamp"] for event in answer["events"][1:]] == [row["start_time"], row["end_time"]]


def test_machines_of_a_reservation_boot_too(cloud, connect, clock):
    """boot_seconds counts from its start."""
    mithril = cloud(boot_seconds=40.0)
    client = connect(mithril)
    launch = {"volumes": [], "ssh_keys": []}
    times = {"start_time": write_time(clock.now() + 10), "end_time": write_time(clock.now() + 9000)}
    place = {"project": mithril.project_id, "name": "r", "instance_type": A100, "region": mithril.region}
    body = {**place, **times, "instance_quantity": 1, "launch_specification": launch}
    assert client.post("/v2/reservation", json=body).status_code == 201
    seen = []
    for step in (9, 1, 40):
        clock.advance(seconds=step)
        seen.append([machine["status"] for machine in machines(mithril, client)])
    assert seen == [[], ["STATUS_NEW"], ["STATUS_RUNNING"]]


def test_a_reservation_that_starts_now_has_its_machines_at_once(reserve):
    """The answer to the POST shows them; a client's second may be a little old."""
    row = reserve(-0.01, 8.0)
    assert row["status"] == "Active"
    assert len(row["instances"]) == 2


def test_a_reservation_is_paused_and_resumed_with_the_same_machines(mithril, client, reserve):
    """Its machines are paused, and run again under their ids."""
    row = reserve()
    path = f"/v2/reservation/{row['fid']}"
    paused = client.patch(path, json={"paused": True}).json()
    assert (paused["status"], paused["instances"]) == ("Paused", row["instances"])
    assert {machine["status"] for machine in machines(mithril, client)} == {"STATUS_PAUSED"}
    assert client.patch(path, json={"paused": True}).json() == paused
    assert client.patch(path, json={"paused": False}).json() == row
    assert {machine["status"] for machine in machines(mithril, client)} == {"STATUS_RUNNING"}
    assert events(client, row) == ["Placed", "Active", "Paused", "Resumed"]


def test_a_paused_reservation_ends_in_time(client, clock, reserve, read):
    """A pause does not make it longer."""
    row = reserve()
    client.patch(f"/v2/reservation/{row['fid']}", json={"paused": True})
    clock.advance(hours=8)
    assert read(row)["status"] == "Ended"


def test_what_has_not_started_or_has_ended_cannot_be_changed(client, clock, reserve):
    """400, each time."""
    later, now = reserve(4.0), reserve()
    assert client.patch(f"/v2/reservation/{later['fid']}", json={"paused": True}).status_code == 400
    clock.advance(hours=8)
    assert client.patch(f"/v2/reservation/{now['fid']}", json={"paused": True}).status_code == 400
    end = write_time(clock.now() + HOUR)
    assert client.post(f"/v2/reservation/{now['fid']}/extend", json={"end_time": end}).status_code == 400
    assert client.get(f"/v2/reservation/{now['fid']}/extension-availability").json()["available"] is False


def test_reserved_machines_do_not_touch_the_auction(mithril, client, reserve):
    """With all of the market's machines taken, and none of them by the reservation."""
    mithril.set_capacity("8xa100", mithril.region, 1)
    reserve()
    assert client.bid()["status"] == "Allocated"
    quote = {"instance_type": A100, "region": mithril.region}
    assert client.get("/v2/pricing/current", params=quote).json()["available_capacity"] == 0


def test_machines_are_told_apart_by_their_order(mithril, client, reserve):
    """order_type_in, reservation_fid_in and bid_fid_in each show their own."""
    bid, row = client.bid(), reserve()
    for asked, names in (
        ({}, ["trainer-1", "night-1", "night-2"]),
        ({"order_type_in": "Bid"}, ["trainer-1"]),
        ({"order_type_in": "Reservation"}, ["night-1", "night-2"]),
        ({"order_type_in": "Bid,Reservation"}, ["trainer-1", "night-1", "night-2"]),
        ({"reservation_fid_in": row["fid"]}, ["night-1", "night-2"]),
        ({"reservation_fid_in": bid["fid"]}, []),
        ({"bid_fid_in": row["fid"]}, []),
    ):
        assert [machine["name"] for machine in machines(mithril, client, **asked)] == names
    status = client.get(f"/v2/instances/{row['instances'][0]}/status").json()
    assert (status["bid"], status["reservation"]) == (None, row["fid"])


def test_a_volume_of_a_live_reservation_cannot_be_deleted(client, clock, reserve):
    """It lists who has it, before the start too; a reservation that ended lets it go."""
    volume = client.volume()
    row = reserve(1.0, volumes=[volume["fid"]])
    assert row["launch_specification"]["volumes"] == [volume["fid"]]
    assert (client.volumes()[0]["reservations"], client.volumes()[0]["bids"]) == ([row["fid"]], [])
    assert client.delete(f"/v2/volumes/{volume['fid']}").status_code == 400
    clock.advance(hours=9)
    assert client.volumes()[0]["reservations"] == []
    assert client.delete(f"/v2/volumes/{volume['fid']}").status_code == 204


def test_volumes_of_a_reservation_can_be_changed(mithril, client, reserve):
    """A Block volume still cannot be shared."""
    a, b = client.volume(name="a"), client.volume(name="b", disk_interface="Block")
    row = reserve(volumes=[a["fid"]], instance_quantity=1)
    path = f"/v2/reservation/{row['fid']}"
    changed = client.patch(path, json={"volumes": [b["fid"]]}).json()
    assert changed["launch_specification"]["volumes"] == [b["fid"]]
    assert client.patch(path, json={"volumes": [b["fid"]]}).json() == changed
    assert mithril.mutations[-1].effect is False
    assert client.post("/v2/spot/bids", json=client.bid_body(volumes=[b["fid"]])).status_code == 400
    assert client.delete(f"/v2/volumes/{a['fid']}").status_code == 204
    assert client.patch(path, json={"volumes": ["vol_nothing"]}).status_code == 404


def test_an_ssh_key_of_a_live_reservation_cannot_be_deleted(mithril, client, clock, reserve):
    """As with bids."""
    key = mithril.add_ssh_key("laptop")
    reserve(ssh_keys=[key["fid"]])
    assert client.delete(f"/v2/ssh-keys/{key['fid']}").status_code == 400
    clock.advance(hours=8)
    assert client.delete(f"/v2/ssh-keys/{key['fid']}").status_code == 204


def test_the_price_is_fixed_and_quoted_before(client, reserve, query):
    """Machines times hours times the unit price; a lower maximum price is rejected."""
    (offer,) = client.get("/v2/reservation/quote", params=query(start_time=0, end_time=8, quantity=2)).json()["offers"]
    row = reserve(price_specification={"offer_key": offer["key"], "max_unit_price": 2400})
    assert (
        (row["unit_price"], row["total_price"]) == (offer["unit_price"], offer["total_price"]) == ("$24.00", "$384.00")
    )


def test_a_reservation_above_the_clients_limit_is_refused(client, body):
    """max_unit_price is in cents."""
    answer = client.post("/v2/reservation", json=body(price_specification={"max_unit_price": 2399}))
    assert answer.status_code == 400


def test_the_same_key_reserves_once(mithril, client, body):
    """Until what it made has ended."""
    first = client.post("/v2/reservation", json=body(), headers={"Idempotency-Key": "k"}).json()
    assert client.post("/v2/reservation", json=body(), headers={"Idempotency-Key": "k"}).json() == first
    assert len(mithril.reservations) == 1


def test_no_more_than_the_stock_can_be_reserved(client, body, reserve, query):
    """16 machines of a type in a region at any one time; availability says the same."""
    reserve(1.0, 2.0, instance_quantity=10)
    reserve(3.0, 2.0, instance_quantity=12)
    assert client.post("/v2/reservation", json=body(0.0, 2.0, instance_quantity=7)).status_code == 400
    reserve(0.0, 2.0, instance_quantity=6)

    def ask(**asked):
        return client.get("/v2/reservation/availability", params=query(**asked)).json()

    check = {"mode": "check", "start_time": 0, "quantity": 10}
    assert ask(**check, end_time=1) == {"available": True}
    assert ask(**check, end_time=2) == {"available": False}
    slots = ask(mode="slots", earliest_start_time=0, latest_end_time=8)
    assert [slot["quantity"] for slot in slots] == [10, 6, 4, 16]
    assert [slot["quantity"] for slot in ask(mode="slots", earliest_start_time=0, latest_end_time=8, quantity=10)] == [
        10,
        16,
    ]
    latest = ask(start_time=0, quantity=10)
    assert latest == {"latest_end_time": slots[0]["end_time"], "available": True}
    assert ask(start_time=1, quantity=1)["available"] is False
    assert ask(start_time=2, quantity=5) == {"latest_end_time": slots[1]["end_time"], "available": True}


def test_a_reservation_is_extended_where_there_is_room(client, reserve, read, query):
    """Until another one starts, and within the maximum duration."""
    row = reserve(0.0, 2.0, instance_quantity=10)
    reserve(6.0, 2.0, instance_quantity=10)
    path = f"/v2/reservation/{row['fid']}"
    room = client.get(f"{path}/extension-availability").json()
    assert room == {"latest_extension_time": query(end_time=6)["end_time"], "available": True}
    for hours in (2, 6.01):
        assert client.post(f"{path}/extend", json={"end_time": query(end_time=hours)["end_time"]}).status_code == 400
    longer = client.post(f"{path}/extend", json={"end_time": room["latest_extension_time"]}).json()
    assert (longer["end_time"], longer["total_price"]) == (room["latest_extension_time"], "$1440.00")
    assert read(row) == longer
    assert events(client, row)[-1] == "Terms Changed"
    assert client.get(f"{path}/extension-availability").json()["available"] is False


def test_a_reservation_lasts_two_weeks_at_most(client, reserve, query):
    """Extensions included."""
    path = f"/v2/reservation/{reserve(0.0, 335.0)['fid']}"
    last = query(end_time=336)["end_time"]
    assert client.get(f"{path}/extension-availability").json()["latest_extension_time"] == last
    assert client.post(f"{path}/extend", json={"end_time": query(end_time=336.1)["end_time"]}).status_code == 400
    assert client.post(f"{path}/extend", json={"end_time": last}).status_code == 200


@pytest.mark.parametrize("window", [(-1.0, 8.0), (1.0, 0.0), (1.0, -1.0), (0.0, 336.1), (8761.0, 8.0)])
def test_a_window_that_nothing_can_be_reserved_for_is_400(mithril, client, body, query, window):
    """In the past, empty, too long, too far ahead; and it is not available."""
    assert client.post("/v2/reservation", json=body(*window)).status_code == 400
    start, hours = window
    parameters = query(mode="check", start_time=start, end_time=start + hours, quantity=1)
    assert client.get("/v2/reservation/availability", params=parameters).json() == {"available": False}
    assert mithril.reservations == []


def test_a_wrong_reservation_is_refused_field_by_field(client, body):
    """422 in the service's envelope, everything at once."""
    wrong = body(
        name="",
        instance_type="it_nothing",
        region="moon-1",
        instance_quantity=0,
        start_time="now",
        price_specification={"offer_key": "cheap", "max_unit_price": -1},
    )
    answer = client.post("/v2/reservation", json={**wrong, "launch_specification": {"volumes": []}})
    assert answer.status_code == 422
    assert [problem["loc"][1:] for problem in answer.json()["detail"]] == [
        ["name"],
        ["instance_type"],
        ["region"],
        ["start_time"],
        ["instance_quantity"],
        ["launch_specification", "ssh_keys"],
        ["price_specification", "offer_key"],
        ["price_specification", "max_unit_price"],
    ]
    assert client.post("/v2/reservation", json={}).status_code == 422


@pytest.mark.parametrize(
    ("path", "change", "field"),
    [
        ("quote", {"instance_type": "it_nothing"}, "instance_type"),
        ("quote", {"region": "moon-1"}, "region"),
        ("quote", {"quantity": "0"}, "quantity"),
        ("quote", {"start_time": "now"}, "start_time"),
        ("quote", {"end_time": "2020-01-01T00:00:00Z"}, "end_time"),
        ("availability", {"mode": "never"}, "mode"),
        ("availability", {"quantity": ""}, "quantity"),
        ("availability", {"mode": "slots"}, "earliest_start_time"),
        ("availability", {"mode": "check", "end_time": ""}, "end_time"),
    ],
)
def test_a_wrong_question_is_named(client, query, path, change, field):
    """422 in the service's envelope."""
    parameters = {**query(start_time=0, end_time=8, quantity=1), **change}
    answer = client.get(f"/v2/reservation/{path}", params=parameters)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", field]


def test_reservations_are_listed_filtered_and_paged(mithril, client, clock, reserve):
    """Newest first; by status, type and region."""
    a, b = reserve(0.0, 2.0), reserve(4.0, 2.0, region="us-east1-a")

    def listed(**asked):
        return client.get("/v2/reservation", params={"project": mithril.project_id, **asked}).json()

    assert listed()["data"] == [b, a]
    assert [row["fid"] for row in listed(status="Pending")["data"]] == [b["fid"]]
    assert [row["fid"] for row in listed(region="us-east1-a")["data"]] == [b["fid"]]
    assert listed(instance_type="it_nothing")["data"] == []
    first = listed(limit=1)
    assert listed(limit=1, next_cursor=first["next_cursor"])["data"] == [a]
    assert listed(status="Canceled")["data"] == []


def test_a_reservation_of_somebody_else_is_not_there(mithril, client, connect, reserve, body):
    """404 by id, 403 by project, also to make one."""
    row = reserve()
    mithril.add_project("other", keys=["other-key"])
    theirs = connect(mithril, "other-key")
    path = f"/v2/reservation/{row['fid']}"
    assert theirs.patch(path, json={}).status_code == 404
    assert theirs.get(f"{path}/history").status_code == 404
    assert theirs.get("/v2/reservation", params={"project": mithril.project_id}).status_code == 403
    assert theirs.post("/v2/reservation", json=body()).status_code == 403
    assert len(mithril.reservations) == 1


def test_one_reservation_is_found_in_the_list_only(client, reserve):
    """The service answers a GET of one with 405, and clients look through the list."""
    assert client.get(f"/v2/reservation/{reserve()['fid']}").status_code == 405


def test_a_reservation_survives_a_restart(cloud, connect, clock, tmp_path):
    """What was due while the cloud was off has happened."""
    state = tmp_path / "cloud.db"
    mithril = cloud(state=state)
    launch = {"volumes": [], "ssh_keys": []}
    times = {"start_time": write_time(clock.now() + 60), "end_time": write_time(clock.now() + 120)}
    place = {"project": mithril.project_id, "name": "r", "instance_type": A100, "region": mithril.region}
    body = {**place, **times, "instance_quantity": 1, "launch_specification": launch}
    assert connect(mithril).post("/v2/reservation", json=body).status_code == 201
    mithril.close()
    clock.advance(seconds=90)
    assert [row["status"] for row in cloud(state=state).reservations] == ["Active"]


def test_the_calendar_counts_machines_over_time():
    """A machine given back at a moment can be had from that moment on."""
    taken = [Period(10, 20, 3), Period(15, 30, 2), Period(40, 50, 5)]
    assert free(5, taken, 0, 10) == 5
    assert free(5, taken, 0, 11) == 2
    assert free(5, taken, 14, 16) == 0
    assert free(5, taken, 20, 40) == 3
    assert latest_end(5, taken, 0, 5, 100) == 10
    assert latest_end(5, taken, 30, 1, 100) == 40
    assert latest_end(5, taken, 50, 5, 100) == 100
    assert latest_end(5, taken, 16, 1, 100) == 16
    assert list(slots(5, taken, 5, 45)) == [(5, 10, 5), (10, 15, 2), (20, 30, 3), (30, 40, 5)]
    assert list(slots(5, taken, 45, 45)) == []
