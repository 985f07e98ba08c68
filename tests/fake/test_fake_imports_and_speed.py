"""Imports, clocks, and speed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

import flow_resources.testing as front
from flow_resources.testing import Clock, FakeMithril

ROOT = Path(__file__).parents[2]


def test_every_public_name_is_there():
    """__all__ is true, and dir() knows it; the linter keeps its order."""
    for name in front.__all__:
        assert getattr(front, name) is not None
        assert name in dir(front)
    with pytest.raises(AttributeError, match="nothing"):
        _ = front.nothing


def test_the_front_door_does_not_import_the_server():
    """The mocks need no web server, and nothing needs the SDK or the engine."""
    code = (
        "import sys, flow_resources.testing as t; t.Clock; print('aiohttp' in sys.modules);"
        "t.FakeMithril; print(sorted({'flow', 'pulumi', 'httpx'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split("\n") == ["False", "[]", ""]


def test_a_clock_that_stands_still_only_moves_forward_and_only_when_told():
    """Seconds, minutes, hours."""
    clock = Clock(100.0, speed=0)
    assert clock.now() == clock.now() == 100.0
    assert clock.advance(seconds=1, minutes=1, hours=1) == 3761.0
    for step in (-1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="only runs forward"):
            clock.advance(seconds=step)
    assert clock.now() == 3761.0


def test_a_clock_runs_as_fast_as_it_is_told_and_never_backwards(mocker):
    """Real time, an hour per minute, a change of the speed, and a system clock that is set back."""
    real = mocker.patch("flow_resources.testing.service.clock.time.time", return_value=1000.0)
    clock = Clock()
    assert clock.now() == 1000.0
    real.return_value = 1030.0
    assert clock.now() == 1030.0
    real.return_value = 1060.0
    clock.speed = 60.0
    real.return_value = 1120.0
    assert clock.now() == 1060.0 + 3600.0
    real.return_value = 1000.0
    assert clock.now() == 1060.0 + 3600.0
    clock.advance(minutes=1)
    real.return_value = 1001.0
    assert clock.now() == 1060.0 + 3600.0 + 60.0 + 60.0
    clock.not_before(0.0)
    clock.not_before(10_000.0)
    assert clock.now() == 10_000.0
    for speed in (-1.0, 2e6, float("nan")):
        with pytest.raises(ValueError, match="speed"):
            clock.speed = speed


def test_the_environment_sends_a_client_here(mithril):
    """Everything the SDK reads; it keeps its files in a folder of this cloud."""
    folder = mithril.environment["FLOW_DIR"]
    assert Path(folder).is_dir()
    assert mithril.environment == {
        "MITHRIL_API_URL": mithril.url,
        "MITHRIL_API_KEY": "test-key",
        "MITHRIL_PROJECT": "demo",
        "MITHRIL_REGION": "us-central5-a",
        "FLOW_DIR": folder,
    }
    mithril.close()
    assert not Path(folder).exists()


def test_two_clouds_do_not_see_each_other(cloud, connect):
    """Each has its port and its state."""
    first, second = cloud(), cloud()
    connect(first).bid()
    assert (len(first.bids), len(second.bids)) == (1, 0)


def test_it_starts_within_half_a_second(contract):
    """From the constructor to the first answer: the fastest of some, because the machine may be busy with others."""

    def start():
        started = time.monotonic()
        with FakeMithril() as mithril:
            assert mithril.requests == []
        return time.monotonic() - started

    assert any(start() < 0.5 for _ in range(20))


def test_a_thousand_bids_do_not_slow_a_page_down(mithril, client):
    """A page of a thousand costs about what a page of a hundred costs."""
    body = client.bid_body(limit_price="$1.00")
    with mithril._backend.session() as now:
        user = mithril._backend.accounts.identify("Bearer test-key", now)
        for n in range(1000):
            mithril._backend.bids.create(user, {**body, "name": f"bid-{n}"}, now)
    started = time.process_time()  # of the cloud, too, which runs in a thread; not of what else the machine does
    seen, cursor = 0, {}
    for _ in range(10):
        page = client.get("/v2/spot/bids", params={"project": mithril.project_id, "limit": 100, **cursor}).json()
        seen, cursor = seen + len(page["data"]), {"next_cursor": page["next_cursor"]}
    assert seen == 1000
    assert client.get("/v2/spot/bids", params={"name": "bid-500"}).json()["data"][0]["name"] == "bid-500"
    assert time.process_time() - started < 5


def test_a_hundred_and_twenty_eight_clients_are_answered_at_once(mithril):
    """Each has a connection of its own, and each gets what it placed."""

    async def place(session, number):
        body = {"name": f"v{number}", "project": mithril.project_id, "region": mithril.region}
        body |= {"disk_interface": "File", "size_gb": number + 1}
        async with session.post(f"{mithril.url}/v2/volumes", json=body) as answer:
            return (await answer.json())["capacity_gb"]

    async def all_at_once():
        headers = {"Authorization": f"Bearer {mithril.key}"}
        connector = aiohttp.TCPConnector(limit=128)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            return await asyncio.gather(*(place(session, number) for number in range(128)))

    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(all_at_once()) == list(range(1, 129))
    loop.close()
    assert len(mithril.volumes) == 128
