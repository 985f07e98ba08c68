"""The service's rows, read tolerantly."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow_resources.core.models import Bid, Instance, InstanceType, Offer, StoredVolume

BID = {
    "fid": "bid_1",
    "name": "trainer-1",
    "project": "proj_1",
    "status": "Allocated",
    "limit_price": "$50.00",
    "instance_quantity": 2,
    "instance_type": "it_1",
    "region": "us-central5-a",
    "instances": ["inst_2", "inst_1"],
    "launch_specification": {"volumes": ["vol_1"], "ssh_keys": ["sshkey_1"]},
    "created_at": "2025-01-01T00:00:00Z",
}
MACHINE = {
    "fid": "inst_1",
    "bid": "bid_1",
    "status": "STATUS_RUNNING",
    "ssh_destination": "203.0.113.1",
    "private_ip": "10.0.0.1",
}
VOLUME = {
    "fid": "vol_1",
    "name": "data",
    "project": "proj_1",
    "capacity_gb": 100,
    "interface": "File",
    "region": "us-central5-a",
    "bids": ["bid_1"],
    "created_at": "2025-01-01T00:00:00Z",
    "deleted_at": None,
}
TYPE = {"fid": "it_1", "name": "a100-80gb.sxm.8x", "num_gpus": 8, "gpu_type": "A100"}
OFFER = {"instance_type": "it_1", "region": "us-central5-a", "last_instance_price": "$12.00"}
READERS = [
    pytest.param(Bid.read, BID, ("fid",), id="bid"),
    pytest.param(Instance.read, MACHINE, ("fid",), id="machine"),
    pytest.param(StoredVolume.read, VOLUME, ("fid",), id="volume"),
    pytest.param(InstanceType.read, TYPE, ("fid",), id="type"),
    pytest.param(Offer.read, OFFER, ("instance_type", "region"), id="offer"),
]


def test_a_bid_is_read_whole() -> None:
    """Its price in cents, its instances in the service's order, the volumes and keys of its launch."""
    assert Bid.read(BID) == Bid(
        id="bid_1",
        name="trainer-1",
        project="proj_1",
        status="Allocated",
        price=Decimal("50.00"),
        quantity=2,
        instance_type="it_1",
        region="us-central5-a",
        instances=("inst_2", "inst_1"),
        volumes=("vol_1",),
        created_at="2025-01-01T00:00:00Z",
        ssh_keys=("sshkey_1",),
    )


def test_a_machine_is_read_whole() -> None:
    """Its status without the prefix."""
    assert Instance.read(MACHINE) == Instance("inst_1", "bid_1", "running", "203.0.113.1", 22, "10.0.0.1")


def test_a_volume_is_read_whole() -> None:
    """Its interface in the program's spelling; deleted where it has a date of deletion."""
    volume = StoredVolume.read(VOLUME)
    assert volume == StoredVolume(
        "vol_1", "data", "proj_1", 100, "file", "us-central5-a", ("bid_1",), VOLUME["created_at"], deleted=False
    )
    assert StoredVolume.read({**VOLUME, "deleted_at": "2025-01-02T00:00:00Z"}).deleted
    assert StoredVolume.read({**VOLUME, "interface": "Block"}).interface == "block"


def test_a_type_has_the_spelling_that_flow_teaches() -> None:
    """Count and GPU; its name where one of them is not said."""
    assert InstanceType.read(TYPE).spelling == "8xa100"
    assert InstanceType.read({**TYPE, "num_gpus": None}).spelling == "a100-80gb.sxm.8x"
    assert InstanceType.read({**TYPE, "gpu_type": ""}).spelling == "a100-80gb.sxm.8x"


def test_an_offer_is_read_whole() -> None:
    """Its price is that of the last auction; none where there was none."""
    assert Offer.read(OFFER) == Offer("it_1", "us-central5-a", Decimal("12.00"))
    assert Offer.read({**OFFER, "last_instance_price": None}).price is None


@pytest.mark.parametrize(("read", "row", "needed"), READERS)
def test_a_row_with_nothing_but_its_id_is_read(read: Any, row: Any, needed: Any) -> None:
    """A key that is missing, or null, fails no refresh; both read alike."""
    bare = read({name: row[name] for name in needed})
    nulls = read({name: row[name] if name in needed else None for name in row})
    assert bare == nulls
    assert bare != read(row)


@pytest.mark.parametrize(("read", "row", "needed"), READERS)
def test_any_one_key_may_be_missing_or_null(read: Any, row: Any, needed: Any) -> None:
    """And only what that key says is lost."""
    for name in set(row) - set(needed):
        assert read({key: value for key, value in row.items() if key != name}) == read({**row, name: None})


@pytest.mark.parametrize("odd", ["", "four", -7.5, True, ["x"], {"a": 1}], ids=repr)
@pytest.mark.parametrize(("read", "row"), [(Bid.read, BID), (StoredVolume.read, VOLUME)], ids=["bid", "volume"])
def test_a_value_of_another_type_is_not_known(read: Any, row: Any, odd: Any) -> None:
    """A row is read all the same: what exists is recorded, whatever the service says of it."""
    for name in set(row) - {"fid", "status", "deleted_at"}:
        if type(odd) is not type(row[name]):
            assert read({**row, name: odd}) == read({**row, name: None})


@pytest.mark.parametrize(("read", "row", "needed"), READERS)
def test_keys_that_the_service_adds_later_change_nothing(read: Any, row: Any, needed: Any) -> None:
    """Of any shape."""
    assert read({**row, "new": {"deep": [1]}, "newer": None}) == read(row)


@pytest.mark.parametrize("status", ["", "Relocating", "Hibernated", "terminated"])
def test_a_bid_of_an_unknown_status_has_not_ended(status: Any) -> None:
    """Only the one word is the end: whatever else it says, nothing is thought gone."""
    assert Bid.read({**BID, "status": status}).status == status
    assert not Bid.read({**BID, "status": status}).ended
    assert Bid.read({**BID, "status": "Terminated"}).ended


@pytest.mark.parametrize(
    ("status", "gone", "up"),
    [
        ("STATUS_NEW", False, False),
        ("STATUS_CONFIRMED", False, False),
        ("STATUS_SCHEDULED", False, False),
        ("STATUS_INITIALIZING", False, False),
        ("STATUS_STARTING", False, False),
        ("STATUS_RUNNING", False, True),
        ("STATUS_STOPPING", False, False),
        ("STATUS_STOPPED", True, False),
        ("STATUS_TERMINATED", True, False),
        ("STATUS_RELOCATING", False, False),
        ("STATUS_PREEMPTING", False, False),
        ("STATUS_PREEMPTED", True, False),
        ("STATUS_REPLACED", True, False),
        ("STATUS_PAUSED", False, False),
        ("STATUS_ERROR", False, False),
        ("STATUS_LEVITATING", False, False),
        ("running", False, True),
        (None, False, False),
    ],
)
def test_a_machines_status_says_whether_it_is_up_or_gone(status: Any, gone: Any, up: Any) -> None:
    """Every word of the service, and one that it adds later, which is neither."""
    machine = Instance.read({**MACHINE, "status": status})
    assert (machine.gone, machine.up) == (gone, up)


@pytest.mark.parametrize(
    ("destination", "host", "port"),
    [
        ("203.0.113.1", "203.0.113.1", 22),
        ("203.0.113.1:2222", "203.0.113.1", 2222),
        (" 203.0.113.1:22\n", "203.0.113.1", 22),
        ("gpu.example.com:22", "gpu.example.com", 22),
        ("gpu.example.com", "gpu.example.com", 22),
        ("2001:db8::1", "2001:db8::1", 22),
        ("[2001:db8::1]", "2001:db8::1", 22),
        ("[2001:db8::1]:2222", "2001:db8::1", 2222),
        ("", None, None),
        (None, None, None),
        ("  ", None, None),
    ],
    ids=repr,
)
def test_an_address_is_taken_apart(destination: Any, host: Any, port: Any) -> None:
    """A host, or a host and a port, of both kinds of addresses; port 22 where none is said."""
    machine = Instance.read({**MACHINE, "ssh_destination": destination})
    assert (machine.public_ip, machine.ssh_port) == (host, port)
    assert machine.up is (host is not None)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(destination=st.text("0123456789.:[]²a /", max_size=20), status=st.text(max_size=8))
def test_no_word_of_the_service_breaks_a_reader(destination: Any, status: Any) -> None:
    """Whatever address or status it says."""
    machine = Instance.read({**MACHINE, "ssh_destination": destination, "status": status})
    assert machine.ssh_port is None or isinstance(machine.ssh_port, int)
    assert Bid.read({**BID, "status": status, "limit_price": destination}).status == status
