"""50 made-up lives of jobs: each ends once, with the outcome as it was or none, never a wrong one, and its key revoked.

They are lived by end_job.py as in the source, and as it goes over the wire: shortened, so the power is cut elsewhere.
A failure prints the life; `python -m pytest tests/faults/test_job_lives.py -k 'life_17-'` repeats that of seed 17.
FLOW_RESOURCES_LIVES=1000 makes `make faults` live so many.
"""

from __future__ import annotations

import os

import pytest
from faults.job_lives import Life, find_violations, live

from flow_resources.cloud.machine.texts import wire_text
from flow_resources.testing import Clock, FakeMithril

SAMPLE, ALL = 12, int(os.environ.get("FLOW_RESOURCES_LIVES", "50"))


def violations(seed, tmp_path, text=None):
    """Live the life of a seed and return what is wrong with it."""
    with FakeMithril(clock=Clock(1_800_000_000.0, speed=0)) as cloud:
        lived = live(Life.of(seed), cloud, tmp_path / f"disk-{seed}", text)
        return [*find_violations(lived)], lived


@pytest.mark.parametrize("form", ["source", "wire"])
@pytest.mark.parametrize(
    "seed",
    [pytest.param(seed, marks=[] if seed < SAMPLE else pytest.mark.faults, id=f"life_{seed}") for seed in range(ALL)],
)
def test_a_life_ends_once_and_nothing_wrong_is_said(seed, form, tmp_path):
    """Whatever happens to the machine, the network, the service, and whatever people do."""
    wrong, lived = violations(seed, tmp_path, wire_text("end_job.py") if form == "wire" else None)
    assert not wrong, "\n".join([*wrong, str(lived.life), *lived.machine.log])
