"""What the program passes along of what its stack's state holds, and a volume that the engine would delete unasked."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pulumi
import pytest

from flow_resources import Volume
from flow_resources.core.hidden import RecordedId
from flow_resources.core.naming import Mark, compose
from flow_resources.core.price_lines import Terms
from flow_resources.core.recorded import find_in, index_of
from flow_resources.testing import FlowMocks

OWNER, URN, ALIAS = "acme/training/dev", "urn:pulumi:dev::training::flow::new", "urn:pulumi:dev::training::flow::old"
TIME = "2026-01-01T00:00:00Z"


def outputs(name: str = "by-hand", **more: Any) -> dict[str, Any]:
    return {"outputs": {"task_id": "bid_1", "task_name": name, "created_at": TIME, "region": "us-east1-a", **more}}


def test_what_is_recorded_under_the_urn_or_an_alias_is_its_own() -> None:
    """With the region that was settled."""
    own = RecordedId("bid_1", TIME, is_own=True, region="us-east1-a")
    index = index_of({ALIAS: outputs(__mark="0" * 14)})
    assert find_in(index, Mark.of(OWNER, ALIAS), ALIAS) == find_in(index, Mark.of(OWNER, URN), URN, [ALIAS]) == [own]
    assert find_in(index, Mark.of(OWNER, URN), URN) == []


def test_what_a_recorded_bid_is_for_is_told() -> None:
    """As the program said it; a volume bids nothing."""
    bid = {"max_price_per_hour": 55.0, "num_instances": 4, "instance_type": "8xa100", "paused": True}
    index = index_of({URN: outputs(__mark="0" * 20, **bid, __inputs={"max_price_per_hour": 50.0})})
    (entry,) = find_in(index, Mark.of(OWNER, URN), URN)
    assert entry.terms == Terms(Decimal("50.00"), 4, "8xa100", "us-east1-a", is_paused=True)
    (entry,) = find_in(index_of({URN: outputs(__mark="0" * 20)}), Mark.of(OWNER, URN), URN)
    assert entry.terms is None


def test_what_is_only_read_is_not_its_own() -> None:
    """`GpuCluster.get`: Pulumi replaces nothing there. A name with its mark counts as ever."""
    assert find_in(index_of({URN: outputs()}), Mark.of(OWNER, URN), URN) == []
    (entry,) = find_in(
        index_of({URN: outputs(compose("it", Mark.of(OWNER, URN), "abcdef", 1))}), Mark.of(OWNER, URN), URN
    )
    assert (entry.id, entry.is_own) == ("bid_1", False)


@pytest.mark.parametrize("allow_replace", [False, True])
def test_a_volume_that_is_replaced_with_another_resource_needs_permission(allow_replace: bool) -> None:
    """The engine deletes it with what it is replaced with, without a check before."""
    pulumi.runtime.set_mocks(FlowMocks(), project="training", stack="dev", preview=False)
    other = Volume("other", size_gb=1)
    options = pulumi.ResourceOptions(replace_with=[other])
    if allow_replace:
        Volume("data", size_gb=1, allow_replace=True, opts=options)
        return
    with pytest.raises(
        pulumi.RunError, match=r"Volume 'data': replace_with needs allow_replace=True: .* other is repla"
    ):
        Volume("data", size_gb=1, opts=options)
