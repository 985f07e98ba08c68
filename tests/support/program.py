"""A program that uses the plain Flow SDK and no mock, and what the tests check around it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flow


def rent(**options: Any) -> flow.Task:
    """Run a task on a machine, as a script would."""
    return flow.run("python train.py", **{"instance_type": "8xa100", "upload_code": False, **options})


def market_price() -> float:
    """Return the market price per hour of a machine with eight A100, as the SDK reads it."""
    with flow.Flow() as client:
        rows = client.pricing.snapshot().rows
    (row,) = [row for row in rows if (row.family, row.gpu_count, row.region) == ("a100", 8, "us-central5-a")]
    return row.usd_per_instance_hr


def environment() -> dict[bytes, bytes]:
    """Return a copy of the environment, in bytes."""
    return dict(os.environb)


def run_async(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a thread of its own: in the main one `asyncio.run` would leave no event loop for Pulumi."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
