"""The advice about bids, replayed: what a bid holds in the fake's auction over the days that it was advised from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from flow_resources.clock import Clock as OwnClock
from flow_resources.cloud import Cloud, Connection, RetryBudget
from flow_resources.cloud.settings import resolve
from flow_resources.core.advice import advised_bids
from flow_resources.core.models import BidEvent
from flow_resources.core.moments import moment_of
from flow_resources.redaction import Redactor
from flow_resources.testing import Clock, FakeMithril
from flow_resources.testing.service.auction import price_to_win
from flow_resources.testing.service.market import Pool

START = 1_800_000_000.0
REGION = "us-central5-a"


@dataclass(frozen=True)
class Replayed:
    """An advised bid and what became of it; shares are percentages of the time."""

    share: Decimal
    """The share that was asked for, 0 to 1."""
    advised: float
    """For how long the price was not above the bid."""
    held: float
    """For how long the bid holds its machine."""
    winnable: float
    """For how long the bid was one that wins a machine. The price is the highest bid that loses: where the winners take
    exactly all machines, a bid between the price and theirs wins nothing."""


def replays(seed: int, instance_type: str, days: int) -> Iterator[Replayed]:
    """Yield what becomes of each advised bid.

    The history is read through the Cloud at the end of the days; each bid, for one machine, is placed at their
    beginning in a cloud of its own with the same seed.
    """
    seconds = 86_400 * days
    with cloud_of(seed) as fake:
        fake.clock.advance(seconds=seconds)
        settings = {"flow:apiKey": fake.key, "flow:apiUrl": fake.url, "flow:project": fake.project}
        connection = Connection(resolve(settings.get), OwnClock(), Redactor())
        cloud = Cloud(connection, RetryBudget(5.0))
        offer = cloud.market().offer(instance_type, REGION)
        assert offer
        history = cloud.price_history(offer.instance_type, REGION, timedelta(days=days))
        connection.close()
        assert history
        lowest = lowest_winning_bids(fake, Pool(offer.instance_type, REGION), seconds)
    for share, record in advised_bids(history):
        with cloud_of(seed) as fake:
            bid = fake.add_bid(instance_type=instance_type, region=REGION, limit_price=f"${record.bid}")["fid"]
            fake.clock.advance(seconds=seconds)
            held = share_allocated(fake, bid, seconds)
        winnable = sum(cents <= 100 * record.bid for cents in lowest) / len(lowest)
        yield Replayed(share, float(100 * record.share_held), 100 * held, 100 * winnable)


def lowest_winning_bids(fake: FakeMithril, pool: Pool, seconds: float) -> list[int]:
    """Return the lowest limit, in cents, that wins one machine in each auction since the start."""
    market = fake._backend.market
    moments = [START + 120 * auction for auction in range(1, int(seconds // 120) + 1)]
    lowest = [price_to_win(market.competitors(pool, at), market.floor(pool, at), 64, 1) for at in moments]
    return [cents for cents in lowest if cents is not None]


def share_allocated(fake: FakeMithril, bid: str, seconds: float) -> float:
    """Return the share of the time since the start in which a bid was allocated, by its events."""
    rows = next(row["events"] for row in fake._perform("overview")["bids"] if row["fid"] == bid)
    held, since = 0.0, None
    for event in map(BidEvent.read, rows):
        at = moment_of(event.at)
        assert at
        if event.type == "Allocated":
            since = at.timestamp()
        elif event.type == "Preempted" and since is not None:
            held, since = held + at.timestamp() - since, None
    return (held + (START + seconds - since if since is not None else 0.0)) / seconds


@contextmanager
def cloud_of(seed: int) -> Iterator[FakeMithril]:
    """Start a cloud whose market moves, at the same time for every call; nobody gets a notice before a preemption."""
    with FakeMithril(seed=seed, clock=Clock(START, speed=0), preemption_notice_seconds=0) as fake:
        yield fake
