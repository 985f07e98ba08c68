"""Policies against the fake's market: what a preempted bid gets, what is sent for it, and when nothing is."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import httpx
import pytest
from support.crashes import live
from support.stack import CheckError, Declared, Reports, Stack, VerbError, cluster, volume

from flow_resources.cloud import Cloud
from flow_resources.core.answer import Answer
from flow_resources.core.hidden import PREEMPTION
from flow_resources.core.preemption import PolicyRecord, Sighting, is_policy_alone, read_record
from flow_resources.errors import UnavailableError
from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.both_hosts(plugin="languages")

REGION = "us-central5-a"
RAISE: dict[str, Any] = {"on_preemption": "raise_bid", "raise_up_to_per_hour": 18.5}
DECLARED: dict[str, dict[str, Any]] = {
    "keep": {},
    "raise_bid": RAISE,
    "replace": {"on_preemption": "replace"},
    "fail": {"on_preemption": "fail"},
}


def it(**inputs: Any) -> dict[str, Declared]:
    """Declare one cluster at 16 USD."""
    return {"it": cluster(**{"max_price_per_hour": 16.0, **inputs})}


def spike(cloud: FakeMithril, price: float = 18.2) -> None:
    """Let the price rise, so that a bid of 16 USD loses its machines."""
    cloud.set_price("8xa100", REGION, price)


def preempted(stack: Stack, cloud: FakeMithril, price: float = 18.2, **inputs: Any) -> dict[str, Declared]:
    """Declare a cluster, preempt it, and let a refresh see that."""
    program = it(**inputs)
    stack.up(program)
    spike(cloud, price)
    stack.refresh()
    assert stack.state["it"].outputs["status"] == "preempted"
    cloud.clear_requests()
    return program


def sent(cloud: FakeMithril) -> list[tuple[str, Any]]:
    """Return what was sent that changes anything."""
    return [(one.method, one.body) for one in cloud.mutations]


def record(stack: Stack) -> PolicyRecord:
    """Return what the state records, the same in its inputs and its outputs."""
    saved = stack.state["it"]
    assert saved.inputs.get(PREEMPTION) == saved.outputs.get(PREEMPTION)
    return read_record(saved.outputs)


# -- what a refresh records --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", DECLARED)
def test_a_refresh_records_a_preemption_whatever_the_policy_is(stack: Stack, cloud: FakeMithril, policy: str) -> None:
    """With its time, which is an output, too."""
    program = preempted(stack, cloud, **DECLARED[policy])
    seen = record(stack).seen
    assert seen
    assert seen == Sighting(stack.state["it"].id, stack.state["it"].outputs["last_preempted_at"])
    spike(cloud, 5.0)
    stack.refresh()
    assert stack.state["it"].outputs["status"] == "running"
    assert PREEMPTION not in stack.state["it"].inputs
    assert stack.state["it"].outputs["last_preempted_at"] == seen.at
    assert stack.preview(program) == {"it": "same"}


def test_twenty_rounds_with_keep_send_nothing(stack: Stack, cloud: FakeMithril) -> None:
    """And show no change."""
    program = preempted(stack, cloud)
    for _ in range(20):
        stack.up(program, refresh=True)
        assert stack.preview(program) == {"it": "same"}
    assert sent(cloud) == []


def test_a_refresh_of_what_runs_asks_for_no_history(stack: Stack, cloud: FakeMithril) -> None:
    """Nothing is asked for the policy alone."""
    stack.up(it(**RAISE))
    cloud.clear_requests()
    stack.refresh()
    assert not [one for one in cloud.requests if one.path.endswith("/history")]


def test_the_order_in_which_a_history_is_told_does_not_matter(stack: Stack, cloud: FakeMithril) -> None:
    """Its times count: newest first, the last preemption is still the last event."""
    program = preempted(stack, cloud, **RAISE)
    seen = record(stack).seen
    assert seen
    path = f"/v2/spot/bids/{seen.bid_id}/history"
    answer = httpx.get(f"{cloud.url}{path}", headers={"Authorization": f"Bearer {cloud.key}"}).json()
    assert len(answer["events"]) > 2
    turned = {**answer, "events": answer["events"][::-1]}
    cloud.faults.add(method="GET", path="history", status=200, body=turned, when="before", times=None)
    stack.refresh()
    assert stack.state["it"].outputs["status"] == "preempted"
    assert record(stack).seen == seen
    assert stack.preview(program) == {"it": "update"}


# -- raise_bid ---------------------------------------------------------------------------------------------------------


def test_a_bid_is_raised_once_and_no_later_up_takes_it_back(stack: Stack, cloud: FakeMithril, reports: Reports) -> None:
    """One PATCH; then it runs, and is the same for twenty rounds."""
    program = preempted(stack, cloud, **RAISE)
    assert stack.preview(program) == {"it": "update"}
    words = "the bid goes from $16.00 to $18.50: preempted less than a minute ago, market $18.20"
    assert words in reports.kept
    assert sent(cloud) == []
    stack.up(program, refresh=True)
    assert [method for method, _ in sent(cloud)] == ["PATCH"]
    assert cloud.bid(stack.state["it"].id)["limit_price"] == "$18.50"
    for _ in range(20):
        stack.up(program, refresh=True)
        assert stack.preview(program) == {"it": "same"}
        assert stack.state["it"].outputs["status"] == "running"
        assert stack.state["it"].outputs["max_price_per_hour"] == 18.5
    assert len(sent(cloud)) == 1
    assert record(stack).handled


def test_a_bid_stops_at_its_limit_to_the_cent(stack: Stack, cloud: FakeMithril, reports: Reports) -> None:
    """However far the market goes, and however often it is preempted."""
    program = preempted(stack, cloud, 18.49, **RAISE)
    for price in (18.49, 18.51, 30.0, 400.0):
        spike(cloud, price)
        stack.up(program, refresh=True)
    assert cloud.bid(stack.state["it"].id)["limit_price"] == "$18.50"
    assert len(sent(cloud)) == 1
    assert any(one.startswith("the bid stays at $18.50, which raise_up_to_per_hour allows") for one in reports.kept)


def test_a_new_preemption_raises_it_again(stack: Stack, cloud: FakeMithril) -> None:
    """From the raised bid on, each time one PATCH."""
    program = preempted(stack, cloud, on_preemption="raise_bid", raise_up_to_per_hour=40)
    prices = []
    for price in (18.2, 25.0, 33.333):
        spike(cloud, round(price, 2))
        stack.up(program, refresh=True)
        prices.append(cloud.bid(stack.state["it"].id)["limit_price"])
        stack.refresh()
        assert stack.state["it"].outputs["status"] == "running"
    assert prices == ["$19.11", "$26.25", "$35.00"]
    assert len(sent(cloud)) == 3


@pytest.mark.parametrize(
    ("change", "price"),
    [
        ({"max_price_per_hour": 17.0}, "$17.00"),
        ({"max_price_per_hour": 15.0}, "$15.00"),
        ({"on_preemption": "keep", "raise_up_to_per_hour": None}, "$16.00"),
        ({"raise_up_to_per_hour": 18.0}, "$18.00"),
        ({"raise_up_to_per_hour": 30.0}, "$18.50"),
    ],
    ids=["a higher number", "a lower number", "another policy", "a lower limit", "a higher limit"],
)
def test_the_programs_word_counts(stack: Stack, cloud: FakeMithril, change: dict[str, Any], price: str) -> None:
    """The raised bid stays as long as the number and the policy do, under its limit."""
    program = preempted(stack, cloud, **RAISE)
    stack.up(program)
    spike(cloud, 5.0)
    edited = {name: value for name, value in {**RAISE, **change}.items() if value is not None}
    stack.up(it(**edited))
    assert cloud.bid(stack.state["it"].id)["limit_price"] == price
    for _ in range(2):
        stack.up(it(**edited), refresh=True)
        assert stack.preview(it(**edited)) == {"it": "same"}
    assert cloud.bid(stack.state["it"].id)["limit_price"] == price


@pytest.mark.parametrize("create_first", [False, True])
def test_a_raised_bid_stays_over_a_replacement(stack: Stack, cloud: FakeMithril, create_first: bool) -> None:
    """The program's number and policy are the same, and so is the bid."""
    program = preempted(stack, cloud, **RAISE)
    stack.up(program)
    edited = it(**RAISE, command="echo 2")
    edited["it"].create_first = create_first
    for _ in range(3):
        stack.up(edited, refresh=True)
        assert cloud.bid(stack.state["it"].id)["limit_price"] == "$18.50"
        assert stack.preview(edited) == {"it": "same"}
    spike(cloud, 5.0)
    stack.up(it(**{**RAISE, "max_price_per_hour": 17.0}, command="echo 3"))
    assert [bid["limit_price"] for bid in cloud.live_bids] == ["$17.00"]


@pytest.mark.parametrize("policy", ["raise_bid", "replace", "fail"])
def test_nothing_is_done_about_a_cluster_that_the_program_pauses(stack: Stack, cloud: FakeMithril, policy: str) -> None:
    """It gives its machines back in any case; once it is resumed, it is not preempted."""
    preempted(stack, cloud, **DECLARED[policy])
    paused = it(**DECLARED[policy], paused=True)
    stack.up(paused)
    assert [body for _, body in sent(cloud)] == [{"paused": True}]
    stack.up(paused, refresh=True)
    spike(cloud, 5.0)
    stack.up(it(**DECLARED[policy]), refresh=True)
    assert [body for _, body in sent(cloud)] == [{"paused": True}, {"paused": False}]


def test_a_number_that_goes_there_and_back_ends_the_raise(stack: Stack, cloud: FakeMithril) -> None:
    """Also where it meets the raised bid on its way, and nothing is sent for that."""
    program = preempted(stack, cloud, **RAISE)
    stack.up(program)
    spike(cloud, 5.0)
    for number in (18.5, 16.0):
        stack.up(it(**{**RAISE, "max_price_per_hour": number}))
        stack.refresh()
    stack.up(program)
    assert cloud.bid(stack.state["it"].id)["limit_price"] == "$16.00"


def test_somebody_elses_price_is_drift_from_the_raised_bid(stack: Stack, cloud: FakeMithril) -> None:
    """It is set back to that, not to the program's number."""
    program = preempted(stack, cloud, **RAISE)
    stack.up(program)
    cloud.update_bid(stack.state["it"].id, limit_price="$30.00")
    stack.refresh()
    assert stack.preview(program) == {"it": "update"}
    stack.up(program)
    assert cloud.bid(stack.state["it"].id)["limit_price"] == "$18.50"


def test_a_raise_beside_somebody_elses_price_is_not_the_policy_alone(stack: Stack, cloud: FakeMithril) -> None:
    """The bid that a person set by hand would go down with it: a watcher leaves it to a person."""
    policy: dict[str, Any] = {"on_preemption": "raise_bid", "raise_up_to_per_hour": 40.0}
    program = preempted(stack, cloud, **policy)
    stack.up(program)
    spike(cloud, 25.0)
    for price, expected in (("$24.00", False), ("$19.11", True)):
        cloud.update_bid(stack.state["it"].id, limit_price=price)
        stack.refresh()
        stack.operation()
        checked = stack.check("it", program["it"], stack.state["it"])
        assert (is_policy_alone(stack.state["it"].inputs, checked) is Answer.YES) is expected


def test_a_raise_is_told_from_the_price_that_stands(stack: Stack, cloud: FakeMithril, reports: Reports) -> None:
    """Also where somebody else has set it."""
    program = preempted(stack, cloud, **RAISE)
    cloud.update_bid(stack.state["it"].id, limit_price="$17.00")
    stack.up(program, refresh=True)
    assert [one.partition(":")[0] for one in reports.kept if "goes" in one] == ["the bid goes from $17.00 to $18.50"]


def test_without_a_market_price_nothing_is_raised(stack: Stack, cloud: FakeMithril, reports: Reports) -> None:
    """The row says so, and the next run with one raises."""
    program = preempted(stack, cloud, **RAISE)
    cloud.faults.add(path=r"/v2/spot/availability", status=503, times=None)
    assert stack.preview(program) == {"it": "same"}
    cloud.faults.clear()
    assert any("and the market is not known now" in one for one in reports.kept)
    stack.up(program)
    assert [method for method, _ in sent(cloud)] == ["PATCH"]


def runs_again_before(stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Let the price fall after the check, before a verb."""
    call = stack._call

    def falling(type_: str, name: str, *more: Any, **options: Any) -> Any:
        if name == method:
            spike(cloud, 5.0)
        return call(type_, name, *more, **options)

    monkeypatch.setattr(stack, "_call", falling)


def test_a_bid_that_runs_again_before_the_update_is_not_raised(
    stack: Stack, cloud: FakeMithril, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent; a refresh finds no drift, and nothing is raised for it later."""
    program = preempted(stack, cloud, **RAISE)
    with monkeypatch.context() as patch:
        runs_again_before(stack, cloud, patch, "Update")
        stack.up(program)
    assert sent(cloud) == []
    assert any(one.startswith("the bid is not raised: it does not wait any more") for one in reports.kept)
    assert stack.state["it"].outputs["max_price_per_hour"] == 16.0
    assert stack.preview(program) == {"it": "same"}
    before = dict(stack.state["it"].inputs)
    stack.refresh()
    assert not drift(stack, before)
    for _ in range(3):
        stack.up(program, refresh=True)
        assert stack.preview(program) == {"it": "same"}
    assert sent(cloud) == []
    assert cloud.bid(stack.state["it"].id)["limit_price"] == "$16.00"


def test_a_second_raise_that_is_not_made_leaves_the_first_one_as_it_is(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No `up` takes the raised bid of a running cluster back."""
    policy: dict[str, Any] = {"on_preemption": "raise_bid", "raise_up_to_per_hour": 30.0}
    program = preempted(stack, cloud, **policy)
    stack.up(program)
    raised = cloud.bid(stack.state["it"].id)["limit_price"]
    assert raised == "$19.11"
    spike(cloud, 25.0)
    stack.refresh()
    cloud.clear_requests()
    with monkeypatch.context() as patch:
        runs_again_before(stack, cloud, patch, "Update")
        stack.up(program)
    before = dict(stack.state["it"].inputs)
    assert stack.preview(program) == {"it": "same"}
    stack.refresh()
    assert not drift(stack, before)
    for _ in range(2):
        stack.up(program, refresh=True)
        assert stack.preview(program) == {"it": "same"}
    assert sent(cloud) == []
    assert cloud.bid(stack.state["it"].id)["limit_price"] == raised
    stack.up(it(**{**policy, "raise_up_to_per_hour": 18.0}))
    assert cloud.bid(stack.state["it"].id)["limit_price"] == "$18.00"


def drift(stack: Stack, inputs_before: dict[str, Any]) -> bool:
    """Whether the engine shows a refresh as drift: it compares the new outputs with the inputs before."""
    saved = stack.state["it"]
    result = stack._call(
        saved.type,
        "Diff",
        stack.urn("it", saved.type),
        lambda provider: provider.diff(saved.id, dict(saved.outputs), dict(inputs_before)),
    )
    return bool(result.changes)


def test_a_lost_answer_to_a_raise_is_looked_up(stack: Stack, cloud: FakeMithril) -> None:
    """A bid that won with it is not taken back by an `up` that refreshes first."""
    program = preempted(stack, cloud, **RAISE)
    cloud.faults.add(method="PATCH", kind="reset", when="after", times=None)
    stack.up(program)
    cloud.faults.clear()
    cloud.clear_requests()
    assert record(stack).raised
    assert stack.preview(program) == {"it": "same"}
    spike(cloud, 18.2)
    for _ in range(2):
        stack.up(program, refresh=True)
        assert stack.state["it"].outputs["status"] == "running"
        assert cloud.bid(stack.state["it"].id)["limit_price"] == "$18.50"
        assert stack.preview(program) == {"it": "same"}
    assert record(stack).raised
    assert sent(cloud) == []


@pytest.mark.parametrize("refresh", [True, False])
@pytest.mark.parametrize("is_killed", [True, False])
def test_a_raise_that_nobody_recorded_is_not_taken_back_from_what_runs(
    stack: Stack, cloud: FakeMithril, reports: Reports, monkeypatch: pytest.MonkeyPatch, is_killed: bool, refresh: bool
) -> None:
    """The plugin died between the PATCH and its answer, or the service was silent from then on; the bid has won."""
    program = preempted(stack, cloud, **RAISE)
    before = copy.deepcopy(stack.state["it"])
    set_price = Cloud.set_price

    def sending(self: Cloud, bid_id: str, price: Decimal) -> None:
        set_price(self, bid_id, price)
        cloud.faults.add(kind="reset", when="before", times=None)
        raise UnavailableError("no answer", "try again")

    with monkeypatch.context() as patch, contextlib.suppress(VerbError):
        if not is_killed:
            patch.setattr(Cloud, "set_price", sending)
        stack.up(program)
    cloud.faults.clear()
    if is_killed:
        stack.state["it"] = before
    spike(cloud, 18.2)
    cloud.clear_requests()
    for _ in range(2):
        stack.up(program, refresh=refresh)
        assert cloud.bid(stack.state["it"].id)["status"] == "Allocated"
        assert cloud.bid(stack.state["it"].id)["limit_price"] == "$18.50"
        assert stack.preview(program) == {"it": "same"}
    assert sent(cloud) == []
    assert record(stack).handled
    is_told = any("is taken for the raise of an `up` that was cut off" in one for one in reports.kept)
    assert is_told is refresh
    stack.up(it(**{**RAISE, "max_price_per_hour": 17.0}))
    assert cloud.bid(stack.state["it"].id)["limit_price"] == "$17.00"


@pytest.mark.dynamic_host  # a check of the plugin does not know it: then an update sends nothing
@pytest.mark.parametrize("ignored", [("max_price_per_hour",), ("*",)])
def test_with_ignore_changes_nothing_is_raised(
    stack: Stack, cloud: FakeMithril, reports: Reports, ignored: tuple[str, ...]
) -> None:
    """Whether the program passes the option along or it came from somewhere else: the update is told in any case."""
    for passes_along in (True, False):
        program = {
            "it": cluster(
                max_price_per_hour=16.0,
                ignore_changes=ignored,
                **RAISE,
                **({"__ignored": list(ignored)} if passes_along else {}),
            )
        }
        spike(cloud, 5.0)
        stack.up(program)
        spike(cloud)
        cloud.clear_requests()
        stack.refresh()
        if passes_along or "*" in ignored:  # else the model's preview does not see the option
            assert stack.preview(program) == {"it": "same"}
            assert "preempted, and on_preemption='raise_bid' does nothing, by ignore_changes" in reports.kept
        for _ in range(3):
            stack.up(program, refresh=True)
            assert stack.state["it"].outputs["status"] == "preempted"
        assert sent(cloud) == []
        assert cloud.bid(stack.state["it"].id)["limit_price"] == "$16.00"
        stack.destroy()


def test_a_raise_that_the_budget_does_not_allow_is_not_made(stack: Stack, cloud: FakeMithril, reports: Reports) -> None:
    """It fails nothing, neither its own check nor that of a bid that is checked after it."""
    stack.config["flow:maxCostPerHour"] = "35"
    program = {**it(**RAISE), "other": cluster(max_price_per_hour=18.0, instance_type="8xh100", wait_for="placed")}
    stack.up(program)
    spike(cloud)
    cloud.clear_requests()
    stack.up(program, refresh=True)
    assert sent(cloud) == []
    words = "the bid stays at $16.00, because flow:maxCostPerHour of $35.00/h does not allow $18.50"
    assert any(one.startswith(words) for one in reports.kept)
    stack.config["flow:maxCostPerHour"] = "36.50"
    stack.up(program, refresh=True)
    assert [method for method, _ in sent(cloud)] == ["PATCH"]


def test_a_budget_beside_costs_that_are_not_known_allows_no_raise(
    stack: Stack, cloud: FakeMithril, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not known lets no budget pass."""
    stack.config["flow:maxCostPerHour"] = "1000"
    program = preempted(stack, cloud, **RAISE)
    monkeypatch.setattr(stack, "export", lambda: None)
    stack.up(program)
    assert sent(cloud) == []
    assert any("what the other bids of the stack cost could not be found out" in one for one in reports.kept)


# -- replace -----------------------------------------------------------------------------------------------------------


def order(cloud: FakeMithril) -> list[str]:
    """Return the requests that place, end and look at single bids, in order."""
    words = {"POST": "place", "DELETE": "end", "GET": "look"}
    path = re.compile(r"/v2/spot/bids(/bid_[^/]+)?$")
    return [words[one.method] for one in cloud.requests if one.method in words and path.search(one.path)]


@pytest.mark.parametrize("create_first", [False, True])
def test_a_replaced_bid_is_seen_ended_before_the_new_one_is_placed(
    stack: Stack, cloud: FakeMithril, create_first: bool
) -> None:
    """In both orders; never two live; the new bid is not replaced for that preemption."""
    program = preempted(stack, cloud, on_preemption="replace", create_first=create_first)
    program["it"].create_first = create_first
    old = stack.state["it"].id
    assert stack.preview(program) == {"it": "replace"}
    most = watch_live(cloud)
    program["it"].inputs["wait_for"] = "placed"
    stack.up(program)
    assert most() == 1
    assert live(cloud) == [stack.state["it"].id] != [old]
    steps = order(cloud)
    assert steps.index("end") < steps.index("place")
    assert "look" in steps[steps.index("end") : steps.index("place")]
    cloud.clear_requests()
    for _ in range(3):
        stack.up(program, refresh=True)
        assert stack.preview(program) == {"it": "same"}
    assert sent(cloud) == []


def watch_live(cloud: FakeMithril) -> Callable[[], int]:
    """Return what tells the most bids that were live at once since: before and after each request that changes any."""
    counts = [len(cloud.live_bids)]

    def count(_request: object) -> None:
        counts.append(len(cloud.live_bids))

    cloud.faults.add(path="/v2/spot/bids", when="after", then=count, times=None)
    return lambda: max(*counts, len(cloud.live_bids))


@pytest.mark.parametrize("create_first", [False, True])
def test_a_bid_that_runs_again_is_not_replaced(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch, create_first: bool
) -> None:
    """One line; nothing is ended or placed, and after a refresh there is nothing to do."""
    program = preempted(stack, cloud, on_preemption="replace")
    program["it"].create_first = create_first
    before = stack.state["it"].id
    with monkeypatch.context() as patch:
        runs_again_before(stack, cloud, patch, "Create" if create_first else "Delete")
        with pytest.raises(VerbError, match=r"does not wait any more .*run `pulumi up --refresh`"):
            stack.up(program)
    assert sent(cloud) == []
    assert live(cloud) == [before] == [stack.state["it"].id]
    stack.up(program, refresh=True)
    assert stack.preview(program) == {"it": "same"}
    assert sent(cloud) == []


@pytest.mark.parametrize("create_first", [False, True])
def test_a_bid_is_not_replaced_while_nobody_can_say_whether_it_waits(
    stack: Stack, cloud: FakeMithril, create_first: bool
) -> None:
    """The error says what to type; the next `up` replaces it."""
    program = preempted(stack, cloud, on_preemption="replace", wait_for="placed")
    program["it"].create_first = create_first
    cloud.faults.add(method="GET", path=r"/v2/spot/bids/bid_[^/]+$", status=503, times=None)
    with pytest.raises(VerbError, match=r"could not be found out: .*run `pulumi up --refresh`"):
        stack.up(program)
    assert sent(cloud) == []
    cloud.faults.clear()
    stack.up(program)
    assert live(cloud) == [stack.state["it"].id]
    assert len(cloud.bids) == 2


def test_a_persons_own_replacement_and_destroy_are_not_hindered(stack: Stack, cloud: FakeMithril) -> None:
    """A changed specification replaces a preempted cluster whatever the policy is, and whether it runs again or not."""
    preempted(stack, cloud, on_preemption="replace")
    spike(cloud, 5.0)
    edited = it(on_preemption="replace", command="echo 2")
    stack.up(edited)
    assert len(cloud.bids) == 2
    spike(cloud)
    stack.refresh()
    spike(cloud, 5.0)
    stack.up(edited, force={"it"})
    assert len(cloud.bids) == 3
    spike(cloud)
    stack.refresh()
    spike(cloud, 5.0)
    stack.destroy()
    assert live(cloud) == []


def test_a_replacement_that_stopped_between_the_two_bids_goes_on(stack: Stack, cloud: FakeMithril) -> None:
    """In the create-first order: the old one has ended, the new one was refused, and the next `up` places it."""
    program = preempted(stack, cloud, on_preemption="replace", wait_for="placed")
    program["it"].create_first = True
    cloud.faults.add(method="POST", path="/v2/spot/bids$", status=403, times=1)
    with pytest.raises(VerbError):
        stack.up(program)
    assert live(cloud) == []
    stack.up(program)
    assert live(cloud) == [stack.state["it"].id]
    stack.up(program, refresh=True)
    assert live(cloud) == [stack.state["it"].id]


def test_replace_is_refused_with_retain_on_delete(stack: Stack, cloud: FakeMithril) -> None:
    """Two bids would be paid."""
    with pytest.raises(CheckError, match="cannot be 'replace' with retain_on_delete") as failed:
        stack.preview(it(on_preemption="replace", __retained=True))
    assert set(failed.value.failures) == {"on_preemption"}


# -- fail --------------------------------------------------------------------------------------------------------------


def test_a_cluster_that_still_waits_fails_preview_and_up(stack: Stack, cloud: FakeMithril) -> None:
    """With the ways on; nothing is sent."""
    program = preempted(stack, cloud, on_preemption="fail")
    for run in (stack.preview, stack.up):
        with pytest.raises(CheckError) as failed:
            run(program)
        ((path, text),) = failed.value.failures.items()
        assert path == "on_preemption"
        assert "the bid waits in the auction: preempted less than a minute ago" in text
        for way in ("raise max_price_per_hour", "another policy", "--exclude urn:pulumi:dev::training::"):
            assert way in text
    assert sent(cloud) == []


def test_a_refresh_warns_that_the_next_up_stops(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only with fail, and not once it runs again."""
    preempted(stack, cloud, on_preemption="fail")
    assert "on_preemption='fail' stops an `up` of it while it waits" in capsys.readouterr().err
    spike(cloud, 5.0)
    stack.refresh()
    assert "stops an `up`" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [{"max_price_per_hour": 20.0}, {"on_preemption": "keep"}, {"command": "echo 2", "wait_for": "placed"}],
    ids=["a higher bid", "another policy", "a replacement"],
)
def test_what_a_person_does_about_it_passes(stack: Stack, cloud: FakeMithril, change: dict[str, Any]) -> None:
    """And is done."""
    preempted(stack, cloud, on_preemption="fail")
    stack.up(it(**{"on_preemption": "fail", **change}))


def test_fail_passes_where_it_runs_again_since_the_refresh(stack: Stack, cloud: FakeMithril) -> None:
    """The bid is read again."""
    program = preempted(stack, cloud, on_preemption="fail")
    spike(cloud, 5.0)
    assert stack.preview(program) == {"it": "same"}


def test_fail_warns_where_nobody_can_say_whether_it_waits(
    stack: Stack, cloud: FakeMithril, capsys: pytest.CaptureFixture[str]
) -> None:
    """It fails nothing then."""
    program = preempted(stack, cloud, on_preemption="fail")
    cloud.faults.add(method="GET", path=r"/v2/spot/bids$", status=503, times=None)
    assert stack.preview(program) == {"it": "same"}
    assert "which could not be found out" in capsys.readouterr().err


# -- facts that are not known ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["raise_bid", "replace", "fail"])
@pytest.mark.parametrize("lost", ["the record", "the record, unreadable", "the time", "the history"])
def test_nothing_is_done_about_what_is_not_known(
    stack: Stack,
    cloud: FakeMithril,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    policy: str,
    lost: str,
) -> None:
    """Neither in this run nor in the next."""
    from flow_resources.cloud.client import Cloud
    from flow_resources.core.models import BidEvent

    program = it(**DECLARED[policy])
    stack.up(program)
    spike(cloud)
    if lost == "the time":
        events = Cloud.events
        monkeypatch.setattr(
            Cloud, "events", lambda self, id_: tuple(BidEvent(one.type, None) for one in events(self, id_) or ())
        )
    elif lost == "the history":
        cloud.faults.add(path="/history$", status=503, times=None)
    stack.refresh()
    if lost.startswith("the record"):
        for bag in (stack.state["it"].inputs, stack.state["it"].outputs):
            bag.pop(PREEMPTION, None)
            if lost.endswith("unreadable"):
                bag[PREEMPTION] = "seen=yes"
    cloud.clear_requests()
    assert stack.preview(program) == {"it": "same"}
    stack.up(program)
    if lost != "the record":
        stack.up(program, refresh=True)
        assert stack.preview(program) == {"it": "same"}
    assert sent(cloud) == []
    if lost == "the time":
        assert "does not say since when" in capsys.readouterr().err


# -- over the policies -------------------------------------------------------------------------------------------------

LATER: Mapping[str, dict[str, Any]] = {**DECLARED, "raise_bid": {**RAISE, "raise_up_to_per_hour": 60.0}}


@pytest.mark.parametrize("later", ["replace", "fail", "keep"])
def test_what_was_handled_is_not_handled_again_by_another_policy(stack: Stack, cloud: FakeMithril, later: str) -> None:
    """The raise was not enough, and the policy changes: a new preemption would act again."""
    program = preempted(stack, cloud, 30.0, **RAISE)
    stack.up(program)
    assert cloud.bid(stack.state["it"].id)["limit_price"] == "$18.50"
    cloud.clear_requests()
    before = stack.state["it"].id
    stack.up(it(**LATER[later]))
    stack.up(it(**LATER[later]), refresh=True)
    assert [method for method, _ in sent(cloud)] == ["PATCH"]  # back to the program's number
    assert live(cloud) == [before]


def test_a_policy_that_is_chosen_after_the_refresh_acts(stack: Stack, cloud: FakeMithril) -> None:
    """The sighting is recorded for keep, too."""
    preempted(stack, cloud)
    stack.up(it(**RAISE))
    assert cloud.bid(stack.state["it"].id)["limit_price"] == "$18.50"


def test_a_volume_knows_no_policy(stack: Stack, cloud: FakeMithril) -> None:
    """Nothing of it is written into other kinds."""
    stack.up({"data": volume()})
    stack.refresh()
    assert PREEMPTION not in stack.state["data"].outputs
