"""The matrix detects faults: a naive provider creates orphans and duplicates under it, and none without faults."""

from __future__ import annotations

import pytest
from faults import matrix
from faults.matrix import SCENARIOS
from faults.naive import NaiveCluster
from support import stack as model
from support.stack import FakeClock, Stack

from flow_resources.testing import mock_mithril

CREATE = SCENARIOS["create a cluster"]


@pytest.fixture(autouse=True)
def naive(clean_environment, monkeypatch):
    """Replace the provider by the naive one, in a home directory of its own; report all its exceptions as VerbError."""
    monkeypatch.setitem(model.PROVIDERS, "GpuCluster", NaiveCluster)
    original = Stack._call

    def call(*arguments, **options):
        try:
            return original(*arguments, **options)
        except Exception as error:
            raise model.VerbError(str(error)) from error

    monkeypatch.setattr(Stack, "_call", call)


def violations_by_request(fault, idempotency):
    """Return the violations after a fault at each request of a create."""
    violations, nth = {}, 0
    while True:
        nth += 1
        # A home directory per cloud: the SDK caches SSH keys there that another cloud does not have.
        with mock_mithril(idempotency=idempotency) as cloud:
            stack = matrix.open_stack(cloud, FakeClock())
            matrix.run_with_fault(cloud, stack, CREATE, nth, fault)
            if len(cloud.requests) < nth:
                return violations
            matrix.recover(stack, CREATE)
            if cell_violations := list(matrix.find_violations(cloud, stack, CREATE)):
                violations[f"{cloud.requests[nth - 1].method} {cloud.requests[nth - 1].path}"] = cell_violations


def test_the_naive_provider_has_no_violation_without_faults():
    """So that its violations under the matrix come from the faults."""
    with mock_mithril() as cloud:
        stack = matrix.open_stack(cloud, FakeClock())
        CREATE.action(stack)
        assert list(matrix.find_violations(cloud, stack, CREATE)) == []


@pytest.mark.parametrize(
    ("fault", "idempotency"),
    [
        ("killed after acceptance", "dedupe"),
        ("500 after", "dedupe"),
        ("reset after", "ignore"),
        ("504 after", "ignore"),
    ],
)
def test_the_naive_provider_leaves_orphans(fault, idempotency):
    """After a lost answer to the bid: two live bids, or one that no state records."""
    violations = violations_by_request(fault, idempotency)
    assert "POST /v2/spot/bids" in violations
    assert any("2 live GpuClusters, 1 declared" in text for text in violations["POST /v2/spot/bids"])
    assert any(text.startswith("left after destroy") for text in violations["POST /v2/spot/bids"])
