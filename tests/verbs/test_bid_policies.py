"""Bids with a policy against the fake's market: when the number is resolved, what keeps it, and what is not sent."""

from __future__ import annotations

from typing import Any

import pytest
from support.crashes import live
from support.jobs import end_job
from support.stack import CheckError, Declared, Reports, Stack, VerbError, cluster, job, with_policy

from flow_resources.core.hidden import RESOLVED_BID
from flow_resources.core.inputs import UNKNOWN
from flow_resources.lifecycle import market_prices
from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.both_hosts(plugin="languages")

REGION = "us-central5-a"
WORKLOAD: dict[str, Any] = {"kind": "workload", "margin": 0.1, "cap": 40.0}
UPTIME: dict[str, Any] = {"kind": "uptime", "target": 0.9, "days": 7, "cap": 40.0}
INFRASTRUCTURE: dict[str, Any] = {"kind": "infrastructure", "cap": 60.0}
NOT_KNOWN = "the prices of the market are not known"


def it(policy: dict[str, Any] = WORKLOAD, **inputs: Any) -> dict[str, Declared]:
    """Declare one cluster with a policy; the market is at 12 USD."""
    passed_along = {"__ignored": list(inputs["ignore_changes"])} if "ignore_changes" in inputs else {}
    return {"it": with_policy(cluster(**inputs, **passed_along), **policy)}


def price(stack: Stack, name: str = "it") -> float:
    """Return the bid, the same in inputs and outputs."""
    saved = stack.state[name]
    assert saved.inputs["max_price_per_hour"] == saved.outputs["max_price_per_hour"]
    return float(saved.inputs["max_price_per_hour"])


def market_at(cloud: FakeMithril, usd: float) -> None:
    cloud.set_price("8xa100", REGION, usd)


def silence(cloud: FakeMithril) -> None:
    """Let the service tell no prices."""
    cloud.faults.add(path="/v2/pricing/", times=None, status=500)


def asked(cloud: FakeMithril) -> list[str]:
    """Return what was asked for prices."""
    return [one.path for one in cloud.requests if "/v2/pricing/" in one.path]


def failures(stack: Stack, program: dict[str, Declared]) -> dict[str, str]:
    with pytest.raises(CheckError) as failed:
        stack.preview(program)
    return failed.value.failures


# -- resolved once -----------------------------------------------------------------------------------------------------


@pytest.mark.dynamic_host
@pytest.mark.parametrize(
    ("policy", "usd", "row"),
    [
        ({"kind": "per_gpu", "usd": 6.25}, 50.0, "bid $50.00/h (per_gpu $6.25): 8 GPUs of a machine, $6.25 each"),
        (INFRASTRUCTURE, 50.0, "bid $50.00/h (infrastructure): the usual bid for this type, market $12.00/h; settled"),
        (WORKLOAD, 13.2, "bid $13.20/h (workload 0.1): 10 % above the market $12.00/h; settled, at most $40"),
        ({"kind": "market", "multiplier": 2, "cap": 20}, 20.0, "bid $20.00/h (market 2): the cap: 2 times the market"),
        (UPTIME, 12.0, "bid $12.00/h (uptime 0.9): would have held 100 % of the last 7 days; settled, at most"),
    ],
)
def test_a_policy_becomes_a_number_with_its_reason_on_the_row(
    stack: Stack, cloud: FakeMithril, reports: Reports, policy: dict[str, Any], usd: float, row: str
) -> None:
    """The state holds the number, the policy, and the number once more, unseen; the service gets the number.

    The row of the preview says that the `up` settles it, and that of the `up` that it is settled.
    """
    stack.preview(it(policy))
    assert [one for one in reports.kept if one.startswith(row.replace("settled", "settled by `up`"))]
    stack.up(it(policy))
    assert [one for one in reports.kept if one.startswith(row)]
    assert price(stack) == usd
    saved = stack.state["it"]
    assert saved.inputs["bid_policy"] == saved.outputs["bid_policy"] == policy
    assert saved.inputs[RESOLVED_BID] == saved.outputs[RESOLVED_BID] == usd
    assert cloud.bid(saved.id)["limit_price"] == f"${usd:.2f}"


@pytest.mark.parametrize("policy", [WORKLOAD, UPTIME, INFRASTRUCTURE], ids=lambda policy: policy["kind"])
def test_a_market_that_moves_changes_nothing_and_is_not_asked(
    stack: Stack, cloud: FakeMithril, policy: dict[str, Any]
) -> None:
    """Twenty times, refreshed or not, with the requests of a plain number."""
    program = it(policy)
    stack.up(program)
    before, reads = price(stack), set[int]()
    for turn in range(20):
        market_at(cloud, 5.0 + turn / 10)
        cloud.clear_requests()
        assert stack.preview(program) == {"it": "same"}
        reads.add(len(cloud.requests))
        assert asked(cloud) == []
        stack.up(program, refresh=turn % 2 == 1)
    assert price(stack) == before
    assert reads == {3}
    assert not cloud.mutations


def test_a_new_bid_asks_once_per_market_however_many_there_are(stack: Stack, cloud: FakeMithril) -> None:
    """The present prices and the history, each once."""
    stack.preview({f"c{index}": it(UPTIME)["it"] for index in range(9)})
    assert len(asked(cloud)) == 2
    assert sum("history" in path for path in asked(cloud)) == 1


def test_all_that_resolve_together_get_one_number_and_a_later_one_its_own(stack: Stack, cloud: FakeMithril) -> None:
    """Also where the market moves meanwhile, and they differ in how many machines they have."""
    stack.operation()
    checked = []
    for turn, count in enumerate((1, 1, 2)):
        checked.append(stack.check(f"c{turn}", it(num_instances=count)["it"], None)["max_price_per_hour"])
        market_at(cloud, 20.0)
    assert checked == [13.2, 13.2, 13.2]
    stack.operation()
    assert stack.check("c3", it()["it"], None)["max_price_per_hour"] == 22.0


def test_the_two_checks_of_a_replacement_agree_and_resolve_anew(
    stack: Stack, cloud: FakeMithril, reports: Reports
) -> None:
    """One number, told once."""
    stack.up(it())
    market_at(cloud, 20.0)
    reports.kept.clear()
    stack.up(it(num_instances=2))
    assert price(stack) == 22.0
    assert len([one for one in reports.kept if one.startswith("bid $22.00/h")]) == 1


def test_a_changed_policy_resolves_anew_in_place(stack: Stack, cloud: FakeMithril) -> None:
    """One PATCH; a default that is written out is no change."""
    stack.up(it())
    id_ = stack.state["it"].id
    market_at(cloud, 13.0)
    cloud.clear_requests()
    assert stack.preview(it({"kind": "workload", "cap": 40.0})) == {"it": "same"}
    changed = it({**WORKLOAD, "margin": 0.5})
    assert stack.preview(changed) == {"it": "update"}
    stack.up(changed)
    assert (stack.state["it"].id, price(stack)) == (id_, 19.5)
    assert [one.method for one in cloud.mutations] == ["PATCH"]


def test_a_policy_becomes_a_plain_number_and_a_policy_again(stack: Stack, cloud: FakeMithril) -> None:
    """Also where the numbers are the same; a policy that comes back resolves by the market of that day."""
    program = it()
    stack.up(program)
    for usd in (13.2, 25.0):
        plain = {"it": cluster(max_price_per_hour=usd)}
        assert stack.preview(plain) == {"it": "update"}
        stack.up(plain)
        stack.refresh()
        assert not {"bid_policy", RESOLVED_BID} & {*stack.state["it"].inputs, *stack.state["it"].outputs}
        assert stack.preview(plain) == {"it": "same"}
        assert price(stack) == usd
    market_at(cloud, 20.0)
    stack.up(program)
    assert price(stack) == 22.0


def test_a_live_price_that_differs_is_drift(stack: Stack, cloud: FakeMithril) -> None:
    """A refresh shows it, and the next `up` sets the resolved number again, whatever the market is by then."""
    program = it()
    stack.up(program)
    cloud.update_bid(stack.state["it"].id, limit_price="$30.00")
    market_at(cloud, 20.0)
    stack.refresh()
    assert stack.state["it"].inputs["max_price_per_hour"] == 30.0
    assert stack.preview(program) == {"it": "update"}
    stack.up(program)
    assert price(stack) == 13.2
    assert cloud.bid(stack.state["it"].id)["limit_price"] == "$13.20"


# -- ignored changes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ignored", [("max_price_per_hour",), ("bid_policy",), ("*",)])
def test_what_is_ignored_stays(stack: Stack, cloud: FakeMithril, ignored: tuple[str, ...]) -> None:
    """No failure, no change and no request; the first `up` resolves all the same."""
    stack.up(it(ignore_changes=ignored))
    market_at(cloud, 20.0)
    cloud.clear_requests()
    changed = it({**WORKLOAD, "margin": 0.5}, ignore_changes=ignored)
    assert stack.preview(changed) == {"it": "same"}
    stack.up(changed, refresh=True)
    assert price(stack) == 13.2
    assert not cloud.mutations
    assert stack.state["it"].inputs["bid_policy"] == WORKLOAD
    stack.up(it({**WORKLOAD, "margin": 0.5}))
    assert price(stack) == 30.0


def test_a_number_that_is_ignored_keeps_a_policy_out(stack: Stack) -> None:
    """The state holds what is in force."""
    stack.up({"it": cluster(max_price_per_hour=16.0)})
    stack.up(it(ignore_changes=("max_price_per_hour",)))
    assert price(stack) == 16.0
    assert "bid_policy" not in stack.state["it"].inputs
    stack.up(it())
    assert price(stack) == 13.2


# -- what is not known -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [UPTIME, INFRASTRUCTURE], ids=lambda policy: policy["kind"])
def test_while_the_market_is_silent_a_preview_passes_and_an_up_refuses(
    stack: Stack, cloud: FakeMithril, capfd: pytest.CaptureFixture[str], policy: dict[str, Any]
) -> None:
    """One warning; nothing is placed, and the next `up` goes on."""
    silence(cloud)
    assert stack.preview(it(policy)) == {"it": "create"}
    assert capfd.readouterr().err.count(NOT_KNOWN) == 1
    with pytest.raises(VerbError, match=r"bid_policy could not be resolved.*run `pulumi up` again, or write a number"):
        stack.up(it(policy))
    assert not live(cloud)
    cloud.faults.clear()
    stack.up(it(policy))
    assert price(stack) in (12.0, 50.0)


def test_silence_costs_a_preview_two_seconds(stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever number of policies asks for prices."""
    monkeypatch.setattr(market_prices, "SILENCE_SECONDS", 0.2)
    silence(cloud)
    assert set(stack.preview({f"c{index}": it(UPTIME)["it"] for index in range(5)}).values()) == {"create"}
    assert getattr(stack.clock, "skipped", 0.0) < 2.5


@pytest.mark.parametrize("kind", ["changed", "replaced", "forced"])
def test_a_silent_market_ends_and_changes_nothing(stack: Stack, cloud: FakeMithril, kind: str) -> None:
    """The recorded bid stays, in an update, in a replacement, and in one that is asked for."""
    stack.up(it(INFRASTRUCTURE))
    id_ = stack.state["it"].id
    silence(cloud)
    cloud.clear_requests()
    news = {
        "changed": it({**INFRASTRUCTURE, "cap": 70.0}),
        "replaced": it(INFRASTRUCTURE, num_instances=2),
        "forced": it(INFRASTRUCTURE),
    }[kind]
    expected = {"changed": "update", "replaced": "replace", "forced": "same"}[kind]
    assert stack.preview(news) == {"it": expected}
    with pytest.raises(VerbError):
        stack.up(news, force={"it"} if kind == "forced" else None)
    assert not cloud.mutations
    assert live(cloud) == [id_]
    assert price(stack) == 50.0
    cloud.faults.clear()
    stack.up(news, force={"it"} if kind == "forced" else None)
    assert price(stack) == 50.0
    assert len(live(cloud)) == 1


def test_a_market_that_is_known_from_the_offers_is_enough_for_a_margin(stack: Stack, cloud: FakeMithril) -> None:
    """Its price is that of the last auction."""
    silence(cloud)
    stack.up(it())
    assert price(stack) == 13.2


def test_an_unchanged_policy_does_not_depend_on_the_service(stack: Stack, cloud: FakeMithril) -> None:
    """The number is in the state."""
    program = it(UPTIME)
    stack.up(program)
    cloud.faults.add(times=None, status=500)
    assert stack.preview(program) == {"it": "same"}


def test_a_state_without_the_number_says_where_the_live_bid_is_over_the_cap(
    stack: Stack, cloud: FakeMithril, capfd: pytest.CaptureFixture[str]
) -> None:
    """In each preview, until a change of the policy resolves it anew."""
    stack.up(it())
    cloud.update_bid(stack.state["it"].id, limit_price="$55.00")
    stack.refresh()
    for bag in (stack.state["it"].inputs, stack.state["it"].outputs):
        del bag[RESOLVED_BID]
    said = "the bid $55.00/h is over the cap $40.00/h of bid_policy"
    for _ in range(2):
        stack.up(it())
        assert said in capfd.readouterr().err
    assert price(stack) == 55.0
    stack.up(it({**WORKLOAD, "cap": 39.0}))
    assert price(stack) == 13.2
    assert "over the cap" not in capfd.readouterr().err


@pytest.mark.parametrize("lost", ["never written", "no price"])
def test_a_state_without_the_number_keeps_the_bid(
    stack: Stack, cloud: FakeMithril, capfd: pytest.CaptureFixture[str], lost: str
) -> None:
    """Never another price and never a replacement; it is said, and recorded again."""
    program = it()
    stack.up(program)
    saved = stack.state["it"]
    for bag in (saved.inputs, saved.outputs):
        del bag[RESOLVED_BID]
        if lost == "no price":
            bag[RESOLVED_BID] = "many"
    market_at(cloud, 20.0)
    cloud.clear_requests()
    stack.up(program)
    assert price(stack) == 13.2
    assert not cloud.mutations
    assert "does not tell what bid_policy was resolved to: the bid stays at $13.20/h" in capfd.readouterr().err
    assert stack.state["it"].outputs[RESOLVED_BID] == 13.2
    assert stack.preview(program) == {"it": "same"}


@pytest.mark.parametrize("lost", [["inputs"], ["outputs"], ["inputs", "outputs"]], ids="-".join)
def test_a_state_without_the_policy_keeps_the_number(stack: Stack, cloud: FakeMithril, lost: list[str]) -> None:
    """It tells what one was resolved to, and not which: whether the program has changed it is not known."""
    program = it()
    stack.up(program)
    for bag in lost:
        del getattr(stack.state["it"], bag)["bid_policy"]
    market_at(cloud, 11.0)
    cloud.clear_requests()
    stack.up(program)
    assert price(stack) == 13.2
    assert not cloud.mutations
    assert stack.preview(program) == {"it": "same"}


def test_a_state_without_an_input_that_replaces_keeps_the_bid(stack: Stack, cloud: FakeMithril) -> None:
    """It learns the input from the program, and nothing is resolved anew because of that."""
    program = it()
    stack.up(program)
    for bag in (stack.state["it"].inputs, stack.state["it"].outputs):
        del bag["region"]
    market_at(cloud, 20.0)
    cloud.clear_requests()
    stack.up(program)
    assert price(stack) == 13.2
    assert not cloud.mutations


def test_a_state_without_the_number_and_the_bid_stops_the_preview(stack: Stack) -> None:
    """A refresh reads the bid."""
    program = it()
    stack.up(program)
    for name in (RESOLVED_BID, "max_price_per_hour"):
        del stack.state["it"].inputs[name]
    assert "`pulumi refresh` reads the bid" in failures(stack, program)["bid_policy"]
    stack.refresh()
    assert stack.preview(program) == {"it": "same"}


@pytest.mark.parametrize("name", ["cap", "margin", "kind", None])
def test_an_output_that_is_not_known_yet_leaves_the_price_unknown(stack: Stack, name: str | None) -> None:
    """In a preview, whichever part it is."""
    policy = {**WORKLOAD, **({name: UNKNOWN} if name and name != "kind" else {})}
    declared = it(policy)["it"]
    if name is None:
        declared.inputs["instance_type"] = UNKNOWN
    if name == "kind":
        declared.inputs["bid_policy"] = UNKNOWN
    assert stack.preview({"it": declared}) == {"it": "create"}
    assert stack.check("it", declared, None)["max_price_per_hour"] not in (13.2, None)


# -- the budget --------------------------------------------------------------------------------------------------------


def test_the_budget_counts_the_resolved_number_and_the_cap_while_there_is_none(
    stack: Stack, cloud: FakeMithril
) -> None:
    """To the cent; a price that is not known lets no budget pass."""
    stack.config["flow:maxCostPerHour"] = "50.00"
    assert stack.preview(it(INFRASTRUCTURE)) == {"it": "create"}
    stack.config["flow:maxCostPerHour"] = "49.99"
    assert "exceeds the stack's budget" in failures(stack, it(INFRASTRUCTURE))["max_price_per_hour"]
    silence(cloud)
    stack.config["flow:maxCostPerHour"] = "59.99"
    assert "this cluster can cost $60.00/h" in failures(stack, it(INFRASTRUCTURE))["max_price_per_hour"]
    stack.config["flow:maxCostPerHour"] = "60.00"
    assert stack.preview(it(INFRASTRUCTURE)) == {"it": "create"}
    assert stack.preview(it(INFRASTRUCTURE, paused=True, num_instances=9)) == {"it": "create"}


# -- bad input ---------------------------------------------------------------------------------------------------------


def test_two_words_for_the_price_are_refused(stack: Stack) -> None:
    """Unless both are those of the state, which an engine can pass for what is not a target."""
    both = {"it": cluster(bid_policy=WORKLOAD, max_price_per_hour=50.0)}
    assert "cannot be set beside max_price_per_hour" in failures(stack, both)["bid_policy"]
    stack.up(it())
    assert stack.preview({"it": cluster(bid_policy=WORKLOAD, max_price_per_hour=13.2)}) == {"it": "same"}


def test_a_price_or_a_policy_is_required(stack: Stack) -> None:
    """As before."""
    none = {"it": Declared("GpuCluster", {"instance_type": "8xa100", "region": REGION})}
    assert failures(stack, none) == {
        "max_price_per_hour": "max_price_per_hour is required, or bid_policy or placements"
    }


def test_a_cap_under_the_reference_is_refused(stack: Stack) -> None:
    """Whoever says the reference."""
    text = failures(stack, it({**INFRASTRUCTURE, "cap": 49.99}))["bid_policy.cap"]
    assert text == (
        "bid_policy.cap is under the usual bid for this type $50.00/h, which the bid does not go under, got 49.99: "
        "raise it, or pass a lower reference=..."
    )
    stack.up(it({**INFRASTRUCTURE, "cap": 49.99, "reference": 30.0}))
    assert price(stack) == 30.0


def test_a_policy_where_no_price_is_known_says_where_one_is(stack: Stack, cloud: FakeMithril) -> None:
    """A history is asked for where a history is needed: a price of now is no help."""
    none = {"path": "/v2/pricing/history", "status": 200, "body": {"series": []}, "when": "before"}
    cloud.faults.add(**none, times=1)
    text = failures(stack, it(UPTIME))["bid_policy"]
    assert "no history of prices is known of '8xa100' in us-central5-a: write a number" in text
    assert "choose a region where a history of prices is known: eu-central1-a" in text
    assert len(asked(cloud)) == 3
    cloud.faults.add(**none, times=None)
    text = failures(stack, it(UPTIME))["bid_policy"]
    assert text.endswith("in us-central5-a: write a number as max_price_per_hour")
    rows = [
        {"fid": f"auc_{region}", "instance_type": "it_Sg1nDx1I8NFep60J", "region": region, "last_instance_price": price}
        for region, price in ((REGION, None), ("eu-central1-a", "$12.00"))
    ]
    cloud.faults.add(path="/v2/spot/availability", status=200, body=rows, when="before", times=None)
    cloud.faults.add(path="/v2/pricing/current", status=200, body={}, when="before", times=None)
    text = failures(stack, it())["bid_policy"]
    assert "no price is known of '8xa100' in us-central5-a: write a number" in text
    assert "choose a region where a price is known: eu-central1-a" in text


def test_a_policy_per_gpu_needs_the_number_of_gpus(stack: Stack, cloud: FakeMithril) -> None:
    """Which the service says in its catalogue."""
    rows = [{"fid": "it_Sg1nDx1I8NFep60J", "name": "a100-80gb.sxm.8x", "num_gpus": None, "gpu_type": None}]
    cloud.faults.add(path="/v2/instance-types", status=200, body=rows, when="before", times=None)
    declared = with_policy(cluster(instance_type="a100-80gb.sxm.8x"), kind="per_gpu", usd=6.25)
    assert "needs the number of GPUs" in failures(stack, {"it": declared})["bid_policy"]


# -- preemption, jobs --------------------------------------------------------------------------------------------------

RAISE: dict[str, Any] = {"on_preemption": "raise_bid", "raise_up_to_per_hour": 18.5}


def test_a_raise_stands_above_the_resolved_number_until_the_policy_changes(stack: Stack, cloud: FakeMithril) -> None:
    """The resolved number is the program's."""
    program = it(**RAISE)
    stack.up(program)
    market_at(cloud, 16.0)
    stack.up(program, refresh=True)
    assert price(stack) == 16.8
    assert stack.state["it"].inputs[RESOLVED_BID] == 13.2
    for _ in range(3):
        stack.up(program, refresh=True)
        assert stack.preview(program) == {"it": "same"}
    assert price(stack) == 16.8
    stack.up(it({**WORKLOAD, "margin": 0.05}, **RAISE))
    assert price(stack) == 16.8  # the market is at 16, and a twentieth above that


def test_a_raise_is_withdrawn_where_the_bid_runs_again(stack: Stack, cloud: FakeMithril) -> None:
    """And the resolved number stands."""
    program = it(**RAISE)
    stack.up(program)
    market_at(cloud, 16.0)
    stack.refresh()
    market_at(cloud, 5.0)
    stack.up(program)
    assert price(stack) == 13.2
    stack.up(program, refresh=True)
    assert stack.preview(program) == {"it": "same"}


def test_a_limit_of_raises_under_the_resolved_number_is_refused(stack: Stack) -> None:
    """The failure names the number."""
    text = failures(stack, it(on_preemption="raise_bid", raise_up_to_per_hour=13.0))["raise_up_to_per_hour"]
    assert "is under the bid, max_price_per_hour=13.2, to which bid_policy is resolved, got 13" in text


def test_a_limit_of_raises_over_the_cap_is_refused(stack: Stack) -> None:
    """The cap is the most that the bid may be; up to the cap it may be raised."""
    cap = WORKLOAD["cap"]
    text = failures(stack, it(on_preemption="raise_bid", raise_up_to_per_hour=cap + 0.01))["raise_up_to_per_hour"]
    assert f"is over the cap of bid_policy, {cap:g}" in text
    assert stack.preview(it(on_preemption="raise_bid", raise_up_to_per_hour=cap))


@pytest.mark.parametrize(("cap", "usd"), [(40.0, 13.2), (13.19, 13.17)])
def test_a_changed_policy_tells_no_outcome_of_a_job(stack: Stack, cloud: FakeMithril, cap: float, usd: float) -> None:
    """A cent or two under the price of the placement is how its machine tells its end: the nearest other price."""
    stack.up({"it": with_policy(job(), **WORKLOAD)})
    market_at(cloud, 11.99)
    stack.up({"it": with_policy(job(), **{**WORKLOAD, "cap": cap})})
    assert price(stack) == usd
    assert stack.state["it"].outputs["status"] == "running"


@pytest.mark.parametrize("before", [WORKLOAD, None], ids=["a policy before", "a number before"])
def test_a_changed_policy_of_a_job_that_has_ended_asks_for_no_price(
    stack: Stack, cloud: FakeMithril, before: dict[str, Any] | None
) -> None:
    """It bids no more: that its machines are not on offer, or the market is silent, stops no `up`."""
    stack.up({"it": with_policy(job(), **before) if before else job(max_price_per_hour=13.2)})
    end_job(cloud, stack.state["it"].id, "succeeded", placed=13.2)
    stack.refresh()
    recorded = price(stack)
    program = {"it": with_policy(job(), **{**UPTIME, "target": 0.5})}
    silence(cloud)
    body: list[Any] = []
    cloud.faults.add(path="/v2/spot/availability", status=200, body=body, when="before", times=None)
    cloud.clear_requests()
    stack.up(program)
    assert price(stack) == recorded
    assert not cloud.mutations
    assert stack.preview(program) == {"it": "same"}


def test_a_job_that_has_ended_keeps_the_word_of_its_machine(stack: Stack, cloud: FakeMithril) -> None:
    """A resolved number is no reason to set a price."""
    program = {"it": with_policy(job(), **WORKLOAD)}
    stack.up(program)
    id_ = stack.state["it"].id
    end_job(cloud, id_, "succeeded", placed=13.2)
    stack.refresh()
    assert stack.state["it"].outputs["status"] == "succeeded"
    assert stack.preview(program) == {"it": "same"}
