"""What a program says about preemptions, under mocks: what travels to the plugin, and since when it waits."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pulumi
import pytest

import flow_resources
from flow_resources.testing import FlowMocks

LEAST: dict[str, Any] = {"instance_type": "8xa100", "max_price_per_hour": 16, "region": "us-central5-a"}


class Seeing(FlowMocks):
    """Mocks that keep the hidden inputs, too."""

    def __init__(self, outputs: Any = None) -> None:
        super().__init__(outputs)
        self.sent: dict[str, Any] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> Any:
        self.sent = dict(args.inputs)
        return super().new_resource(args)


def run(*, outputs: Any = None, opts: pulumi.ResourceOptions | None = None, **inputs: Any) -> tuple[Any, Any]:
    """Run a program of one cluster; return what it sent, and for how many minutes it waits."""
    mocks, waits = Seeing({"it": outputs or {}}), list[Any]()
    pulumi.runtime.set_mocks(mocks, project="p", stack="s", preview=False)

    @pulumi.runtime.test
    def program() -> Any:
        cluster = flow_resources.GpuCluster("it", **LEAST, **inputs, opts=opts)
        return cluster.preempted_for_minutes.apply(waits.append)

    program()
    return mocks.sent, waits[0]


def test_the_options_that_a_policy_depends_on_travel_to_check() -> None:
    """The engine does not tell them to it."""
    options = pulumi.ResourceOptions(ignore_changes=["max_price_per_hour", "env"], retain_on_delete=True)
    sent, _ = run(opts=options)
    assert sent["__ignored"] == ["max_price_per_hour", "env"]
    assert sent["__retained"] is True
    sent, _ = run()
    assert not {"__ignored", "__retained"} & set(sent)


def test_a_policy_and_its_limit_travel_as_they_are() -> None:
    """And the default is keep, without a limit."""
    sent, _ = run(on_preemption="raise_bid", raise_up_to_per_hour=18.5)
    assert (sent["on_preemption"], sent["raise_up_to_per_hour"]) == ("raise_bid", 18.5)
    sent, _ = run()
    assert sent["on_preemption"] == "keep"
    assert sent.get("raise_up_to_per_hour") is None


AGO = datetime.now(timezone.utc) - timedelta(minutes=12, seconds=30)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({}, None),
        ({"status": "preempted"}, None),
        ({"status": "preempted", "last_preempted_at": AGO.isoformat()}, 12),
        ({"status": "preempted", "last_preempted_at": AGO.strftime("%Y-%m-%dT%H:%M:%SZ")}, 12),
        ({"status": "preempted", "last_preempted_at": "soon"}, None),
        ({"status": "running", "last_preempted_at": AGO.isoformat()}, None),
    ],
)
def test_for_how_long_it_waits_is_computed_in_the_program(outputs: dict[str, Any], expected: int | None) -> None:
    """From the status and the time that the state has."""
    assert run(outputs=outputs)[1] == expected
