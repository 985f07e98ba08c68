"""The made-up lives find mistakes: each of these changes of end_job.py goes wrong in one of them."""

from __future__ import annotations

import pytest
from faults.job_lives import Life, find_violations, live
from support.job_machine import SCRIPT, EndlessError

from flow_resources.testing import Clock, FakeMithril

ENDLESS = "waits without end"
MUTANTS = {
    "tells nothing": ("        if tries:\n", "        if False:\n", "told nothing"),
    "tells success for failure": ("placed - 1 - failed", "placed - 2 + failed", "told Outcome"),
    "raises the price": ("if cents > price else", "if cents != price else", "raised"),
    "lets another's outcome stand": ("cents == 2 * placed - 3 - mark", "False", "told Outcome"),
    "takes the first of two bids": ("if len(live) > 1:", "if False:", "another bid"),
    "believes an empty list": ("return bids  #", "return True  #", ENDLESS),
    "revokes the key first": ('    if not load("job-paused"):\n', "    retry(revoke)\n    if True:\n", ENDLESS),
    "pauses whatever failed": (' or job["on_failure"] == "release"', "", "the bid is Paused"),
}
QUICKLY_FOUND = ("tells nothing", "tells success for failure", "raises the price", "pauses whatever failed")


def first_violations(text, folder):
    """Return what is wrong with the first of the 50 lives that goes wrong."""
    for seed in range(50):
        with FakeMithril(clock=Clock(1_800_000_000.0, speed=0)) as cloud:
            try:
                violations = [*find_violations(live(Life.of(seed), cloud, folder / f"disk-{seed}", text))]
            except EndlessError:
                violations = [ENDLESS]
        if violations:
            return violations
    return []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICKLY_FOUND else pytest.mark.faults) for name in MUTANTS]
)
def test_a_mistake_is_found(name, tmp_path):
    """By the violation that it leads to."""
    before, after, expected = MUTANTS[name]
    text = SCRIPT.read_text()
    assert text.count(before) == 1
    violations = first_violations(text.replace(before, after), tmp_path)
    assert any(expected in violation for violation in violations), violations
