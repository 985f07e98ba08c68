"""What a preview tells of prices: the row of what changes, the running total, the warnings, and what that costs."""

from __future__ import annotations

from typing import Any

import pytest
from support.stack import CheckError, Reports, Stack, cluster, job, with_policy

from flow_resources import host
from flow_resources.core.inputs import UNKNOWN
from flow_resources.lifecycle import market_prices
from flow_resources.testing import FakeMithril

REGION = "us-central5-a"


@pytest.fixture
def warnings(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the verbs warn of."""
    monkeypatch.setattr(host.EngineReport, "warn", lambda _, message: reports.warn(message))
    return reports.warnings


def rows_of_preview(stack: Stack, reports: Reports, **program: Any) -> list[str]:
    """Return what a preview shows on rows."""
    reports.rows.clear()
    stack.preview(program)
    return reports.rows


def test_a_new_bid_tells_what_it_costs_at_most_and_what_the_market_asks(stack: Stack, reports: Reports) -> None:
    """Of all its machines; and the total of the stack."""
    assert rows_of_preview(stack, reports, a=cluster(num_instances=4), b=cluster(max_price_per_hour=20.5)) == [
        "max $200.00/h (4 x $50.00), market $48.00/h now, about $1,152 a day, in us-central5-a; stack so far $200.00/h",
        "max $20.50/h, market $12.00/h now, about $288 a day, in us-central5-a; stack so far $220.50/h",
    ]


def test_the_total_is_told_beside_the_budget(stack: Stack, reports: Reports) -> None:
    """And counts what stands unchanged, and nothing for what is paused."""
    stack.up({"a": cluster(num_instances=2), "p": cluster(paused=True)})
    stack.config["flow:maxCostPerHour"] = "800"
    rows = rows_of_preview(stack, reports, a=cluster(num_instances=2), p=cluster(paused=True), b=cluster())
    assert rows == [
        f"bid $50.00/h x 2 (max $100.00/h) in {REGION}, market $12.00/h",
        f"bid $50.00/h x 1 (max $50.00/h) in {REGION}, market $12.00/h; paused, after it may have run for moments",
        "max $50.00/h, market $12.00/h now, about $288 a day, in us-central5-a; stack so far $150.00/h of $800.00/h",
    ]


@pytest.mark.parametrize(
    ("inputs", "step", "line"),
    [
        ({"max_price_per_hour": 60.0}, "update", "max $240.00/h (4 x $60.00), +$40.00/h, market $48.00/h now, "),
        ({"max_price_per_hour": 12.5}, "update", "max $50.00/h (4 x $12.50), -$150.00/h, market $48.00/h now, "),
        ({"num_instances": 5}, "replace", "max $250.00/h (5 x $50.00), +$50.00/h, market $60.00/h now, "),
        ({"region": "eu-central1-a"}, "replace", "max $200.00/h (4 x $50.00), market $48.00/h now, "),
        ({"command": "echo 2"}, "replace", "max $200.00/h (4 x $50.00), market $48.00/h now, "),
    ],
)
def test_a_change_tells_the_difference(
    stack: Stack, reports: Reports, inputs: dict[str, Any], step: str, line: str
) -> None:
    """Also in the second check of a replacement, which is told nothing of what was before."""
    before = {"num_instances": 4}
    stack.up({"a": cluster(**before)})
    reports.rows.clear()
    stack.operation()
    declared = cluster(**{**before, **inputs})
    news = stack.check("a", declared, stack.state["a"])
    assert stack._step("a", stack.state["a"], news, declared) == step
    if step == "replace":
        stack.check("a", declared, None)
        first, second = reports.rows
        assert first == second
    assert reports.rows[-1].startswith(line)


def test_a_forced_replacement_ends_its_row_with_the_price_and_the_difference(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its check is told nothing of what was before, and what it loses is said before the price."""
    stack.up({"a": cluster(num_instances=4)})
    told = list[str]()
    monkeypatch.setattr(host.EngineReport, "warn", lambda _, message: told.append(message))
    monkeypatch.setattr(host.EngineReport, "progress", lambda _, message, **_keep: told.append(message))
    stack.operation()
    stack.check("a", cluster(num_instances=4, max_price_per_hour=20.0), None)
    assert told[-2].startswith("replaced because Pulumi is asked for it")
    assert told[-1].startswith("max $80.00/h (4 x $20.00), -$120.00/h, market $48.00/h now, ")


def test_a_resumed_cluster_tells_what_it_costs_from_now_on(stack: Stack, reports: Reports) -> None:
    """It cost nothing while it was paused."""
    stack.up({"a": cluster(paused=True)})
    (row,) = rows_of_preview(stack, reports, a=cluster())
    assert row.startswith("max $50.00/h, +$50.00/h, market $12.00/h now, ")


def test_a_job_with_a_time_limit_tells_the_most_in_all(stack: Stack, reports: Reports) -> None:
    """Its limit times what it costs at most."""
    (row,) = rows_of_preview(stack, reports, j=job(num_instances=2, max_run_time_hours=2.5))
    assert row.startswith(
        "max $100.00/h (2 x $50.00), at most $250.00 in all, market $24.00/h now, about $576 a day, in "
    )


def test_a_price_that_is_not_known_has_no_line_and_fails_nothing(stack: Stack, reports: Reports) -> None:
    """The `up` will know it."""
    stack.config["flow:maxCostPerHour"] = "10"
    assert not rows_of_preview(stack, reports, a=cluster(max_price_per_hour=UNKNOWN))
    assert not rows_of_preview(stack, reports, a=cluster(max_price_per_hour=10.0, num_instances=UNKNOWN))


def test_the_budget_is_kept_to_the_cent(stack: Stack) -> None:
    """Exactly the budget passes, one cent more does not."""
    stack.config["flow:maxCostPerHour"] = "100.00"
    stack.preview({"a": cluster(num_instances=1), "b": cluster(max_price_per_hour=50.0)})
    with pytest.raises(CheckError, match=r"\$100.00/h by \$0.01/h: this cluster can cost \$50.01/h, before it a"):
        stack.preview({"a": cluster(num_instances=1), "b": cluster(max_price_per_hour=50.01)})


# -- warnings ----------------------------------------------------------------------------------------------------------


def test_a_number_far_above_the_market_is_warned_of_when_it_is_new(stack: Stack, warnings: list[str]) -> None:
    """Once for a resource; not of what stands, and not of what another input replaces."""
    stack.preview({"a": cluster(), "b": cluster(max_price_per_hour=36.0)})
    (text,) = warnings
    assert text.startswith("the bid $50.00/h is more than three times the market $12.00/h")
    stack.up({"a": cluster()})
    warnings.clear()
    stack.preview({"a": cluster()})
    stack.preview({"a": cluster(command="echo 2")})
    assert not [text for text in warnings if "three times" in text]
    stack.preview({"a": cluster(max_price_per_hour=60.0)})
    assert [text for text in warnings if "the bid $60.00/h is more than three times" in text]


def test_the_number_of_a_policy_is_not_warned_of(stack: Stack, reports: Reports, warnings: list[str]) -> None:
    """It is high on purpose."""
    high = with_policy(cluster(), kind="infrastructure", reference=50.0, cap=60.0)
    (row,) = rows_of_preview(stack, reports, a=high)
    assert row.startswith("max $50.00/h, market $12.00/h now, about $288 a day, ")
    assert not warnings


def test_a_price_per_gpu_gets_a_hint(stack: Stack, warnings: list[str]) -> None:
    """The catalogue says how many GPUs a machine has."""
    stack.preview({"a": cluster(max_price_per_hour=2.5)})
    assert [text.partition(":")[0] for text in warnings] == [
        "the bid $2.50/h is under the market $12.00/h",
        "the bid $2.50/h",
    ]
    assert warnings[1].endswith("Bid.per_gpu(2.5) is $20.00 for 8 GPUs")


def test_a_bid_under_all_others_is_warned_of(stack: Stack, cloud: FakeMithril, warnings: list[str]) -> None:
    """When it is placed or lowered; not where its machines are free, nor where the lowest is itself."""
    cloud.set_capacity("8xa100", REGION, 2)
    cloud.add_bid("theirs", limit_price="$30.00")
    stack.preview({"a": cluster(max_price_per_hour=20.0, num_instances=2)})
    assert warnings[0].startswith("the bid $20.00/h is under $30.00/h, the lowest bid that holds machines there now")
    warnings.clear()
    stack.preview({"a": cluster(max_price_per_hour=20.0)})
    assert not warnings
    stack.up({"a": cluster(max_price_per_hour=25.0)})
    warnings.clear()
    stack.preview({"a": cluster(max_price_per_hour=20.0)})
    assert not warnings


def test_machines_that_are_not_free_are_warned_of(stack: Stack, cloud: FakeMithril, warnings: list[str]) -> None:
    """But where the bid wins them all the same; those of the cluster itself are released by its replacement."""
    cloud.set_capacity("8xa100", REGION, 4)
    stack.preview({"a": cluster(max_price_per_hour=20.0, num_instances=5)})
    assert [
        text for text in warnings if text.startswith(f"the bid is for 5 8xa100 in {REGION}, which has 4 of them in all")
    ]
    stack.up({"a": cluster(max_price_per_hour=20.0, num_instances=3)})
    warnings.clear()
    stack.preview({"a": cluster(max_price_per_hour=21.0, num_instances=3)})
    assert not warnings
    stack.preview({"a": cluster(max_price_per_hour=20.0, num_instances=4)})
    assert not [text for text in warnings if "free" in text]
    one = {"a": cluster(max_price_per_hour=20.0, num_instances=3)}
    stack.preview({**one, "b": cluster(max_price_per_hour=30.0, num_instances=2)})
    assert not [text for text in warnings if "free" in text]
    stack.preview({**one, "b": cluster(max_price_per_hour=15.0, num_instances=2)})
    assert [
        text
        for text in warnings
        if text.startswith(f"the bid is for 2 8xa100 in {REGION}, where 1 machine is free now")
    ]


# -- the market, silent or not wanted ----------------------------------------------------------------------------------


def test_without_market_lines_nothing_is_told_of_the_market(
    stack: Stack, cloud: FakeMithril, reports: Reports, warnings: list[str]
) -> None:
    """The total of the stack stays."""
    stack.config |= {"flow:marketLines": "false", "flow:maxCostPerHour": "100"}
    assert rows_of_preview(stack, reports, a=cluster(max_price_per_hour=2.5, num_instances=4)) == [
        "max $10.00/h (4 x $2.50), in us-central5-a; stack so far $10.00/h of $100.00/h"
    ]
    stack.up({"a": cluster()})
    rows = rows_of_preview(stack, reports, a=cluster())
    assert rows == [f"bid $50.00/h x 1 (max $50.00/h) in {REGION}"]
    assert not warnings
    assert not [request for request in cloud.requests if "/v2/pricing" in request.path]


def test_market_lines_are_on_or_off(stack: Stack) -> None:
    """Anything else is a failure, with its value."""
    stack.config["flow:marketLines"] = "some"
    with pytest.raises(CheckError, match="flow:marketLines is 'some', which is neither true nor false"):
        stack.preview({"a": cluster()})


@pytest.mark.parametrize("fault", [{"status": 500}, {"kind": "hang"}, {"kind": "reset"}])
def test_a_silent_market_costs_one_warning_and_the_preview_ends(
    stack: Stack,
    cloud: FakeMithril,
    reports: Reports,
    warnings: list[str],
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, Any],
) -> None:
    """However many markets are asked for; the rows have what is known."""
    monkeypatch.setattr(market_prices, "SILENCE_SECONDS", 0.2)
    cloud.faults.add(path="/v2/pricing/", times=None, **fault)
    program = {str(count): cluster(max_price_per_hour=20.0, num_instances=count) for count in (1, 2, 3)}
    rows = rows_of_preview(stack, reports, **program)
    assert rows[1].startswith(
        "max $40.00/h (2 x $20.00), market $24.00/h now, about $576 a day, in us-central5-a; stack so far $60.00/h"
    )
    (text,) = warnings
    assert text.startswith("the prices of the market are not known: ")
