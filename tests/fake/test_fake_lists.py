"""Lists: pages, filters and sorting; and every route against the schemas of the API's document."""

from __future__ import annotations

import json

import pytest

from flow_resources.testing.service.formats import write_time


def pages(client, path, **query):
    """Return every page of a list."""
    rows, cursor = [], None
    while True:
        answer = client.get(path, params={**query, **({"next_cursor": cursor} if cursor else {})}).json()
        rows.append(answer["data"])
        cursor = answer["next_cursor"]
        if cursor is None:
            return rows


def test_a_listed_bid_is_the_one_that_is_there(mithril, client):
    """After each change the row of a page is what the bid itself is read as: no row is out of date."""
    bid, volume = client.bid(), client.volume()["fid"]
    path = f"/v2/spot/bids/{bid['fid']}"
    changes = [
        lambda: None,
        lambda: client.patch(path, json={"limit_price": "$60.00"}),
        lambda: mithril.preempt(bid["fid"], notice_seconds=0),
        lambda: mithril.release(bid["fid"]),
        lambda: client.patch(path, json={"paused": True}),
        lambda: client.patch(path, json={"volumes": [volume]}),
        lambda: client.patch(path, json={"volumes": []}),
        lambda: client.patch(path, json={"paused": False}),
        lambda: client.delete(path),
    ]
    for change in changes:
        change()
        assert client.get("/v2/spot/bids").json()["data"] == [client.read(bid)]


@pytest.mark.parametrize("query", [{}, {"sort_dir": "asc"}, {"sort_by": "status"}, {"limit": 2}])
def test_pages_together_are_the_whole_list(mithril, client, query):
    """Each row once, for any sort order and page size."""
    bids = [client.bid(name=f"bid-{n}", limit_price="$50.00" if n % 2 else "$1.00") for n in range(7)]
    rows = pages(client, "/v2/spot/bids", **{"limit": 3, **query})
    assert len(rows) == -(-7 // (query.get("limit") or 3))
    assert sorted(row["fid"] for page in rows for row in page) == [bid["fid"] for bid in bids]


def test_the_newest_comes_first_unless_told_otherwise(client):
    """sort_dir turns it round."""
    bids = [client.bid(name=f"bid-{n}") for n in range(3)]
    assert client.get("/v2/spot/bids").json()["data"] == bids[::-1]
    assert client.get("/v2/spot/bids", params={"sort_dir": "asc"}).json()["data"] == bids


def test_a_page_has_a_hundred_rows_where_nobody_says(mithril, client):
    """More than that needs a cursor."""
    for _ in range(101):
        mithril.add_bid(limit_price="$1.00")
    assert [len(page) for page in pages(client, "/v2/spot/bids")] == [100, 1]


def test_pages_can_be_made_shorter_than_clients_ask_for(cloud, connect):
    """Then a client that forgets the cursor is found out with three bids instead of a hundred."""
    client = connect(cloud(page_limit=2))
    for n in range(3):
        client.bid(name=f"bid-{n}")
    assert [len(page) for page in pages(client, "/v2/spot/bids", limit=100)] == [2, 1]


def test_a_row_that_comes_between_two_pages_does_not_shift_them(client):
    """The cursor is a place, not a number."""
    old = [client.bid(name=f"bid-{n}") for n in range(4)]
    first = client.get("/v2/spot/bids", params={"limit": 2}).json()
    client.bid(name="new")
    second = client.get("/v2/spot/bids", params={"limit": 2, "next_cursor": first["next_cursor"]}).json()
    assert first["data"] + second["data"] == old[::-1]


def test_bids_are_filtered(mithril, client):
    """By project, exact name, status, type and region, and by several at once."""
    a = client.bid(name="train")
    b = client.bid(name="train-2", limit_price="$1.00")
    c = client.bid(name="train", instance_type="it_RrgkIZz6c9BZu5gi", region="us-east1-a")
    for query, expected in (
        ({"name": "train"}, [a, c]),
        ({"name": "tra"}, []),
        ({"status": "Open"}, [b]),
        ({"status": "Allocated"}, [a, c]),
        ({"status": "Open,Allocated"}, [a, b, c]),
        ({"status": ["Open", "Paused"]}, [b]),
        ({"instance_type": "it_RrgkIZz6c9BZu5gi"}, [c]),
        ({"region": "us-central5-a"}, [a, b]),
        ({"project": mithril.project_id, "name": "train", "region": "us-east1-a"}, [c]),
    ):
        assert client.get("/v2/spot/bids", params={"sort_dir": "asc", **query}).json()["data"] == expected


def test_machines_are_filtered_by_lists_in_both_notations(mithril, client):
    """Commas and repetition mean the same."""
    a, b, c = (client.bid(name=name) for name in "abc")
    client.patch(f"/v2/spot/bids/{c['fid']}", json={"paused": True})
    project = ("project", mithril.project_id)

    def names(*query):
        rows = client.get("/v2/instances", params=[project, ("sort_dir", "asc"), *query]).json()["data"]
        return [row["name"] for row in rows]

    assert names(("bid_fid_in", f"{a['fid']},{b['fid']}")) == ["a-1", "b-1"]
    assert names(("bid_fid_in", a["fid"]), ("bid_fid_in", b["fid"])) == ["a-1", "b-1"]
    assert names(("status_in", "STATUS_PAUSED")) == ["c-1"]
    assert names(("order_type_in", "Bid")) == ["a-1", "b-1", "c-1"]
    assert names(("order_type_in", "Reservation")) == []
    assert names(("sort_by", "instance_status"), ("limit", "1")) == ["c-1"]


def test_machines_come_in_pages_too(mithril, client):
    """A cluster larger than a page."""
    mithril.set_capacity("8xa100", mithril.region, 300)
    client.bid(instance_quantity=250)
    rows = pages(client, "/v2/instances", project=mithril.project_id, limit=100)
    assert [len(page) for page in rows] == [100, 100, 50]
    assert len({row["fid"] for page in rows for row in page}) == 250


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("spot/bids", {"limit": 101}, "limit"),
        ("spot/bids", {"limit": 0}, "limit"),
        ("spot/bids", {"limit": "ten"}, "limit"),
        ("spot/bids", {"sort_by": "name"}, "sort_by"),
        ("spot/bids", {"sort_dir": "up"}, "sort_dir"),
        ("spot/bids", {"status": "Running"}, "status"),
        ("spot/bids", {"next_cursor": "nonsense"}, "next_cursor"),
        ("spot/bids", {"next_cursor": "WzFlOTksIDFd"}, "next_cursor"),
        ("spot/bids", {"next_cursor": "WyJcdWQ4MDAiLCAxXQ=="}, "next_cursor"),
        ("instances", {}, "project"),
        ("volumes", {}, "project"),
        ("ssh-keys", {}, "project"),
        ("reservation", {}, "project"),
        ("pricing/current", {}, "instance_type"),
        ("pricing/current", {"instance_type": "it_Sg1nDx1I8NFep60J", "region": "moon-1"}, "region"),
    ],
)
def test_a_wrong_query_is_named(client, path, query, field):
    """422 in the service's envelope."""
    answer = client.get(f"/v2/{path}", params=query)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", field]


def test_what_this_cloud_has_none_of_is_empty_and_not_missing(mithril, client):
    """Clients ask for these on their way to something else."""
    project = {"project": mithril.project_id}
    assert client.get("/v2/reservation", params=project).json() == {"data": [], "next_cursor": None}
    assert client.get("/v2/kubernetes/clusters", params=project).json() == []
    assert client.get("/v2/api-keys").json() == []


def test_the_feed_lists_what_clients_have_built_in(mithril, client):
    """Auctions for a100, h100 and h200 in every region, with and without a project in the query."""
    rows = client.get("/v2/spot/availability").json()
    assert client.get("/v2/spot/availability", params={"project": mithril.project_id}).json() == rows
    names = {kind["fid"]: kind["name"] for kind in client.get("/v2/instance-types").json()}
    offers = {(names[row["instance_type"]], row["region"]) for row in rows}
    for region in client.get("/marketplace/v1/regions").json():
        for name in ("a100-80gb.sxm.8x", "h100-80gb.sxm.8x", "h200.8x"):
            assert (name, region["name"]) in offers
    assert len({row["fid"] for row in rows}) == len(rows)


def test_unknown_paths_and_ids_are_404_and_other_verbs_405(client):
    """In the service's envelope."""
    for path in ("/nothing", "/v2", "/v2/nothing", "/v2/spot/bids/", "/v2/spot/bids/trainer", "/v2/instances/x/status"):
        answer = client.get(path)
        assert answer.status_code == 404
    assert client.get("/v2/nothing").json() == {"detail": "Not Found"}
    assert client.put("/v2/spot/bids").status_code == 405


@pytest.mark.parametrize("body", [b"{", b"[1]", b"null", b"NaN", b'"text"', b"\xff", b"[" * 100_000, b""])
def test_a_body_that_is_no_object_is_422(mithril, client, body):
    """Whatever it is, it is the client's fault."""
    answer = client.post("/v2/volumes", content=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body"]
    assert len(mithril.requests) == 1


def test_text_that_cannot_be_stored_is_422(client):
    """Half a surrogate pair is JSON, but no text."""
    body = client.bid_body(name="x").copy()
    raw = str(body).replace("'", '"').replace('"x"', '"\\ud800"')
    assert client.post("/v2/spot/bids", content=raw.encode()).status_code == 422
    for name in ("volumes", "ssh_keys"):
        raw = json.dumps(client.bid_body(**{name: ["\ud800"]}))
        assert client.post("/v2/spot/bids", content=raw.encode()).status_code == 422


@pytest.mark.parametrize("path", ["/v2/spot/bids", "/v2/volumes", "/v2/ssh-keys", "/v2/api-keys"])
def test_a_list_may_lag_behind_what_was_created(cloud, connect, clock, path):
    """A read by id does not, nor what the console tells."""
    mithril = cloud(list_lag_seconds=30.0)
    client = connect(mithril)
    bid = client.bid()
    mithril.add_volume("data")
    mithril.add_ssh_key("key")
    client.post("/v2/api-keys", json={"name": "ci", "expires_at": write_time(clock.now() + 3600)})

    def rows():
        answer = client.get(path, params={} if path == "/v2/api-keys" else {"project": mithril.project_id}).json()
        return answer["data"] if isinstance(answer, dict) else answer

    assert rows() == []
    assert client.read(bid)["fid"] == bid["fid"]
    assert mithril.bids
    assert mithril.volumes
    clock.advance(29.0)
    assert rows() == []
    clock.advance(1.0)
    assert len(rows()) == 1
