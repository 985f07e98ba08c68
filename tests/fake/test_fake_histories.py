"""The history endpoints, and quotas."""

from __future__ import annotations

import pytest

from flow_resources.testing import Clock

START = 1_800_000_000.0
TYPE = "8xa100"
A100 = "it_Sg1nDx1I8NFep60J"


def prices(client, **query):
    """Return the answer of the price history."""
    answer = client.get("/v2/pricing/history", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_price_history_has_a_series_for_each_type_and_region(mithril, client):
    """Filters narrow it; a still market has one price."""
    answer = prices(client, num_samples=2)
    assert answer["complete"] is False
    everything = answer["series"]
    assert len({(series["instance_type"], series["region"]) for series in everything}) == len(everything) > 60
    (series,) = prices(client, instance_types=f"{A100},", region="us-east1-a")["series"]
    assert set(series["spot_prices"]) == {"$12.00"}
    assert len(series["timestamps"]) == len(series["spot_prices"]) == len(series["reserved_prices"]) == 100
    assert set(series["reserved_prices"]) == {"$24.00"}


def test_the_whole_price_history_is_every_change(cloud, connect):
    """-1 samples: a price holds until the next timestamp."""
    mithril = cloud(clock=Clock(START, speed=0))
    client = connect(mithril)
    mithril.set_path(TYPE, mithril.region, [(60, 20.0), (120, 20.0), (180, 30.0)])
    mithril.clock.advance(minutes=10)
    answer = prices(client, instance_types=A100, region=mithril.region, num_samples=-1)
    assert answer["complete"] is True
    (one,) = answer["series"]
    assert one["spot_prices"] == ["$12.00", "$20.00", "$30.00"]
    assert [stamp[11:19] for stamp in one["timestamps"][1:]] == ["08:01:00", "08:03:00"]


def test_the_price_history_keeps_to_the_times_that_are_asked_for(cloud, connect):
    """From start_time to end_time, and never into the future."""
    mithril = cloud(seed=7, clock=Clock(START, speed=0))
    client = connect(mithril)
    mithril.clock.advance(hours=10)
    parameters = {"instance_types": A100, "region": mithril.region, "num_samples": 7}
    times = {"start_time": "2027-01-15T09:00:00Z", "end_time": "2027-01-15T10:00:00+00:00"}
    (one,) = prices(client, **parameters, **times)["series"]
    assert (one["timestamps"][0][:19], one["timestamps"][-1][:19]) == ("2027-01-15T09:00:00", "2027-01-15T10:00:00")
    assert len(one["timestamps"]) == 7
    (one,) = prices(client, **parameters, end_time="2037-01-01T00:00:00Z")["series"]
    assert one["timestamps"][-1][:19] == "2027-01-15T18:00:00"
    (one,) = prices(client, **parameters)["series"]
    assert (one["timestamps"][0][:19], one["timestamps"][-1][:19]) == ("2027-01-08T18:00:00", "2027-01-15T18:00:00")


@pytest.mark.parametrize(
    "query",
    [
        {"num_samples": -2},
        {"num_samples": 1001},
        {"num_samples": "many"},
        {"start_time": "yesterday"},
        {"end_time": "2027-01-15T09:00:00"},
        {"instance_types": "it_nothing"},
    ],
)
def test_a_price_history_that_means_nothing_is_refused(client, query):
    """Naming the parameter."""
    answer = client.get("/v2/pricing/history", params=query)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", *query]


def test_the_status_history_of_a_machine_has_every_phase(cloud, connect, clock):
    """The boot, the notice and the loss, with the times at which they were due, not those at which they were read."""
    mithril = cloud(boot_seconds=60, preemption_notice_seconds=300)
    client = connect(mithril)
    bid = client.bid()
    clock.advance(minutes=10)
    mithril.preempt(bid["fid"])
    clock.advance(hours=1)
    answer = client.get("/v2/instances/status/history", params={"project": mithril.project_id, "bid_fid": bid["fid"]})
    (machine,) = answer.json()["instances"]
    assert [(event["status"], event["timestamp"][14:19]) for event in machine["events"]] == [
        ("STATUS_NEW", "00:00"),
        ("STATUS_INITIALIZING", "00:15"),
        ("STATUS_STARTING", "00:30"),
        ("STATUS_RUNNING", "01:00"),
        ("STATUS_PREEMPTING", "10:00"),
        ("STATUS_PREEMPTED", "15:00"),
    ]
    assert machine["bid_fid"] == bid["fid"]
    times = {"start_time": "2027-01-15T08:00:30Z", "end_time": "2027-01-15T08:10:00Z"}
    query = {"project": mithril.project_id, **times}
    (machine,) = client.get("/v2/instances/status/history", params=query).json()["instances"]
    assert [event["timestamp"][14:19] for event in machine["events"]] == ["00:30", "01:00", "10:00"]


def test_the_price_history_of_a_machine_says_what_it_cost_and_when(mithril, client, clock):
    """Each price that was paid, the last one open as long as the machine is there; new machines have a new history."""
    bid = client.bid()
    clock.advance(hours=1)
    mithril.set_price(TYPE, mithril.region, 20.0)
    clock.advance(hours=1)
    mithril.preempt(bid["fid"])
    clock.advance(hours=1)
    mithril.release(bid["fid"])
    query = {"project": mithril.project_id, "bid_fid": bid["fid"]}
    first, second = client.get("/v2/instances/pricing/history", params=query).json()["instances"]
    events = [
        (event["price_cents"], event["start_time"][11:13], (event["end_time"] or "")[11:13])
        for event in first["events"]
    ]
    assert events == [(1200, "08", "09"), (2000, "09", "10")]
    assert [(event["price_cents"], event["end_time"]) for event in second["events"]] == [(2000, None)]
    assert mithril.spend == 32.0


def test_histories_of_machines_come_in_pages_and_by_machine(cloud, connect):
    """As other lists do."""
    mithril = cloud(page_limit=2)
    client = connect(mithril)
    bid = client.bid(instance_quantity=3)
    for path in ("/v2/instances/status/history", "/v2/instances/pricing/history"):
        query = {"project": mithril.project_id}
        page = client.get(path, params=query).json()
        rest = client.get(path, params={**query, "next_cursor": page["next_cursor"]}).json()
        assert [instance["instance_fid"] for instance in page["instances"] + rest["instances"]] == bid["instances"]
        assert rest["next_cursor"] is None
        (instance,) = client.get(path, params={**query, "instance_fid": bid["instances"][1]}).json()["instances"]
        assert instance["instance_fid"] == bid["instances"][1]
        assert client.get(path, params={**query, "reservation_fid": "res_1"}).json()["instances"] == []
        assert client.get(path).status_code == 422


def quota(client, mithril, name):
    """Return (total, used) of one quota."""
    rows = client.get("/v2/quotas", params={"project": mithril.project_id}).json()
    (row,) = [row for row in rows if row["name"] == name]
    return row["total_quantity"], row["used_quantity"]


def test_quotas_say_what_is_in_use(mithril, client):
    """Machines that are bid for, won or not, and storage; what has ended counts no more."""
    bid, volume = client.bid(instance_quantity=3, limit_price="$1.00"), client.volume(size_gb=100)
    assert bid["status"] == "Open"
    assert (quota(client, mithril, TYPE), quota(client, mithril, "Storage")) == ((1000, 3), (1_000_000, 100))
    mithril.terminate(bid["fid"])
    mithril.delete_volume(volume["fid"])
    assert (quota(client, mithril, TYPE), quota(client, mithril, "Storage")) == ((1000, 0), (1_000_000, 0))


def test_what_is_beyond_a_quota_is_refused(mithril, client):
    """For one type, or for storage, of one project."""
    mithril.set_quota(TYPE, 4)
    mithril.set_quota("storage", 150)
    client.bid(instance_quantity=3)
    client.volume(size_gb=100)
    refused = client.post("/v2/spot/bids", json=client.bid_body(name="more", instance_quantity=2))
    assert (refused.status_code, "Quota exceeded for 8xa100" in refused.text) == (400, True)
    refused = client.post("/v2/volumes", json=client.volume_body(name="more", size_gb=51))
    assert (refused.status_code, "Quota exceeded for storage" in refused.text) == (400, True)
    client.bid(name="fits", instance_quantity=1)
    client.volume(name="fits", size_gb=50)
    with pytest.raises(ValueError, match="product"):
        mithril.set_quota("9xa100", 1)
    with pytest.raises(KeyError, match="nothing"):
        mithril.set_quota(TYPE, 1, project="nothing")
