"""How fast the fake cloud is: its start, its answers under load, its pages, its time."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp

from flow_resources.testing import Clock, FakeMithril, RemoteMithril

CLIENTS = 128
SECONDS = 3.0


def measure() -> list[dict[str, Any]]:
    """Return one row of everything."""
    row: dict[str, Any] = {"start_to_first_answer_s": round(statistics.median(start() for _ in range(5)), 3)}
    with served(bids=100) as url:
        for label, path in (("bid", "/v2/spot/bids/bid_000001"), ("page_of_100_bids", "/v2/spot/bids?limit=100")):
            row[f"{label}_reads_per_s"] = round(asyncio.run(load(url, path)))
    row["page_of_1000_over_page_of_100"] = pages()
    row["a_month_of_auctions_s"] = month()
    return [row]


@contextmanager
def served(bids: int = 0) -> Iterator[str]:
    """Serve a cloud in a process of its own, and give its address as soon as it says so."""
    command = [sys.executable, "-m", "flow_resources.testing"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        url = [server.stdout.readline().strip() for _ in range(2)][1].removeprefix("export MITHRIL_API_URL=")
        for n in range(bids):
            RemoteMithril(url).add_bid(f"b{n}", limit_price="$1.00")
        yield url
        server.terminate()


def start() -> float:
    """Return the seconds from the start of the process to its first answer."""
    began = time.perf_counter()
    with served() as url:
        urllib.request.urlopen(f"{url}/mithril-fake/about").read()  # noqa: S310
        return time.perf_counter() - began


async def load(url: str, path: str) -> float:
    """Return answers per second to so many clients that ask again and again."""
    answered = 0
    headers = {"Authorization": "Bearer test-key"}
    until = time.perf_counter() + SECONDS

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        while time.perf_counter() < until:
            async with session.get(url + path) as answer:
                assert answer.status == 200  # noqa: PLR2004
                await answer.read()
            answered += 1

    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        await asyncio.gather(*(client(session) for _ in range(CLIENTS)))
    return answered / SECONDS


def pages() -> float:
    """Return how much longer a page of a hundred takes among a thousand bids than among a hundred."""
    times = []
    for count in (100, 1000):
        with FakeMithril() as mithril:
            for n in range(count):
                mithril.add_bid(f"b{n}", limit_price="$1.00")
            request = urllib.request.Request(  # noqa: S310
                f"{mithril.url}/v2/spot/bids?limit=100", headers={"Authorization": f"Bearer {mithril.key}"}
            )
            runs = []
            for _ in range(30):
                began = time.perf_counter()
                urllib.request.urlopen(request).read()  # noqa: S310
                runs.append(time.perf_counter() - began)
            times.append(statistics.median(runs))
    return round(times[1] / times[0], 2)


def month() -> float:
    """Return the seconds that thirty days of a living market with one bid take."""
    with FakeMithril(seed=7, clock=Clock(speed=0)) as mithril:
        mithril.add_bid(limit_price="$13.00", instance_quantity=4)
        began = time.perf_counter()
        mithril.clock.advance(hours=30 * 24)
        assert mithril.spend > 0
        return round(time.perf_counter() - began, 2)
