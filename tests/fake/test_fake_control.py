"""The control API, and the console of a cloud in another process."""

from __future__ import annotations

import inspect
import json
import signal
import subprocess
import sys

import httpx
import pytest

from flow_resources.testing import MANUAL, Console, FakeMithril, RemoteMithril, Request
from flow_resources.testing.verbs import MUTATIONS, QUERIES

TYPE = "8xa100"


@pytest.fixture
def control(mithril):
    """Return a client of the control API, which needs no key."""
    with httpx.Client(base_url=f"{mithril.url}/mithril-fake", trust_env=False, timeout=60.0) as client:
        yield client


@pytest.fixture
def remote(mithril):
    """Return the console of a cloud as another process has it."""
    return RemoteMithril(mithril.url)


def test_the_console_of_another_process_can_do_what_the_one_here_can(mithril, remote, client):
    """The same verbs with the same results, on the same cloud."""
    volume = remote.add_volume("data", size_gb=7)
    bid = remote.add_bid("trainer", limit_price="$20.00", instance_quantity=2, volumes=[volume["fid"]])
    assert mithril.bids == remote.bids == [remote.bid(bid["fid"])]
    assert (mithril.volumes, mithril.instances, mithril.market) == (remote.volumes, remote.instances, remote.market)
    remote.set_price(TYPE, remote.region, 30.0)
    assert (remote.bid(bid["fid"])["status"], remote.price(TYPE, remote.region)) == ("Open", 30.0)
    remote.set_price(TYPE, remote.region, None)
    assert remote.preempt(bid["fid"])["status"] == "Open"
    assert remote.release(bid["fid"])["status"] == "Allocated"
    assert remote.clock.advance(hours=1) == mithril.clock.now() == remote.clock.now()
    assert remote.spend == mithril.spend == remote.spend_by_bid[bid["fid"]] == 24.0
    assert remote.fail_boot(bid["fid"])["status"] == "Allocated"
    assert {machine["status"] for machine in remote.instances[-2:]} == {"STATUS_ERROR"}
    remote.set_options(boot_seconds=60, auction_seconds="manual")
    assert (mithril.boot_seconds, remote.options.auction_seconds) == (60, MANUAL)
    with pytest.raises(AttributeError, match="set_options"):
        remote.options.boot_seconds = 5
    remote.add_project("other", keys=["their-key"])
    assert remote.add_ssh_key("laptop", project="other")["private_key"]
    assert [key["name"] for key in remote.ssh_keys] == ["laptop"]
    assert remote.update_bid(bid["fid"], paused=True)["status"] == "Paused"
    assert remote.terminate(bid["fid"])["status"] == "Terminated"
    assert remote.update_volume(volume["fid"], name="renamed")["name"] == "renamed"
    remote.delete_volume(volume["fid"])
    assert (remote.live_bids, remote.volumes, remote.seed) == ([], [], None)
    client.get("/v2/me")
    assert remote.requests == mithril.requests
    assert remote.requests[-1] == Request(
        "GET", "/v2/me", {}, None, None, 200, effect=False, key="62af8704", fault=None, at=mithril.clock.now()
    )
    remote.clear_requests()
    assert mithril.requests == []
    remote.clock.speed = 60.0
    assert mithril.clock.speed == remote.clock.speed == 60.0


def test_a_story_can_be_begun_anew(mithril, remote, connect):
    """Only API keys and projects are kept; ids start from 1 again, and the market moves if there is a seed."""
    client = connect(mithril)
    client.bid(volumes=[client.volume()["fid"]])
    remote.faults.add(status=503, times=None)
    remote.set_price(TYPE, remote.region, 3.0)
    remote.reset(seed=7)
    assert (remote.bids, remote.volumes, remote.instances, remote.requests, remote.faults.all()) == ([], [], [], [], [])
    assert (mithril.seed, remote.seed, remote.spend) == (7, 7, 0.0)
    price = remote.price(TYPE, remote.region)
    assert connect(mithril).bid()["fid"] == "bid_000001"
    assert client.volume()["fid"] == "vol_000001"
    remote.clock.advance(minutes=10)
    assert remote.price(TYPE, remote.region) != price
    remote.reset()
    assert (mithril.seed, remote.price(TYPE, remote.region)) == (None, 12.0)


def test_refusals_are_the_same_on_both_consoles(mithril, remote):
    """KeyError for what does not exist, ValueError with the argument's name for what cannot be."""
    for console in (mithril, remote):
        with pytest.raises(KeyError, match="bid_nothing"):
            console.preempt("bid_nothing")
        with pytest.raises(ValueError, match=r"body\.price: price must be at least a cent"):
            console.set_price(TYPE, console.region, 0)
        with pytest.raises(ValueError, match=r"body\.instance_type: no instance type '9xa100'"):
            console.set_price("9xa100", console.region, 1.0)
        with pytest.raises(ValueError, match="page_limit must be from 1 to 100, got 0"):
            console.set_options(page_limit=0)
        with pytest.raises(ValueError, match="nth must be a whole number, at least 1"):
            console.faults.add(nth=0)


@pytest.mark.parametrize(
    ("verb", "body", "status", "said"),
    [
        ("nothing", {}, 404, "there is no 'nothing'; there are about,"),
        ("preempt", {}, 422, ["body", "bid_id"]),
        ("preempt", {"bid_id": 7}, 422, ["body", "bid_id"]),
        ("preempt", {"bid_id": "bid_1", "notice": 5}, 422, ["body", "notice"]),
        ("preempt", {"bid_id": "bid_1", "notice_seconds": -5}, 422, ["body", "notice_seconds"]),
        ("preempt", {"bid_id": "bid_1"}, 404, "Bid bid_1 not found"),
        ("advance", {}, 422, ["body", "seconds"]),
        ("advance", {"seconds": -1}, 422, ["body", "seconds"]),
        ("advance", {"seconds": "1"}, 422, ["body", "seconds"]),
        ("advance", {"seconds": True}, 422, ["body", "seconds"]),
        ("advance", {"seconds": 1e12}, 422, ["body", "seconds"]),
        ("advance", {"seconds": int("9" * 300)}, 422, ["body", "seconds"]),
        ("set-clock", {"speed": -1}, 422, ["body", "speed"]),
        ("set-clock", {"speed": 86400.5}, 422, ["body", "speed"]),
        ("set-options", {"auction_seconds": 0.5}, 422, ["body", "auction_seconds"]),
        ("set-options", {"boot_seconds": int("9" * 300)}, 422, ["body", "boot_seconds"]),
        ("set-price", {"instance_type": TYPE, "region": "us-east1-a", "price": 1e17}, 422, ["body", "price"]),
        ("set-path", {"instance_type": TYPE, "region": "us-east1-a", "path": [[1e300, 5]]}, 422, ["body", "path"]),
        ("add-key", {"key": "\ud800", "projects": []}, 422, ["body", "key"]),
        ("add-project", {"name": "other", "keys": [""]}, 422, ["body", "keys", 0]),
        ("update-bid", {"bid_id": "bid_1", "limit_prise": "$5.00"}, 422, ["body", "limit_prise"]),
        ("add-bid", {"instance_type": TYPE, "region": "us-east1-a", "memory_gb": 7}, 422, ["body", "memory_gb"]),
        ("add-volume", {"name": "data", "nonsense": 7}, 422, ["body", "nonsense"]),
        ("add-ssh-key", {"name": "laptop", "nonsense": 7}, 422, ["body", "nonsense"]),
        ("add-fault", {"headers": {"X": "a\r\nb"}}, 422, ["body", "headers"]),
        ("add-fault", {"kill": 2**40}, 422, ["body", "kill"]),
        ("add-fault", {"nth": "x"}, 422, ["body", "nth"]),
        ("overview", {"hours": 1e9}, 422, ["body", "hours"]),
        ("price-history", {"instance_type": TYPE, "region": "us-east1-a", "hours": 1e300}, 422, ["body", "hours"]),
        (
            "bid-policies",
            {"instance_type": TYPE, "region": "us-east1-a", "hours": 24, "machines": 0},
            422,
            ["body", "machines"],
        ),
        ("set-price", {"instance_type": TYPE, "region": "moon-1", "price": 1}, 422, ["body", "region"]),
        ("set-price", {"instance_type": TYPE, "region": "us-east1-a", "price": "1"}, 422, ["body", "price"]),
        ("set-price", {"instance_type": TYPE, "region": "us-east1-a", "price": 0.004}, 422, ["body", "price"]),
        ("set-path", {"instance_type": TYPE, "region": "us-east1-a", "path": [[1]]}, 422, ["body", "path"]),
        ("set-path", {"instance_type": TYPE, "region": "us-east1-a", "path": [[-1, 5]]}, 422, ["body", "path"]),
        ("set-path", {"instance_type": TYPE, "region": "us-east1-a", "path": 7}, 422, ["body", "path"]),
        ("set-capacity", {"instance_type": TYPE, "region": "us-east1-a", "machines": -1}, 422, ["body", "machines"]),
        ("set-options", {"boot_seconds": "soon"}, 422, ["body", "boot_seconds"]),
        ("set-options", {"colour": "red"}, 422, ["body", "colour"]),
        ("add-fault", {"kind": "flood"}, 422, ["body", "kind"]),
        ("add-fault", {"rate": 2}, 422, ["body", "rate"]),
        ("add-fault", {"path": "("}, 422, ["body", "path"]),
        ("add-fault", {"kill": 0}, 422, ["body", "kill"]),
        ("add-fault", {"then": "x"}, 422, ["body", "then"]),
        ("add-bid", {"instance_type": TYPE}, 422, ["body", "region"]),
        ("add-volume", {"name": "X"}, 422, ["body", "name"]),
        ("finish", {"what": "lunch"}, 422, ["body", "what"]),
        ("reset", {"seed": "x"}, 422, ["body", "seed"]),
        ("overview", {"place": "it_gone:nowhere"}, 422, ["body", "place"]),
        ("price-history", {"instance_type": TYPE, "region": "us-east1-a", "hours": "x"}, 422, ["body", "hours"]),
    ],
)
def test_a_wrong_argument_is_named_and_changes_nothing(mithril, control, verb, body, status, said):
    """In the service's own envelope."""
    before = mithril._perform("state")
    sent = {"content": json.dumps(body), "headers": {"Content-Type": "application/json"}}
    answer = control.post(f"/{verb}", **sent)
    assert answer.status_code == status, answer.text
    detail = answer.json()["detail"]
    if isinstance(said, str):
        assert detail.startswith(said)
    else:
        assert said in [problem["loc"] for problem in detail]
    assert mithril._perform("state") == before


def test_the_control_api_only_reads_on_get_and_only_speaks_json(control):
    """And says so."""
    assert control.get("/bids").json() == []
    assert control.get("/reset").status_code == 405
    assert control.put("/reset", json={}).status_code == 405
    assert control.post("/reset", content=b"{").status_code == 422
    assert control.post("/reset", content=b"[]", headers={"Content-Type": "application/json"}).status_code == 422
    assert control.post("/reset", content=b"{", headers={"Content-Type": "application/json"}).status_code == 422
    history = control.get("/price-history", params={"instance_type": TYPE, "region": "us-east1-a", "hours": 2})
    assert history.json()[0][1] == 12.0


def test_a_web_page_from_elsewhere_can_do_nothing(mithril, control, client):
    """Neither with a form, which cannot send JSON, nor by a name that it made point here."""
    client.bid()
    form = control.post("/reset", content=b"{}", headers={"Content-Type": "text/plain"})
    assert form.status_code == 422
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example"):
        assert control.post("/reset", json={}, headers={"Host": host}).status_code == 403
        assert control.get("/state", headers={"Host": host}).status_code == 403
    assert len(mithril.bids) == 1


def test_what_the_operator_does_is_not_in_the_journal_and_suffers_no_fault(mithril, remote):
    """The journal is what clients asked; faults are for them."""
    mithril.faults.add(status=503, times=None)
    assert remote.bids == []
    assert mithril.requests == []


def test_everything_can_be_read_at_once(mithril, control, client):
    """`state` is what a bug report needs, without a key in it."""
    client.bid()
    state = control.get("/state").json()
    assert state["bids"] == mithril.bids
    assert sorted(state) == [
        "about", "bids", "clock", "faults", "instances", "market", "options", "reservations", "spend",
        "ssh_keys", "volumes",
    ]  # fmt: skip
    assert mithril.key not in json.dumps(state)


def test_every_verb_has_its_line_in_the_console():
    """Whatever can be done over HTTP can be done in Python, and the other way round."""
    source = inspect.getsource(sys.modules[Console.__module__]) + inspect.getsource(
        sys.modules[RemoteMithril.__module__]
    )
    for_the_page = {"overview", "bid-policies", "state"}
    for verb in {*QUERIES, *MUTATIONS} - for_the_page:
        assert f'_perform("{verb}"' in source, verb


def test_nobody_there_is_an_os_error():
    """Not a refusal."""
    with FakeMithril() as mithril:
        remote = RemoteMithril(mithril.url)
    with pytest.raises(OSError, match="refused"):
        _ = remote.bids


def test_a_test_can_break_a_server_in_another_process(tmp_path):
    """Faults, clock and market of `flow-resources fake`, and its own death, without a line of its code here."""
    command = [sys.executable, "-m", "flow_resources.cli", "fake", "--state", str(tmp_path / "s.db"), "--speed", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        lines = [server.stdout.readline().rstrip("\n") for _ in range(5)]
        exports = dict(line.removeprefix("export ").split("=", 1) for line in lines[1:])
        url, key = exports["MITHRIL_API_URL"], exports["MITHRIL_API_KEY"]
        remote = RemoteMithril(url)
        bid = remote.add_bid(limit_price="$20.00")
        remote.clock.advance(hours=2)
        assert remote.spend == 24.0
        remote.faults.add(method="GET", status=429, headers={"Retry-After": "3"}, body={"detail": "slow down"})
        remote.faults.add(method="DELETE", kill=server.pid, nth=1)
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False) as client:
            refused = client.get("/v2/me")
            assert (refused.status_code, refused.headers["Retry-After"], refused.json()["detail"]) == (
                429,
                "3",
                "slow down",
            )
            assert client.get("/v2/me").status_code == 200
            assert [rule.fired for rule in remote.faults.all()] == [1, 0]
            with pytest.raises(httpx.TransportError):
                client.delete(f"/v2/spot/bids/{bid['fid']}")
        assert server.wait(600) == -signal.SIGKILL
    finally:
        server.kill()
        server.communicate()
    with FakeMithril(state=tmp_path / "s.db") as again:
        assert again.bid(bid["fid"])["status"] == "Terminated"
