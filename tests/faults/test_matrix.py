"""One fault at every request of every verb, then one recovery: no orphan, no duplicate, and a correct state."""

from __future__ import annotations

from collections import Counter

import pytest
from faults import matrix
from faults.matrix import CRASHES, CREATE_FIRST, FAULTS, SCENARIOS
from support.stack import FakeClock

from flow_resources.testing import FakeMithril

# The cells of `make test`: the most harmful faults of each kind of action.
SAMPLE = [
    (name, fault, "ignore")
    for name in ("create a cluster", "replace a cluster", "destroy a cluster", "create a volume")
    for fault in ("reset after", "500 after", "killed after acceptance")
] + [
    (f"replace a cluster, {CREATE_FIRST}", "killed after acceptance", "ignore"),
    ("create a job", "killed after acceptance", "ignore"),
    ("destroy a job that ended", "reset after", "ignore"),
    ("create an SSH key", "killed after acceptance", "ignore"),
    ("replace an SSH key", "500 after", "ignore"),
]
WHOLE = [(name, fault, key) for name in SCENARIOS for fault in (*FAULTS, *CRASHES) for key in ("dedupe", "ignore")]


CELLS = [pytest.param("dynamic", *cell, marks=[] if cell in SAMPLE else pytest.mark.faults) for cell in WHOLE]
CELLS += [pytest.param("plugin", *cell, marks=pytest.mark.faults) for cell in SAMPLE]


@pytest.mark.parametrize(("host_of_verbs", "name", "fault", "idempotency"), CELLS, indirect=["host_of_verbs"])
def test_one_fault_at_every_request_and_one_recovery(
    clean_environment, monkeypatch, host_of_verbs, name, fault, idempotency
):
    """Also where the service ignores the Idempotency-Key; in the provider plugin the sample alone."""
    assert matrix.run_row(monkeypatch, SCENARIOS[name], fault, idempotency, FakeClock) == {}


def test_the_matrix_has_requests_of_every_method(clean_environment):
    """It is generated from the requests of the verbs, which must send them."""
    methods = Counter()
    for scenario in SCENARIOS.values():
        with FakeMithril() as cloud:
            requests = matrix.list_requests(cloud, scenario, matrix.open_stack(cloud, FakeClock()))
            matrix.close_clients()
        methods.update(request.split()[0] for request in requests)
    assert methods["POST"] >= 5
    assert methods["PATCH"] >= 4
    assert methods["DELETE"] >= 4
    assert methods["GET"] >= 20
