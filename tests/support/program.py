"""A program of the plain Flow SDK, which knows nothing of any mock, and what a test looks at around it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flow


def rent(**options: Any) -> flow.Task:
    """Rent a machine, as a script would."""
    return flow.run("python train.py", **{"instance_type": "8xa100", "upload_code": False, **options})


def market_price() -> float:
    """Return what the SDK says that a machine of eight A100 costs per hour."""
    with flow.Flow() as client:
        rows = client.pricing.snapshot().rows
    (row,) = [one for one in rows if (one.family, one.gpu_count, one.region) == ("a100", 8, "us-central5-a")]
    return row.usd_per_instance_hr


def environment() -> dict[bytes, bytes]:
    """Return the environment to the last byte."""
    return dict(os.environb)


def run_async(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run it in a thread of its own: in the main one `asyncio.run` would leave no event loop for tests of Pulumi's."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
