"""CPU VMs: machines without a bid, launched at once at a fixed price."""

from __future__ import annotations

import pytest

C2 = "it_Wx7Tc2Std0Cpu8Gb"


@pytest.fixture
def body(mithril):
    """Return a function that makes bodies for POST /v2/cpu/instances."""

    def body(**changes):
        place = {"name": "box", "project": mithril.project_id, "instance_type": C2, "region": "us-central5-a"}
        return {**place, **changes}

    return body


def test_a_cpu_vm_runs_at_once_under_its_own_name(mithril, client, body):
    """It is listed as a machine without a bid."""
    answer = client.post("/v2/cpu/instances", json=body())
    assert answer.status_code == 201
    row = answer.json()
    assert (row["name"], row["status"], row["bid"]) == ("box", "STATUS_RUNNING", None)
    assert mithril.instances == [row]
    parameters = {"project": mithril.project_id, "instance_type": C2, "status_in": "STATUS_RUNNING"}
    assert client.get("/v2/instances", params=parameters).json()["data"] == [row]
    assert client.get("/v2/instances", params={**parameters, "order_type_in": "Bid"}).json()["data"] == []


def test_the_reservation_behind_a_cpu_vm_is_hidden(mithril, client, body):
    """The machine names it, and no path shows it."""
    hidden = client.post("/v2/cpu/instances", json=body()).json()["reservation"]
    assert hidden.startswith("res_")
    assert client.get("/v2/reservation", params={"project": mithril.project_id}).json()["data"] == []
    assert client.patch(f"/v2/reservation/{hidden}", json={"paused": True}).status_code == 404
    assert mithril.reservations == []


def test_a_cpu_vm_boots(cloud, connect, clock):
    """For as long as other machines."""
    mithril = cloud(boot_seconds=40.0)
    body = {"name": "box", "project": mithril.project_id, "instance_type": C2, "region": "us-central5-a"}
    assert connect(mithril).post("/v2/cpu/instances", json=body).json()["status"] == "STATUS_NEW"
    clock.advance(seconds=40)
    assert mithril.instances[0]["status"] == "STATUS_RUNNING"


def test_a_cpu_vm_is_deleted_for_good(mithril, client, body):
    """Deleting it twice is fine; machines of bids are no CPU VMs."""
    vm = client.post("/v2/cpu/instances", json=body()).json()
    assert client.delete(f"/v2/cpu/instances/{vm['fid']}").status_code == 204
    assert mithril.instances[0]["status"] == "STATUS_TERMINATED"
    assert client.delete(f"/v2/cpu/instances/{vm['fid']}").status_code == 204
    assert [request.effect for request in mithril.mutations] == [True, True, False]
    machine = client.bid()["instances"][0]
    for fid in (machine, "inst_nothing"):
        assert client.delete(f"/v2/cpu/instances/{fid}").status_code == 404
    assert len(mithril.live_bids) == 1


def test_a_volume_and_a_key_of_a_cpu_vm_are_in_use(mithril, client, body):
    """Until it is deleted."""
    volume, key = client.volume(disk_interface="Block"), mithril.add_ssh_key("laptop")
    vm = client.post("/v2/cpu/instances", json=body(volumes=[volume["fid"]], ssh_keys=[key["fid"]])).json()
    assert client.volumes()[0]["reservations"] == [vm["reservation"]]
    paths = (f"/v2/volumes/{volume['fid']}", f"/v2/ssh-keys/{key['fid']}")
    assert [client.delete(path).status_code for path in paths] == [400, 400]
    client.delete(f"/v2/cpu/instances/{vm['fid']}")
    assert [client.delete(path).status_code for path in paths] == [204, 204]


def test_cpu_types_are_told_apart_from_gpu_types(client):
    """No auction, no GPU, a price of their own."""
    types = client.get("/v2/cpu/instance-types").json()
    assert [(kind["name"], kind["num_gpus"], kind["hourly_price"]) for kind in types] == [
        ("c1-standard", 0, 0.12),
        ("c2-standard", 0, 0.15),
    ]
    fids = {kind["fid"] for kind in types}
    assert fids.isdisjoint(kind["fid"] for kind in client.get("/v2/instance-types").json())
    assert fids.isdisjoint(row["instance_type"] for row in client.get("/v2/spot/availability").json())
    assert [row["name"] for row in client.get("/v2/cpu/regions").json()] == ["us-central5-a", "us-east1-a"]


def test_a_cpu_vm_of_somebody_else_is_not_there(mithril, client, connect, body):
    """404 by id, 403 by project."""
    vm = client.post("/v2/cpu/instances", json=body()).json()
    mithril.add_project("other", keys=["other-key"])
    theirs = connect(mithril, "other-key")
    assert theirs.delete(f"/v2/cpu/instances/{vm['fid']}").status_code == 404
    assert theirs.post("/v2/cpu/instances", json=body()).status_code == 403


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"instance_type": "it_Sg1nDx1I8NFep60J"}, "instance_type"),
        ({"region": "eu-central1-a"}, "region"),
        ({"volumes": "vol_1"}, "volumes"),
        ({"volumes": None}, "volumes"),
        ({"ssh_keys": [1]}, "ssh_keys"),
        ({"limit_price": "$1.00"}, "limit_price"),
    ],
)
def test_a_wrong_cpu_vm_is_refused(mithril, client, body, change, field):
    """422 in the service's envelope, unknown fields included."""
    answer = client.post("/v2/cpu/instances", json=body(**change))
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][1] == field
    assert mithril.instances == []
