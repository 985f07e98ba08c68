"""Every kind of fault, before and after the effect of a request."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

BIDS = r"/v2/spot/bids$"


def place(client):
    """Place a bid and return the response, if any."""
    return client.post("/v2/spot/bids", json=client.bid_body())


PATIENCE = 60  # seconds: what a test waits for something that comes at once, on a machine that is busy


@pytest.fixture
def raw(client):
    """Return the client without validation: the responses are broken on purpose."""
    client.contract.check, check = lambda _: None, client.contract.check
    yield client
    client.contract.check = check


def until(done):
    """Wait for a condition that another thread fulfils."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Shut:
    """The seconds of a `refuse`: they end when the test says so, so that slow machines do not miss them."""

    def __init__(self, seconds, sleep):
        self.seconds = seconds
        self.times = 0
        self.over = False
        self._sleep = sleep

    async def sleep(self, seconds, *more):
        """Stand in for `asyncio.sleep`: only these seconds are different."""
        if seconds != self.seconds:
            return await self._sleep(seconds, *more)
        self.times += 1
        while not self.over:
            await self._sleep(0.001)
        return await self._sleep(0.001)


@pytest.fixture
def shut(monkeypatch):
    """Return a function that puts this many seconds under the control of the test."""

    def take(seconds):
        held = Shut(seconds, asyncio.sleep)
        monkeypatch.setattr(asyncio, "sleep", held.sleep)
        return held

    return take


@pytest.mark.parametrize(("when", "bids"), [("before", 0), ("after", 1)])
def test_a_status_before_or_after_the_effect(mithril, raw, when, bids):
    """The client receives the same response; only the effect differs."""
    mithril.faults.add(
        method="POST", path=BIDS, when=when, status=503, body={"detail": "x"}, headers={"Retry-After": "7"}
    )
    answer = place(raw)
    assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (503, {"detail": "x"}, "7")
    assert len(mithril.bids) == bids
    (request,) = mithril.mutations
    assert (request.status, request.effect) == (503, bool(bids))


@pytest.mark.parametrize(("when", "bids"), [("before", 0), ("after", 1)])
def test_a_reset_before_or_after_the_effect(mithril, raw, when, bids):
    """The connection ends without an answer."""
    mithril.faults.add(method="POST", kind="reset", when=when)
    with pytest.raises(httpx.ReadError, match=r"reset|Errno 104"):
        place(raw)
    assert len(mithril.bids) == bids
    assert mithril.mutations[0].status is None
    assert place(raw).status_code == 201


@pytest.mark.parametrize(("when", "bids"), [("before", 0), ("after", 1)])
def test_a_truncated_answer_before_or_after_the_effect(mithril, raw, when, bids):
    """Half of the bytes that were announced."""
    mithril.faults.add(method="POST", kind="truncate", when=when)
    with pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|without sending complete"):
        place(raw)
    assert len(mithril.bids) == bids


@pytest.mark.parametrize(("when", "bids"), [("before", 0), ("after", 1)])
def test_a_malformed_answer_before_or_after_the_effect(mithril, raw, when, bids):
    """The status of success, and a body that is not JSON."""
    mithril.faults.add(method="POST", kind="malformed", when=when)
    answer = place(raw)
    assert answer.is_success
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        answer.json()
    assert len(mithril.bids) == bids


@pytest.mark.parametrize(("when", "bids"), [("before", 0), ("after", 1)])
def test_a_client_hangs_until_it_gives_up(mithril, raw, when, bids):
    """No answer comes."""
    mithril.faults.add(method="POST", kind="hang", when=when)
    raw.timeout = httpx.Timeout(PATIENCE, read=0.1)
    with pytest.raises(httpx.ReadTimeout):
        place(raw)
    # A busy cloud may handle the request after the client has disconnected.
    until(lambda: mithril.mutations and len(mithril.bids) == bids)
    assert mithril.mutations[0].status is None


@pytest.mark.parametrize("way", ["clear", "stop", "seconds"])
def test_a_hang_ends_with_a_cut(mithril, raw, way):
    """When the rules are cleared, when the server stops, or when its seconds are over."""
    rule = mithril.faults.add(method="POST", kind="hang", seconds=0.02 if way == "seconds" else None)
    outcome = []

    def hang():
        try:
            outcome.append(place(raw))
        except httpx.TransportError as error:
            outcome.append(error)

    thread = threading.Thread(target=hang)
    thread.start()
    until(lambda: rule.fired)
    if way != "seconds":
        time.sleep(0.01)
        {"clear": mithril.faults.clear, "stop": mithril.stop}[way]()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert isinstance(outcome[0], httpx.TransportError)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_slow_answer_is_right_but_late(mithril, client, when, mocker):
    """Either way there is an effect, and one delay."""
    slept = mocker.spy(asyncio, "sleep")
    mithril.faults.add(method="POST", kind="slow", seconds=0.05, when=when)
    started = time.monotonic()
    assert place(client).status_code == 201
    assert time.monotonic() - started >= 0.05
    assert slept.call_args_list == [mocker.call(0.05)]


def test_every_answer_can_be_slow(mithril, client):
    """set_latency is for all of them."""
    mithril.set_latency(0.03)
    started = time.monotonic()
    client.get("/v2/me")
    assert time.monotonic() - started >= 0.03
    mithril.set_latency(0)


def test_nth_counts_from_now_and_times_says_how_often(mithril, raw):
    """The second and the third matching request from here on."""
    raw.get("/v2/me")
    rule = mithril.faults.add(method="get", path=r"^/v2/me$", nth=2, times=2, status=500)
    statuses = []
    for _ in range(4):
        raw.get("/v2/projects")
        statuses.append(raw.get("/v2/me").status_code)
    assert statuses == [200, 500, 500, 200]
    assert rule.fired == 2


def test_a_rule_may_hold_for_ever_and_the_first_that_fires_wins(mithril, raw):
    """An outage of one method, with a different first response."""
    mithril.faults.add(method="DELETE", status=401)
    mithril.faults.add(times=None, status=502)
    assert [raw.delete("/v2/volumes/vol_1").status_code for _ in range(3)] == [401, 502, 502]
    mithril.faults.clear()
    assert raw.get("/v2/me").status_code == 200


def test_a_hook_runs_after_the_effect_and_before_the_answer(mithril, client):
    """It may use the console, and send requests."""
    seen = []

    def hook(request):
        seen.append((request.path, request.effect, request.status, len(mithril.bids)))
        seen.append(httpx.get(f"{mithril.url}/nothing", trust_env=False).status_code)

    mithril.faults.add(method="POST", path=BIDS, then=hook)
    assert place(client).status_code == 201
    assert seen == [("/v2/spot/bids", True, None, 1), 404]


def test_a_hook_may_stop_the_server(mithril, raw):
    """An outage between the effect and the response; the same port responds after a start."""
    url = mithril.url
    mithril.faults.add(method="POST", path=BIDS, then=lambda _: mithril.stop())
    with pytest.raises(httpx.TransportError):
        place(raw)
    with pytest.raises(httpx.ConnectError):
        raw.get("/v2/me")
    assert len(mithril.live_bids) == 1
    mithril.start()
    assert mithril.url == url
    assert len(raw.get("/v2/spot/bids").json()["data"]) == 1


def test_a_refusal_can_be_lost_too(mithril, raw):
    """`after` also applies to requests without effect."""
    mithril.faults.add(method="POST", when="after", status=500)
    assert raw.post("/v2/spot/bids", json={}).status_code == 500
    assert (mithril.mutations[0].effect, mithril.bids) == (False, [])


def test_the_journal_keeps_everything_but_the_key(mithril, client):
    """Method, path, query, body, Idempotency-Key, and the result."""
    client.get("/v2/instances", params=[("project", mithril.project_id), ("status_in", "a"), ("status_in", "b")])
    client.post("/v2/volumes", json=client.volume_body(), headers={"Idempotency-Key": "k"})
    read, wrote = mithril.requests
    assert (read.method, read.status, read.effect) == ("GET", 422, False)
    assert read.query == {"project": mithril.project_id, "status_in": "a,b"}
    assert (wrote.body["name"], wrote.idempotency_key, wrote.status, wrote.effect) == ("data", "k", 201, True)
    assert mithril.mutations == [wrote]
    assert mithril.key not in repr(mithril.requests)
    mithril.clear_requests()
    assert mithril.requests == []


@pytest.mark.parametrize(
    "rule",
    [{"kind": "explode"}, {"when": "during"}, {"nth": 0}, {"times": 0}, {"seconds": -1}, {"status": 42}],
)
def test_a_rule_that_means_nothing_is_refused(mithril, rule):
    """Naming the field."""
    with pytest.raises(ValueError, match=next(iter(rule))):
        mithril.faults.add(**rule)


def test_requests_in_parallel_all_get_their_answer(mithril, client):
    """Sixteen threads with a connection each."""
    body, failures = client.bid_body(limit_price="$1.00"), []

    def work():
        with httpx.Client(base_url=mithril.url, headers=client.headers, trust_env=False) as own:
            failures.extend(own.post("/v2/spot/bids", json=body) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in failures} == {201}
    assert len({bid["fid"] for bid in mithril.bids}) == 80


def test_a_fault_of_the_wrong_type_is_named(mithril):
    """Even where Python's types allow it."""
    for field in ({"nth": "x"}, {"times": 1.5}, {"rate": True}, {"seconds": "1"}, {"status": "500"}, {"kill": "1"}):
        with pytest.raises(ValueError, match=f"^{next(iter(field))} must be"):
            mithril.faults.add(**field)
    assert mithril.faults.all() == []


def test_a_rate_strikes_about_as_often_as_it_says_and_the_seed_says_when(cloud, connect):
    """Thirty percent of a hundred, the same ones for the same seed."""

    def struck(seed):
        mithril = cloud(seed=seed)
        client = connect(mithril)
        client.contract.check, check = lambda _: None, client.contract.check
        mithril.faults.add(rate=0.3, status=429)
        seen = [client.get("/v2/me").status_code for _ in range(100)]
        client.contract.check = check
        return seen

    assert struck(7) == struck(7) != struck(8)
    assert 15 < struck(7).count(429) < 45


def test_an_outage_lasts_as_long_as_it_should_by_the_clouds_clock(mithril, raw, clock):
    """Everything fails, without effect, and then everything works."""
    mithril.faults.outage(minutes=5)
    assert place(raw).status_code == raw.get("/v2/me").status_code == 503
    clock.advance(seconds=299)
    assert place(raw).status_code == 503
    assert mithril.bids == []
    clock.advance(seconds=1)
    assert place(raw).status_code == 201


def test_an_outage_may_be_of_any_kind(mithril, raw, clock):
    """Such as a service that cuts every connection."""
    rule = mithril.faults.outage(minutes=1, kind="reset")
    for _ in range(3):
        with pytest.raises(httpx.TransportError):
            place(raw)
    assert rule.fired == 3
    clock.advance(minutes=1)
    assert place(raw).status_code == 201


@pytest.mark.parametrize(("when", "bids"), [("before", 0), ("after", 1)])
def test_a_connection_is_refused(mithril, raw, shut, when, bids):
    """Reset before the effect, or answered; then connections are refused for a time."""
    closed = shut(0.2)
    mithril.faults.add(method="POST", kind="refuse", when=when, seconds=0.2)
    if when == "before":
        with pytest.raises(httpx.ReadError):
            place(raw)
    else:
        answer = place(raw)
        assert (answer.status_code, answer.headers["Connection"]) == (201, "close")
    assert len(mithril.bids) == bids
    with pytest.raises(httpx.ConnectError):
        place(raw)
    closed.over = True
    wait_until_open(raw)
    assert closed.times == 1
    assert len(mithril.mutations) == 1


def wait_until_open(raw):
    """Retry until the server responds."""

    def is_open():
        try:
            answer = raw.get("/v2/me")
        except httpx.TransportError:
            return False
        assert answer.status_code == 200
        return True

    until(is_open)


def test_a_connection_is_refused_for_a_second_where_nobody_says_how_long(mithril, raw, shut):
    """A real one."""
    closed = shut(1.0)
    mithril.faults.add(kind="refuse")
    with pytest.raises(httpx.ReadError):
        raw.get("/v2/me")
    with pytest.raises(httpx.ConnectError):
        raw.get("/v2/me")
    until(lambda: closed.times == 1)
    closed.over = True
    wait_until_open(raw)


def test_a_door_opens_again_when_somebody_else_lets_the_port_go(mithril, raw, shut):
    """Another program may take the port meanwhile."""
    closed = shut(0.2)
    mithril.faults.add(kind="refuse", seconds=0.2)
    with pytest.raises(httpx.ReadError):
        raw.get("/v2/me")
    with socket.create_server(("127.0.0.1", mithril.port)):
        closed.over = True
        until(lambda: closed.times > 2)  # it has tried in vain
    wait_until_open(raw)


def test_a_cloud_can_be_closed_while_it_refuses(mithril, raw):
    """Nothing is left waiting to open again."""
    mithril.faults.add(kind="refuse", seconds=3600)
    with pytest.raises(httpx.TransportError):
        raw.get("/v2/me")
    started = time.monotonic()
    mithril.stop()
    assert time.monotonic() - started < PATIENCE
    mithril.start()
    assert raw.get("/v2/me").status_code == 200


def test_nobody_who_comes_in_while_the_door_closes_waits_for_ever(mithril):
    """Each connection is answered or reset, and every socket is closed."""
    halt, waited = threading.Event(), []

    def connect():
        while not halt.is_set():
            with socket.socket() as one:
                one.settimeout(PATIENCE)
                try:
                    one.connect(("127.0.0.1", mithril.port))
                    one.sendall(b"GET /v2/me HTTP/1.1\r\nHost: x\r\n\r\n")
                    one.recv(10)
                except TimeoutError:
                    waited.append(one)
                except OSError:
                    continue

    clients = [threading.Thread(target=connect) for _ in range(6)]
    for client in clients:
        client.start()
    for _ in range(60):
        mithril.start()
        time.sleep(0.01)
        mithril.stop()
    halt.set()
    for client in clients:
        client.join()
    gc.collect()
    assert waited == []


def test_a_body_comes_in_drips(mithril, client):
    """All of it, late."""
    mithril.faults.add(kind="drip", seconds=0.1)
    started = time.monotonic()
    answer = client.get("/v2/instance-types")
    assert time.monotonic() - started >= 0.1
    proper = client.get("/v2/instance-types")
    assert answer.json() == proper.json()
    assert {name: answer.headers[name] for name in proper.headers} == dict(proper.headers)


def test_a_process_is_killed_after_the_nth_accepted_call(mithril, client):
    """After the effect; a process that has ended already is not an error."""
    victim = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mithril.faults.add(method="POST", path=BIDS, nth=2, kill=victim.pid)
    place(client)
    assert victim.poll() is None
    place(client)
    assert victim.wait(PATIENCE) == -signal.SIGKILL
    assert len(mithril.bids) == 2
    victim.communicate()


def test_keys_are_told_apart_but_never_shown(mithril, raw):
    """The journal has a hash of the key, and the kind of the fault."""
    mithril.faults.add(nth=2, status=401)
    for key in ("test-key", "test-key", "other-key"):
        raw.get("/v2/me", headers={"Authorization": f"Bearer {key}"})
    raw.get("/v2/me", headers={"Authorization": ""})
    prints = [request.key for request in mithril.requests]
    assert prints[0] == prints[1] != prints[2]
    assert (prints[3], [request.fault for request in mithril.requests]) == (None, [None, "status", None, None])
    assert "key" not in "".join(map(str, prints))
    assert "test-key" not in repr(mithril.requests)


def test_once_is_once_also_by_chance(mithril, client):
    """A rule with `rate` and `times` ends after that many faults."""
    rule = mithril.faults.add(rate=1.0, times=1)
    assert [client.get("/v2/me").status_code for _ in range(3)] == [500, 200, 200]
    assert rule.fired == 1


def test_an_altered_object_has_the_fields_of_the_rule_in_place_of_its_own(mithril, raw):
    """The request has its effect, and the rest is as it is."""
    mithril.faults.add(kind="alter", method="POST", path=BIDS, body={"fid": "bid_999999", "region": None})
    answer = place(raw)
    (bid,) = mithril.bids
    assert answer.status_code == 201
    assert answer.json() == {**bid, "fid": "bid_999999", "region": None}


@pytest.mark.parametrize("path", ["/v2/spot/bids", "/v2/volumes"])
def test_each_row_of_an_altered_list_has_the_fields_of_the_rule(mithril, raw, path):
    """In a page, and in a list without pages."""
    mithril.add_bid("one")
    mithril.add_bid("two")
    mithril.add_volume("three")
    mithril.faults.add(kind="alter", method="GET", path=f"{path}$", body={"name": "other"})
    answer = raw.get(path, params={"project": mithril.project_id}).json()
    rows = answer["data"] if isinstance(answer, dict) else answer
    assert {row["name"] for row in rows} == {"other"}
    assert len({row["fid"] for row in rows}) == len(rows) > 0


def test_an_error_is_not_altered(mithril, raw):
    """It has its own shape."""
    mithril.faults.add(kind="alter", body={"fid": "bid_999999"})
    answer = raw.get("/v2/spot/bids/bid_000009")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Bid bid_000009 not found"})


@pytest.mark.parametrize("body", [None, [], "text"])
def test_an_alteration_without_fields_is_refused(mithril, body):
    """It would change nothing."""
    with pytest.raises(ValueError, match="body"):
        mithril.faults.add(kind="alter", body=body)
