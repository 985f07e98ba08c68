"""What was paid, read through the Cloud, against the bill that the fake keeps itself (M3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from random import Random

import pytest
from support.stack import FakeClock, Reports, settings_of

from flow_resources.core.costs import Spending
from flow_resources.lifecycle.costs import BidCosts, read_costs
from flow_resources.lifecycle.operation import Deployment, Operation
from flow_resources.testing import Clock, FakeMithril

START = 1_800_000_000.0
TYPE = "8xa100"
ROUNDS = 200


@contextmanager
def operation(cloud: FakeMithril, reports: Reports | None = None) -> Iterator[Operation]:
    """Begin an operation of a command line, whose clock stands still: the service's time is what an answer says."""
    deployment = Deployment(settings_of(cloud).get, None, FakeClock())  # type: ignore[arg-type]
    try:
        yield Operation(deployment, reports or Reports())
    finally:
        deployment.close()


@contextmanager
def stopped_cloud(**options: object) -> Iterator[FakeMithril]:
    """Run a cloud whose time passes only by `advance`, in whole seconds."""
    with FakeMithril(clock=Clock(START, speed=0), **options) as cloud:  # type: ignore[arg-type]
        yield cloud


def read(cloud: FakeMithril, **more: datetime) -> dict[str, BidCosts]:
    """Read what was paid for all bids up to now."""
    with operation(cloud) as op:
        bids = op.cloud.every_bid()
        return {costs.bid.id: costs for costs in read_costs(op, bids, op.cloud.service_now(), **more)}


def billed(usd: float) -> Decimal:
    """Return an amount of the fake's bill in whole cents."""
    return Decimal(repr(usd)).quantize(Decimal("0.01"), ROUND_HALF_UP)


def assert_equal_to_the_bill(cloud: FakeMithril) -> dict[str, BidCosts]:
    """Compare each bid, and the sum."""
    costs, bill = read(cloud), cloud.spend_by_bid
    assert {id_: one.spending.spent for id_, one in costs.items() if one.spending.ran} == {
        id_: billed(usd) for id_, usd in bill.items() if usd
    }
    assert Spending.total(one.spending for one in costs.values()).spent == billed(cloud.spend)
    assert all(one.spending.is_complete for one in costs.values())
    return costs


@pytest.mark.parametrize("keep_instance_ids", [True, False])
def test_what_was_paid_is_the_bill_to_the_cent_whatever_happens(
    clean_environment: None, keep_instance_ids: bool
) -> None:
    """Over 200 rounds of moving prices, preemptions, pauses, price changes, new bids and ends."""
    dice = Random(f"M3/{keep_instance_ids}")
    deeds = Counter[str]()
    with stopped_cloud(
        keep_instance_ids=keep_instance_ids, boot_seconds=30, auction_seconds=0, preemption_notice_seconds=300,
        page_limit=3,
    ) as cloud:  # fmt: skip
        for number in range(ROUNDS):
            live = [bid for bid in cloud.live_bids if bid["status"] != "Preempting"]
            deed = dice.choice(("place", "price", "price", "preempt", "pause", "resume", "limit", "end", "wait"))
            deeds[deed] += 1
            if deed == "place" and len(live) < 5:
                machines, limit = dice.randint(1, 4), dice.randint(1000, 6000)
                cloud.add_bid(f"bid-{number}", instance_quantity=machines, limit_price=f"${limit / 100:.2f}")
            elif deed == "price":
                cloud.set_price(TYPE, cloud.region, dice.randint(900, 5500) / 100)
            elif live:
                bid = dice.choice(live)
                if deed == "preempt" and bid["status"] == "Allocated":
                    cloud.preempt(bid["fid"], dice.choice((None, 0, 60)))
                    cloud.release(bid["fid"])
                elif deed in ("pause", "resume"):
                    cloud.update_bid(bid["fid"], paused=deed == "pause")
                elif deed == "limit":
                    cloud.update_bid(bid["fid"], limit_price=f"${dice.randint(1000, 6000) / 100:.2f}")
                elif deed == "end":
                    cloud.terminate(bid["fid"])
            cloud.clock.advance(seconds=dice.randint(1, 5000))
            if number % 20 == 0:
                assert_equal_to_the_bill(cloud)
        costs = assert_equal_to_the_bill(cloud)
        preempted = {one.bid.id: one.spending.preemptions for one in costs.values()}
        assert sum(filter(None, preempted.values())) > 10
        assert len(costs) > 10
        assert min(deeds.values()) > 10
