"""One fault at every call of every verb, and one recovery: nothing is orphaned, nothing is doubled, no state lies."""

from __future__ import annotations

from collections import Counter

import pytest
from faults import matrix
from faults.matrix import CRASHES, FAULTS, SCENARIOS
from support.stack import FakeClock

from flow_resources.testing import FakeMithril

# What fits into every run of the tests: the worst that can happen to each kind of deed.
SAMPLE = [
    (name, fault, "ignore")
    for name in ("create a cluster", "replace a cluster", "destroy a cluster", "create a volume")
    for fault in ("reset after", "500 after", "killed after acceptance")
] + [("replace a cluster, the new one first", "killed after acceptance", "ignore")]
WHOLE = [(name, fault, key) for name in SCENARIOS for fault in (*FAULTS, *CRASHES) for key in ("dedupe", "ignore")]


@pytest.mark.parametrize(
    ("name", "fault", "idempotency"),
    [pytest.param(*one, marks=[] if one in SAMPLE else pytest.mark.faults) for one in WHOLE],
)
def test_one_fault_at_every_call_and_one_recovery(clean_environment, monkeypatch, name, fault, idempotency):
    """Whatever call it strikes; also where the service ignores the Idempotency-Key."""
    assert matrix.run_row(monkeypatch, SCENARIOS[name], fault, idempotency, FakeClock) == {}


def test_the_matrix_has_every_kind_of_call(clean_environment):
    """It is made from what the verbs ask, and they ask what they must."""
    kinds = Counter()
    for scenario in SCENARIOS.values():
        with FakeMithril() as cloud:
            asked = matrix.calls(cloud, scenario, matrix.open_stack(cloud, FakeClock()))
            matrix.close_stack()
        kinds.update(one.split()[0] for one in asked)
    assert kinds["POST"] >= 5
    assert kinds["PATCH"] >= 4
    assert kinds["DELETE"] >= 4
    assert kinds["GET"] >= 20
