"""The watch shows what was paid: few requests, and what was known last through an outage."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from support.stack import settings_of
from support.watched import a_cluster

from flow_resources.cli.watch.costs import StackCosts
from flow_resources.cli.watch.look import Cluster
from flow_resources.cli.watch.show import document_of
from flow_resources.core.hidden import MARK
from flow_resources.core.naming import Mark, compose
from flow_resources.lifecycle import operation
from flow_resources.testing import Clock, FakeMithril

MARKS = {name: Mark.of("acme/training/dev", name) for name in ("trainer", "other")}


@pytest.fixture
def cloud(clean_environment: None) -> Iterator[FakeMithril]:
    """A cloud whose time passes only by `advance`, at $12.00 an hour."""
    with FakeMithril(clock=Clock(1_800_000_000.0, speed=0)) as fake:
        fake.set_price("8xa100", fake.region, 12.0)
        yield fake


@pytest.fixture
def costs(cloud: FakeMithril) -> Iterator[StackCosts]:
    read = StackCosts(lambda: settings_of(cloud))
    yield read
    read.close()


def place(cloud: FakeMithril, name: str = "trainer", generation: int = 1) -> str:
    return cloud.add_bid(compose(name, MARKS[name], "9c01d2", generation))["fid"]


def seen(bid: str, name: str = "trainer", status: str = "running") -> Cluster:
    return a_cluster(name, status, outputs={"task_id": bid, MARK: str(MARKS[name])})


def spent(costs: StackCosts, *clusters: Cluster) -> list[str | None]:
    shown = costs.shown_with(clusters)
    return [None if one.spending is None else one.spending.spent_text for one in shown]


def history_reads(cloud: FakeMithril) -> int:
    return sum("/pricing/history" in request.path for request in cloud.requests)


def test_each_look_reads_each_live_bid_once_and_what_has_ended_never_again(
    cloud: FakeMithril, costs: StackCosts
) -> None:
    """Earlier bids of the same mark count; all bids are listed when a cluster has another one."""
    first = place(cloud)
    cloud.clock.advance(hours=1)
    assert spent(costs, seen(first)) == ["$12.00"]
    cloud.terminate(first)
    second, other = place(cloud, generation=2), place(cloud, "other")
    cloud.clock.advance(hours=1)
    looked = (seen(second), seen(other, "other"))
    assert spent(costs, *looked) == ["$24.00", "$12.00"]
    cloud.clear_requests()
    cloud.clock.advance(hours=1)
    cloud.faults.add(path="/v2/spot/bids", times=None, status=500)
    assert costs.shown_with(looked)[1].spending is not None
    assert (history_reads(cloud), len(cloud.requests)) == (2, 2)


def test_what_ended_long_ago_is_listed_once(cloud: FakeMithril, costs: StackCosts) -> None:
    """A new bid needs the pages down to what was known to live, and no more."""
    cloud.set_options(page_limit=3)
    for number in range(20):
        cloud.terminate(cloud.add_bid(f"old-{number}")["fid"])
    first = place(cloud)
    assert spent(costs, seen(first)) == ["$0.00"]
    cloud.terminate(first)
    second = place(cloud, generation=2)
    cloud.clear_requests()
    assert spent(costs, seen(second)) == ["$0.00"]
    assert sum(request.path == "/v2/spot/bids" for request in cloud.requests) == 1
    assert history_reads(cloud) == 2


def test_an_outage_leaves_what_was_known_last(
    cloud: FakeMithril, costs: StackCosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing where nothing was known; it heals."""
    monkeypatch.setattr(operation, "_CHECK_SECONDS", 0.1)
    bid = place(cloud)
    cloud.faults.add(path="/v2/", times=None, status=503)
    assert spent(costs, seen(bid)) == [None]
    cloud.faults.clear()
    cloud.clock.advance(hours=1)
    assert spent(costs, seen(bid)) == ["$12.00"]
    cloud.clock.advance(hours=1)
    cloud.faults.add(path="/v2/", times=None, status=503)
    assert spent(costs, seen(bid)) == ["$12.00"]
    cloud.faults.clear()
    assert spent(costs, seen(bid)) == ["$24.00"]


def test_a_bid_that_the_service_does_not_know_is_not_said_to_have_cost_nothing(
    cloud: FakeMithril, costs: StackCosts
) -> None:
    """The service has no instances of it, as of one that never won."""
    assert spent(costs, seen("bid_forgotten00000")) == [None]
    waiting = cloud.add_bid(compose("other", MARKS["other"], "9c01d2", 1), limit_price="$1.00")["fid"]
    assert spent(costs, seen("bid_forgotten00000"), seen(waiting, "other", "pending")) == [None, "$0.00"]


def test_without_an_api_key_nothing_is_asked(clean_environment: None, tmp_path: Path) -> None:
    """Not even for the configuration again."""
    reads = list[None]()
    costs = StackCosts(lambda: reads.append(None) or {"flow:apiUrl": "http://127.0.0.1:1"})  # type: ignore[func-returns-value]
    assert spent(costs, seen("bid_1")) == spent(costs, seen("bid_1")) == [None]
    assert len(reads) == 1


def test_a_row_for_a_program_has_the_amount_as_a_number(cloud: FakeMithril, costs: StackCosts) -> None:
    """Null where it is not known."""
    bid = place(cloud)
    cloud.clock.advance(minutes=90)
    (cluster,) = costs.shown_with([seen(bid)])
    assert cluster.spending
    assert cluster.spending.spent == Decimal("18.00")
    known, unknown = document_of(cluster), document_of(seen(bid))
    assert (known["spent_usd"], known["spent_is_complete"]) == (18.0, True)
    assert (unknown["spent_usd"], unknown["spent_is_complete"]) == (None, False)
