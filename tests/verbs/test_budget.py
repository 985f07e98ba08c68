"""The stack's budget, enforced at preview."""

from __future__ import annotations

import pytest
from support.stack import CheckError, Stack, cluster

from flow_resources import engine
from flow_resources.testing import FakeMithril


@pytest.fixture
def limited(stack: Stack) -> Stack:
    """A stack with 300 USD per hour."""
    stack.config["flow:maxCostPerHour"] = "300"
    return stack


def test_the_cluster_that_exceeds_the_budget_fails_and_the_others_are_listed(
    limited: Stack, cloud: FakeMithril
) -> None:
    """With the excess and the cost of each cluster before it."""
    program = {"a": cluster(num_instances=2), "b": cluster(num_instances=3), "c": cluster(num_instances=2)}
    with pytest.raises(CheckError) as failed:
        limited.preview(program)
    (path, text), *others = failed.value.failures.items()
    assert (path, others) == ("max_price_per_hour", [])
    assert "the stack's budget flow:maxCostPerHour of $300.00/h by $50.00/h" in text
    assert "this cluster can cost $100.00/h, before it a $100.00/h, b $150.00/h" in text
    assert "lower a bid, pause a cluster, or raise the budget" in text
    assert not cloud.mutations


def test_a_stack_within_its_budget_passes(limited: Stack) -> None:
    """Also if it uses the budget up."""
    limited.up({"a": cluster(num_instances=3), "b": cluster(num_instances=3)})
    assert set(limited.state) == {"a", "b"}


def test_a_paused_cluster_counts_zero(limited: Stack) -> None:
    """It has no machines."""
    limited.up({"a": cluster(num_instances=6, paused=True), "b": cluster(num_instances=6)})


def test_clusters_of_which_no_urn_is_told_count_each(limited: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the host tells none, and `ignore_changes=["*"]` strips the program's."""
    program = {name: cluster(num_instances=2, ignore_changes=("*",)) for name in ("a", "b", "c")}
    limited.up(program)
    limited.config["flow:maxCostPerHour"] = "250"
    monkeypatch.setattr(engine, "find_call", engine.Call)
    with pytest.raises(CheckError, match="exceeds the stack's budget"):
        limited.preview(program)


def test_a_replacement_is_not_counted_twice(limited: Stack) -> None:
    """Check runs twice for it."""
    limited.up({"a": cluster(num_instances=6)})
    limited.up({"a": cluster(num_instances=5)})
    assert limited.preview({"a": cluster(num_instances=6)}) == {"a": "replace"}


def test_destroy_is_never_blocked(limited: Stack, cloud: FakeMithril) -> None:
    """Not even after the budget was lowered."""
    limited.up({"a": cluster(num_instances=6)})
    limited.config["flow:maxCostPerHour"] = "10"
    limited.destroy()
    assert not cloud.live_bids


def test_an_invalid_budget_is_a_failure(limited: Stack) -> None:
    """With its value."""
    limited.config["flow:maxCostPerHour"] = "plenty"
    with pytest.raises(CheckError, match="flow:maxCostPerHour is 'plenty'"):
        limited.preview({"a": cluster()})


def test_it_holds_where_the_host_does_not_tell_the_urn(limited: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program tells it: clusters under one unknown URN would count as one."""
    monkeypatch.setattr(engine, "find_call", lambda: engine.Call("Check"))
    with pytest.raises(CheckError, match=r"by \$100.00/h: this cluster can cost \$200.00/h, before it a \$200.00/h"):
        limited.preview({"a": cluster(num_instances=4), "b": cluster(num_instances=4)})
