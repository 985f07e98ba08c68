"""Retries: which requests are retried and which are not, for how long, and what the user sees of it."""

from __future__ import annotations

from typing import Any

import pytest
from support.stack import FakeClock, Reports, Stack, VerbError, cluster, settings_of, volume

from flow_resources.cloud.retries import call_with_retries, is_rate_limited, is_transient
from flow_resources.cloud.retry_budget import RetryBudget
from flow_resources.providers import base
from flow_resources.testing import FakeMithril

TRANSIENT: list[dict[str, Any]] = [
    {"status": 429},
    {"status": 500},
    {"status": 503},
    {"status": 504},
    {"kind": "reset"},
    {"kind": "truncate"},
    {"kind": "malformed"},
]
BID, VOLUME, BIDS, VOLUMES = r"/v2/spot/bids/\w+$", r"/v2/volumes/\w+$", r"/v2/spot/bids$", r"/v2/volumes$"


@pytest.fixture
def rows(reports: Reports) -> list[str]:
    """The messages on the resources' rows."""
    return reports.rows


@pytest.fixture
def timed(cloud: FakeMithril, clock: FakeClock, rows: list[str]) -> Any:
    """A stack whose time passes only by sleeping."""
    yield Stack(settings_of(cloud), clock=clock)
    base.current().close()


def count_requests(cloud: FakeMithril, method: str, path: str) -> int:
    """Return how many requests were sent to a path."""
    return sum(request.method == method and request.path.startswith(path) for request in cloud.requests)


@pytest.mark.parametrize("fault", TRANSIENT, ids=lambda fault: str(next(iter(fault.values()))))
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", r"/v2/spot/availability"), ("PATCH", BID), ("PATCH", VOLUME), ("DELETE", BID), ("DELETE", VOLUME)],
    ids=str,
)
def test_a_transient_fault_is_survived_in_the_same_operation(
    timed: Stack, cloud: FakeMithril, rows: list[str], method: str, path: str, fault: dict[str, Any]
) -> None:
    """Reads, changes and deletions are retried; the row says so."""
    timed.up({"c": cluster(), "v": volume(volume_name="first")})
    cloud.faults.add(method=method, path=path, when="before", times=2, **fault)
    timed.up({"c": cluster(max_price_per_hour=60.0), "v": volume(volume_name="second")})
    timed.destroy()
    assert [bid["status"] for bid in cloud.bids] == ["Terminated"]
    assert not cloud.volumes
    assert any(", retry 1 in " in row for row in rows)
    assert any(", retry 2 in " in row for row in rows)


def test_the_row_says_what_the_service_answered_and_when_the_retry_comes(
    timed: Stack, cloud: FakeMithril, rows: list[str]
) -> None:
    """One line replaces the last."""
    cloud.faults.add(method="POST", path=BIDS, when="before", status=503, headers={"Retry-After": "7"})
    timed.up({"c": cluster()})
    assert "the service answered 503, retry 1 in 7 s" in rows


@pytest.mark.parametrize("status", [429, 503])
def test_the_pause_that_the_service_asks_for_is_kept(
    timed: Stack, cloud: FakeMithril, clock: FakeClock, status: int
) -> None:
    """Retry-After is the minimum; the random part keeps many clients from retrying in step."""
    cloud.faults.add(method="POST", path=BIDS, when="before", status=status, times=3, headers={"Retry-After": "5"})
    timed.up({"c": cluster()})
    pauses = [slept for slept in clock.slept if slept >= 5]
    assert len(pauses) == 3
    assert len(set(pauses)) == 3
    assert count_requests(cloud, "POST", "/v2/spot/bids") == 4


def test_the_sdk_does_not_retry_by_itself(timed: Stack, cloud: FakeMithril, monkeypatch: Any) -> None:
    """Its retries would multiply ours: without a budget there is one request."""
    timed.up({"c": cluster()})
    # The first pause is up to half a second: it is shorter than this once in five hundred million times.
    monkeypatch.setenv("FLOW_RESOURCES_RETRY_SECONDS", "1e-9")
    cloud.faults.add(method="DELETE", path=BID, when="before", status=429, times=None)
    cloud.clear_requests()
    with pytest.raises(VerbError, match="answered 429"):
        timed.destroy()
    assert count_requests(cloud, "DELETE", "/v2/spot/bids") == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_refused_request_is_not_retried(timed: Stack, cloud: FakeMithril, status: int) -> None:
    """The service would refuse it again."""
    timed.up({"c": cluster()})
    cloud.faults.add(method="PATCH", path=BID, when="before", status=status, times=None)
    with pytest.raises(VerbError):
        timed.up({"c": cluster(max_price_per_hour=60.0)})
    assert count_requests(cloud, "PATCH", "/v2/spot/bids") == 1


def test_a_creating_request_without_a_name_to_look_up_is_not_retried_when_its_answer_is_lost(
    timed: Stack, cloud: FakeMithril
) -> None:
    """A second SSH key of the platform could not be told from the first."""
    cloud.faults.add(method="POST", path=r"/v2/ssh-keys$", when="after", status=500)
    with pytest.raises(VerbError, match="answered 500"):
        timed.up({"c": cluster()})
    assert count_requests(cloud, "POST", "/v2/ssh-keys") == 1
    assert not cloud.bids


@pytest.mark.parametrize(("limit", "most"), [(0.0, 60.0), (20.0, 20.0)], ids=["the budget", "the time limit"])
def test_the_retry_budget_ends(timed: Stack, cloud: FakeMithril, clock: FakeClock, limit: float, most: float) -> None:
    """A minute for all requests of a verb, and never longer than the verb's time limit."""
    timed.up({"c": cluster()})
    cloud.faults.add(method="GET", path=r"/v2/spot/availability", status=503, times=None)
    began = clock.now()
    with pytest.raises(VerbError, match="answered 503"):
        timed.up({"c": cluster(), "d": cluster(timeout=limit)})
    # (The check of `d` has 5 s of its own.)
    assert most / 2 < clock.now() - began <= most + 5


def test_a_bid_whose_answers_are_all_lost_is_recorded_by_the_next_up(
    timed: Stack, cloud: FakeMithril, clock: FakeClock
) -> None:
    """The first request took effect, and the service answered nothing until the budget was spent."""
    cloud.faults.add(method="POST", path=BIDS, when="after", status=500, then=lambda _: down(cloud))
    began = clock.now()
    with pytest.raises(VerbError, match="it may exist"):
        timed.up({"c": cluster()})
    assert clock.now() - began <= 60
    cloud.faults.clear()
    timed.up({"c": cluster()})
    assert [bid["fid"] for bid in cloud.bids] == [timed.state["c"].id]


def down(cloud: FakeMithril) -> None:
    """Answer nothing but 503 from now on."""
    cloud.faults.add(status=503, times=None)


def test_a_preview_warns_of_an_unavailable_service_soon_and_once(
    timed: Stack, cloud: FakeMithril, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twenty resources do not wait in turn for a service that is down."""
    down(cloud)
    timed.preview({f"c{number}": cluster() for number in range(20)})
    assert sum(clock.slept) <= 5
    assert len(cloud.requests) < 12
    assert capsys.readouterr().err.count("checked without the service") == 1


def test_a_deletion_whose_retry_is_refused_is_proven_by_reading(timed: Stack, cloud: FakeMithril) -> None:
    """The first request took effect, its answer was lost, and the service refuses to end a bid that has ended."""
    timed.up({"c": cluster()})
    cloud.faults.add(method="DELETE", path=BID, when="after", status=500)
    cloud.faults.add(method="DELETE", path=BID, when="before", status=409, nth=2)
    timed.destroy()
    assert not cloud.live_bids
    assert count_requests(cloud, "DELETE", "/v2/spot/bids") == 2


# -- the layer by itself ----------------------------------------------------------------------------------------------


def test_all_requests_of_a_verb_share_its_budget(clock: FakeClock) -> None:
    """What one request spends is gone for the next."""
    budget = RetryBudget(10.0, clock=clock)

    def fail() -> None:
        raise ConnectionResetError

    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            call_with_retries(fail, budget, is_transient)
    assert 0 < budget.spent <= 10
    assert clock.now() - 1_000 <= 10


def test_a_slow_answer_spends_no_budget(clock: FakeClock) -> None:
    """Only retries do."""
    budget = RetryBudget(10.0, clock=clock)
    assert call_with_retries(lambda: clock.sleep(100) or "there", budget, is_transient) == "there"
    assert budget.spent == 0


def test_pauses_grow_and_are_never_the_same(clock: FakeClock) -> None:
    """Full jitter: anything up to a bound that doubles."""
    budget = RetryBudget(600.0, clock=clock)

    def fail() -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        call_with_retries(fail, budget, is_transient)
    assert all(slept <= bound for slept, bound in zip(clock.slept, [0.5, 1, 2, 4, 8], strict=False))
    assert max(clock.slept) <= 10
    assert len(set(clock.slept)) == len(clock.slept)
    assert not is_rate_limited(ConnectionResetError())
