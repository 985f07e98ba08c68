"""A bid that has waited for too long moves on to its next placement: when, once, and never beside the old one."""

from __future__ import annotations

import contextlib
import copy
import re
from typing import Any

import pytest
from support.crashes import crash_after_create
from support.stack import CheckError, Declared, Reports, Stack, VerbError, cluster

from flow_resources.core.hidden import PREEMPTION
from flow_resources.core.preemption import Sighting, read_record
from flow_resources.testing import FakeMithril

HERE, THERE, ELSEWHERE = "us-central5-a", "us-central1-b", "eu-central1-a"
A100 = "8xa100"


def at(region: str, price: float | None = None, instance_type: str = A100) -> dict[str, Any]:
    """Write a placement as the program does."""
    bid = {} if price is None else {"max_price_per_hour": price}
    return {"instance_type": instance_type, "region": region, **bid}


THREE = [at(HERE), at(THERE, 31.0), at(ELSEWHERE)]


def it(placements: Any = None, **inputs: Any) -> dict[str, Declared]:
    """Declare a cluster at 24 USD that moves on after an hour."""
    declared = {
        "instance_type": None,
        "region": None,
        "max_price_per_hour": 24.0,
        "placements": placements or THREE,
        "max_wait_minutes": 60,
        "wait_for": "placed",
        **inputs,
    }
    return {"it": cluster(**declared)}


def dear(cloud: FakeMithril, *regions: str, price: float = 52.10) -> None:
    """Let machines cost more than any bid."""
    for region in regions:
        cloud.set_price(A100, region, price)


def waiting(stack: Stack, cloud: FakeMithril, minutes: float = 61.5, **inputs: Any) -> dict[str, Declared]:
    """Declare a cluster that waits in the auction, since so many minutes."""
    dear(cloud, HERE, THERE, ELSEWHERE)
    program = it(**inputs)
    stack.up(program)
    assert place(stack)[0] == HERE
    cloud.clock.advance(minutes=minutes)
    cloud.clear_requests()
    return program


def checked_move(stack: Stack, program: dict[str, Declared]) -> tuple[Any, Any]:
    """Begin an `up` that moves the cluster; return what the state holds of it, and the inputs of its replacement."""
    stack.operation()
    saved = stack.state["it"]
    news = stack.check("it", program["it"], saved)
    assert stack._step("it", saved, news, program["it"]) == "replace"
    return saved, stack.check("it", program["it"], None)


def place(stack: Stack) -> tuple[str, float]:
    """Return where it is, as its inputs say: region, bid."""
    inputs = stack.state["it"].inputs
    return inputs["region"], inputs["max_price_per_hour"]


def changes(cloud: FakeMithril) -> list[str]:
    """Return the requests that changed something, in their order."""
    return [one.method for one in cloud.mutations if one.effect]


def test_it_moves_on_after_its_wait_and_the_row_says_so(
    stack: Stack, cloud: FakeMithril, reports: Reports, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the bid of the next placement; the old one has ended before."""
    program = waiting(stack, cloud)
    (old,) = cloud.live_bids
    stack.refresh()
    assert stack.preview(program) == {"it": "replace"}
    assert "replaced because of max_wait_minutes" in capsys.readouterr().err
    assert not changes(cloud)
    stack.up(program, refresh=True)
    assert place(stack) == (THERE, 31.0)
    assert changes(cloud) == ["DELETE", "POST"]
    assert [bid["region"] for bid in cloud.live_bids] == [THERE]
    assert cloud.bid(old["fid"])["status"] == "Terminated"
    said = "moves on to 8xa100 in us-central1-b at $31.00/h: as 8xa100 in us-central5-a it has waited 61 minutes in"
    assert any(line.startswith(said) and line.endswith("max_wait_minutes is 60") for line in reports.kept)


def test_not_before_its_wait_is_over_and_then_once_for_each(stack: Stack, cloud: FakeMithril) -> None:
    """The new bid waits anew; after the last placement comes the first."""
    program = waiting(stack, cloud, minutes=59)
    stack.up(program, refresh=True)
    assert place(stack)[0] == HERE
    visited = []
    for _ in range(4):
        cloud.clock.advance(minutes=61)
        for _ in range(3):
            stack.up(program, refresh=True)
            assert len(cloud.live_bids) == 1
        visited.append(place(stack)[0])
        assert stack.preview(program) == {"it": "same"}
    assert visited == [THERE, ELSEWHERE, HERE, THERE]


def test_without_a_refresh_nothing_moves(stack: Stack, cloud: FakeMithril) -> None:
    """Nobody has seen it wait."""
    program = waiting(stack, cloud)
    stack.up(program)
    assert stack.preview(program) == {"it": "same"}
    assert not changes(cloud)


def test_a_preempted_bid_waits_since_its_preemption(stack: Stack, cloud: FakeMithril) -> None:
    """Not since it was placed."""
    program = it()
    stack.up(program)
    cloud.clock.advance(hours=5)
    dear(cloud, HERE)
    stack.up(program, refresh=True)
    assert stack.state["it"].outputs["status"] == "preempted"
    cloud.clock.advance(minutes=59)
    stack.up(program, refresh=True)
    assert place(stack)[0] == HERE
    cloud.clock.advance(minutes=2)
    stack.up(program, refresh=True)
    assert place(stack)[0] == THERE


def test_the_cheapest_of_the_others(stack: Stack, cloud: FakeMithril) -> None:
    """With choose='cheapest'."""
    program = waiting(stack, cloud, choose="cheapest")
    dear(cloud, ELSEWHERE, price=30.0)
    stack.up(program, refresh=True)
    assert place(stack) == (ELSEWHERE, 24.0)


def test_the_same_machines_in_other_words_are_no_other_placement(
    stack: Stack, cloud: FakeMithril, reports: Reports
) -> None:
    """It stays, and the row says why."""
    program = waiting(stack, cloud, placements=[at(HERE), at(HERE, 40.0, "a100-80gb.sxm.8x")])
    stack.up(program, refresh=True)
    assert not changes(cloud)
    assert any("and stays: no other of its placements is on offer" in line for line in reports.kept)


def test_a_raised_bid_is_raised_no_more_where_it_moves_to(stack: Stack, cloud: FakeMithril) -> None:
    """The raise was for the market that it leaves."""
    program = it(on_preemption="raise_bid", raise_up_to_per_hour=40.0)
    stack.up(program)
    dear(cloud, HERE, THERE, ELSEWHERE)
    stack.up(program, refresh=True)
    assert place(stack) == (HERE, 40.0)
    cloud.clock.advance(minutes=61)
    stack.up(program, refresh=True)
    assert place(stack) == (THERE, 31.0)
    assert [bid["limit_price"] for bid in cloud.live_bids] == ["$31.00"]


@pytest.mark.parametrize("policy", ["replace", "fail"])
def test_a_move_comes_before_the_policy_of_preemptions(stack: Stack, cloud: FakeMithril, policy: str) -> None:
    """It does more than they do."""
    program = it(on_preemption=policy)
    stack.up(program)
    dear(cloud, HERE)
    stack.refresh()
    cloud.clock.advance(minutes=61)
    stack.up(program, refresh=True)
    assert place(stack) == (THERE, 31.0)


def test_a_policy_is_resolved_for_the_market_that_it_moves_to(stack: Stack, cloud: FakeMithril) -> None:
    """In the same check, so that the budget counts it."""
    workload = {"bid_policy": {"kind": "workload", "margin": 0.1, "cap": 52.0}}
    program = waiting(stack, cloud, placements=[at(HERE, 24.0), {**at(THERE), **workload}], max_price_per_hour=None)
    dear(cloud, THERE, price=40.0)
    stack.config["flow:maxCostPerHour"] = "44"
    stack.up(program, refresh=True)
    assert place(stack) == (THERE, 44.0)
    dear(cloud, THERE, price=10.0)
    assert stack.preview(program) == {"it": "same"}


# -- when it does not --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("create_first", [False, True], ids=["delete-first", "create-first"])
def test_a_bid_that_wins_meanwhile_is_left_alone(stack: Stack, cloud: FakeMithril, *, create_first: bool) -> None:
    """Its machines run: the `up` says so, ends nothing, and the next one has nothing to do."""
    program = waiting(stack, cloud)
    program["it"].create_first = create_first
    stack.refresh()
    (bid,) = cloud.live_bids
    saved, news = checked_move(stack, program)
    dear(cloud, HERE, price=5.0)
    end = (
        (lambda: stack._create("it", program["it"], news)) if create_first else lambda: stack._delete_saved("it", saved)
    )
    with pytest.raises(VerbError, match=r"is not replaced, because it does not wait any more .*nothing was touched"):
        end()
    assert [one["fid"] for one in cloud.live_bids] == [bid["fid"]]
    stack.up(program, refresh=True)
    assert not changes(cloud)


def test_what_can_no_longer_be_placed_elsewhere_does_not_end_where_it_waits(stack: Stack, cloud: FakeMithril) -> None:
    """In the create-first order the create itself ends the old bid: not before it knows the new placement's offer."""
    program = waiting(stack, cloud)
    program["it"].create_first = True
    stack.refresh()
    (bid,) = cloud.live_bids
    _, news = checked_move(stack, program)
    news["region"] = "us-west1-b"  # in the place of an offer that is gone since the check
    with pytest.raises(VerbError, match="is not on offer in us-west1-b now"):
        stack._create("it", program["it"], news)
    assert [one["fid"] for one in cloud.live_bids] == [bid["fid"]]


@pytest.mark.parametrize("lost", ["outputs", "inputs and outputs since"])
def test_outputs_that_record_no_wait_do_not_end_a_bid_that_wins_meanwhile(
    stack: Stack, cloud: FakeMithril, lost: str
) -> None:
    """The inputs alone tell of the wait: whether it still waits is looked up before it ends, as for any move."""
    program = waiting(stack, cloud)
    stack.refresh()
    saved = stack.state["it"]
    if lost == "outputs":
        del saved.outputs[PREEMPTION]
    else:
        saved.outputs[PREEMPTION] = f"waits={saved.id}@2020-01-01T00:00:00Z"
    stack.operation()
    news = stack.check("it", program["it"], saved)
    assert stack._step("it", saved, news, program["it"]) == "replace"
    dear(cloud, HERE, price=5.0)
    with pytest.raises(VerbError, match="does not wait any more"):
        stack._delete_saved("it", saved)
    assert [one["fid"] for one in cloud.live_bids] == [saved.id]


@pytest.mark.parametrize("create_first", [False, True], ids=["delete-first", "create-first"])
def test_there_are_never_two_live_bids(stack: Stack, cloud: FakeMithril, *, create_first: bool) -> None:
    """In both orders of a replacement: the old one is seen ended before the new one is placed."""
    program = waiting(stack, cloud)
    program["it"].create_first = create_first
    most = []
    cloud.faults.add(method="POST", path="/v2/spot/bids$", times=None, then=lambda _: most.append(len(cloud.live_bids)))
    stack.up(program, refresh=True)
    assert place(stack)[0] == THERE
    assert changes(cloud) == ["DELETE", "POST"]
    assert most == [1]


@pytest.mark.parametrize("create_first", [False, True], ids=["delete-first", "create-first"])
@pytest.mark.parametrize("then", [THERE, ELSEWHERE])
def test_a_move_that_was_cut_off_leaves_one_bid(
    stack: Stack, cloud: FakeMithril, then: str, *, create_first: bool
) -> None:
    """The plugin is killed after the new bid is placed; the next `up` takes it over, or ends it for another one."""
    program = waiting(stack, cloud, choose="cheapest")
    program["it"].create_first = create_first
    dear(cloud, ELSEWHERE, price=30.0)
    stack.refresh()
    orphan = crash_after_create(stack, cloud, program)
    assert [(bid["fid"], bid["region"]) for bid in cloud.live_bids] == [(orphan, ELSEWHERE)]
    dear(cloud, ELSEWHERE, price=60.0)
    dear(cloud, then, price=29.0)
    stack.up(program)
    assert [bid["region"] for bid in cloud.live_bids] == [then]
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["it"].id]
    assert (stack.state["it"].id == orphan) == (then == ELSEWHERE)


@pytest.mark.parametrize("create_first", [False, True], ids=["delete-first", "create-first"])
def test_a_move_that_was_cut_off_ends_nothing_while_the_market_is_silent(
    stack: Stack, cloud: FakeMithril, *, create_first: bool
) -> None:
    """The choice made without it is another bid than that of the move, and nobody knows whether it could be placed."""
    program = waiting(stack, cloud)
    program["it"].create_first = create_first
    stack.refresh()
    orphan = crash_after_create(stack, cloud, program)
    cloud.clear_requests()
    cloud.faults.add(path=r"/v2/(spot/availability|instance-types)", times=None, status=503)
    # In the create-first order the state still records the old bid, and its check has nothing to do.
    with contextlib.nullcontext() if create_first else pytest.raises(VerbError, match="could not read the market"):
        stack.up(program)
    assert [bid["fid"] for bid in cloud.live_bids] == [orphan]
    assert not changes(cloud)
    cloud.faults.clear()
    stack.up(program)
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["it"].id]


@pytest.mark.parametrize(
    "inputs",
    [
        {"command": "python train.py"},
        {"paused": True},
        {"placements": [at(HERE, 25.0), at(ELSEWHERE)], "max_wait_minutes": None},
        {"max_wait_minutes": None},
        {"max_wait_minutes": 120},
    ],
    ids="-".join,
)
def test_what_the_program_does_comes_first(stack: Stack, cloud: FakeMithril, inputs: dict[str, Any]) -> None:
    """A replacement of its own, a pause, another limit: no move beside it."""
    waiting(stack, cloud)
    stack.up(it(**inputs), refresh=True)
    assert place(stack)[0] == HERE


@pytest.mark.parametrize("ignored", ["instance_type", "region", "choose", "placements", "placements[1].region", "*"])
def test_ignored_changes_keep_it_where_it_is_and_the_row_says_so(
    stack: Stack, cloud: FakeMithril, reports: Reports, ignored: str
) -> None:
    """The new bid would be placed by the program's list, which the check that decides about the move does not see."""
    waiting(stack, cloud)
    program = it([at("us-west1-b", 99.0), *THREE], ignore_changes=(ignored.partition("[")[0],), __ignored=[ignored])
    if ignored in ("instance_type", "region", "choose"):
        program = it(ignore_changes=(ignored,), __ignored=[ignored])
    stack.up(program, refresh=True)
    assert place(stack)[0] == HERE
    assert not changes(cloud)
    said = "it has waited 61 minutes in the auction, and stays: ignore_changes keeps its placement"
    assert said in reports.kept


def test_a_move_goes_where_its_row_says_though_the_price_is_ignored(
    stack: Stack, cloud: FakeMithril, reports: Reports
) -> None:
    """The check of the old bid sees the recorded price, that of the new one the program's."""
    waiting(stack, cloud)
    program = it(max_price_per_hour=26.0, ignore_changes=("max_price_per_hour",), __ignored=["max_price_per_hour"])
    stack.up(program, refresh=True)
    assert place(stack) == (THERE, 31.0)
    cloud.clock.advance(minutes=61)
    stack.up(program, refresh=True)
    assert any(line.startswith("moves on to 8xa100 in eu-central1-a") for line in reports.kept)
    assert place(stack) == (ELSEWHERE, 26.0)


def test_a_retained_bid_does_not_move_on(stack: Stack) -> None:
    """What `retain_on_delete` keeps would wait, and win, beside the new one."""
    with pytest.raises(CheckError, match="max_wait_minutes cannot be set with retain_on_delete"):
        stack.preview(it(__retained=True))


def test_what_is_not_known_moves_nothing(stack: Stack, cloud: FakeMithril) -> None:
    """The history, the offers, the record of the state."""
    program = waiting(stack, cloud)
    cloud.faults.add(path=r"/v2/spot/bids/\w+/history", times=None, status=503)
    stack.up(program, refresh=True)
    cloud.faults.clear()
    stack.refresh()
    recorded = copy.deepcopy(stack.state["it"])
    cloud.faults.add(path=r"/v2/(spot/availability|instance-types)", times=None, status=503)
    stack.up(program)
    cloud.faults.clear()
    for broken in ("", "waits=", "waits=bid_1", "waits=bid_1@soon", None):
        stack.state["it"] = copy.deepcopy(recorded)
        for bag in (stack.state["it"].inputs, stack.state["it"].outputs):
            bag[PREEMPTION] = broken
            if broken is None:
                del bag[PREEMPTION]
        assert stack.preview(program) == {"it": "same"}, broken
    assert not changes(cloud)
    stack.state["it"] = recorded
    assert stack.preview(program) == {"it": "replace"}


def test_a_resumed_bid_of_which_the_beginning_of_the_wait_is_not_told_stays(stack: Stack, cloud: FakeMithril) -> None:
    """Its history tells that it was paused, not since when it is in the auction again."""
    dear(cloud, HERE, THERE, ELSEWHERE)
    stack.up(it(paused=True))
    cloud.clock.advance(hours=3)
    stack.up(it(), refresh=True)
    stack.up(it(), refresh=True)
    assert place(stack)[0] == HERE
    assert len(cloud.bids) == 1


def test_a_refresh_records_a_wait_alone_where_there_is_a_limit(stack: Stack, cloud: FakeMithril) -> None:
    """By the bid and its beginning, the same in inputs and outputs; it is gone when the bid wins."""
    program = waiting(stack, cloud)
    stack.refresh()
    saved = stack.state["it"]
    assert read_record(saved.inputs).waits == Sighting(saved.id, saved.outputs["created_at"])
    assert saved.inputs[PREEMPTION] == saved.outputs[PREEMPTION]
    dear(cloud, HERE, price=5.0)
    stack.refresh()
    assert PREEMPTION not in stack.state["it"].inputs
    assert stack.preview(program) == {"it": "same"}
    other = Stack(stack.config, owner="acme/other/dev")
    dear(cloud, HERE)
    other.up(it(max_wait_minutes=None))
    other.refresh()
    assert PREEMPTION not in other.state["it"].inputs


def test_a_check_that_fails_moves_nothing(stack: Stack, cloud: FakeMithril) -> None:
    """The budget counts the bid of the placement that it would move to."""
    program = waiting(stack, cloud)
    stack.config["flow:maxCostPerHour"] = "30.99"
    with pytest.raises(CheckError, match="maxCostPerHour"):
        stack.up(program, refresh=True)
    stack.config["flow:maxCostPerHour"] = "31"
    stack.up(program, refresh=True)
    assert place(stack) == (THERE, 31.0)


def test_the_words_of_a_move_name_no_secret(stack: Stack, cloud: FakeMithril, reports: Reports) -> None:
    """Machines, regions, prices and minutes alone."""
    stack.up(waiting(stack, cloud), refresh=True)
    (line,) = [one for one in reports.kept if one.startswith("moves on")]
    assert not re.search(r"bid_|fkey_", line)
