"""Asking again: what is sent again and what is not, for how long, and what the user sees of it."""

from __future__ import annotations

from typing import Any

import pytest
from support.stack import FakeClock, Reports, Stack, VerbError, cluster, settings_of, volume

from flow_resources.cloud.retries import call_with_retries, is_rate_limited, is_transient
from flow_resources.cloud.retry_budget import RetryBudget
from flow_resources.providers import base
from flow_resources.testing import FakeMithril

FLEETING: list[dict[str, Any]] = [
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
    """What is shown on the resources' rows."""
    return reports.rows


@pytest.fixture
def timed(cloud: FakeMithril, clock: FakeClock, rows: list[str]) -> Any:
    """A stack whose time passes by sleeping alone."""
    yield Stack(settings_of(cloud), clock=clock)
    base.current().close()


def asked(cloud: FakeMithril, method: str, path: str) -> int:
    """Return how often something was asked."""
    return sum(one.method == method and one.path.startswith(path) for one in cloud.requests)


@pytest.mark.parametrize("fault", FLEETING, ids=lambda fault: str(next(iter(fault.values()))))
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", r"/v2/spot/availability"), ("PATCH", BID), ("PATCH", VOLUME), ("DELETE", BID), ("DELETE", VOLUME)],
    ids=str,
)
def test_a_passing_fault_is_ridden_out_in_the_same_operation(
    timed: Stack, cloud: FakeMithril, rows: list[str], method: str, path: str, fault: dict[str, Any]
) -> None:
    """Reads, changes and deletions are sent again; the row says so."""
    timed.up({"c": cluster(), "v": volume(volume_name="first")})
    cloud.faults.add(method=method, path=path, when="before", times=2, **fault)
    timed.up({"c": cluster(max_price_per_hour=60.0), "v": volume(volume_name="second")})
    timed.destroy()
    assert [bid["status"] for bid in cloud.bids] == ["Terminated"]
    assert not cloud.volumes
    assert any(", retry 1 in " in row for row in rows)
    assert any(", retry 2 in " in row for row in rows)


def test_the_row_says_what_the_service_answered_and_when_it_is_asked_again(
    timed: Stack, cloud: FakeMithril, rows: list[str]
) -> None:
    """One line in place of the last."""
    cloud.faults.add(method="POST", path=BIDS, when="before", status=503, headers={"Retry-After": "7"})
    timed.up({"c": cluster()})
    assert "the service answered 503, retry 1 in 7 s" in rows


@pytest.mark.parametrize("status", [429, 503])
def test_the_pause_that_the_service_asks_for_is_kept(
    timed: Stack, cloud: FakeMithril, clock: FakeClock, status: int
) -> None:
    """Retry-After is the least that passes; what comes on top keeps a crowd from coming back in step."""
    cloud.faults.add(method="POST", path=BIDS, when="before", status=status, times=3, headers={"Retry-After": "5"})
    timed.up({"c": cluster()})
    pauses = [slept for slept in clock.slept if slept >= 5]
    assert len(pauses) == 3
    assert len(set(pauses)) == 3
    assert asked(cloud, "POST", "/v2/spot/bids") == 4


def test_nothing_below_sends_again_on_its_own(timed: Stack, cloud: FakeMithril, monkeypatch: Any) -> None:
    """The SDK's retries under ours would multiply: with no patience there is one sending."""
    timed.up({"c": cluster()})
    # A first pause is anything up to half a second: less than this one in five hundred million times.
    monkeypatch.setenv("FLOW_RESOURCES_RETRY_SECONDS", "1e-9")
    cloud.faults.add(method="DELETE", path=BID, when="before", status=429, times=None)
    cloud.clear_requests()
    with pytest.raises(VerbError, match="answered 429"):
        timed.destroy()
    assert asked(cloud, "DELETE", "/v2/spot/bids") == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_what_was_heard_and_refused_is_not_sent_again(timed: Stack, cloud: FakeMithril, status: int) -> None:
    """A refusal stays one however often one asks."""
    timed.up({"c": cluster()})
    cloud.faults.add(method="PATCH", path=BID, when="before", status=status, times=None)
    with pytest.raises(VerbError):
        timed.up({"c": cluster(max_price_per_hour=60.0)})
    assert asked(cloud, "PATCH", "/v2/spot/bids") == 1


def test_a_request_without_a_key_is_not_sent_again_when_its_answer_is_lost(timed: Stack, cloud: FakeMithril) -> None:
    """Nobody could tell a second SSH key of the platform from the first."""
    cloud.faults.add(method="POST", path=r"/v2/ssh-keys$", when="after", status=500)
    with pytest.raises(VerbError, match="answered 500"):
        timed.up({"c": cluster()})
    assert asked(cloud, "POST", "/v2/ssh-keys") == 1
    assert not cloud.bids


@pytest.mark.parametrize(("limit", "most"), [(0.0, 60.0), (20.0, 20.0)], ids=["the budget", "the time limit"])
def test_patience_ends(timed: Stack, cloud: FakeMithril, clock: FakeClock, limit: float, most: float) -> None:
    """A minute for all that a verb asks, and never longer than the verb may take."""
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
    """The first sending had its effect, and the service was silent until patience ended."""
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


def test_a_preview_is_told_of_silence_soon_and_once(
    timed: Stack, cloud: FakeMithril, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twenty resources do not wait one after the other for a service that is down."""
    down(cloud)
    timed.preview({f"c{number}": cluster() for number in range(20)})
    assert sum(clock.slept) <= 5
    assert len(cloud.requests) < 12
    assert capsys.readouterr().err.count("checked without the service") == 1


def test_a_deletion_whose_repetition_is_refused_is_proven_by_looking(timed: Stack, cloud: FakeMithril) -> None:
    """The first one was heard, its answer was lost, and the service refuses to end what has ended."""
    timed.up({"c": cluster()})
    cloud.faults.add(method="DELETE", path=BID, when="after", status=500)
    cloud.faults.add(method="DELETE", path=BID, when="before", status=409, nth=2)
    timed.destroy()
    assert not cloud.live_bids
    assert asked(cloud, "DELETE", "/v2/spot/bids") == 2


# -- the layer alone ---------------------------------------------------------------------------------------------------


def test_patience_is_shared_by_all_that_a_verb_asks(clock: FakeClock) -> None:
    """What one request has used up is gone for the next."""
    patience = RetryBudget(10.0, clock=clock)

    def fail() -> None:
        raise ConnectionResetError

    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            call_with_retries(fail, patience, is_transient)
    assert 0 < patience.spent <= 10
    assert clock.now() - 1_000 <= 10


def test_an_answer_at_once_costs_no_patience(clock: FakeClock) -> None:
    """Slow is not failed."""
    patience = RetryBudget(10.0, clock=clock)
    assert call_with_retries(lambda: clock.sleep(100) or "there", patience, is_transient) == "there"
    assert patience.spent == 0


def test_pauses_grow_and_are_never_the_same(clock: FakeClock) -> None:
    """Full jitter: anything up to a bound that doubles."""
    patience = RetryBudget(600.0, clock=clock)

    def fail() -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        call_with_retries(fail, patience, is_transient)
    assert all(slept <= bound for slept, bound in zip(clock.slept, [0.5, 1, 2, 4, 8], strict=False))
    assert max(clock.slept) <= 10
    assert len(set(clock.slept)) == len(clock.slept)
    assert not is_rate_limited(ConnectionResetError())
