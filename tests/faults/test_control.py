"""The matrix can see: a naive provider under it orphans and doubles, and is faultless where nothing goes wrong."""

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
    """Let the naive provider stand in for ours, in a home of its own, and end on whatever it raises."""
    monkeypatch.setitem(model.PROVIDERS, "GpuCluster", NaiveCluster)
    raising = Stack._call

    def one_line(*arguments, **options):
        try:
            return raising(*arguments, **options)
        except Exception as error:
            raise model.VerbError(str(error)) from error

    monkeypatch.setattr(Stack, "_call", one_line)


def wrong_after(fault, idempotency):
    """Return what is wrong after each call of a create was struck, call by call."""
    found, nth = {}, 0
    while True:
        nth += 1
        # A home of its own for each: the SDK keeps keys there that another cloud does not know.
        with mock_mithril(idempotency=idempotency) as cloud:
            stack = matrix.open_stack(cloud, FakeClock())
            matrix.suffer(cloud, stack, CREATE, nth, fault)
            if len(cloud.requests) < nth:
                return found
            matrix.recover(stack, CREATE)
            if wrong := list(matrix.wrongs(cloud, stack, CREATE)):
                found[f"{cloud.requests[nth - 1].method} {cloud.requests[nth - 1].path}"] = wrong


def test_the_naive_provider_is_right_when_nothing_goes_wrong():
    """What the matrix says of it later is not its being a stranger here."""
    with mock_mithril() as cloud:
        stack = matrix.open_stack(cloud, FakeClock())
        CREATE.deed(stack)
        assert list(matrix.wrongs(cloud, stack, CREATE)) == []


@pytest.mark.parametrize(
    ("fault", "idempotency"),
    [
        ("killed after acceptance", "dedupe"),
        ("500 after", "dedupe"),
        ("reset after", "ignore"),
        ("504 after", "ignore"),
    ],
)
def test_the_naive_provider_leaves_paid_machines_behind(fault, idempotency):
    """A lost answer to the bid: two live ones, or one that no state knows."""
    found = wrong_after(fault, idempotency)
    assert "POST /v2/spot/bids" in found
    assert any("2 live GpuClusters, 1 declared" in wrong for wrong in found["POST /v2/spot/bids"])
    assert any(wrong.startswith("left after destroy") for wrong in found["POST /v2/spot/bids"])
